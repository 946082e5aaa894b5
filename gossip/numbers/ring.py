"""A number space as a ring of ranges, each with one owner, and how two views of it join.

After Weave Net's IPAM: a token (position, owner, version) owns the numbers from its position to the next token.
The safety of it all stands on four rules:
1. Only the owner of a range changes its tokens, or puts new ones inside it, and raises their version by one.
2. A donor commits the ring with the smaller range to disk before anybody hears of it.
3. A ring travels as a whole: who learns that it owns a range learns with it every token inside that range.
4. Tokens are never taken away. (Neighbours of one owner read as one range.)
So each owner's view of its own ranges is exact, whatever it knows of others, and a lost message leaks nothing.

A join takes the higher version of each token. Equal version with different content means that a rule was broken (a
cloned disk): the token goes to nobody, so both stop. Two births of one space stop all of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from gossip.tables.record import DECODERS, RING, RecordError, take_extra, take_int, take_list, take_str, unpacked
from gossip.tables.row import Plain

MAX_NUMBER = (1 << 64) - 1
"""The largest that msgpack carries; an IPv6 subnet of /64 has that many addresses."""

NOBODY = ""
"""Owner of a token on which two views disagree."""


class Birth(NamedTuple):
    """When and by whom a space was made, and which numbers are in it."""

    lamport: int
    creator: str
    start: int
    size: int


class Token(NamedTuple):
    """The numbers from `position` to the next token are `owner`'s."""

    position: int
    owner: str
    version: int


@dataclass(frozen=True, slots=True)
class Ring:
    """One view of a space. Not really a ring: the first token stands at the first number."""

    births: tuple[Birth, ...]
    tokens: tuple[Token, ...]
    extra: bytes = b""
    """Fields that only a newer version knows."""

    @staticmethod
    def create(birth: Birth, owners: Sequence[str]) -> Ring:
        """A new space, split evenly among its first owners, in their order."""
        size, count = birth.size, len(owners)
        tokens: list[Token] = []
        for index, owner in enumerate(owners):
            tokens.append(Token(birth.start + size * index // count, owner, 1))
        return Ring((birth,), tuple(tokens))

    @property
    def start(self) -> int:
        return self.births[0].start

    @property
    def end(self) -> int:
        return self.births[0].start + self.births[0].size

    @property
    def conflict(self) -> bool:
        """Whether two hosts made this space, or two views of a token disagree: an alarm."""
        return len(self.births) > 1 or any(token.owner == NOBODY for token in self.tokens)

    def __contains__(self, number: int) -> bool:
        return self.start <= number < self.end

    def owner(self, number: int) -> str:
        """Who may give this number; NOBODY for none."""
        if number not in self or len(self.births) > 1:
            return NOBODY
        index = bisect_right(self.tokens, number, key=lambda token: token.position) - 1
        return self.tokens[index].owner if index >= 0 else NOBODY

    def owners(self) -> list[str]:
        """Every owner, in order of their first number."""
        return [] if len(self.births) > 1 else list(dict.fromkeys(t.owner for t in self.tokens if t.owner != NOBODY))

    def ranges(self, owner: str) -> list[tuple[int, int]]:
        """The half-open ranges of an owner, neighbours merged."""
        found: list[tuple[int, int]] = []
        if len(self.births) > 1 or owner == NOBODY:
            return found
        ends = [token.position for token in self.tokens[1:]] + [self.end]
        for token, end in zip(self.tokens, ends, strict=True):
            if token.owner != owner:
                continue
            if found and found[-1][1] == token.position:
                found[-1] = (found[-1][0], end)
            else:
                found.append((token.position, end))
        return found

    def share(self, owner: str) -> int:
        """How many numbers an owner has."""
        return sum(high - low for low, high in self.ranges(owner))

    def give(self, low: int, high: int, *, donor: str, to: str) -> Ring:
        """The ring after `donor` gave [low, high), all of it its own, to another; only the donor may call it."""
        if not any(first <= low < high <= last for first, last in self.ranges(donor)):
            raise ValueError(f"[{low}, {high}) is not {donor}'s to give")
        tokens = {token.position: token for token in self.tokens}
        if high < self.end and high not in tokens:
            tokens[high] = Token(high, donor, 1)
        tokens.setdefault(low, Token(low, donor, 0))
        for position in [p for p in tokens if low <= p < high]:
            tokens[position] = Token(position, to, tokens[position].version + 1)
        return replace(self, tokens=tuple(sorted(tokens.values())))

    def inherit(self, removed: Sequence[str], heir: str) -> Ring:
        """The ring after the heir took what removed nodes owned; only the acknowledged heir may call it."""
        tokens = tuple(Token(t.position, heir, t.version + 1) if t.owner in removed else t for t in self.tokens)
        return replace(self, tokens=tokens)

    def join(self, other: Ring) -> Ring:
        births = self.births
        if births != other.births:
            births = tuple(sorted({birth: None for birth in (*births, *other.births)}))
        tokens = {token.position: token for token in self.tokens}
        for token in other.tokens:
            mine = tokens.get(token.position)
            if mine is None or token.version > mine.version:
                tokens[token.position] = token
            elif token.version == mine.version and token.owner != mine.owner:
                tokens[token.position] = Token(token.position, NOBODY, token.version)
        return Ring(births, tuple(sorted(tokens.values())), max(self.extra, other.extra))

    def encode(self) -> list[Plain]:
        owners = {token.owner: None for token in self.tokens}
        index = {owner: number for number, owner in enumerate(sorted(owners))}
        flat: list[Plain] = []
        for token in self.tokens:
            flat += [token.position, index[token.owner], token.version]
        births: list[Plain] = [list(birth) for birth in self.births]
        return [births, list(index), flat, *unpacked(self.extra)]

    @staticmethod
    def decode(fields: Sequence[object]) -> Ring:
        births: list[Birth] = []
        for item in take_list(fields, 0):
            if not isinstance(item, list):
                raise RecordError("a birth is an array")
            births.append(Birth(take_int(item, 0), take_str(item, 1), _number(item, 2), _number(item, 3)))
        owners_raw, flat = take_list(fields, 1), take_list(fields, 2)
        owners = [take_str(owners_raw, index) for index in range(len(owners_raw))]
        if not births or any(birth.size < 1 for birth in births) or not flat or len(flat) % 3:
            raise RecordError("a ring has a birth, numbers and tokens")
        tokens: list[Token] = []
        for at in range(0, len(flat), 3):
            owner = take_int(flat, at + 1)
            if owner >= len(owners):
                raise RecordError("a token without an owner")
            tokens.append(Token(_number(flat, at), owners[owner], take_int(flat, at + 2)))
        if any(a.position >= b.position for a, b in pairwise(tokens)):
            raise RecordError("tokens are in order, each position once")
        return Ring(tuple(sorted(births)), tuple(tokens), take_extra(fields, 3))


def _number(fields: Sequence[object], index: int) -> int:
    return take_int(fields, index, MAX_NUMBER)


DECODERS[RING] = Ring.decode
