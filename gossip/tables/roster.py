"""The roster: which node ids were admitted and not removed. Liveness is another matter, and changes nothing here.

Removed ids are a set that only grows and beats every other write: an id that was removed never comes back. Whom a
removed node had admitted unheard goes with it (see `vouching`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gossip.tables.record import (
    DEPARTURES_TABLE,
    EPOCH,
    OWNED,
    ROSTER,
    EpochBody,
    OwnedBody,
    Record,
    RecordId,
    Removal,
    RosterBody,
    decode_record,
)
from gossip.tables.replica import Replica
from gossip.tables.row import check_name, decode_value
from gossip.tables.vouching import missing, vouched


class IdRemoved(ValueError):
    """An attempt to admit an id that was removed for good."""


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """An admitted node."""

    node_id: str
    hostname: str
    role: str
    address: str
    lamport: int


class Roster:
    """Admissions and removals, as this host knows them."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._members: list[RosterEntry] = []
        self._as_of = -1

    def admit(self, node_id: str, hostname: str, role: str, address: str) -> None:
        """Admit a node, or note its new hostname, role or address; durable. Raises IdRemoved."""
        if self._replica.is_removed(node_id):
            raise IdRemoved(f"node {node_id} was removed from the swarm")
        known = self._replica.roster().get(check_name(node_id))
        if known is not None and (known.hostname, known.role, known.address) == (hostname, role, address):
            return
        by = self._replica.node_id if known is None or not known.by else known.by
        body = RosterBody(self._replica.clock.tick(), hostname, role, address, by)
        self._replica.commit_local([Record(_id(node_id), body)])

    def remove(self, node_id: str) -> None:
        """Remove an id for good; this host inherits its numbers once all others have agreed. Durable."""
        known = self._replica.roster().get(check_name(node_id))
        if known is not None and known.removal is not None:
            return
        removal = Removal(self._replica.clock.tick(), self._replica.node_id)
        body = RosterBody(0, "", "", "", "", removal, vouched(self._replica.roster(), node_id))
        self._replica.commit_local([Record(_id(node_id), body if known is None else known.join(body))])

    def doubt(self, boot: int) -> None:
        """This host's disk may be an older one since that boot: what it acknowledged before counts no more. Durable."""
        me = self._replica.node_id
        if (known := self._replica.roster().get(me)) is not None:
            self._replica.commit_local([Record(_id(me), replace(known, doubted=max(boot, known.doubted)))])

    def members(self) -> list[RosterEntry]:
        """Who is admitted and not removed, sorted by node id. Asked at every packet, so it is kept until it changes."""
        if self._as_of != self._replica.roster_changes:
            self._as_of = self._replica.roster_changes
            self._members = [
                RosterEntry(node, body.hostname, body.role, body.address, body.lamport)
                for node, body in sorted(self._replica.roster().items(), key=lambda item: item[0])
                if body.removal is None
            ]
        return list(self._members)

    def contains(self, node_id: str) -> bool:
        """Whether an id is admitted and not removed."""
        return self._replica.in_roster(node_id)

    def only_member(self) -> bool:
        """Whether this host began the swarm (it admitted itself) and there is nobody else (any more).

        A joiner may hear of its own admission before it hears of anybody else's: that does not count.
        """
        me = self._replica.roster().get(self._replica.node_id)
        others = [entry for entry in self.members() if entry.node_id != self._replica.node_id]
        return me is not None and me.removal is None and me.by == self._replica.node_id and not others

    def removed(self, node_id: str) -> bool:
        """Whether an id was removed for good."""
        return self._replica.is_removed(node_id)

    def depart(self) -> None:
        """Say that this node leaves for good, and whom it admitted: nobody need wait for it any more. Its last word."""
        me = self._replica.node_id
        self._replica.put(DEPARTURES_TABLE, me, {"admitted": list(vouched(self._replica.roster(), me))})

    def departed(self, node_id: str) -> bool:
        """Whether a member has left for good by its own word, and uses nothing any more, and whom it admitted is known.
        It stays in the roster, and what it did not give away stays its own, until it is removed."""
        word = self._replica.body(RecordId(OWNED, DEPARTURES_TABLE, node_id, node_id))
        boot = self._replica.body(RecordId(EPOCH, "", "", node_id))
        if not isinstance(word, OwnedBody) or word.value is None:
            return False
        if isinstance(boot, EpochBody) and boot.epoch > word.epoch:
            return False  # its disk was put back, and it is here again
        admitted = decode_value(word.value).get("admitted")
        return isinstance(admitted, list) and not missing(self._replica.roster(), admitted)

    def packed(self) -> list[bytes]:
        """The whole of it, removals too: what a newcomer begins with."""
        ids = [_id(node) for node in sorted(self._replica.roster())]
        return [packed for id in ids if (packed := self._replica.packed(id)) is not None]

    def admission(self, node_id: str) -> bytes:
        """The record of a node's admission, for who has not heard of it; b"" when there is none here."""
        return self._replica.packed(_id(node_id)) or b""

    def introduce(self, node_id: str, role: str, admission: bytes) -> None:
        """A node that proves to be node_id of a role shows the record of its admission. Raises ValueError for a record
        of something else."""
        id, body = decode_record(admission)
        if id != _id(node_id) or not isinstance(body, RosterBody) or role not in ("manager", body.role):
            raise ValueError("not the record of this node's admission")
        self._replica.merge([Record(id, body)])

    def removals(self) -> int:
        """How many ids were removed for good."""
        return len(self.removed_ids())

    def removed_ids(self) -> list[str]:
        """All that were removed for good, sorted."""
        return [node for node, body in sorted(self._replica.roster().items()) if body.removal is not None]

    def hostname(self, node_id: str) -> str:
        """The hostname of an id that was ever admitted, else the id."""
        body = self._replica.roster().get(node_id)
        return body.hostname if body is not None and body.hostname else node_id

    def heir(self, node_id: str) -> str:
        """Who inherits a removed id's ranges: the heir named, or if he was removed too, his heir."""
        seen: dict[str, None] = {}
        body = self._replica.roster().get(node_id)
        while body is not None and body.removal is not None and node_id not in seen:
            seen[node_id] = None
            node_id = body.removal.heir
            body = self._replica.roster().get(node_id)
        return node_id


def _id(node_id: str) -> RecordId:
    return RecordId(ROSTER, "", node_id, "")
