"""Numbers for whoever needs one: from own ranges at once, else by asking the owners.

One kind of question goes over the network: "give me from these spaces" (a share, or one wanted number). The owner
commits and answers with its ring; if the answer is lost, the asker learns from gossip that the range is its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

import msgpack

from gossip.numbers.allocator import Allocator, Donation
from gossip.numbers.errors import (
    InDoubt,
    NumberOutside,
    NumberTaken,
    OwnerUnreachable,
    SpaceExhausted,
    SpaceInDispute,
    UnknownSpace,
)
from gossip.numbers.ring import Ring
from gossip.tables.record import RING, SHARED, SPACES_TABLE, RecordError, RecordId, SharedBody, decode_record
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster

NUMBERS = "numbers"
"""Kind of the stream's request."""
ASK_TIMEOUT = 2.0
"""Seconds that one owner is waited for."""
_COMING = 0.05
"""Seconds after which a peer is asked again for a ring that is on its way."""
MAX_MOVES = 8
"""How often a wanted number is followed to its next owner."""


class Peers(Protocol):
    """What numbers need of the node: asking a peer, knowing whether it may give yet."""

    def now(self) -> float: ...

    async def ask(self, node_id: str, kind: str, payload: bytes, *, deadline: float) -> bytes:
        """Raises OSError when there is no answer."""
        ...

    def may_give(self) -> bool:
        """Whether this boot has synced, or needs not to."""
        ...

    async def wait_may_give(self, deadline: float) -> bool: ...

    def awaited(self) -> list[str]:
        """Members whom this host must hear before it may give, because its disk may be an older one."""
        ...

    async def pull(self, deadline: float) -> None: ...

    def live_peers(self) -> list[str]:
        """Other roster members believed alive, sorted."""
        ...


