"""The machine's own network for the LAN's router: sockets that any user may open."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from daemon.underlay.contract import Address

_RESOLV_CONF = Path("/etc/resolv.conf")
_DNS_PORT = 53
_DRAIN = 64
_MAX_DATAGRAM = 65535
_ECHO = struct.Struct("!BBHHH")
_ECHO_REQUEST, _ECHO_REPLY = 8, 0


class ConnectedUdp:
    """One UDP socket towards one destination; `refused` is called when the destination says that nobody listens."""

    def __init__(self, to: Address, receive: Callable[[bytes], None], refused: Callable[[], None]) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._receive = receive
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        try:
            self._sock.setblocking(False)
            self._sock.connect(to)
        except OSError:
            self._sock.close()
            raise
        self._loop.add_reader(self._sock.fileno(), self._drain)

    def _drain(self) -> None:
        for _ in range(_DRAIN):
            try:
                data = self._sock.recv(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                self._refused()
                return
            except OSError:
                return
            self._receive(data)

    def send(self, data: bytes) -> None:
        """Never raises: what cannot be sent is lost, as datagrams are."""
        try:
            self._sock.send(data)
        except ConnectionRefusedError:
            self._refused()
        except OSError:
            return

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()


class SocketUplink:
    """TCP, UDP, echo requests, and the resolvers that the machine uses."""

    @property
    def resolvers(self) -> list[Address]:
        """Of resolv.conf(5), as it is now."""
        try:
            lines = _RESOLV_CONF.read_text(errors="replace").splitlines()
        except OSError:
            return []
        words = [line.split() for line in lines if line.startswith("nameserver")]
        return [(each[1], _DNS_PORT) for each in words if len(each) > 1 and ":" not in each[1]]

    async def connect(self, to: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*to)

    def datagrams(self, to: Address, receive: Callable[[bytes], None], refused: Callable[[], None]) -> ConnectedUdp:
        return ConnectedUdp(to, receive, refused)

    async def echo(self, to: str, sequence: int, payload: bytes) -> bytes:
        """The payload of the reply. OSError(EACCES) where users may not (net.ipv4.ping_group_range, icmp(7))."""
        try:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        except OSError as error:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES)) from error
        loop = asyncio.get_running_loop()
        with sock:
            sock.setblocking(False)
            sock.connect((to, 0))
            # The kernel fills in the identifier and the checksum.
            await loop.sock_sendall(sock, _ECHO.pack(_ECHO_REQUEST, 0, 0, 0, sequence) + payload)
            while True:
                answer = await loop.sock_recv(sock, _MAX_DATAGRAM)
                if len(answer) >= _ECHO.size:
                    kind, _, _, _, number = _ECHO.unpack_from(answer)
                    if kind == _ECHO_REPLY and number == sequence:
                        return answer[_ECHO.size :]
