"""Partitions, as a middleware of the underlay.

A cut is silent: datagrams vanish, connects hang until their deadline, established streams stall in both directions and
close only when the cut is healed. State comes from a file that is read before the first bind, so a daemon that is
restarted inside a partition starts inside it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from daemon.underlay.contract import Accept, Address, Datagrams, Listener, Receive, Underlay
from daemon.underlay.gate import Gate

STORED_AS = ("faults", "now")
"""Kind and key of the faults in the host's store, as JSON."""


class BadFaults(ValueError):
    """A description of faults that cannot be read; what was in force stays so."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Hosts of different groups do not hear one another; hosts in no group hear all. since: wall-clock seconds."""

    id: str
    groups: tuple[frozenset[str], ...]
    since: float

    def cuts(self, a: str, b: str) -> bool:
        left = next((i for i, g in enumerate(self.groups) if a in g), None)
        right = next((i for i, g in enumerate(self.groups) if b in g), None)
        return left is not None and right is not None and left != right

    def describe(self) -> dict[str, object]:
        return {"id": self.id, "groups": [sorted(g) for g in self.groups], "since": self.since}


def parse_partitions(document: object) -> tuple[Partition, ...]:
    """From the control socket's or the file's JSON. Raises BadFaults with what was expected."""
    if not isinstance(document, Mapping) or not isinstance(document.get("partitions"), Sequence):
        raise BadFaults('expected {"partitions": [{"id": …, "groups": [[address, …], …], "since": …}]}')
    unknown = sorted(set(map(str, document)) - {"partitions"})
    if unknown:
        raise BadFaults(f"unknown fault {unknown[0]!r}; known: 'partitions'")
    found = []
    for entry in document["partitions"]:
        groups = entry.get("groups") if isinstance(entry, Mapping) else None
        if not isinstance(groups, list) or len(groups) < 2 or not all(isinstance(g, list) and g for g in groups):
            raise BadFaults("a partition needs two or more groups, each a list of addresses")
        members = [str(address) for group in groups for address in group]
        if len(members) != len(dict.fromkeys(members)):
            raise BadFaults("a host stands in two groups of one partition")
        since = entry.get("since", 0.0)
        if not isinstance(since, int | float):
            raise BadFaults("since: seconds expected")
        found.append(Partition(str(entry.get("id", "")), tuple(frozenset(map(str, g)) for g in groups), float(since)))
    return tuple(found)


@dataclass(slots=True)
class Faults:
    """What is broken now. Subscribers are told after each change."""

    partitions: tuple[Partition, ...] = ()
    _subscribers: dict[int, Callable[[], None]] = field(default_factory=dict)
    _next: int = 0

    def cut(self, a: str, b: str) -> bool:
        return any(p.cuts(a, b) for p in self.partitions)

    def set(self, partitions: tuple[Partition, ...]) -> None:
        self.partitions = partitions
        for callback in list(self._subscribers.values()):
            callback()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._next += 1
        token = self._next
        self._subscribers[token] = callback

        def unsubscribe() -> None:
            self._subscribers.pop(token, None)

        return unsubscribe

    def describe(self) -> dict[str, object]:
        return {"partitions": [p.describe() for p in self.partitions]}


class _FaultyDatagrams:
    def __init__(self, inner: Datagrams, underlay: FaultyUnderlay) -> None:
        self._inner = inner
        self._underlay = underlay

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        if to[0] in self._underlay.severed:
            self._underlay.dropped += 1
            return
        self._inner.send(data, to)

    def close(self) -> None:
        self._inner.close()


class _Severed(dict[str, bool]):
    """Answers of Faults.cut for this host by peer, so that a packet pays one look-up; `in` asks the cache."""

    def __init__(self, faults: Faults, own: str) -> None:
        super().__init__()
        self._faults, self._own = faults, own

    def __contains__(self, peer: object) -> bool:
        assert isinstance(peer, str)
        answer = self.get(peer)
        if answer is None:
            answer = self[peer] = self._faults.cut(self._own, peer)
        return answer


class FaultyUnderlay:
    """An underlay with cuts. Has the shape of what it wraps."""

    def __init__(self, inner: Underlay, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults
        self.address = inner.address
        self.counters = inner.counters
        self.dropped = 0
        self.severed = _Severed(faults, inner.address)
        self._gates: dict[Gate, str] = {}
        self._changed: dict[asyncio.Future[None], None] = {}
        faults.subscribe(self._apply)

    def _apply(self) -> None:
        self.severed.clear()
        for gate, peer in list(self._gates.items()):
            gate.set_open(peer not in self.severed)
        for waiter in list(self._changed):
            if not waiter.done():
                waiter.set_result(None)

    async def datagrams(self, port: int, receive: Receive) -> Datagrams:
        severed = self.severed

        def filtered(data: bytes, source: Address) -> None:
            if source[0] in severed:
                self.dropped += 1
                return
            receive(data, source)

        return _FaultyDatagrams(await self._inner.datagrams(port, filtered), self)

    async def listen(self, port: int, accept: Accept, *, tls: ssl.SSLContext | None = None) -> Listener:
        async def gated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
            gate = self._gate(reader, writer, peer[0])
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
        async with asyncio.timeout_at(end):
            while to[0] in self.severed:
                waiter: asyncio.Future[None] = loop.create_future()
                self._changed[waiter] = None
                try:
                    await waiter
                finally:
                    self._changed.pop(waiter, None)
        reader, writer = await self._inner.connect(to, deadline=max(0.0, end - loop.time()), tls=tls)
        gate = self._gate(reader, writer, to[0])
        return gate.reader, gate.writer

    def _gate(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> Gate:
        gate = Gate(reader, writer, on_close=self._forget)
        self._gates[gate] = peer
        gate.set_open(peer not in self.severed)
        return gate

    def _forget(self, gate: Gate) -> None:
        self._gates.pop(gate, None)
