"""Everyone whom this node knows, itself included, with what is needed to tell others about them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from gossip.swim.member import Address, Member, MemberState
from gossip.swim.meta import unwrap_meta
from gossip.wire.messages import Alive
from gossip.wire.streams import NodeState

_DEFAULT_PROTOCOL_MAX = 2
_PROTOCOL_WITH_CRC = 5


@dataclass(frozen=True, slots=True)
class Record:
    """One member and the bytes in which it described itself."""

    member: Member
    wire_meta: bytes
    versions: bytes

    def alive_message(self) -> Alive:
        member = self.member
        return Alive(member.incarnation, member.name, member.address, member.port, self.wire_meta, self.versions)

    def node_state(self) -> NodeState:
        member = self.member
        return NodeState(
            member.name,
            member.address,
            member.port,
            self.wire_meta,
            member.incarnation,
            int(member.state),
            self.versions,
        )

    @property
    def takes_crc(self) -> bool:
        return (self.versions[1] if len(self.versions) == 6 else _DEFAULT_PROTOCOL_MAX) >= _PROTOCOL_WITH_CRC


def mark(record: Record | None) -> int:
    """64 bits that stand for a live member and its incarnation; 0 for one that is not (any more)."""
    if record is None or not record.member.reachable:
        return 0
    said = f"{record.member.incarnation} {record.member.name}"
    return int.from_bytes(blake2b(said.encode(), digest_size=8).digest(), "big")


def record_of(alive: Alive, state: MemberState, since: float) -> Record:
    meta, native = unwrap_meta(alive.meta)
    member = Member(alive.node, alive.address, alive.port, meta, state, alive.incarnation, since, native)
    return Record(member, alive.meta, alive.versions)


class MemberTable:
    """Records by name; the live ones also as a sorted list of names: choosing among thousands, and finding the next in
    the ring of names, costs no scan."""

    def __init__(self, own_name: str) -> None:
        self._own = own_name
        self._records: dict[str, Record] = {}
        self._by_address: dict[Address, str] = {}
        self._live: list[str] = []
        self._gone: dict[str, None] = {}
        self.digest = 0
        """The same at all who know the same live members: their marks, added without carry."""

    def get(self, name: str) -> Record | None:
        return self._records.get(name)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def put(self, record: Record) -> None:
        name = record.member.name
        before = self._records.get(name)
        self._records[name] = record
        self.digest ^= mark(before) ^ mark(record)
        if before is None or before.member.endpoint != record.member.endpoint:
            if before is not None and self._by_address.get(before.member.endpoint) == name:
                del self._by_address[before.member.endpoint]
            self._by_address[record.member.endpoint] = name
        elif record.member.reachable:
            self._by_address[record.member.endpoint] = name
        if name == self._own:
            return
        was = before is not None and name not in self._gone
        if record.member.reachable and not was:
            self._gone.pop(name, None)
            insort(self._live, name)
        elif not record.member.reachable and (was or before is None):
            if was:
                self._remove_live(name)
            self._gone[name] = None

    def forget(self, name: str) -> None:
        record = self._records.pop(name, None)
        if record is None:
            return
        self.digest ^= mark(record)
        if self._by_address.get(record.member.endpoint) == name:
            del self._by_address[record.member.endpoint]
        if name in self._gone:
            del self._gone[name]
        else:
            self._remove_live(name)

    def _remove_live(self, name: str) -> None:
        place = bisect_left(self._live, name)
        if place < len(self._live) and self._live[place] == name:
            del self._live[place]

    def at(self, address: Address) -> Record | None:
        """Whoever is known at an address and port."""
        name = self._by_address.get(address)
        return self._records.get(name) if name is not None else None

    def name_of_host(self, host: str) -> str | None:
        """The member at an IP address, when there is exactly one (a stream's source port says nothing)."""
        names = [name for (address, _), name in self._by_address.items() if address == host]
        return names[0] if len(names) == 1 else None

    def is_host(self, host: str) -> bool:
        """Whether anybody is known at an IP address."""
        return any(address == host for address, _ in self._by_address)

    @property
    def live(self) -> Sequence[str]:
        """Names of the alive and the suspect, sorted, without this node; they change with the table."""
        return self._live

    def live_now(self) -> Sequence[str]:
        """``live`` as it is at this moment."""
        return list(self._live)

    def to_tell(self) -> Iterable[Record]:
        """The records that a push/pull carries."""
        return self._records.values()

    def successors(self) -> list[str]:
        """The live names in ring order, from the one after this node's."""
        place = bisect_left(self._live, self._own)
        return self._live[place:] + self._live[:place]

    def successor(self) -> str | None:
        """The first of ``successors``."""
        if not self._live:
            return None
        place = bisect_left(self._live, self._own)
        return self._live[place if place < len(self._live) else 0]

    @property
    def gone(self) -> list[str]:
        """Names of the dead and those who left."""
        return list(self._gone)

    @property
    def size(self) -> int:
        """Live members, this node included: SWIM's n."""
        return len(self._live) + 1
