"""A cluster that has already converged, shared by all its members; each keeps only what it sees differently.

A dict entry a peer costs some 100 bytes: 10,000 members that know 10,000 each would take 10 GB. Here what all agree on
is one immutable list, and a member's table holds its differences.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import xor
from typing import overload

from gossip.swim.member import Address, MemberState
from gossip.swim.meta import wrap_meta
from gossip.swim.table import MemberTable, Record, mark, record_of
from gossip.wire.messages import Alive


class Baseline:
    """Members by number: ``m00000``, ``m00001``, … all alive with incarnation 1 since time 0."""

    def __init__(self, size: int, meta: bytes) -> None:
        """``meta`` as the delegates give it."""
        wire_meta = wrap_meta(meta)
        self.names = [name_of(number) for number in range(size)]
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.records = [
            record_of(Alive(1, name, *address_of(number), wire_meta), MemberState.ALIVE, 0.0)
            for number, name in enumerate(self.names)
        ]
        self.strangers = False
        """There is a member that does not have this baseline: push/pulls must carry everything."""
        self.digest = reduce(xor, map(mark, self.records), 0)
        self.by_address = {record.member.endpoint: record.member.name for record in self.records}

    def table(self, own_name: str) -> MemberTable:
        """A whole table with everybody in it, for comparison."""
        table = MemberTable(own_name)
        for record in self.records:
            table.put(record)
        return table


def name_of(number: int) -> str:
    return f"m{number:05d}"


def address_of(number: int) -> Address:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 7946


class LiveNames(Sequence[str]):
    """The baseline's names in order, without the holes, with the newcomers; immutable."""

    __slots__ = ("_names", "_new", "_ranks", "_shifted", "_size")

    def __init__(self, names: Sequence[str], holes: Sequence[int], new: Sequence[str]) -> None:
        """``holes``: places in ``names`` that do not count; ``new``: further names. Both sorted."""
        self._names = names
        self._new = new
        self._shifted = [hole - before for before, hole in enumerate(holes)]
        self._ranks = []
        for before, name in enumerate(new):
            place = bisect_left(names, name)
            self._ranks.append(place - bisect_left(holes, place) + before)
        self._size = len(names) - len(holes) + len(new)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(self._size))]
        if place < 0:
            place += self._size
        if not 0 <= place < self._size:
            raise IndexError(place)
        if self._ranks:
            before = bisect_left(self._ranks, place)
            if before < len(self._ranks) and self._ranks[before] == place:
                return self._new[before]
            place -= before
        return self._names[place + bisect_right(self._shifted, place)]


class SparseTable(MemberTable):
    """A member's table over a baseline. ``tell_all``: push/pulls carry every record as real ones do; else only what
    differs from the baseline, which is all that can change anything at a receiver that began with the same one."""

    def __init__(self, baseline: Baseline, own_name: str, *, tell_all: bool = False) -> None:
        super().__init__(own_name)
        self._baseline = baseline
        self._tell_all = tell_all
        self.digest = baseline.digest
        self._forgotten: dict[str, None] = {}
        own = baseline.numbers.get(own_name)
        self._holes = [own] if own is not None else []
        self._new: list[str] = []
        self._view: LiveNames | None = None

    def get(self, name: str) -> Record | None:
        record = self._records.get(name)
        if record is None and name not in self._forgotten:
            number = self._baseline.numbers.get(name)
            return self._baseline.records[number] if number is not None else None
        return record

    def __iter__(self) -> Iterator[Record]:
        for record in self._baseline.records:
            name = record.member.name
            if name not in self._forgotten:
                yield self._records.get(name, record)
        for name, changed in self._records.items():
            if name not in self._baseline.numbers:
                yield changed

    def put(self, record: Record) -> None:
        name = record.member.name
        before = self.get(name)
        self._records[name] = record
        self.digest ^= mark(before) ^ mark(record)
        self._forgotten.pop(name, None)
        if before is None or before.member.endpoint != record.member.endpoint or record.member.reachable:
            self._by_address[record.member.endpoint] = name
        if name == self._own:
            return
        was = before is not None and name not in self._gone
        if record.member.reachable and not was:
            self._gone.pop(name, None)
            self._count_in(name)
        elif not record.member.reachable and (was or before is None):
            if was:
                self._count_out(name)
            self._gone[name] = None

    def forget(self, name: str) -> None:
        record = self.get(name)
        if record is None:
            return
        self.digest ^= mark(record)
        self._records.pop(name, None)
        self._forgotten[name] = None
        if name in self._gone:
            del self._gone[name]
        else:
            self._count_out(name)

    def _count_in(self, name: str) -> None:
        self._view = None
        number = self._baseline.numbers.get(name)
        if number is None:
            insort(self._new, name)
        else:
            del self._holes[bisect_left(self._holes, number)]

    def _count_out(self, name: str) -> None:
        self._view = None
        number = self._baseline.numbers.get(name)
        if number is None:
            del self._new[bisect_left(self._new, name)]
        else:
            insort(self._holes, number)

    def at(self, address: Address) -> Record | None:
        name = self._by_address.get(address) or self._baseline.by_address.get(address)
        record = self.get(name) if name is not None else None
        return record if record is not None and record.member.endpoint == address else None

    def name_of_host(self, host: str) -> str | None:
        record = self.at((host, 7946))
        return record.member.name if record is not None else None

    @property
    def live(self) -> LiveNames:
        if self._view is None:
            self._view = LiveNames(self._baseline.names, self._holes, list(self._new))
        return self._view

    def live_now(self) -> LiveNames:
        return self.live

    def successors(self) -> list[str]:
        live = self.live
        place = bisect_left(live, self._own)
        return [*live[place:], *live[:place]]

    def successor(self) -> str | None:
        live = self.live
        if not live:
            return None
        place = bisect_left(live, self._own)
        return live[place if place < len(live) else 0]

    def to_tell(self) -> Iterable[Record]:
        if self._tell_all or self._baseline.strangers:
            return iter(self)
        own = self.get(self._own)
        others = (record for name, record in self._records.items() if name != self._own)
        return [own, *others] if own is not None else list(others)

    @property
    def size(self) -> int:
        return len(self.live) + 1
