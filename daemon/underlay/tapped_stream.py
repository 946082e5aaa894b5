"""A stream that is watched, between the connection's transport and whoever reads and writes.

What is seen is what is handed to the socket: under TLS, what is inside. Nothing is held back or changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

OPEN, DATA, END = "open", "data", "end"
"""Parts of a stream: its opening, bytes of one direction, the end of one direction."""

See = Callable[[str, str, bytes], None]
"""Is called with the direction ("out", "in"), the part, and its bytes."""


class _Protocol(asyncio.Protocol):
    """What the connection's transport reports to."""

    def __init__(self, user: asyncio.Protocol, see: See) -> None:
        self.user = user
        self._see = see

    def data_received(self, data: bytes) -> None:
        self._see("in", DATA, data)
        self.user.data_received(data)

    def eof_received(self) -> bool | None:
        self._see("in", END, b"")
        return self.user.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.user.connection_lost(exc)

    def pause_writing(self) -> None:
        self.user.pause_writing()

    def resume_writing(self) -> None:
        self.user.resume_writing()


class _Transport(asyncio.Transport):
    """What the user writes to."""

    def __init__(self, inner: asyncio.Transport, see: See, replaced: asyncio.StreamWriter) -> None:
        super().__init__()
        self._inner = inner
        self._see = see
        self._ended = False
        # asyncio closes the transport of a StreamWriter that is collected.
        self._replaced = replaced

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._inner.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner.set_protocol(_Protocol(cast(asyncio.Protocol, protocol), self._see))

    def get_protocol(self) -> asyncio.BaseProtocol:
        found = self._inner.get_protocol()
        return found.user if isinstance(found, _Protocol) else found

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._see("out", DATA, bytes(data))
        self._inner.write(data)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._see("out", END, b"")

    def write_eof(self) -> None:
        self._end()
        self._inner.write_eof()

    def can_write_eof(self) -> bool:
        return self._inner.can_write_eof()

    def close(self) -> None:
        self._end()
        self._inner.close()

    def abort(self) -> None:
        self._end()
        self._inner.abort()

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._inner.get_write_buffer_size()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def is_reading(self) -> bool:
        return self._inner.is_reading()


def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, see: See) -> asyncio.StreamWriter:
    """The writer to use instead; what the reader gets is seen too, with what it may hold already."""
    inner = cast(asyncio.Transport, writer.transport)
    protocol = inner.get_protocol()
    see("out", OPEN, b"")
    if early := bytes(reader._buffer):  # type: ignore[attr-defined]
        see("in", DATA, early)
    transport = _Transport(inner, see, writer)
    transport.set_protocol(protocol)
    return asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
