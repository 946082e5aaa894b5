"""Replacing the swarm's gossip key while it runs, so that a node that was removed hears nothing more.

A shared row says by digests which keys open and which one seals; the keys themselves pass on port 2377 only, from a
manager to a member that proves with its certificate who it is, so a removed one gets none. Three steps, each after all
members that are alive have said in an owned row that they did the one before: every member has the new key, every
member seals with it, the old one is forgotten. So no message meets a member that cannot open it. Who was away or cut
off meanwhile hears what it cannot open and asks a manager. Both compare how new the row is by which they hold their
keys: only the one whose row is older takes the other's for sealing, or a key that all have forgotten would come back
from whoever was away.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from daemon.cluster.authority import NotOurs
from daemon.cluster.joining import CLUSTER_PORT, KeysKnown
from daemon.cluster.overlay_keys import overlay_keys
from daemon.cluster.rpc import Refused
from daemon.cluster.spec import SWARM_TABLE
from daemon.cluster.watching import follow

if TYPE_CHECKING:
    from daemon.cluster.cluster import Cluster
    from daemon.engine.engine import Engine
    from gossip.node import GossipNode
    from gossip.tables.row import Change, Row

log = structlog.get_logger("cluster")

ROW = "gossip-keys"
KEYRINGS = "keyrings"
_KEY = 32  # bytes: AES-256
_SETTLE = 2.0  # seconds for which the old key opens after the last one has said that it seals with the new one
_LOST = 30.0  # seconds after which a new key that nobody can be asked for is given up for another
_TRUSTED = 10.0  # seconds for rows to come that know of a key which only a manager has told of
_UNOPENED = "dropped.unauthenticated"
_ASK, _ASK_AT_MOST = 1.0, 60.0  # seconds between questions because of what cannot be opened; doubled while in vain


def digest_of(key: bytes, cluster_id: str) -> str:
    """What rows call a key by; it tells nothing of it."""
    return hashlib.sha256(b"shoal gossip key\0" + cluster_id.encode() + b"\0" + key).hexdigest()[:16]


class GossipKeys:
    """This node's gossip keys, the one that seals first; on the leading manager also the swarm's steps to a new one."""

    def __init__(self, engine: Engine, cluster: Cluster) -> None:
        self._engine = engine
        self._cluster = cluster
        self._wake = asyncio.Event()
        self._heard: Row | None = None
        self._extra: list[bytes] = []
        self._unopened = 0
        self._since: tuple[int, float] | None = None
        self._patience = _ASK
        self._ask_at = 0.0
        self._extra_until = 0.0

    def begin(self, gossip: GossipNode) -> None:
        """This node has become a member; ends by itself when it is none any more."""
        self._heard, self._extra, self._unopened, self._since = None, [], 0, None
        self._patience, self._ask_at = _ASK, 0.0
        self._say(gossip)
        watching = follow(self._cluster, gossip, self._wake, lambda: self._look(gossip), "gossip keys")
        self._engine.tasks.spawn(watching, "gossip keys")

    def changed(self, change: Change) -> None:
        """A row changed; the keys' row and the others' keyrings are looked at at once."""
        if (change.table == SWARM_TABLE and change.key == ROW) or change.table == KEYRINGS:
            self._wake.set()

    def rotate(self) -> None:
        """Begin with a new key. Only on managers; OSError when it cannot be written to disk."""
        gossip, membership = self._cluster.manage()
        row = gossip.row(SWARM_TABLE, ROW)
        new = self._engine.world.entropy(_KEY)
        digest = digest_of(new, membership.cluster_id)
        known = [digest_of(key, membership.cluster_id) for key in membership.gossip_keys]
        seal = _text(row, "seal") or known[0]
        accept = _texts(row, "accept") or known
        self._use(gossip, [*membership.gossip_keys, new])
        self._write(gossip, seal, [*accept, digest], digest)
        log.info("a new gossip key", key=digest)

    def seal(self) -> str:
        """What rows call the key by that this node seals with; "" where it is in no swarm."""
        return next(iter(self._have()), "")

    # -- the loop -----------------------------------------------------------------------------------------------

    async def _look(self, gossip: GossipNode) -> None:
        unopened = gossip.members.counters[_UNOPENED]
        # Whose keys are old is heard by nobody: those who think it dead do not say much to it either.
        alone = not gossip.live_peers() and len(gossip.roster.members()) > 1
        strange, self._unopened = alone or unopened > self._unopened, unopened
        row = gossip.row(SWARM_TABLE, ROW)
        now = asyncio.get_running_loop().time()
        if now >= self._extra_until or (row is not None and (not self._heard or row.lamport != self._heard.lamport)):
            self._heard, self._extra = row, []
        if self._missing(row):
            await self._fetch(gossip, row)
        elif strange and now >= self._ask_at:
            # A stranger, or one that was removed, may go on for ever with what nobody here can open.
            self._patience = _ASK if await self._fetch(gossip, row) else min(2 * self._patience, _ASK_AT_MOST)
            self._ask_at = now + self._patience
        if self._cluster.gossip is not gossip:
            return
        if row is not None:
            self._follow(gossip, row)
        if self._cluster.is_manager and self._cluster.nodes.leads():
            if gossip.roster.removals() > _removals(row):
                # Who removed a node did not come to this, or nobody did (see gossip.tables.vouching).
                self._cluster.nodes.forget_removed()
                self.rotate()
            elif row is not None:
                self._lead(gossip, row)

    def _missing(self, row: Row | None) -> list[str]:
        return [digest for digest in _texts(row, "accept") if digest not in self._have()]

    def _have(self) -> dict[str, bytes]:
        membership = self._cluster.membership
        if membership is None:
            return {}
        return {digest_of(key, membership.cluster_id): key for key in membership.gossip_keys}

    async def _fetch(self, gossip: GossipNode, row: Row | None) -> bool:
        """Ask the other managers for their keys; all of them open from now on. Whether any was new."""
        found = False
        for address in [*self._cluster.nodes.managers()]:
            membership = self._cluster.membership
            if membership is None or self._cluster.gossip is not gossip:
                return found
            if address == membership.address:
                continue
            try:
                theirs = await self._cluster.visitor().keys((address, CLUSTER_PORT), membership, self.known())
            except (Refused, NotOurs, OSError, TimeoutError, ssl.SSLError) as error:
                log.info("no gossip keys", manager=address, error=str(error))
                continue
            membership = self._cluster.membership
            if membership is None or self._cluster.gossip is not gossip:
                return found
            told = theirs.version < self.known().version and theirs.keys[0] != membership.gossip_keys[0]
            found = self.compare(theirs) or told or found
            if found and not self._missing(row):
                break
        return found

    def known(self) -> KeysKnown:
        """This node's keys, as others hear of them on port 2377."""
        gossip, membership = self._cluster.gossip, self._cluster.membership
        keys = membership.gossip_keys if membership is not None else ()
        return KeysKnown(keys, _version(gossip.row(SWARM_TABLE, ROW) if gossip is not None else None))

    def compare(self, theirs: KeysKnown) -> bool:
        """Another member's keys: whether this node took any. OSError when they cannot be written to disk."""
        gossip, membership = self._cluster.gossip, self._cluster.membership
        if gossip is None or membership is None:
            return False
        row = gossip.row(SWARM_TABLE, ROW)
        own, accept = list(membership.gossip_keys), _texts(row, "accept")
        fresh = [key for key in theirs.keys if key not in own]
        strange = [key for key in fresh if digest_of(key, membership.cluster_id) not in accept]
        if theirs.version <= _version(row):
            # What our row does not know of is what all have forgotten; the other hears of ours.
            if known := [key for key in fresh if key not in strange]:
                self._use(gossip, [*own, *known])
            return bool(known)
        seal = theirs.keys[0]
        if not strange and digest_of(seal, membership.cluster_id) == _text(row, "seal"):
            if fresh:
                self._use(gossip, [*own, *fresh])
            return bool(fresh)
        # Our rows are old. Seal as the other does, who may not open the old key any more, until rows are exchanged.
        self._extra = list(dict.fromkeys([seal, *strange]))
        self._extra_until = asyncio.get_running_loop().time() + _TRUSTED
        self._use(gossip, list(dict.fromkeys([seal, *own, *fresh])))
        return True

    def _follow(self, gossip: GossipNode, row: Row) -> None:
        """Seal and open as the row says, as far as this node has the keys."""
        have, membership = self._have(), self._cluster.membership
        assert membership is not None
        seal = have.get(_text(row, "seal"))
        if seal is None or self._extra:
            return  # what it seals with now is opened until all have said that they have the next
        accepted = [have[digest] for digest in _texts(row, "accept") if digest in have]
        keys = list(dict.fromkeys([seal, *accepted]))
        if keys != list(membership.gossip_keys):
            self._use(gossip, keys)

    def _lead(self, gossip: GossipNode, row: Row) -> None:
        """The next step, when all that are alive have done the last one."""
        seal, accept, wanted = _text(row, "seal"), _texts(row, "accept"), _text(row, "next")
        now = asyncio.get_running_loop().time()
        if self._since is None or self._since[0] != row.lamport:
            self._since = row.lamport, now
        if seal == wanted and accept == [wanted]:
            return
        said = {each.owner: _texts(each, "keys") for each in gossip.rows(KEYRINGS)}
        rings = [said.get(node, []) for node in self._cluster.nodes.alive()]
        if seal != wanted:
            if all(wanted in ring for ring in rings):
                self._write(gossip, wanted, accept, wanted, row)
            elif wanted not in self._have() and now - self._since[1] > _LOST:
                kept = [digest for digest in accept if digest != wanted]
                log.warning("the new gossip key is lost with its maker", key=wanted)
                self._write(gossip, seal, kept, seal, row)
                self.rotate()
        elif not all(ring[:1] == [wanted] for ring in rings):
            self._since = row.lamport, now
        elif now - self._since[1] >= _SETTLE:
            self._write(gossip, wanted, [wanted], wanted, row)
            log.info("the old gossip key is forgotten", key=wanted)

    @staticmethod
    def _write(gossip: GossipNode, seal: str, accept: Sequence[str], wanted: str, row: Row | None = None) -> None:
        """`removed`: the removals since which the key is a new one; a step of the same change keeps it."""
        removed = gossip.roster.removals() if row is None else _removals(row)
        gossip.write(SWARM_TABLE, ROW, {"seal": seal, "accept": [*accept], "next": wanted, "removed": removed})

    # -- this node's own ----------------------------------------------------------------------------------------

    def _use(self, gossip: GossipNode, keys: Sequence[bytes]) -> None:
        """On disk first: after a crash it must open what it has said that it opens."""
        self._cluster.keep_keys(tuple(keys))
        ring = gossip.members.keyring
        for key in keys:
            ring.add(key)
        ring.use(keys[0])
        for key in [key for key in ring.keys() if key not in keys]:  # noqa: SIM118 - not a dict
            ring.remove(key)
        membership = self._cluster.membership
        assert membership is not None
        self._engine.host_network.encrypt_with(overlay_keys(keys, membership.cluster_id))
        self._say(gossip)

    def _say(self, gossip: GossipNode) -> None:
        gossip.put(KEYRINGS, gossip.node_id, {"keys": list(self._have())})


def _version(row: Row | None) -> tuple[int, str]:
    return (row.lamport, _text(row, "seal")) if row is not None else (0, "")


def _removals(row: Row | None) -> int:
    value = row.value.get("removed") if row is not None else None
    return value if isinstance(value, int) else 0


def _text(row: Row | None, name: str) -> str:
    value = row.value.get(name) if row is not None else None
    return value if isinstance(value, str) else ""


def _texts(row: Row | None, name: str) -> list[str]:
    value = row.value.get(name) if row is not None else None
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
