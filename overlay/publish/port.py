"""One published port while it is open: a listener in the host's stack, the translation for the LAN, real sockets."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter

from overlay.nat.gateway import Forward, Gateway
from overlay.nursery import Nursery
from overlay.publish.relay import RealStream, UdpRelay, connect, relay
from overlay.sandbox import Sandbox, TcpConnection, TcpListener, UdpSocket
from overlay.spec import Address, PublishFailed, RealDatagrams, RealListener, RealPorts

_CONNECTIONS = 1024


class OpenPort:
    """`address` is 0.0.0.0, ::, or one of the host's. `bound` says after `open` where the machine has it.

    With `both` 0.0.0.0 is :: as well, which leads to `target6` if the container has an address of IPv6: docker-proxy's
    two halves.
    """

    def __init__(
        self,
        host: Sandbox,
        gateway: Gateway,
        real_ports: RealPorts,
        *,
        protocol: str,
        address: str,
        both: bool,
        port: int,
        target: Address,
        target6: Address | None = None,
        counters: Counter[str],
    ) -> None:
        self.protocol = protocol
        self.address = address
        self.both = both and address == "0.0.0.0"
        self.port = port
        self.bound: list[Address] = []
        self.refused: list[str] = []
        self._host = host
        self._gateway = gateway
        self._real_ports = real_ports
        self._target = (target6 or target) if ":" in address else target
        self._target6 = target6 or target
        self._counters = counters
        self._tasks = Nursery(_CONNECTIONS)
        self._listener: TcpListener | None = None
        self._listener6: TcpListener | None = None
        self._socket: UdpSocket | None = None
        self._socket6: UdpSocket | None = None
        self._relay: UdpRelay | None = None
        self._relay6: UdpRelay | None = None
        self._real_relay: UdpRelay | None = None
        self._real_listener: RealListener | None = None
        self._real_socket: RealDatagrams | None = None
        self._rule: Forward | None = None

    async def open(self) -> None:
        """PublishFailed with docker-proxy's text when the host's stack cannot bind it."""
        six = ":" in self.address
        try:
            if self.protocol == "tcp":
                self._listener = self._host.tcp_listen(self.address, self.port, only6=six)
                if self.both:
                    self._listener6 = self._host.tcp_listen("::", self.port, only6=True)
            else:
                self._socket = self._host.udp_open(self.address, self.port, only6=six)
                if self.both:
                    self._socket6 = self._host.udp_open("::", self.port, only6=True)
        except OSError as error:
            host = f"[{self.address}]" if six else self.address
            where = f"{self.protocol}{6 if six else 4} {host}:{self.port}"
            raise PublishFailed(f"Error starting userland proxy: listen {where}: bind: {_text(error)}") from error
        if not self.address.startswith("127.") and not six:
            anywhere = "" if self.address == "0.0.0.0" else self.address
            self._rule = Forward(self.protocol, anywhere, self.port, *self._target)
            self._gateway.add_forward(self._rule)
        if self._listener is not None:
            self._tasks.spawn(self._serve(self._listener, self._target))
            if self._listener6 is not None:
                self._tasks.spawn(self._serve(self._listener6, self._target6))
            if six:
                return  # the machine's sockets are IPv4's
            self._real_listener = await self._real_ports.listen_tcp(self.address, self.port, self._accept_real)
            if self._real_listener is not None:
                self.bound.extend(self._real_listener.bound)
                self.refused.extend(self._real_listener.refused)
        elif self._socket is not None:
            self._relay = UdpRelay(self._host, self._target, self._answer, counters=self._counters)
            self._tasks.spawn(self._serve_udp(self._socket, self._relay))
            if self._socket6 is not None:
                self._relay6 = UdpRelay(self._host, self._target6, self._socket6.sendto, counters=self._counters)
                self._tasks.spawn(self._serve_udp(self._socket6, self._relay6))
            if six:
                return
            self._real_relay = UdpRelay(self._host, self._target, self._answer_real, counters=self._counters)
            self._real_socket = await self._real_ports.bind_udp(self.address, self.port, self._real_relay.receive)
            if self._real_socket is not None:
                self.bound.extend(self._real_socket.bound)
                self.refused.extend(self._real_socket.refused)

    async def close(self) -> None:
        """Stop listening everywhere and cut what goes through."""
        if self._rule is not None:
            self._gateway.remove_forward(self._rule)
        for each in (self._listener, self._listener6, self._socket, self._socket6):
            if each is not None:
                each.close()
        if self._real_listener is not None:
            await self._real_listener.close()
        if self._real_socket is not None:
            self._real_socket.close()
        for udp in (self._relay, self._relay6, self._real_relay):
            if udp is not None:
                await udp.close()
        await self._tasks.close()

    async def _serve(self, listener: TcpListener, target: Address) -> None:
        while True:
            connection = await listener.accept()
            if not self._tasks.spawn(self._carry(connection, target)):
                self._counters["publish_dropped_connections"] += 1
                connection.abort()

    async def _carry(self, connection: TcpConnection, to: Address) -> None:
        try:
            target = await connect(self._host, to)
        except OSError:
            connection.abort()
            raise
        await relay(connection, target)

    async def _accept_real(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
        target = await connect(self._host, self._target)
        await relay(RealStream(reader, writer), target)

    async def _serve_udp(self, socket: UdpSocket, udp: UdpRelay) -> None:
        while True:
            udp.receive(*await socket.recvfrom())

    def _answer(self, data: bytes, to: Address) -> None:
        if self._socket is not None:
            self._socket.sendto(data, to)

    def _answer_real(self, data: bytes, to: Address) -> None:
        if self._real_socket is not None:
            self._real_socket.send(data, to)


def _text(error: OSError) -> str:
    """Go's words for an errno."""
    return os.strerror(error.errno or errno.EIO).lower()
