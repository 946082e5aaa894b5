"""The receiving half's memory: what is in order and waits for the program, and what came too early.

Sequence numbers here never wrap: the connection unwraps them on arrival.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque

Range = tuple[int, int]
RECENT = 8
INFINITE = 1 << 62


class Inbox:
    """`held` counts bytes in order and not read; `early` are disjoint (start, data), by start, not touching
    what is in order. `recent` is where early segments fell lately, the last one last: RFC 2018 has their ranges
    reported first. `changed`: how many ranges did since the last report."""

    __slots__ = ("_joined", "changed", "chunks", "early", "early_bytes", "held", "recent")

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        self.held = 0
        self.early: list[tuple[int, bytes]] = []
        self.early_bytes = 0
        self.recent: list[int] = []
        self.changed = 0
        self._joined: list[Range] = []

    def append(self, data: bytes) -> None:
        """The next bytes in order."""
        self.chunks.append(data)
        self.held += len(data)

    def read(self, n: int) -> bytes:
        """Up to `n` bytes; b"" when there are none."""
        chunks = self.chunks
        if not chunks:
            return b""
        first = chunks[0]
        if len(first) > n:
            chunks[0] = first[n:]
            self.held -= n
            return first[:n]
        chunks.popleft()
        if chunks and len(first) + len(chunks[0]) <= n:
            parts, size = [first], len(first)
            while chunks and size + len(chunks[0]) <= n:
                size += len(chunks[0])
                parts.append(chunks.popleft())
            first = b"".join(parts)
        self.held -= len(first)
        return first

    def insert(self, start: int, data: bytes) -> None:
        """A segment that came too early. Of bytes that are here already the old ones are kept."""
        end = start + len(data)
        self._join(start, end)
        early = self.early
        at = bisect_left(early, (start, b""))
        if at and early[at - 1][0] + len(early[at - 1][1]) > start:
            at -= 1
        while at < len(early) and early[at][0] < end:
            have, old = early[at]
            if start < have:
                piece = data[: have - start]
                early.insert(at, (start, piece))
                self.early_bytes += len(piece)
                at += 1
            covered = have + len(old)
            if covered >= end:
                return
            if covered > start:
                data = data[covered - start :]
                start = covered
            at += 1
        if data:
            early.insert(at, (start, data))
            self.early_bytes += len(data)

    def _join(self, start: int, end: int) -> None:
        """Put a range among the joined ones, which do not touch each other."""
        joined, recent = self._joined, self.recent
        at = bisect_left(joined, (start, 0))
        if at and joined[at - 1][1] >= start:
            at -= 1
            start = joined[at][0]
        until = at
        while until < len(joined) and joined[until][0] <= end:
            end = max(end, joined[until][1])
            until += 1
        joined[at:until] = [(start, end)]
        if recent and start <= recent[-1] < end:
            recent.pop()
            self.changed = self.changed or 1
        else:
            self.changed += 1
            if len(recent) == RECENT:
                del recent[0]
        recent.append(start)

    def take_due(self, next_seq: int) -> int:
        """Move what has become in order; returns the new next sequence number."""
        early = self.early
        count = 0
        for start, data in early:
            if start > next_seq:
                break
            count += 1
            self.early_bytes -= len(data)
            if start + len(data) > next_seq:
                fresh = data[next_seq - start :] if start < next_seq else data
                self.append(fresh)
                next_seq += len(fresh)
        if count:
            del early[:count]
            joined = self._joined
            while joined and joined[0][1] <= next_seq:
                del joined[0]
        return next_seq

    def ranges(self, limit: int) -> list[Range]:
        """What to report by SACK: joined ranges, the most recent first, at most `limit`."""
        joined = self._joined
        found: list[Range] = []
        self.changed = 0
        for seq in reversed(self.recent):
            at = bisect_right(joined, (seq, INFINITE)) - 1
            if at >= 0 and seq < joined[at][1] and joined[at] not in found:
                found.append(joined[at])
                if len(found) == limit:
                    return found
        for each in joined:
            if len(found) == limit:
                break
            if each not in found:
                found.append(each)
        return found

    def forget_early(self) -> None:
        """Nothing that came too early is needed any more."""
        self.early.clear()
        self._joined.clear()
        self.recent.clear()
        self.early_bytes = 0
