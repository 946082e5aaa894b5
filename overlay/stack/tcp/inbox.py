"""The receiving half's memory: what is in order and waits for the program, and what came too early.

Sequence numbers here never wrap: the connection unwraps them on arrival.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

Range = tuple[int, int]


class Inbox:
    """`held` counts bytes in order and not read; `early` are disjoint (start, data), by start, not touching
    what is in order. `recent` is where the last early segment fell: its range is reported first (RFC 2018)."""

    __slots__ = ("chunks", "early", "early_bytes", "held", "recent")

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        self.held = 0
        self.early: list[tuple[int, bytes]] = []
        self.early_bytes = 0
        self.recent = 0

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
        self.recent = start
        end = start + len(data)
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
        return next_seq

    def ranges(self, limit: int) -> list[Range]:
        """What to report by SACK: joined ranges, the most recent first, at most `limit`."""
        joined: list[Range] = []
        for start, data in self.early:
            if joined and joined[-1][1] == start:
                joined[-1] = (joined[-1][0], start + len(data))
            else:
                joined.append((start, start + len(data)))
        for i, (start, end) in enumerate(joined):
            if start <= self.recent < end:
                joined.insert(0, joined.pop(i))
                break
        return joined[:limit]

    def clear(self) -> None:
        """Forget everything."""
        self.chunks.clear()
        self.early.clear()
        self.held = self.early_bytes = 0
