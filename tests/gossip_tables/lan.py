"""A LAN in memory on a clock that jumps: nodes unchanged, minutes in milliseconds, cuts that are silent.

A cut drops datagrams, lets connects hang until their deadline, and holds what streams carry back until it heals.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

from gossip.node import GossipNode, Identity
from scenarios.exhaustive.disk import Disk

Address = tuple[str, int]
T = TypeVar("T")
LATENCY = 0.0002


class _Jump(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing will ever happen")
            self.loop.now += timeout
        return list(ready)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Waiting costs nothing: the clock goes to the next timer at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class _Wire(asyncio.Transport):
    """One end of a stream."""

    def __init__(self, lan: Lan, me: str, peer: str, reader: asyncio.StreamReader) -> None:
        super().__init__({"peername": (peer, 0)})
        self.lan, self.me, self.peer, self.reader = lan, me, peer, reader
        self.other: _Wire
        self.held: list[bytes | None] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closing:
            self.held.append(bytes(data))
            asyncio.get_running_loop().call_later(LATENCY, self.flush)

    def flush(self) -> None:
        if self.lan.cut(self.me, self.peer):
            return
        for data in self.held:
            if self.other.reader.at_eof() or self.other.closing:
                break
            if data is None:
                self.other.reader.feed_eof()
            else:
                self.other.reader.feed_data(data)
        self.held.clear()

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.held.append(None)
            asyncio.get_running_loop().call_later(LATENCY, self.flush)
            self.protocol.connection_lost(None)

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.held.append(None)
        asyncio.get_running_loop().call_later(LATENCY, self.flush)

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    protocol: asyncio.BaseProtocol


class Lan:
    """Who is bound where, and what is cut."""

    def __init__(self) -> None:
        self.sockets: dict[Address, Callable[[bytes, Address], None]] = {}
        self.listeners: dict[Address, Callable[..., Awaitable[None]]] = {}
        self.wires: list[_Wire] = []
        self.groups: list[list[str]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.lose: Callable[[bytes], bool] = lambda data: False

    def cut(self, one: str, two: str) -> bool:
        sides = [next((i for i, group in enumerate(self.groups) if host in group), -1) for host in (one, two)]
        return bool(self.groups) and sides[0] != sides[1]

    def partition(self, *groups: Sequence[str]) -> None:
        self.groups = [list(group) for group in groups]

    def heal(self) -> None:
        self.groups = []
        for wire in self.wires:
            wire.flush()

    def stream(self, me: str, peer: str) -> tuple[_Wire, asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        wire = _Wire(self, me, peer, reader)
        protocol = asyncio.StreamReaderProtocol(reader)
        wire.protocol = protocol
        writer = asyncio.StreamWriter(wire, protocol, reader, loop)
        protocol._transport = wire  # type: ignore[attr-defined]
        self.wires.append(wire)
        return wire, reader, writer


class _Socket:
    def __init__(self, lan: Lan, at: Address) -> None:
        self.lan, self.at = lan, at

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        packet = bytes(data)
        if not self.lan.cut(self.at[0], to[0]) and not self.lan.lose(packet) and self.at in self.lan.sockets:
            asyncio.get_running_loop().call_later(LATENCY, self._arrive, packet, to)

    def _arrive(self, packet: bytes, to: Address) -> None:
        receive = self.lan.sockets.get(to)
        if receive is not None:
            receive(packet, self.at)

    def close(self) -> None:
        self.lan.sockets.pop(self.at, None)


class _Listener:
    def __init__(self, lan: Lan, at: Address) -> None:
        self.lan, self.at = lan, at

    async def close(self) -> None:
        self.lan.listeners.pop(self.at, None)


class HostUnderlay:
    """One host's way out."""

    def __init__(self, lan: Lan, address: str) -> None:
        self.lan, self.address = lan, address

    async def datagrams(self, port: int, receive: Callable[[bytes, Address], None]) -> _Socket:
        self.lan.sockets[self.address, port] = receive
        return _Socket(self.lan, (self.address, port))

    async def listen(self, port: int, accept: Callable[..., Awaitable[None]], *, tls: object = None) -> _Listener:
        self.lan.listeners[self.address, port] = accept
        return _Listener(self.lan, (self.address, port))

    async def connect(
        self, to: Address, *, deadline: float, tls: object = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.lan.cut(self.address, to[0]):
            await asyncio.sleep(deadline)
            raise TimeoutError
        accept = self.lan.listeners.get(to)
        if accept is None:
            raise ConnectionRefusedError
        near, reader, writer = self.lan.stream(self.address, to[0])
        far, far_reader, far_writer = self.lan.stream(to[0], self.address)
        near.other, far.other = far, near

        async def serve() -> None:
            await accept(far_reader, far_writer, (self.address, 40000))

        self.lan.tasks.append(asyncio.create_task(serve()))
        return reader, writer

    def crash(self) -> None:
        """The process is gone: nothing is sent or heard any more, its peers' streams end."""
        for at in [at for at in self.lan.sockets if at[0] == self.address]:
            del self.lan.sockets[at]
        for at in [at for at in self.lan.listeners if at[0] == self.address]:
            del self.lan.listeners[at]


class Swarm:
    """Nodes h1, h2, … on one LAN; a node's disk outlives it."""

    def __init__(self, everybody: int = 100, *, interest_only: bool = False) -> None:
        self.lan = Lan()
        self.everybody = everybody
        self.interest_only = interest_only
        self.disks: dict[int, Disk] = {}
        self.nodes: dict[int, GossipNode] = {}
        self.underlays: dict[int, HostUnderlay] = {}

    @staticmethod
    def id(n: int) -> str:
        return f"h{n}".ljust(25, "x")

    @staticmethod
    def address(n: int) -> str:
        return f"192.0.2.{n}"

    async def boot(self, n: int, admitted_with: Sequence[bytes] = ()) -> GossipNode:
        random = Random(f"{n} {self.disks.setdefault(n, Disk()).commits}")
        identity = Identity(self.id(n), f"h{n}", "cluster", self.address(n))
        self.underlays[n] = HostUnderlay(self.lan, self.address(n))
        node = GossipNode(
            identity,
            keys=[b"k" * 32],
            role="manager",
            underlay=self.underlays[n],
            storage=self.disks[n],
            random=random,
            entropy=random.randbytes,
            everybody=self.everybody,
            interest_only=self.interest_only,
            admitted_with=admitted_with,
        )
        self.nodes[n] = node
        await node.start()
        return node

    async def add(self, n: int, via: int = 1) -> GossipNode:
        """A new node; a manager admits it, then it joins by that manager."""
        if n == via:
            node = await self.boot(n)
            node.roster.admit(self.id(n), f"h{n}", "manager", self.address(n))
            return node
        self.nodes[via].roster.admit(self.id(n), f"h{n}", "manager", self.address(n))
        node = await self.boot(n, self.nodes[via].roster.packed())
        assert await node.join([(self.address(via), 7946)]) == 1
        assert await node.synced(5)
        return node

    async def up(self, count: int) -> list[GossipNode]:
        for n in range(1, count + 1):
            await self.add(n)
        await self.until(lambda: all(len(node.live_peers()) == count - 1 for node in self.nodes.values()), 5)
        return [self.nodes[n] for n in range(1, count + 1)]

    async def kill(self, n: int) -> None:
        """As kill -9: the tasks are ended only after nobody can hear the node any more."""
        self.underlays[n].crash()
        disk = dict(self.disks[n].kept)
        await self.nodes.pop(n).stop()
        self.disks[n].kept = disk

    async def until(self, condition: Callable[[], bool], within: float) -> float:
        """Wait until a condition holds, looking at each virtual millisecond; how long it took."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while not condition():
            assert loop.time() - since < within, f"not within {within} s"
            await asyncio.sleep(0.001)
        return loop.time() - since

    async def down(self) -> None:
        for node in list(self.nodes.values()):
            await node.stop()
        for task in self.lan.tasks:
            task.cancel()
        await asyncio.gather(*self.lan.tasks, return_exceptions=True)

    def tables(self, *names: str) -> list[object]:
        """What each node shows of some tables: equal when they are in step."""
        return [[node.rows(name) for name in names] for node in self.nodes.values()]
