"""Nodes' certificates are renewed long before they end: after half to four fifths of their life, as swarmkit does.

Each at a moment of its own, so that not all ask at once. A manager signs its own; the others ask one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from daemon.cluster.authority import NotOurs, validity
from daemon.cluster.joining import own_certificate
from daemon.store import DiskRefused

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.cluster.identity import Membership
    from daemon.cluster.standing import Standing
    from daemon.engine.engine import Engine
    from gossip.node import GossipNode

log = structlog.get_logger("cluster")

_LOOK = 60.0  # seconds between looks at the wall clock, which may be set
_EARLIEST, _LATEST = 0.5, 0.8


class Renewal:
    """This node's certificate, kept good."""

    def __init__(self, engine: Engine, cluster: Cluster, standing: Standing) -> None:
        self._engine = engine
        self._cluster = cluster
        self._standing = standing

    def begin(self, gossip: GossipNode) -> None:
        """This node has become a member; ends by itself when it is none any more."""
        self._engine.tasks.spawn(self._run(gossip), "certificate")

    async def _run(self, gossip: GossipNode) -> None:
        part = self._engine.world.random.uniform(_EARLIEST, _LATEST)
        while self._cluster.gossip is gossip:
            await asyncio.sleep(_LOOK)
            membership = self._cluster.membership
            if self._cluster.gossip is not gossip or membership is None or not self._due(membership, part):
                continue
            renewed = (
                own_certificate(membership, self._engine, self._cluster.swarm.certificate_life())
                if membership.is_manager
                else await self._standing.renewed(membership)
            )
            if renewed is not None:
                try:
                    await self._cluster.adopt(membership, renewed)
                except DiskRefused as error:  # it is still due
                    log.error("the new certificate cannot be written down", error=str(error))
                    continue
                part = self._engine.world.random.uniform(_EARLIEST, _LATEST)
                log.info("certificate renewed", node=membership.node_id)

    def _due(self, membership: Membership, part: float) -> bool:
        try:
            since, until = validity(membership.certificate)
        except NotOurs as error:
            log.error("the node's certificate cannot be read", error=str(error))
            return True
        return self._engine.world.wall() >= since + part * (until - since)