class Numbers:
    """The number spaces of a swarm as one host uses them."""

    def __init__(self, allocator: Allocator, replica: Replica, roster: Roster, peers: Peers) -> None:
        self._allocator = allocator
        self._replica = replica
        self._roster = roster
        self._peers = peers
        self._pending: dict[str, tuple[int, int]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._unreleased: dict[tuple[str, int], None] = {}
        self.counters: Counter[str] = Counter()

    def define(self, space: str, start: int, size: int) -> None:
        """Make a number space unless it is known; at once split among the live members.

        Before this host has synced, another may have made it already: then it is made after syncing, if still due.
        """
        if self._allocator.ring(space) is not None:
            return
        if not self._peers.may_give():
            self._pending[space] = (start, size)
            return
        self._allocator.define(space, start, size, [self._replica.node_id, *self._peers.live_peers()])

    def define_pending(self) -> None:
        """Make the spaces that waited for a sync, unless the sync brought them."""
        pending, self._pending = self._pending, {}
        for space, (start, size) in pending.items():
            if not self._allocator.dropped(space):
                self.define(space, start, size)

    def drop(self, space: str) -> None:
        """End a space for good, with all that was given from it: its name is never used again."""
        self._pending.pop(space, None)
        self._replica.remove(SPACES_TABLE, space)
        self.forget(space)

    def forget(self, space: str) -> None:
        """A space has ended, here or by another's word: its numbers are nobody's."""
        self._allocator.forget_dropped(space)
        self._locks.pop(space, None)

    def spaces(self) -> list[str]:
        """Every space that is known here, sorted."""
        return [space for space, _ in self._replica.rings()]

    async def allocate(self, space: str, *, wanted: int | None = None, holder: str, deadline: float = 5.0) -> int:
        """A number that nobody else gets before it is released, durable before it is returned.

        `holder` names whom it is for (the same holder may ask for its wanted number again); `deadline` in seconds
        from now. Raises UnknownSpace, SpaceExhausted, NumberTaken, NumberOutside, SpaceInDispute, OwnerUnreachable,
        InDoubt.
        """
        end = self._peers.now() + deadline
        if not await self._peers.wait_may_give(deadline):
            awaited = self._peers.awaited()
            raise InDoubt(space, self._roster.hostname(awaited[0])) if awaited else OwnerUnreachable(
                space, self._somebody()
            )
        if self._allocator.ring(space) is None:
            await self._peers.pull(max(0.0, end - self._peers.now()))
        while self._is_coming(space) and self._peers.now() < end:
            await asyncio.sleep(_COMING)
            await self._peers.pull(max(0.0, end - self._peers.now()))
        number = self.allocate_now(space, wanted=wanted, holder=holder)
        if number is not None:
            return number
        lock = self._locks.setdefault(space, asyncio.Lock())
        try:
            async with asyncio.timeout(max(0.0, end - self._peers.now())):
                async with lock:
                    if wanted is not None:
                        return await self._fetch_wanted(space, wanted, holder, end)
                    return await self._fetch_any(space, holder, end)
        except TimeoutError:
            owners = [owner for owner in self._owners(space) if owner != self._replica.node_id]
            raise OwnerUnreachable(space, self._roster.hostname(owners[0]) if owners else self._somebody()) from None

    def _is_coming(self, space: str) -> bool:
        """Whether a space is known, and the ring that was made with it is still on its way: a large one comes by other
        ways than a row, and whoever was asked for it may not have it yet."""
        row = self._replica.body(RecordId(SHARED, SPACES_TABLE, space, ""))
        known = isinstance(row, SharedBody) and row.value is not None
        return known and self._allocator.ring(space) is None

    def allocate_now(self, space: str, *, wanted: int | None = None, holder: str) -> int | None:
        """As allocate, but only from own ranges: None when another host would have to be asked."""
        if not self._peers.may_give():
            return None
        self.define_pending()
        ring = self._known(space)
        if wanted is not None and wanted not in ring:
            raise NumberOutside(space, wanted)
        return self._allocator.take(space, wanted=wanted, holder=holder)

    def release(self, space: str, number: int) -> None:
        """Give a number back. One that this host did not give, or whose space has ended, is no error (counted). While
        the disk refuses it stays given; that is tried again."""
        self._unreleased.pop((space, number), None)
        try:
            if not self._allocator.release(space, number):
                self.counters["released_unknown"] += 1
        except OSError:
            self._unreleased[space, number] = None
            self.counters["releases_refused"] += 1

    def release_again(self) -> None:
        """Give back what the disk refused to take back, if it takes it now."""
        for space, number in list(self._unreleased):
            self.release(space, number)

    def in_use(self, space: str) -> list[int]:
        """Numbers that this host gave or that a row names, hidden rows included."""
        return self._allocator.in_use(space)

    def holders(self, space: str) -> dict[int, str]:
        """What this host gave and to whom, also in earlier boots."""
        return self._allocator.given(space)

    def ranges(self, space: str) -> dict[str, list[tuple[int, int]]]:
        """Each owner's half-open ranges in this host's view."""
        ring = self._allocator.ring(space)
        return {} if ring is None else {owner: ring.ranges(owner) for owner in ring.owners()}

    def taken_by_rows(self, hook: Callable[[str], Iterable[int]]) -> None:
        """`hook(space)` gives the numbers that rows name, those of hidden rows included."""
        self._allocator.taken_by_rows(hook)

    def expected_by(self, hook: Callable[[str], Iterable[int]]) -> None:
        """`hook(space)` gives the numbers that somebody here will ask for in a moment: any other is given first."""
        self._allocator.expected_by(hook)

    def disputed(self) -> list[str]:
        """Spaces in which two views contradict each other: an alarm, nobody gives from the range."""
        return [space for space, ring in self._replica.rings() if ring.conflict]

    async def ask_for_shares(self) -> None:
        """Ask for a range in every space in which this host has none: one request to each likely donor."""
        wishes: dict[str, list[str]] = {}
        live = dict.fromkeys(self._peers.live_peers())
        for space in self._allocator.without_share():
            donors = [owner for owner in self._owners(space) if owner in live]
            if donors:
                wishes.setdefault(donors[0], []).append(space)
        for donor, spaces in wishes.items():
            try:
                await self._ask(donor, {space: (None, True) for space in spaces}, ASK_TIMEOUT)
            except OSError:
                self.counters["share_unanswered"] += 1

    def answer(self, peer: str, payload: bytes) -> bytes:
        """Answer a peer's question for numbers; raises ValueError for one that makes no sense."""
        question = msgpack.unpackb(payload, raw=False)
        if not isinstance(question, dict) or not self._roster.contains(peer):
            raise ValueError("a question for numbers is a map, from a member")
        result: dict[str, list[object]] = {}
        for space, wish in sorted(question.items()):
            if not isinstance(space, str) or not isinstance(wish, list) or len(wish) != 2:
                raise ValueError("a wish is a pair")
            wanted, share = wish
            if not (wanted is None or type(wanted) is int) or type(share) is not bool:
                raise ValueError("a wish is a number or none, and whether it is for a share")
            donation = Donation.WAITING
            if self._peers.may_give():
                donation = self._allocator.donate(space, peer, wanted=wanted, share=share)
                self.counters[f"asked_{donation.value}"] += 1
            result[space] = [donation.value, self._replica.packed(RecordId(RING, "", space, ""))]
        return cast(bytes, msgpack.packb(result, use_bin_type=True))

    async def _fetch_wanted(self, space: str, wanted: int, holder: str, end: float) -> int:
        for _ in range(MAX_MOVES):
            ring = self._known(space)
            number = self._allocator.take(space, wanted=wanted, holder=holder)
            if number is not None:
                return number
            owner = ring.owner(wanted)
            if owner in ("", self._replica.node_id):
                raise SpaceInDispute(space)
            donation = await self._try(owner, space, wanted, end)
            if donation is Donation.TAKEN:
                raise NumberTaken(space, wanted)
            if donation not in (Donation.GIVEN, Donation.MOVED):
                raise OwnerUnreachable(space, self._roster.hostname(owner))
        raise OwnerUnreachable(space, self._roster.hostname(self._known(space).owner(wanted)))

    async def _fetch_any(self, space: str, holder: str, end: float) -> int:
        silent: str | None = None
        asked: dict[str, None] = {}
        while True:
            ring = self._known(space)
            number = self._allocator.take(space, wanted=None, holder=holder)
            if number is not None:
                return number
            left = [owner for owner in self._owners(space) if owner not in asked and owner != self._replica.node_id]
            if not left:
                if silent is not None:
                    raise OwnerUnreachable(space, self._roster.hostname(silent))
                if ring.conflict:
                    raise SpaceInDispute(space)
                raise SpaceExhausted(space)
            asked[left[0]] = None
            donation = await self._try(left[0], space, None, end)
            if donation in (None, Donation.WAITING, Donation.UNKNOWN):
                silent = silent or left[0]

    async def _try(self, owner: str, space: str, wanted: int | None, end: float) -> Donation | None:
        """One owner's answer; None when it gives none (the dead are not waited for)."""
        if not self._replica.is_live(owner):
            return None
        try:
            answers = await self._ask(owner, {space: (wanted, False)}, min(ASK_TIMEOUT, end - self._peers.now()))
        except OSError:
            return None
        return answers.get(space)

    async def _ask(
        self, owner: str, wishes: dict[str, tuple[int | None, bool]], deadline: float
    ) -> dict[str, Donation]:
        payload = cast(bytes, msgpack.packb(wishes, use_bin_type=True))
        data = await self._peers.ask(owner, NUMBERS, payload, deadline=deadline)
        if self._roster.removed(owner):
            raise ConnectionError("the donor was removed from the swarm meanwhile")
        answers: dict[str, Donation] = {}
        try:
            found = msgpack.unpackb(data, raw=False)
            for space in wishes:
                word, packed = found[space]
                answers[space] = Donation(word)
                if isinstance(packed, bytes):
                    record = decode_record(packed)
                    if record.id == RecordId(RING, "", space, ""):
                        self._replica.merge([record])
        except (ValueError, TypeError, KeyError, RecordError, msgpack.exceptions.UnpackException):
            self.counters["bad_answers"] += 1
            raise ConnectionError("an answer that makes no sense") from None
        return answers

    def _known(self, space: str) -> Ring:
        ring = self._allocator.ring(space)
        if ring is None:
            raise UnknownSpace(space)
        if len(ring.births) > 1:
            raise SpaceInDispute(space)
        return ring

    def _owners(self, space: str) -> Sequence[str]:
        """Owners to ask: the live before the dead, the larger share first."""
        ring = self._allocator.ring(space)
        if ring is None:
            return []
        return sorted(ring.owners(), key=lambda owner: (not self._replica.is_live(owner), -ring.share(owner), owner))

    def _somebody(self) -> str:
        others = [entry.hostname for entry in self._roster.members() if entry.node_id != self._replica.node_id]
        return others[0] if others else "this host (not admitted yet)"
