"""What a host may ask of the network between hosts. Addresses are those of the LAN, never the machine's."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol

Address = tuple[str, int]
Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Address], Awaitable[None]]
Receive = Callable[[bytes, Address], None]

GOSSIP_PORT = 7946
VXLAN_PORT = 4789
LAN_PORT = 4788
CLUSTER_PORT = 2377


class Datagrams(Protocol):
    """A bound datagram port."""

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        """Never blocks and never raises: what cannot leave is dropped and counted."""

    def close(self) -> None: ...


class Listener(Protocol):
    """A bound stream port; closing it ends the connections that it accepted."""

    async def close(self) -> None: ...


class Underlay(Protocol):
    """Sockets in a process, an in-memory network in a simulation."""

    @property
    def address(self) -> str:
        """This host's address on the LAN; what leaves bears it as its source."""

    @property
    def counters(self) -> Counter[str]:
        """What was dropped on the way in or out, by reason."""

    async def datagrams(self, port: int, receive: Receive) -> Datagrams:
        """Bind a datagram port. Raises OSError when it is taken."""

    async def listen(self, port: int, accept: Accept, *, tls: ssl.SSLContext | None = None) -> Listener:
        """Accept streams; each runs `accept` in a task of the listener's. Raises OSError when the port is taken."""

    async def connect(
        self, to: Address, *, deadline: float, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a stream within `deadline` seconds. Raises TimeoutError or OSError."""


def kind_of(port: int) -> str:
    """The name under which traffic of a port is counted and captured."""
    return {GOSSIP_PORT: "gossip", VXLAN_PORT: "vxlan", LAN_PORT: "lan", CLUSTER_PORT: "cluster"}.get(port, "other")
