"""A bounded byte pipe between coroutines: what a kernel pipe is to processes.

Everything that programs read and write passes through one, so a slow reader holds a fast writer back.
"""

from __future__ import annotations

from collections import deque

from daemon.runtime.changes import Changes

CAPACITY = 64 * 1024  # as Linux's default pipe (pipe(7))


class Pipe:
    """One-way bounded byte pipe. Any number of readers and writers, all on one event loop."""

    __slots__ = ("_capacity", "_changes", "_chunks", "_closed_read", "_closed_write", "_size")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._closed_read = False
        self._closed_write = False
        self._changes = Changes()

    @property
    def write_closed(self) -> bool:
        """True after `close_write`; what is buffered can still be read."""
        return self._closed_write

    @property
    def buffered(self) -> int:
        """Bytes written and not read yet."""
        return self._size

    async def read(self, n: int = CAPACITY) -> bytes:
        """Between 1 and `n` bytes, waiting for the first; b"" at end of file."""
        while not self._chunks:
            if self._closed_write or self._closed_read:
                return b""
            await self._changes.wait()
        return self._take(n)

    async def readline(self, limit: int = CAPACITY) -> bytes:
        """Up to and including a newline and not a byte more; less at end of file or after `limit` bytes."""
        while True:
            end = 0
            for chunk in self._chunks:
                at = chunk.find(b"\n")
                if at >= 0:
                    return self._take(min(end + at + 1, limit))
                end += len(chunk)
            if self._closed_write or self._closed_read or end >= min(limit, self._capacity):
                return self._take(limit)
            await self._changes.wait()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of `data`, waiting while the pipe is full. BrokenPipeError when nobody will read."""
        rest = bytes(data)
        while rest:
            if self._closed_read or self._closed_write:
                raise BrokenPipeError(32, "Broken pipe")
            room = self._capacity - self._size
            if room <= 0:
                await self._changes.wait()
                continue
            part, rest = (rest, b"") if len(rest) <= room else (rest[:room], rest[room:])
            self._chunks.append(part)
            self._size += len(part)
            self._changes.tell()

    def close_write(self) -> None:
        """End of file for the reader once it has read what is buffered."""
        self._closed_write = True
        self._changes.tell()

    def close_read(self) -> None:
        """Nobody reads any more: buffered bytes are dropped, writers get BrokenPipeError."""
        self._closed_read = True
        self._chunks.clear()
        self._size = 0
        self._changes.tell()

    def _take(self, n: int) -> bytes:
        parts: list[bytes] = []
        while self._chunks and n > 0:
            head = self._chunks.popleft()
            if len(head) > n:
                self._chunks.appendleft(head[n:])
                head = head[:n]
            parts.append(head)
            n -= len(head)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._size -= len(data)
        self._changes.tell()
        return data
