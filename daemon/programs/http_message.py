"""HTTP/1.1 framing over a container's TCP connection (RFC 9112), for the servers and clients among the programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from overlay.sandbox import TcpConnection

MAX_LINE = 8192
MAX_HEADERS = 100
CHUNK = 65536


class BadMessage(Exception):
    """What came is no HTTP, or too large."""


@dataclass(slots=True)
class Head:
    """The first line and the headers (names as sent, looked up without case)."""

    line: str
    headers: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), default)


class Reader:
    """Buffered reading from a connection."""

    def __init__(self, connection: TcpConnection) -> None:
        self._connection = connection
        self._buffer = b""

    async def line(self) -> str:
        """A line without CR LF, "" at the end of the stream too. BadMessage when it is too long."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE:
                raise BadMessage("line too long")
            data = await self._connection.read(CHUNK)
            if not data:
                rest, self._buffer = self._buffer, b""
                return rest.decode("latin-1")
            self._buffer += data
        row, _, self._buffer = self._buffer.partition(b"\n")
        return row.rstrip(b"\r").decode("latin-1")

    async def head(self) -> Head | None:
        """The next message's head, None at the end of the stream."""
        first = await self.line()
        if not first:
            return None
        head = Head(first)
        while row := await self.line():
            name, colon, value = row.partition(":")
            if not colon or len(head.headers) >= MAX_HEADERS:
                raise BadMessage("bad header")
            head.headers.append((name.strip(), value.strip()))
        return head

    async def some(self, n: int) -> bytes:
        """1..n bytes, b"" at the end."""
        if self._buffer:
            data, self._buffer = self._buffer[:n], self._buffer[n:]
            return data
        return await self._connection.read(min(n, CHUNK))

    async def body(self, head: Head, *, response: bool) -> AsyncIterator[bytes]:
        """The body in pieces, by its framing. BadMessage when it ends too early."""
        if "chunked" in head.get("Transfer-Encoding").lower():
            while True:
                try:
                    size = int((await self.line()).split(";")[0].strip() or "x", 16)
                except ValueError:
                    raise BadMessage("bad chunk") from None
                if size == 0:
                    while await self.line():
                        pass
                    return
                async for part in self._exactly(size):
                    yield part
                await self.line()
        length = head.get("Content-Length")
        if length.isdigit():
            async for part in self._exactly(int(length)):
                yield part
        elif response:
            while data := await self.some(CHUNK):
                yield data

    async def _exactly(self, n: int) -> AsyncIterator[bytes]:
        while n > 0:
            data = await self.some(n)
            if not data:
                raise BadMessage("connection closed prematurely")
            n -= len(data)
            yield data
