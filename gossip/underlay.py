"""What gossip needs of a host's network: the way out that a daemon or a simulation hands in."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from gossip.swim.member import Address

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Address], Awaitable[None]]


class Datagrams(Protocol):
    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        """Never blocks, never raises."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class ReportsRefusals(Protocol):
    """Datagrams of an underlay that hears ICMP errors."""

    def on_refused(self, callback: Callable[[Address], None]) -> None:
        """Call with each destination whose host says that nobody has the port."""
        ...


class Listener(Protocol):
    async def close(self) -> None: ...


class Underlay(Protocol):
    @property
    def address(self) -> str: ...

    async def datagrams(self, port: int, receive: Callable[[bytes, Address], None]) -> Datagrams: ...

    async def listen(self, port: int, accept: Accept, *, tls: ssl.SSLContext | None = None) -> Listener: ...

    async def connect(
        self, to: Address, *, deadline: float, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """``deadline``: seconds from now. Raises TimeoutError or another OSError."""
        ...
