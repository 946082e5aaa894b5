"""Counts and captures what really crosses the underlay, as a middleware next to the sockets (below the faults).

A capture sees the very bytes that were handed to the socket: datagrams, and parts of streams (with TLS what is inside).
Without one, a datagram costs two additions.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.underlay.contract import Accept, Address, Datagrams, Listener, Receive, Underlay, kind_of
from daemon.underlay.tapped_stream import OPEN, watched

_CAPTURE_LIMIT = 4096

LOST = "lost"
"""Among a capture's kinds: it wants to know what faults swallowed, too; a direction of what is captured."""


@dataclass(slots=True)
class Traffic:
    """Datagrams and bytes of one kind since the start, by direction; streams opened."""

    sent: int = 0
    sent_bytes: int = 0
    received: int = 0
    received_bytes: int = 0
    streams: int = 0


@dataclass(frozen=True, slots=True)
class Captured:
    """One datagram, or a part of a stream. when: seconds of the loop's clock; direction: "out", "in", or LOST (on the
    way out, by a fault); stream: "" or tapped_stream's OPEN, DATA, END."""

    when: float
    direction: str
    kind: str
    source: Address
    target: Address
    data: bytes
    stream: str = ""


@dataclass(slots=True, eq=False)
class Capture:
    """A bounded queue of what passes; `dropped` counts what its reader was too slow for."""

    kinds: frozenset[str]
    dropped: int = 0
    _queue: deque[Captured] = field(default_factory=deque)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, direction: str, kind: str) -> bool:
        if direction == LOST and LOST not in self.kinds:
            return False
        return kind in self.kinds or not self.kinds - {LOST}

    def offer(self, packet: Captured) -> None:
        """For what it wants."""
        if len(self._queue) >= _CAPTURE_LIMIT:
            self.dropped += 1
            return
        self._queue.append(packet)
        self._ready.set()

    async def next(self) -> Captured:
        while not self._queue:
            self._ready.clear()
            await self._ready.wait()
        return self._queue.popleft()


class _TappedDatagrams:
    def __init__(self, inner: Datagrams, tap: TappedUnderlay, port: int) -> None:
        self._inner = inner
        self._tap = tap
        self._port = port

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        traffic = self._tap.traffic_of(to[1])
        traffic.sent += 1
        traffic.sent_bytes += len(data)
        if self._tap.captures:
            self._tap.record("out", to[1], (self._tap.address, self._port), to, bytes(data))
        self._inner.send(data, to)

    def close(self) -> None:
        self._inner.close()


class TappedUnderlay:
    """An underlay that is watched. Has the shape of what it wraps."""

    def __init__(self, inner: Underlay) -> None:
        self._inner = inner
        self.address = inner.address
        self.counters = inner.counters
        self.traffic: dict[str, Traffic] = {}
        self.captures: list[Capture] = []
        self._by_port: dict[int, Traffic] = {}

    def traffic_of(self, port: int) -> Traffic:
        """A datagram is of the kind of the port that it is sent to."""
        found = self._by_port.get(port)
        if found is None:
            found = self.traffic.setdefault(kind_of(port), Traffic())
            if len(self._by_port) < 256:
                self._by_port[port] = found
        return found

    def record(self, direction: str, port: int, source: Address, target: Address, data: bytes) -> None:
        self._offer(direction, kind_of(port), source, target, data, "")

    def _offer(self, direction: str, kind: str, source: Address, target: Address, data: bytes, stream: str) -> None:
        wanting = [capture for capture in self.captures if capture.wants(direction, kind)]
        if wanting:
            packet = Captured(asyncio.get_running_loop().time(), direction, kind, source, target, data, stream)
            for capture in wanting:
                capture.offer(packet)

    def swallowed(self, port: int, data: bytes | bytearray | memoryview, to: Address) -> None:
        """A fault above took what would have left from `port`."""
        if self.captures:
            self.record(LOST, to[1], (self.address, port), to, bytes(data))

    def capture(self, kinds: frozenset[str]) -> tuple[Capture, Callable[[], None]]:
        """Start a capture (no kinds: all); call the second to end it."""
        capture = Capture(kinds)
        self.captures.append(capture)

        def end() -> None:
            if capture in self.captures:
                self.captures.remove(capture)

        return capture, end

    async def datagrams(self, port: int, receive: Receive) -> Datagrams:
        traffic = self.traffic_of(port)
        own = (self.address, port)

        def counted(data: bytes, source: Address) -> None:
            traffic.received += 1
            traffic.received_bytes += len(data)
            if self.captures:
                self.record("in", port, source, own, data)
            receive(data, source)

        return _TappedDatagrams(await self._inner.datagrams(port, counted), self, port)

    async def listen(self, port: int, accept: Accept, *, tls: ssl.SSLContext | None = None) -> Listener:
        traffic = self.traffic_of(port)

        async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
            traffic.streams += 1
            await accept(reader, self._watched(reader, writer, port, (self.address, port), peer), peer)

        return await self._inner.listen(port, counted, tls=tls)

    async def connect(
        self, to: Address, *, deadline: float, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.traffic_of(to[1]).streams += 1
        reader, writer = await self._inner.connect(to, deadline=deadline, tls=tls)
        own: Address = (self.address, int((writer.get_extra_info("sockname") or ("", 0))[1]))
        return reader, self._watched(reader, writer, to[1], own, to)

    def _watched(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, own: Address, peer: Address
    ) -> asyncio.StreamWriter:
        """A stream is of the kind of the port that was dialled; its opening is told by who did."""

        def see(direction: str, part: str, data: bytes) -> None:
            if not self.captures:
                return
            if part == OPEN and own[1] == port:
                direction = "in"
            source, target = (own, peer) if direction == "out" else (peer, own)
            self._offer(direction, kind_of(port), source, target, data, part)

        return watched(reader, writer, see)
