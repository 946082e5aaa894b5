"""What the swarm says this node is: follows a change of its role, and finds out if it was removed.

Roles are shared rows; the certificate and the CA's key that go with one are fetched from a manager. Members do not
speak to an id that was removed, so a node asks the managers that it does not hear whether that is why.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import structlog

from daemon.cluster.authority import NotOurs
from daemon.cluster.joining import CLUSTER_PORT, REMOVED
from daemon.cluster.nodes import NODE_SPECS
from daemon.cluster.rpc import Refused
from daemon.store import DiskRefused
from gossip.tables.view import ROSTER_TABLE

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.cluster.identity import Membership
    from daemon.engine.engine import Engine
    from gossip.node import GossipNode
    from gossip.tables.row import Change

log = structlog.get_logger("cluster")

_RETRY = 1.0  # seconds between attempts to follow a change of role
_ALONE = 3.0  # seconds between questions to managers while no member answers…
_NOT_ALONE = 6.0  # … and at most while some do: those who were removed with this node


class Standing:
    """This node's place in its swarm, as others decide it."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        self._engine = engine
        self._cluster = cluster
        self._following = False
        self._doubting = False

    def changed(self, change: Change) -> None:
        """A row changed; is it about this node?"""
        membership = self._cluster.membership
        if change.table == ROSTER_TABLE or (membership is not None and change.key == membership.node_id):
            self.look()

    def look(self) -> None:
        """Is what the rows say of this node what it is? A change may also have come just before the daemon ended."""
        membership, gossip = self._cluster.membership, self._cluster.gossip
        if membership is None or gossip is None:
            return
        if gossip.roster.removed(membership.node_id):
            self._expelled(membership)
        elif self._cluster.ready and not self._following:
            spec = gossip.row(NODE_SPECS, membership.node_id)
            if spec is not None and spec.value.get("role") != membership.role:
                self._following = True
                self._engine.tasks.spawn(self._follow_role(), "change of role")

    def doubt(self) -> None:
        """A member is gone, or none answered: ask the managers that are away about it for as long as they are."""
        if self._cluster.ready and not self._doubting:
            self._doubting = True
            self._engine.tasks.spawn(self._ask_why(), "managers are away")

    def _expelled(self, membership: Membership) -> None:
        self._engine.tasks.spawn(self._cluster.expelled(membership.node_id), "removed from the swarm")

    async def _follow_role(self) -> None:
        """Fetch the certificate (and key) of the new role from a manager, then act in it."""
        try:
            while (membership := self._cluster.membership) is not None:
                wanted = self._cluster.nodes.role_of(membership.node_id)
                if wanted is None or wanted == membership.role:
                    return
                renewed = await self.renewed(membership)
                if renewed is None or renewed.role != wanted:
                    await asyncio.sleep(_RETRY)
                    continue
                try:
                    await self._cluster.adopt(membership, renewed)
                except DiskRefused as error:
                    log.error("the new role cannot be written down", role=renewed.role, error=str(error))
                    await asyncio.sleep(_RETRY)
                    continue
                log.info("role changed", role=renewed.role)
        finally:
            self._following = False

    async def renewed(self, membership: Membership) -> Membership | None:
        """A new certificate from the first of the other managers that gives one; None when none does."""
        return await self._ask(membership, list(self._cluster.nodes.managers()))

    async def _ask(self, membership: Membership, managers: list[str]) -> Membership | None:
        for address in managers:
            if address == membership.address:
                continue
            try:
                return await self._cluster.visitor().renew((address, CLUSTER_PORT), membership)
            except Refused as error:
                if error.code == REMOVED:
                    self._expelled(membership)
                    return None
                log.warning("no new certificate", manager=address, error=str(error))
            except (NotOurs, OSError, TimeoutError, ssl.SSLError) as error:
                log.info("a manager does not answer", manager=address, error=str(error))
        return None

    async def _ask_why(self) -> None:
        gossip, pause = self._cluster.gossip, _ALONE
        try:
            while gossip is not None and self._cluster.gossip is gossip and (away := self._away(gossip)):
                membership = self._cluster.membership
                if membership is None:
                    return
                await self._ask(membership, away)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _NOT_ALONE) if gossip.live_peers() else _ALONE
        finally:
            self._doubting = False

    def _away(self, gossip: GossipNode) -> list[str]:
        """Addresses of the managers that do not live in this node's eyes."""
        alive = [*gossip.live_peers(), gossip.node_id]
        return [address for address, node in self._cluster.nodes.managers().items() if node not in alive]
