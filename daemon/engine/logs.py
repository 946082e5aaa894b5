"""What a container wrote, kept for `docker logs`: whole lines with their time, in memory and bounded.

As Docker's json-file driver: output is cut into lines, a line longer than 16 KiB into pieces, and the last line of a
run gets a newline if it had none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from daemon.runtime.changes import Changes

STDOUT, STDERR = 1, 2

LIMIT = 4 << 20  # bytes kept of one container; older lines are dropped and counted
PIECE = 16 << 10  # Docker's defaultBufSize (daemon/logger/copier.go)
_OVERHEAD = 64  # bytes counted for each entry beside its text


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line (or piece of a long one). `when`: nanoseconds since the epoch."""

    when: int
    stream: int
    data: bytes


class ContainerLog:
    """One container's log over all its runs. `dropped` counts the lines that the limit cost."""

    __slots__ = (
        "_changes", "_entries", "_first", "_limit", "_partial", "_size", "_wall", "changed", "dropped", "runs_ended",
    )  # fmt: skip

    def __init__(self, wall: Callable[[], float], limit: int = LIMIT) -> None:
        self._wall = wall
        self._limit = min(limit, LIMIT)
        self.changed: Callable[[], None] | None = None  # called with each new entry
        self._entries: deque[LogEntry] = deque()
        self._first = 0  # number of the oldest entry kept
        self._size = 0
        self._partial: dict[int, bytearray] = {}
        self._changes = Changes()
        self.dropped = 0
        self.runs_ended = 0

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._size

    @property
    def span(self) -> tuple[int, int]:
        """Numbers of the oldest entry kept and of the one that comes next; an entry's number never changes."""
        return self._first, self._first + len(self._entries)

    def since(self, number: int) -> list[LogEntry]:
        """The entries kept from that number on."""
        return list(islice(self._entries, max(0, number - self._first), None))

    def restore(self, first: int, entries: Iterable[LogEntry]) -> None:
        """What an earlier daemon kept, the oldest with number `first`; called once, before anything is written."""
        self._first = first
        self._entries.extend(entries)
        self._size = sum(len(entry.data) + _OVERHEAD for entry in self._entries)

    def append(self, stream: int, data: bytes) -> None:
        """Take what the container wrote."""
        when = round(self._wall() * 1e9)
        buffer = self._partial.setdefault(stream, bytearray())
        buffer += data
        at = 0
        while (end := buffer.find(b"\n", at)) >= 0:
            while end - at > PIECE:
                self._keep(when, stream, bytes(buffer[at : at + PIECE]))
                at += PIECE
            self._keep(when, stream, bytes(buffer[at : end + 1]))
            at = end + 1
        while len(buffer) - at >= PIECE:
            self._keep(when, stream, bytes(buffer[at : at + PIECE]))
            at += PIECE
        del buffer[:at]
        self._changes.tell()

    def end_run(self) -> None:
        """The container stopped: keep the unfinished lines, let followers end."""
        for stream in (STDOUT, STDERR):
            if rest := self._partial.pop(stream, None):
                self._keep(round(self._wall() * 1e9), stream, bytes(rest) + b"\n")
        self.runs_ended += 1
        self._changes.tell()

    async def read(
        self,
        *,
        streams: tuple[int, ...] = (STDOUT, STDERR),
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
        follow: bool = False,
    ) -> AsyncGenerator[LogEntry, None]:
        """Entries in order. `tail`: only the last so many of what there is; `since`, `until`: wall seconds; `follow`:
        go on until the container stops (or `until` is past)."""
        run = self.runs_ended
        low = 0 if since is None else round(since * 1e9)
        high = None if until is None else round(until * 1e9)

        def wanted(entry: LogEntry) -> bool:
            return entry.stream in streams and entry.when >= low and (high is None or entry.when <= high)

        kept = [entry for entry in self._entries if wanted(entry)]
        position = self._first + len(self._entries)
        for entry in kept if tail is None else kept[max(0, len(kept) - tail) :]:
            yield entry
        while follow:
            position = max(position, self._first)
            while position < self._first + len(self._entries):
                entry = self._entries[position - self._first]
                position += 1
                if high is not None and entry.when > high:
                    return
                if wanted(entry):
                    yield entry
                position = max(position, self._first)
            if self.runs_ended != run:
                return
            remaining = None if until is None else until - self._wall()
            if remaining is not None and remaining <= 0:
                return
            try:
                await self._changes.wait(remaining)
            except TimeoutError:
                return

    def _keep(self, when: int, stream: int, data: bytes) -> None:
        self._entries.append(LogEntry(when, stream, data))
        self._size += len(data) + _OVERHEAD
        if self.changed is not None:
            self.changed()
        while self._size > self._limit:
            oldest = self._entries.popleft()
            self._first += 1
            self._size -= len(oldest.data) + _OVERHEAD
            self.dropped += 1
