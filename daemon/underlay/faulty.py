"""Faults as a middleware of the underlay, and the only place where they act.

A cut is silent: datagrams vanish, connects hang until their deadline, established streams stall in both directions and
close only when the cut is healed. Impairments act on what this host sends. Without a fault a datagram costs one
look-up. State comes from the host's store before the first bind, so that a daemon which is restarted inside a
partition starts inside it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from random import Random

from daemon.underlay.contract import Accept, Address, Datagrams, Listener, Receive, Underlay, kind_of
from daemon.underlay.faults import Faults
from daemon.underlay.gate import Gate
from daemon.underlay.shaper import Chain, Shaper

Swallowed = Callable[[int, "bytes | bytearray | memoryview", Address], None]

_IN_FLIGHT = 20_000
"""Datagrams that a host holds back at most; those beyond are dropped and counted."""


class _FaultyDatagrams:
    """`_ways`: what happens on the way to each address: None is clear, False is cut, a Chain impairs."""

    def __init__(self, inner: Datagrams, underlay: FaultyUnderlay, port: int) -> None:
        self._inner = inner
        self._underlay = underlay
        self._port = port
        self._ways: dict[Address, Chain | bool | None] = {}
        self._held: dict[asyncio.TimerHandle, None] = {}
        underlay.ports[self] = None

    def forget(self) -> None:
        """The faults changed. What is under way stays so: it has left already."""
        self._ways.clear()

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        try:
            way = self._ways[to]
        except KeyError:
            way = self._ways[to] = self._underlay.way(to)
        if way is None:
            self._inner.send(data, to)
        elif isinstance(way, Chain):
            self._impaired(way, bytes(data), to)
        else:
            self._underlay.counters["fault_cut"] += 1
            self._underlay.swallowed(self._port, data, to)

    def _impaired(self, chain: Chain, data: bytes, to: Address) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        leaving = chain.datagram(data, now)
        if not leaving:
            self._underlay.swallowed(self._port, data, to)
        for when, copy in leaving:
            if when <= now:
                self._inner.send(copy, to)
            elif len(self._held) >= _IN_FLIGHT:
                self._underlay.counters["fault_overflow"] += 1
            else:
                self._hold(loop, when, copy, to)

    def _hold(self, loop: asyncio.AbstractEventLoop, when: float, data: bytes, to: Address) -> None:
        def leave() -> None:
            self._held.pop(timer, None)
            self._inner.send(data, to)

        timer = loop.call_at(when, leave)
        self._held[timer] = None

    def close(self) -> None:
        self._underlay.ports.pop(self, None)
        for timer in list(self._held):
            timer.cancel()
        self._held.clear()
        self._inner.close()


class FaultyUnderlay:
    """An underlay with faults. Has the shape of what it wraps."""

    def __init__(
        self, inner: Underlay, faults: Faults, random: Random, swallowed: Swallowed = lambda port, data, to: None
    ) -> None:
        """`swallowed` is told of each datagram that a fault keeps from leaving: its port, its bytes, its target."""
        self._inner = inner
        self.swallowed = swallowed
        self._faults = faults
        self._random = random
        self.address = inner.address
        # One account with what is below: whoever asks wants to know where a packet went.
        self.counters: Counter[str] = inner.counters
        self.ports: dict[_FaultyDatagrams, None] = {}
        self._deaf: list[dict[str, bool]] = []
        self._gates: dict[Gate, Address] = {}
        self._changed: dict[asyncio.Future[None], None] = {}
        faults.subscribe(self._apply)

    def way(self, to: Address) -> Chain | bool | None:
        """What happens to datagrams on the way to an address: False is cut."""
        kind = kind_of(to[1])
        if self._faults.cut(self.address, to[0], kind, "udp"):
            return False
        return self._chain(to[0], kind, "udp")

    def _chain(self, peer: str, kind: str, transport: str) -> Chain | None:
        found = self._faults.impairments(self.address, peer, kind, transport)
        return Chain([Shaper(i, self._random, self.counters) for i in found]) if found else None

    def _stalled(self, peer: str, kind: str) -> bool:
        """A stream needs both ways: data one way, acknowledgements the other."""
        faults, own = self._faults, self.address
        return faults.cut(own, peer, kind, "tcp") or faults.cut(peer, own, kind, "tcp")

    def _apply(self) -> None:
        for port in list(self.ports):
            port.forget()
        for table in self._deaf:
            table.clear()
        for gate, end in list(self._gates.items()):
            self._set(gate, end)
        for waiter in list(self._changed):
            if not waiter.done():
                waiter.set_result(None)

    def _set(self, gate: Gate, end: Address) -> None:
        kind = kind_of(end[1])
        gate.impair(self._chain(end[0], kind, "tcp"))
        gate.set_open(not self._stalled(end[0], kind))

    async def datagrams(self, port: int, receive: Receive) -> Datagrams:
        deaf: dict[str, bool] = {}
        self._deaf.append(deaf)
        kind = kind_of(port)

        def filtered(data: bytes, source: Address) -> None:
            peer = source[0]
            cut = deaf.get(peer)
            if cut is None:
                cut = self._faults.cut(peer, self.address, kind, "udp")
                if len(deaf) < 4096:
                    deaf[peer] = cut
            if cut:
                self.counters["fault_cut"] += 1
                return
            receive(data, source)

        return _FaultyDatagrams(await self._inner.datagrams(port, filtered), self, port)

    async def listen(self, port: int, accept: Accept, *, tls: ssl.SSLContext | None = None) -> Listener:
        async def gated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
            gate = self._gate(reader, writer, (peer[0], port))
            try:
                await accept(gate.reader, gate.writer, peer)
            finally:
                gate.writer.close()
            # Ours is closed; the connection itself ends only when no cut hides that from the peer.
            await gate.finished.wait()

        return await self._inner.listen(port, gated, tls=tls)

    async def connect(
        self, to: Address, *, deadline: float, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline
        kind = kind_of(to[1])
        async with asyncio.timeout_at(end):
            while self._stalled(to[0], kind):
                waiter: asyncio.Future[None] = loop.create_future()
                self._changed[waiter] = None
                try:
                    await waiter
                finally:
                    self._changed.pop(waiter, None)
            if (chain := self._chain(to[0], kind, "tcp")) is not None:
                # The handshake's first segment meets what the others will.
                await asyncio.sleep(chain.stream(60, loop.time()) - loop.time())
        reader, writer = await self._inner.connect(to, deadline=max(0.0, end - loop.time()), tls=tls)
        gate = self._gate(reader, writer, to)
        return gate.reader, gate.writer

    def _gate(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, end: Address) -> Gate:
        gate = Gate(reader, writer, on_close=self._forget)
        self._gates[gate] = end
        self._set(gate, end)
        return gate

    def _forget(self, gate: Gate) -> None:
        self._gates.pop(gate, None)
