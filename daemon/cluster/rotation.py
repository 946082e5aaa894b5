"""Replacing the swarm's root CA while it runs: `docker swarm ca --rotate` (swarmkit's ca/reconciler.go).

A shared row names the root, and while it is being replaced the next one with a certificate of the old CA for it. So
whoever trusts the old root can tell that its holder meant the next, from the row or from what a peer shows in TLS.
Every node fetches a certificate of the next CA and says so in its own row; when all members of the roster have, the
dead too (`node rm` unblocks), the next root takes the old one's place, and the join tokens are new. The next CA's key
passes on port 2377 only, from manager to manager.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from daemon.cluster.authority import NotOurs, issued_by, vouched
from daemon.cluster.joining import CLUSTER_PORT, issuing, own_certificate
from daemon.cluster.nodes import NODES
from daemon.cluster.rpc import Refused
from daemon.cluster.spec import SWARM_TABLE
from daemon.cluster.watching import follow
from gossip.tables.row import Change, Row

if TYPE_CHECKING:
    from daemon.cluster.authority import Authority
    from daemon.cluster.cluster import Cluster
    from daemon.cluster.identity import Membership
    from daemon.engine.engine import Engine
    from gossip.node import GossipNode

log = structlog.get_logger("cluster")

ROW = "root-ca"
_LOST = 30.0  # seconds after which a next CA whose key no manager has is given up for another


def digest_of(root: bytes) -> str:
    """What rows call a root by."""
    return hashlib.sha256(root).hexdigest()[:16] if root else ""


class Rotation:
    """This node's way from one root CA to the next; on the leading manager also the swarm's."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        self._engine = engine
        self._cluster = cluster
        self._wake = asyncio.Event()
        self._since: tuple[int, float] | None = None

    def begin(self, gossip: GossipNode) -> None:
        """This node has become a member; ends by itself when it is none any more."""
        self._since = None
        watching = follow(self._cluster, gossip, self._wake, lambda: self._look(gossip), "the new root CA")
        self._engine.tasks.spawn(watching, "root CA")

    def changed(self, change: Change) -> None:
        """A row changed; the root's and what nodes say of theirs are looked at at once."""
        if (change.table == SWARM_TABLE and change.key == ROW) or (change.table == NODES and self.in_progress):
            self._wake.set()

    # -- what there is ------------------------------------------------------------------------------------------

    @property
    def in_progress(self) -> bool:
        return bool(_bytes(self._row(), "next"))

    def shown(self) -> tuple[bytes, bytes]:
        """The swarm's root, and the one that signs by now."""
        membership = self._cluster.membership
        own = membership.ca if membership is not None else b""
        root = _bytes(self._row(), "root") or own
        return root, _bytes(self._row(), "next") or root

    def sealing_key(self, membership: Membership) -> bytes:
        """Of the CA that the swarm has, also when this manager has not acted on that yet."""
        taken_over = membership.next_ca_key and self.shown()[0] == membership.next_ca
        return membership.next_ca_key if taken_over else membership.ca_key

    def said_of_self(self, membership: Membership) -> dict[str, str]:
        """What this node's own row says: the root that it trusts, the issuer of its certificate, and whether it could
        sign as the next CA."""
        issuer = next((root for root in membership.roots if issued_by(membership.certificate, root)), b"")
        holds = membership.next_ca if membership.next_ca_key else b""
        return {"ca": digest_of(membership.ca), "issuer": digest_of(issuer), "holds": digest_of(holds)}

    def roots_of(self, said: dict[str, object]) -> tuple[bytes, bytes]:
        """A node's root and issuer, of what it says in its own row."""
        membership = self._cluster.membership
        assert membership is not None
        known = {digest_of(root): root for root in (*membership.roots, *self.shown())}
        root = known.get(str(said.get("ca")), membership.ca)
        return root, known.get(str(said.get("issuer")), root)

    def _row(self) -> Row | None:
        gossip = self._cluster.gossip
        return gossip.row(SWARM_TABLE, ROW) if gossip is not None else None

    # -- begin one ----------------------------------------------------------------------------------------------

    def rotate(self, following: Authority) -> None:
        """Begin to replace the root by this one. Only on managers; OSError when it cannot be written to disk."""
        gossip, membership = self._cluster.manage()
        signs = issuing(replace(membership, next_ca=b"", next_ca_key=b""), self._engine)
        cross = signs.vouch(following.certificate)
        self._cluster.keep(
            replace(membership, next_ca=following.certificate, next_ca_key=following.key, cross=cross)
        )
        row = {"root": membership.ca, "next": following.certificate, "cross": cross}
        gossip.write(SWARM_TABLE, ROW, {**row})
        self._wake.set()
        log.info("a new root CA", root=digest_of(following.certificate))

    # -- the loop -----------------------------------------------------------------------------------------------

    async def _look(self, gossip: GossipNode) -> None:
        row, membership = self._row(), self._cluster.membership
        if row is None or membership is None:
            return
        followed = following(membership, row)
        lacking = followed.is_manager and not (followed.next_ca_key if followed.next_ca else followed.ca_key)
        if not lacking and followed.is_manager and not issued_by(followed.certificate, followed.roots[-1]):
            followed = own_certificate(followed, self._engine, self._cluster.swarm.certificate_life())
        if followed != membership:
            await self._cluster.adopt(membership, followed)
        elif lacking or not issued_by(membership.certificate, membership.roots[-1]):
            renewed = await self._ask(membership)
            if renewed is not None:
                await self._cluster.adopt(membership, renewed)
        if self._cluster.gossip is gossip and self._cluster.is_manager and self._cluster.nodes.leads():
            self._lead(gossip, row)

    async def _ask(self, me: Membership) -> Membership | None:
        """The certificate (and on a manager the key) of the CA that is wanted now, from the first manager that has."""
        for address in self._cluster.nodes.managers():
            if address == me.address:
                continue
            try:
                renewed = await self._cluster.visitor().renew((address, CLUSTER_PORT), me)
            except (Refused, NotOurs, OSError, TimeoutError, ssl.SSLError) as error:
                log.info("no certificate of the next CA", manager=address, error=str(error))
                continue
            key = renewed.next_ca_key if renewed.next_ca else renewed.ca_key
            wanted = issued_by(renewed.certificate, me.roots[-1]) and (key or not renewed.is_manager)
            if renewed.roots[-1] == me.roots[-1] and wanted:
                return renewed
        return None

    def _lead(self, gossip: GossipNode, row: Row) -> None:
        """The end, when all have come along; another beginning, when the next CA's key is lost with its maker."""
        now = asyncio.get_running_loop().time()
        if self._since is None or self._since[0] != row.lamport:
            self._since = row.lamport, now
        membership, coming = self._cluster.membership, _bytes(row, "next")
        if membership is None:
            return
        if not coming:
            if now - self._since[1] > _LOST and self._cluster.swarm.unlock_key() is None:
                log.warning("the join tokens were sealed with a key that is no more")
                self._cluster.swarm.new_tokens()
            return
        wanted = digest_of(coming)
        said = {each.owner: each.value for each in gossip.all_rows(NODES)}
        come = all(
            said.get(entry.node_id, {}).get("issuer") == wanted
            and (self._cluster.nodes.role_of(entry.node_id) != "manager" or said[entry.node_id].get("holds") == wanted)
            for entry in gossip.roster.members()
        )
        if come and membership.next_ca_key:
            gossip.write(SWARM_TABLE, ROW, {"root": coming, "next": b"", "cross": b""})
            self._cluster.swarm.new_tokens()
            self._wake.set()
            log.info("the root CA is replaced", root=wanted)
            return
        held = any(said.get(node, {}).get("holds") == wanted for node in self._cluster.nodes.alive())
        if not membership.next_ca_key and not held and now - self._since[1] > _LOST:
            log.warning("the next root CA is lost with its maker", root=wanted)
            self._cluster.swarm.rotate_ca()


def following(membership: Membership, row: Row) -> Membership:
    """A membership as the row wants it; unchanged where the row names what this node has no reason to trust."""
    root, coming, cross = (_bytes(row, name) for name in ("root", "next", "cross"))
    if root == membership.next_ca and root:
        membership = replace(
            membership, ca=root, ca_key=membership.next_ca_key, next_ca=b"", next_ca_key=b"", cross=b""
        )
    if root != membership.ca or coming == membership.next_ca:
        return membership
    if coming and not vouched(cross, coming, root):
        log.error("a next root CA that the present one does not vouch for", root=digest_of(coming))
        return membership
    return replace(membership, next_ca=coming, next_ca_key=b"", cross=cross if coming else b"")


def _bytes(row: Row | None, name: str) -> bytes:
    value = row.value.get(name) if row is not None else None
    return value if isinstance(value, bytes) else b""
