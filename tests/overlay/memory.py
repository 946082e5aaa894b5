"""An underlay in memory: hosts of one LAN in one event loop, with cuts, and a record of what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from overlay.spec import Address

Receive = Callable[[bytes, Address], None]


@dataclass
class Network:
    """The wires. `sent` is (source, destination, datagram) in order."""

    ports: dict[Address, Receive] = field(default_factory=dict)
    sent: list[tuple[Address, Address, bytes]] = field(default_factory=list)
    cut: set[frozenset[str]] = field(default_factory=set)

    def host(self, address: str) -> MemoryUnderlay:
        return MemoryUnderlay(self, address)


class MemoryDatagrams:
    def __init__(self, network: Network, own: Address) -> None:
        self._network = network
        self._own = own

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        self._network.sent.append((self._own, to, bytes(data)))
        if frozenset((self._own[0], to[0])) in self._network.cut:
            return
        receive = self._network.ports.get(to)
        if receive is not None:
            asyncio.get_running_loop().call_soon(receive, bytes(data), self._own)

    def close(self) -> None:
        self._network.ports.pop(self._own, None)


class MemoryUnderlay:
    def __init__(self, network: Network, address: str) -> None:
        self._network = network
        self.address = address

    async def datagrams(self, port: int, receive: Receive) -> MemoryDatagrams:
        own = (self.address, port)
        if own in self._network.ports:
            raise OSError("in use")
        self._network.ports[own] = receive
        return MemoryDatagrams(self._network, own)
