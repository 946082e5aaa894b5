"""The loop of what follows a row of the swarm: it looks when something changed, and now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from daemon.store import DiskRefused

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from gossip.node import GossipNode

log = structlog.get_logger("cluster")

_LOOK = 1.0  # seconds between looks at what others have said


async def follow(
    cluster: Cluster, gossip: GossipNode, wake: asyncio.Event, look: Callable[[], Awaitable[None]], what: str
) -> None:
    """Look for as long as this node is a member; `what` cannot be written down where the disk refuses it."""
    while cluster.gossip is gossip:
        if cluster.ready:
            try:
                await look()
            except DiskRefused as error:  # nothing has changed; it is done at the next look
                log.error(f"{what} cannot be written down", error=str(error))
        try:
            async with asyncio.timeout(_LOOK):
                await wake.wait()
        except TimeoutError:
            pass
        wake.clear()
