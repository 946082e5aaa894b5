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
    """`address` is 0.0.0.0 or one of the host's. `bound` says after `open` where the machine has it."""

    def __init__(
        self,
        host: Sandbox,
        gateway: Gateway,
        real_ports: RealPorts,
        *,
        protocol: str,
        address: str,
        port: int,
        target: Address,
        counters: Counter[str],
    ) -> None:
        self.protocol = protocol
        self.address = address
        self.port = port
        self.bound: list[Address] = []
        self._host = host
        self._gateway = gateway
        self._real_ports = real_ports
        self._target = target
        self._counters = counters
        self._tasks = Nursery(_CONNECTIONS)
        self._listener: TcpListener | None = None
        self._socket: UdpSocket | None = None
        self._relay: UdpRelay | None = None
        self._real_relay: UdpRelay | None = None
        self._real_listener: RealListener | None = None
        self._real_socket: RealDatagrams | None = None
        self._rule: Forward | None = None

    async def open(self) -> None:
        """PublishFailed with docker-proxy's text when the host's stack cannot bind it."""
        try:
            if self.protocol == "tcp":
                self._listener = self._host.tcp_listen(self.address, self.port)
            else:
                self._socket = self._host.udp_open(self.address, self.port)
        except OSError as error:
            where = f"{self.protocol}4 {self.address}:{self.port}"
            raise PublishFailed(f"Error starting userland proxy: listen {where}: bind: {_text(error)}") from error
        if not self.address.startswith("127."):
            anywhere = "" if self.address == "0.0.0.0" else self.address
            self._rule = Forward(self.protocol, anywhere, self.port, *self._target)
            self._gateway.add_forward(self._rule)
        if self._listener is not None:
            self._tasks.spawn(self._serve(self._listener))
            self._real_listener = await self._real_ports.listen_tcp(self.address, self.port, self._accept_real)
            if self._real_listener is not None:
                self.bound.extend(self._real_listener.bound)
        elif self._socket is not None:
            self._relay = UdpRelay(self._host, self._target, self._answer, counters=self._counters)
            self._tasks.spawn(self._serve_udp(self._socket, self._relay))
            self._real_relay = UdpRelay(self._host, self._target, self._answer_real, counters=self._counters)
            self._real_socket = await self._real_ports.bind_udp(self.address, self.port, self._real_relay.receive)
            if self._real_socket is not None:
                self.bound.extend(self._real_socket.bound)

    async def close(self) -> None:
        """Stop listening everywhere and cut what goes through."""
        if self._rule is not None:
            self._gateway.remove_forward(self._rule)
        if self._listener is not None:
            self._listener.close()
        if self._socket is not None:
            self._socket.close()
        if self._real_listener is not None:
            await self._real_listener.close()
        if self._real_socket is not None:
            self._real_socket.close()
        for udp in (self._relay, self._real_relay):
            if udp is not None:
                await udp.close()
        await self._tasks.close()

    async def _serve(self, listener: TcpListener) -> None:
        while True:
            connection = await listener.accept()
            if not self._tasks.spawn(self._carry(connection)):
                self._counters["publish_dropped_connections"] += 1
                connection.abort()

    async def _carry(self, connection: TcpConnection) -> None:
        try:
            target = await connect(self._host, self._target)
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
