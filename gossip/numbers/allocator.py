"""Giving numbers from own ranges, and giving ranges to others: every decision, no waiting.

A number is free when its range is ours, we have not given it, and no row names it. Each operation commits to disk
what it promises before it returns: a number with its holder, a smaller range with the one it was split from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

from gossip.numbers.errors import NumberTaken
from gossip.numbers.ring import Birth, Ring
from gossip.storage import Storage
from gossip.tables.record import RING, SHARED, SPACES_TABLE, Record, RecordId, SharedBody
from gossip.tables.replica import Replica
from gossip.tables.row import RowRemoved, check_name, encode_value

LEAST_SHARE = 8
"""A new space is split down to about this many numbers a host; a donor asked for a mere share keeps as many."""
_KIND = "number"


class Donation(Enum):
    """What a donor answers."""

    GIVEN = "given"
    NONE = "none"
    TAKEN = "taken"
    MOVED = "moved"
    """The wanted number is not the donor's (any more): its ring says whose."""
    UNKNOWN = "unknown"
    """The donor does not know the space."""
    WAITING = "waiting"
    """The donor itself may not give yet."""


class Allocator:
    """The numbers and ranges of one host."""

    def __init__(self, replica: Replica, storage: Storage) -> None:
        self._replica = replica
        self._storage = storage
        self._given: dict[str, dict[int, str]] = {}
        self._hooks: list[Callable[[str], Iterable[int]]] = []
        self._expecting: list[Callable[[str], Iterable[int]]] = []
        for key, holder in storage.all(_KIND):
            space, _, number = key.rpartition("/")
            self._given.setdefault(space, {})[int(number)] = holder.decode()

    def taken_by_rows(self, hook: Callable[[str], Iterable[int]]) -> None:
        """Add a source of numbers that rows name, hidden rows included."""
        self._hooks.append(hook)

    def expected_by(self, hook: Callable[[str], Iterable[int]]) -> None:
        """Add a source of numbers that are free and that somebody here will ask for by number in a moment: nobody is
        given one of these instead of another."""
        self._expecting.append(hook)

    def ring(self, space: str) -> Ring | None:
        """This host's view of a space."""
        body = self._replica.body(RecordId(RING, "", space, ""))
        return body if isinstance(body, Ring) else None

    def dropped(self, space: str) -> bool:
        """Whether the space has ended, as far as is known here."""
        return self._replica.has_tombstone(RecordId(SHARED, SPACES_TABLE, space, ""))

    def given(self, space: str) -> dict[int, str]:
        """What this host gave: number → holder."""
        return dict(sorted(self._given.get(space, {}).items()))

    def in_use(self, space: str) -> list[int]:
        """What this host gave or a row names."""
        return sorted({**dict.fromkeys(self._given.get(space, {})), **dict.fromkeys(self._named(space))})

    def define(self, space: str, start: int, size: int, hosts: Sequence[str]) -> None:
        """Make a space unless it is known, split among hosts (the first gets the lowest numbers)."""
        if self.ring(space) is not None:
            return
        if size < 1 or start < 0:
            raise ValueError(f"a number space has numbers: start {start}, size {size}")
        if self.dropped(space):
            raise RowRemoved(f"number space {space} was dropped")
        count = max(1, min(len(hosts), size // LEAST_SHARE))
        lamport = self._replica.clock.tick()
        ring = Ring.create(Birth(lamport, self._replica.node_id, start, size), hosts[:count])
        row = SharedBody(lamport, self._replica.node_id, encode_value({"start": start, "size": size}))
        records = [Record(RecordId(SHARED, SPACES_TABLE, check_name(space), ""), row), Record(_id(space), ring)]
        self._replica.commit_local(records)

    def take(self, space: str, *, wanted: int | None, holder: str) -> int | None:
        """Give a number from own ranges; None when there is none (or `wanted` is another's). Raises NumberTaken.

        A number that the same holder already has is given to it again.
        """
        ring = self.ring(space)
        if ring is None:
            return None
        given = self._given.setdefault(space, {})
        ranges = ring.ranges(self._replica.node_id)
        if wanted is None:
            expected = {number: None for hook in self._expecting for number in hook(space)}
            first = next(iter(self._free(space, ranges)), None)
            number = next((n for n in self._free(space, ranges) if n not in expected), first) if expected else first
            if number is None:
                return None
        else:
            number = wanted
            if not any(low <= number < high for low, high in ranges):
                return None
            if number in given and given[number] == holder and holder:
                return number
            if number in given or number in self._named(space):
                raise NumberTaken(space, number)
        self._replica.commit_local([], [(_KIND, f"{space}/{number}", holder.encode())])
        given[number] = holder
        return number

    def release(self, space: str, number: int) -> bool:
        """Take a number back; whether it was given here. Durable."""
        given = self._given.get(space, {})
        if number not in given:
            return False
        self._storage.commit([(_KIND, f"{space}/{number}", None)])
        del given[number]
        return True

    def forget_dropped(self, space: str) -> None:
        """The space has ended: so has all that was given from it."""
        given = self._given.pop(space, None)
        if given:
            self._storage.commit([(_KIND, f"{space}/{number}", None) for number in sorted(given)])

    def donate(self, space: str, to: str, *, wanted: int | None, share: bool) -> Donation:
        """Give a range to another: `wanted` alone, else the upper half of the longest free run.

        `share`: the other has no need yet, so keep LEAST_SHARE numbers ourselves. Durable before it returns.
        """
        ring, me = self.ring(space), self._replica.node_id
        if ring is None:
            return Donation.UNKNOWN
        ranges = ring.ranges(me)
        if wanted is not None:
            if not any(low <= wanted < high for low, high in ranges):
                return Donation.MOVED
            if wanted in self._given.get(space, {}) or wanted in self._named(space):
                return Donation.TAKEN
            low, high = wanted, wanted + 1
        else:
            run = self._longest_free_run(space, ranges)
            if run is None or (share and run[1] - run[0] < 2 * LEAST_SHARE):
                return Donation.NONE
            low, high = (run[0] + run[1]) // 2, run[1]
        self._replica.commit_local([Record(_id(space), ring.give(low, high, donor=me, to=to))])
        return Donation.GIVEN

    def donate_all(self, to: str) -> list[RecordId]:
        """Give every free number to another (this host leaves); the ids of the rings that changed. Durable."""
        records: list[Record] = []
        for space, ring in self._replica.rings():
            smaller = ring
            for low, high in self._free_runs(space, ring.ranges(self._replica.node_id)):
                smaller = smaller.give(low, high, donor=self._replica.node_id, to=to)
            if smaller != ring:
                records.append(Record(_id(space), smaller))
        if records:
            self._replica.commit_local(records)
        return [record.id for record in records]

    def inherit(self, removed: Sequence[str]) -> None:
        """Take the ranges of removed nodes whose acknowledged heir this host is. Durable."""
        records: list[Record] = []
        for space, ring in self._replica.rings():
            if any(ring.ranges(node) for node in removed):
                records.append(Record(_id(space), ring.inherit(removed, self._replica.node_id)))
        if records:
            self._replica.commit_local(records)

    def without_share(self) -> list[str]:
        """Spaces that are large enough for everybody to have some, of which this host has none."""
        members = sum(1 for body in self._replica.roster().values() if body.removal is None)
        found: list[str] = []
        for space, ring in self._replica.rings():
            large = not ring.conflict and ring.end - ring.start >= LEAST_SHARE * members
            if large and not ring.ranges(self._replica.node_id):
                found.append(space)
        return found

    def _named(self, space: str) -> dict[int, None]:
        return {number: None for hook in self._hooks for number in hook(space)}

    def _free(self, space: str, ranges: Sequence[tuple[int, int]]) -> Iterable[int]:
        given, named = self._given.get(space, {}), self._named(space)
        return (n for low, high in ranges for n in range(low, high) if n not in given and n not in named)

    def _free_runs(self, space: str, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        used = sorted({**dict.fromkeys(self._given.get(space, {})), **self._named(space)})
        runs: list[tuple[int, int]] = []
        for low, high in ranges:
            for number in used:
                if low <= number < high:
                    if low < number:
                        runs.append((low, number))
                    low = number + 1
            if low < high:
                runs.append((low, high))
        return runs

    def _longest_free_run(self, space: str, ranges: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
        return max(self._free_runs(space, ranges), key=lambda run: (run[1] - run[0], run[0]), default=None)


def _id(space: str) -> RecordId:
    return RecordId(RING, "", space, "")
