"""Open file descriptions: what a file descriptor of a simulated process points at.

They are counted as in a kernel: a pipe's end closes for good when the last descriptor on it is closed, so that
`a | b` ends when it should although the shell, its subshells and background jobs all held the same pipe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.runtime.pipe import CAPACITY, Pipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.runtime.filesystem import Filesystem
    from daemon.runtime.nodes import File


class Description:
    """An open file description; starts with one reference."""

    __slots__ = ("references",)

    def __init__(self) -> None:
        self.references = 1

    async def read(self, n: int = CAPACITY) -> bytes:
        """1..n bytes, b"" at end of file. OSError(EBADF) when it is open for writing only."""
        raise OSError(9, "Bad file descriptor")

    async def readline(self, limit: int = CAPACITY) -> bytes:
        """As `Pipe.readline`."""
        raise OSError(9, "Bad file descriptor")

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of it. BrokenPipeError; OSError(ENOSPC, EBADF)."""
        raise OSError(9, "Bad file descriptor")

    def isatty(self) -> bool:
        return False

    def duplicate(self) -> Description:
        """One more reference to the same description (dup(2))."""
        self.references += 1
        return self

    def close(self) -> None:
        """Give a reference back; the last one releases what is behind."""
        self.references -= 1
        if self.references == 0:
            self.release()

    def release(self) -> None:
        """Called once, when nobody has it open any more."""


class PipeReader(Description):
    """The reading end of a pipe."""

    __slots__ = ("pipe",)

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self.pipe = pipe

    async def read(self, n: int = CAPACITY) -> bytes:
        return await self.pipe.read(n)

    async def readline(self, limit: int = CAPACITY) -> bytes:
        return await self.pipe.readline(limit)

    def release(self) -> None:
        self.pipe.close_read()


class PipeWriter(Description):
    """The writing end of a pipe."""

    __slots__ = ("pipe",)

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self.pipe = pipe

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await self.pipe.write(data)

    def release(self) -> None:
        self.pipe.close_write()


class OpenFile(Description):
    """A regular file with a position of its own."""

    __slots__ = ("append", "file", "files", "position", "readable", "writable")

    def __init__(self, files: Filesystem, file: File, *, readable: bool, writable: bool, append: bool) -> None:
        super().__init__()
        self.files = files
        self.file = file
        self.readable = readable
        self.writable = writable
        self.append = append
        self.position = 0

    async def read(self, n: int = CAPACITY) -> bytes:
        if not self.readable:
            raise OSError(9, "Bad file descriptor")
        data = self.file.read_at(self.position, n)
        self.position += len(data)
        return data

    async def readline(self, limit: int = CAPACITY) -> bytes:
        if not self.readable:
            raise OSError(9, "Bad file descriptor")
        end = self.file.find_line_end(self.position)
        return await self.read(min(end - self.position, limit))

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.writable:
            raise OSError(9, "Bad file descriptor")
        if self.append:
            self.position = self.file.size
        self.files.write_at(self.file, self.position, data)
        self.position += len(data)


class DeviceFile(Description):
    """A character device or a generated file: reading and writing are functions."""

    __slots__ = ("_line", "_read", "_write")

    def __init__(self, read: Callable[[int], bytes], write: Callable[[bytes], None]) -> None:
        super().__init__()
        self._read = read
        self._write = write
        self._line = b""

    async def read(self, n: int = CAPACITY) -> bytes:
        data, self._line = (self._line or self._read(n)), b""
        if len(data) > n:
            data, self._line = data[:n], data[n:]
        return data

    async def readline(self, limit: int = CAPACITY) -> bytes:
        data = await self.read(limit)
        end = data.find(b"\n") + 1
        if 0 < end < len(data):
            self._line = data[end:] + self._line
            data = data[:end]
        return data

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        self._write(bytes(data))
