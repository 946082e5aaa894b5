"""Connections in memory: two transports whose bytes arrive at the other's protocol after a delay, in order.

What is lost on a stream is only delayed: arrival times never go backwards. Nothing is delivered to a paused reader.
As on sockets, who writes to an end that is closed altogether loses the connection; who only reads gets all that was
sent, and its end. The extra information "peer_gone" is an event: what POLLHUP tells of a socket.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import cast

from scenarios.sim.power import POWER

_HIGH_WATER = 256 * 1024


class InMemoryTransport(asyncio.Transport):
    """One end. `delay` gives the seconds that the next write takes to arrive; `observe` sees what is written."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        delay: Callable[[], float],
        observe: Callable[[bytes], None],
        extra: dict[str, object],
    ) -> None:
        self._peer_gone = asyncio.Event()
        super().__init__({**extra, "peer_gone": self._peer_gone})
        self._loop = loop
        self._delay = delay
        self._observe = observe
        self._protocol: asyncio.BaseProtocol | None = None
        self.other: InMemoryTransport | None = None
        self.context = copy_context()  # whose end this is: what arrives runs as its host's
        self._arrival = 0.0
        self._inbox: deque[bytes | None] = deque()
        self._in_flight = 0
        self._paused = False
        self._writing_paused = False
        self._closing = False
        self._eof_sent = False
        self._lost = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self._eof_sent or not data:
            return
        if self._peer_gone.is_set():
            self._closing = True
            self._loop.call_soon(self._lose, BrokenPipeError(errno.EPIPE, "Broken pipe"))
            return
        if (power := self.context.get(POWER)) is not None and power.dead:
            return
        chunk = bytes(data)
        self._observe(chunk)
        self._in_flight += len(chunk)
        self._schedule(chunk)
        if self._in_flight > _HIGH_WATER and not self._writing_paused:
            self._writing_paused = True
            self.get_protocol().pause_writing()

    def write_eof(self) -> None:
        if not self._closing and not self._eof_sent:
            self._eof_sent = True
            self._schedule(None)

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return self._in_flight

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._drain)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def close(self) -> None:
        if self._closing:
            return
        if not self._eof_sent:
            self._eof_sent = True
            self._schedule(None)
        self._closing = True
        assert self.other is not None
        self._loop.call_at(self._arrival, self.other._peer_gone.set, context=self.other.context)
        self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self.close()

    def _schedule(self, item: bytes | None) -> None:
        other = self.other
        assert other is not None
        self._arrival = max(self._arrival, self._loop.time() + self._delay())
        self._loop.call_at(self._arrival, other._arrive, item, context=other.context)

    def _arrive(self, item: bytes | None) -> None:
        self._inbox.append(item)
        self._drain()

    def _drain(self) -> None:
        while self._inbox and not self._paused and not self._lost:
            item = self._inbox.popleft()
            protocol = cast(asyncio.Protocol, self.get_protocol())
            if item is None:
                keep_open = protocol.eof_received()
                if not keep_open:
                    self.close()
                continue
            protocol.data_received(item)
            if self.other is not None:
                self.other._delivered(len(item))

    def _delivered(self, count: int) -> None:
        self._in_flight -= count
        if self._writing_paused and self._in_flight < _HIGH_WATER // 2 and not self._lost:
            self._writing_paused = False
            self.get_protocol().resume_writing()

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self.get_protocol().connection_lost(error)


def pair(
    loop: asyncio.AbstractEventLoop,
    delay: tuple[Callable[[], float], Callable[[], float]] = (lambda: 0.0, lambda: 0.0),
    observe: tuple[Callable[[bytes], None], Callable[[bytes], None]] = (lambda _: None, lambda _: None),
    extra: tuple[dict[str, object], dict[str, object]] = ({}, {}),
) -> tuple[InMemoryTransport, InMemoryTransport]:
    """Two connected ends, the dialler's first."""
    near = InMemoryTransport(loop, delay[0], observe[0], dict(extra[0]))
    far = InMemoryTransport(loop, delay[1], observe[1], dict(extra[1]))
    near.other, far.other = far, near
    return near, far


class InMemoryServer:
    """What `create_unix_server` gives: as much of asyncio.Server as its users ask for."""

    def __init__(self, factory: Callable[[], asyncio.Protocol], on_close: Callable[[], object]) -> None:
        self._factory = factory
        self._on_close = on_close
        self._context: Context = copy_context()
        self.sockets: list[object] = []

    def accept(self, transport: InMemoryTransport) -> None:
        transport.context = self._context
        self._context.run(self._accept, transport)

    def _accept(self, transport: InMemoryTransport) -> None:
        protocol = self._factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def close(self) -> None:
        self._on_close()

    async def wait_closed(self) -> None:
        """Connections are their transports' affair."""

    def is_serving(self) -> bool:
        return True
