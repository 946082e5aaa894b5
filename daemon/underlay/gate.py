"""A stream that can be stalled (nothing passes, nothing closes, until it is opened again) or slowed.

It stands between the connection's transport and the StreamReader / StreamWriter that the user holds: a transport
towards the user, a protocol towards the connection. No task: data move when they arrive or when the gate opens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from daemon.underlay.shaper import Chain

_HELD = 1 << 20


class _Outer(asyncio.Transport):
    """What the user's StreamWriter writes to."""

    def __init__(self, gate: Gate, inner: asyncio.Transport) -> None:
        super().__init__()
        self._gate = gate
        self._inner = inner
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._eof = False
        self._closing = False
        self._leaves = 0.0
        self.chain: Chain | None = None

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._inner.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._gate.is_open and self.chain is None and not self._held:
            self._inner.write(data)
            return
        loop = asyncio.get_running_loop()
        if self.chain is not None:
            # In order: what is written later never leaves earlier.
            self._leaves = max(self._leaves, self.chain.stream(len(data), loop.time()))
            loop.call_at(self._leaves, self.release)
        self._held.append((self._leaves, bytes(data)))
        self._held_bytes += len(data)
        self._gate.settle()

    def release(self) -> None:
        """What is due goes out in order, unless the gate is shut: then all wait for its opening."""
        if not self._gate.is_open:
            return
        now = asyncio.get_running_loop().time()
        while self._held and (self.chain is None or self._held[0][0] <= now):
            _, chunk = self._held.popleft()
            self._held_bytes -= len(chunk)
            self._inner.write(chunk)
        self._gate.settle()
        self._end_if_empty()

    def _end_if_empty(self) -> None:
        if self._held:
            return
        if self._eof:
            self._eof = False
            self._inner.write_eof()
        if self._closing:
            self._inner.close()

    def write_eof(self) -> None:
        self._eof = True
        if self._gate.is_open:
            self._end_if_empty()

    def can_write_eof(self) -> bool:
        return self._inner.can_write_eof()

    def close(self) -> None:
        """While the gate is shut a close is only remembered: the peer must not learn of it."""
        self._closing = True
        if self._gate.is_open:
            self._end_if_empty()
        else:
            self._gate.user_gone()

    def abort(self) -> None:
        self._closing = True
        if self._gate.is_open:
            self._inner.abort()
        else:
            self._gate.user_gone()

    def is_closing(self) -> bool:
        return self._closing or self._inner.is_closing()

    @property
    def full(self) -> bool:
        return self._held_bytes > _HELD

    def get_write_buffer_size(self) -> int:
        return self._held_bytes + self._inner.get_write_buffer_size()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        if self._gate.is_open:
            self._inner.resume_reading()


class Gate(asyncio.Protocol):
    """What the connection's transport reports to. `reader` and `writer` are the user's."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, on_close: Callable[[Gate], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        inner = cast(asyncio.Transport, writer.transport)
        self.is_open = True
        self.finished = asyncio.Event()
        self._inner_full = False
        self._user_waits = False
        self._inner = inner
        self._on_close = on_close
        self._pending: list[bytes] = []
        self._eof = False
        self._lost: list[Exception | None] = []
        self.reader = asyncio.StreamReader(limit=1 << 16, loop=loop)
        self.protocol = asyncio.StreamReaderProtocol(self.reader, loop=loop)
        self._outer = _Outer(self, inner)
        # The first protocol keeps its own account of the connection's end (asyncio's Server waits on it).
        self._first = inner.get_protocol()
        # Read on before the change: the reader that asyncio made may already hold the first bytes.
        early, ended = bytes(reader._buffer), reader.at_eof() or reader._eof  # type: ignore[attr-defined]
        inner.set_protocol(self)
        self.protocol.connection_made(self._outer)
        self.writer = asyncio.StreamWriter(self._outer, self.protocol, self.reader, loop)
        # asyncio closes the transport of a StreamWriter that is collected; the replaced one must not do that to us.
        self._replaced = (reader, writer)
        if early:
            self.data_received(early)
        if ended:
            self.eof_received()

    def set_open(self, is_open: bool) -> None:
        if is_open == self.is_open:
            return
        self.is_open = is_open
        if not is_open:
            if not self._inner.is_closing():
                self._inner.pause_reading()
            return
        for chunk in self._pending:
            self.protocol.data_received(chunk)
        self._pending.clear()
        if self._eof:
            self._eof = False
            self.protocol.eof_received()
        self._outer.release()
        if self._lost:
            self._finish(self._lost.pop())
        elif not self._inner.is_closing():
            self._inner.resume_reading()

    def impair(self, chain: Chain | None) -> None:
        """Slow down what the user writes from now on; None lets what was held go at once."""
        self._outer.chain = chain
        if chain is None:
            self._outer.release()

    def user_gone(self) -> None:
        """The user closed while the gate was shut: its own side ends at once, the connection when the gate opens."""
        self.protocol.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        if self.is_open:
            self.protocol.data_received(data)
        else:
            self._pending.append(data)

    def eof_received(self) -> bool:
        if self.is_open:
            return bool(self.protocol.eof_received())
        self._eof = True
        return True

    def pause_writing(self) -> None:
        self._inner_full = True
        self.settle()

    def resume_writing(self) -> None:
        self._inner_full = False
        self.settle()

    def settle(self) -> None:
        """The user waits while the connection's buffer or ours is full; asyncio allows no pause twice."""
        full = self._inner_full or self._outer.full
        if full == self._user_waits:
            return
        self._user_waits = full
        if full:
            self.protocol.pause_writing()
        else:
            self.protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.is_open:
            self._finish(exc)
        else:
            self._lost.append(exc)

    def _finish(self, exc: Exception | None) -> None:
        self._on_close(self)
        self.finished.set()
        self.protocol.connection_lost(exc)
        first = self._first
        if isinstance(first, asyncio.Protocol):
            first.connection_lost(exc)
