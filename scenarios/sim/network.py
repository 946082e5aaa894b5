"""The network between simulated hosts: latency, jitter and loss from a seed, and a digest of all that is sent.

Each host draws from a Random of its own, always twice a packet, so that one host's loss does not move another's.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import ssl
import struct
from collections import Counter
from contextvars import copy_context
from dataclasses import dataclass, field

from daemon.underlay.accepted import AcceptedStreams
from daemon.underlay.contract import Accept, Address, Receive
from scenarios.sim.streams import InMemoryTransport, pair

_HEAD = struct.Struct(">dHI")
_ENDS = 4096
"""Pairs of ends that are kept as text."""


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """latency and jitter in seconds one way; loss is a probability (of datagrams; a stream is delayed by `retry`)."""

    latency: float = 0.0002
    jitter: float = 0.0001
    loss: float = 0.0
    retry: float = 0.2


@dataclass(slots=True)
class Network:
    """Every host of a run. `digest()` names the run: all datagrams and stream bytes with their times and ends."""

    seed: int
    quality: LinkQuality = field(default_factory=LinkQuality)
    packets: int = 0
    _hosts: dict[str, HostUnderlay] = field(default_factory=dict)
    _ends: dict[tuple[Address, Address], bytes] = field(default_factory=dict)
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def host(self, address: str) -> HostUnderlay:
        """A host's underlay; asking again for a crashed host gives it a new one, with nothing bound."""
        if (old := self._hosts.get(address)) is not None:
            old.unplug()
        new = HostUnderlay(self, address, random.Random(f"{self.seed}/{address}"))
        self._hosts[address] = new
        return new

    def at(self, address: str) -> HostUnderlay | None:
        return self._hosts.get(address)

    def record(self, tag: bytes, when: float, source: Address, target: Address, data: bytes) -> None:
        self.packets += 1
        ends = self._ends.get((source, target))
        if ends is None:
            if len(self._ends) >= _ENDS:
                self._ends.clear()
            text = f"{source[0]}:{source[1]}>{target[0]}:{target[1]}"
            ends = self._ends[source, target] = text.encode()
        self._digest.update(tag + _HEAD.pack(when, len(ends), len(data)) + ends + data)

    def digest(self) -> str:
        return self._digest.hexdigest()


class _Datagrams:
    def __init__(self, host: HostUnderlay, port: int) -> None:
        self._host = host
        self._port = port

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        self._host.send(bytes(data), self._port, to)

    def close(self) -> None:
        self._host.ports.pop(self._port, None)


class _Listener:
    def __init__(self, host: HostUnderlay, port: int, accept: Accept) -> None:
        self._host = host
        self._port = port
        self._streams = AcceptedStreams(accept)
        self._context = copy_context()

    def accepted(self, transport: InMemoryTransport, peer: Address) -> None:
        transport.context = self._context
        self._context.run(self._accepted, transport, peer)

    def _accepted(self, transport: InMemoryTransport, peer: Address) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._streams.serve(reader, asyncio.StreamWriter(transport, protocol, reader, loop), peer)

    async def close(self) -> None:
        self._host.listeners.pop(self._port, None)
        await self._streams.end()


class HostUnderlay:
    """One host's plug in the network."""

    def __init__(self, network: Network, address: str, chance: random.Random) -> None:
        self.address = address
        self.context = copy_context()
        self.ports: dict[int, Receive] = {}
        self.listeners: dict[int, _Listener] = {}
        self.counters: Counter[str] = Counter()
        self._network = network
        self._random = chance
        self._plugged = True
        self._next_port = 40000

    def unplug(self) -> None:
        """A crash: mute first, so that nothing that the dying daemon still does is heard."""
        self._plugged = False
        self.ports.clear()
        self.listeners.clear()

    def _travel(self) -> tuple[float, bool]:
        quality = self._network.quality
        jitter, loss = self._random.random(), self._random.random()
        return quality.latency + jitter * quality.jitter, loss < quality.loss

    def send(self, data: bytes, port: int, to: Address) -> None:
        if not self._plugged:
            return
        loop = asyncio.get_running_loop()
        source = (self.address, port)
        self._network.record(b"d", loop.time(), source, to, data)
        delay, lost = self._travel()
        if lost:
            self.counters["lost"] += 1
        else:
            # In the receiver's context: a stopped host gets it when it runs again.
            target = self._network.at(to[0])
            context = None if target is None else target.context
            loop.call_at(loop.time() + delay, self._deliver, data, source, to, context=context)

    def _deliver(self, data: bytes, source: Address, to: Address) -> None:
        target = self._network.at(to[0])
        receive = target.ports.get(to[1]) if target is not None else None
        if receive is not None:
            receive(data, source)

    async def datagrams(self, port: int, receive: Receive) -> _Datagrams:
        if port in self.ports:
            raise OSError(f"{self.address}:{port} is taken")
        self.ports[port] = receive
        return _Datagrams(self, port)

    async def listen(self, port: int, accept: Accept, *, tls: ssl.SSLContext | None = None) -> _Listener:
        if port in self.listeners:
            raise OSError(f"{self.address}:{port} is taken")
        listener = self.listeners[port] = _Listener(self, port, accept)
        return listener

    async def connect(
        self, to: Address, *, deadline: float, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """TLS has no counterpart here: a simulated swarm joins in the clear, with the same messages."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(deadline):
            await asyncio.sleep(self._stream_delay() + self._network.quality.latency)
            target = self._network.at(to[0])
            if target is None or not self._plugged:
                await loop.create_future()  # nobody there: only the deadline ends it
            assert target is not None
            listener = target.listeners.get(to[1])
            if listener is None:
                raise ConnectionRefusedError(f"{to[0]}:{to[1]}")
            self._next_port += 1
            source = (self.address, self._next_port)
            near, far = pair(
                loop,
                (self._stream_delay, target._stream_delay),
                (self._observer(source, to), target._observer(to, source)),
                ({"peername": to, "sockname": source}, {"peername": source, "sockname": to}),
            )
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        near.set_protocol(protocol)
        protocol.connection_made(near)
        listener.accepted(far, source)
        return reader, asyncio.StreamWriter(near, protocol, reader, loop)

    def _stream_delay(self) -> float:
        delay, lost = self._travel()
        return delay + (self._network.quality.retry if lost else 0.0)

    def _observer(self, source: Address, target: Address) -> _Observer:
        return _Observer(self._network, source, target)


@dataclass(frozen=True, slots=True)
class _Observer:
    network: Network
    source: Address
    target: Address

    def __call__(self, data: bytes) -> None:
        self.network.record(b"s", asyncio.get_running_loop().time(), self.source, self.target, data)
