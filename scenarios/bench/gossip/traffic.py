"""Counts what members send, from outside: packets on the loopback device between the addresses of one cluster.

Needs a packet socket (root, or CAP_NET_RAW). A socket of one protocol sees each packet of the loopback device once, as
it arrives. Bytes are those of IP packets, headers included.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_ETH_P_IP = 0x0800
_SO_ATTACH_FILTER = 26
_TRANSPORTS = (socket.IPPROTO_UDP, socket.IPPROTO_TCP)
_BUFFER = 8 * 1024 * 1024
_HEADER = 64
_LOAD_WORD, _AND, _JUMP_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06


@dataclass(frozen=True, slots=True)
class Traffic:
    packets: int
    octets: int


class Meter:
    """Counts between ``start`` and ``read``; ``block`` is B of 127.0.B.x, ``port`` the gossip port, UDP and TCP."""

    def __init__(self, block: int, port: int) -> None:
        """Raises PermissionError where packet sockets are not allowed."""
        self._port = port
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        network = struct.unpack("!I", bytes((127, 0, block, 0)))[0]
        program = (
            (_LOAD_WORD, 0, 0, 16),  # the destination in the IP header
            (_AND, 0, 0, 0xFFFFFF00),
            (_JUMP_EQUAL, 0, 1, network),
            (_RETURN, 0, 0, 0x40000),
            (_RETURN, 0, 0, 0),
        )
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
        filter_ = struct.pack("HP", len(program), ctypes.addressof(code))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.setblocking(False)
        self._socket.bind(("lo", _ETH_P_IP))

    def start(self) -> None:
        """Forget what was seen so far."""
        self._drain()

    def read(self) -> Traffic:
        return self._drain()

    def _drain(self) -> Traffic:
        packets = octets = 0
        while True:
            try:
                head = self._socket.recv(_HEADER)
            except BlockingIOError:
                return Traffic(packets, octets)
            if len(head) < 24 or head[9] not in _TRANSPORTS:
                continue
            start = (head[0] & 0x0F) * 4
            if self._port in struct.unpack_from("!HH", head, start):
                packets += 1
                octets += struct.unpack_from("!H", head, 2)[0]

    def close(self) -> None:
        self._socket.close()


def allowed() -> bool:
    """Whether this process may open packet sockets."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
    except OSError:
        return False
    return True


_INSIDE = "SHOAL_BENCH_NAMESPACE"
_FLAGS = struct.Struct("16sh14x")
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def enter_namespace(module: str, argv: Sequence[str]) -> None:
    """An unprivileged user may count packets on a loopback of his own: start ``module`` again in a user and network
    namespace. Returns where that cannot be had, and inside of it."""
    if os.environ.get(_INSIDE):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            _, flags = _FLAGS.unpack(fcntl.ioctl(any_socket, _SIOCGIFFLAGS, _FLAGS.pack(b"lo", 0)))
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _FLAGS.pack(b"lo", flags | _IFF_UP))
        return
    unshare = shutil.which("unshare")
    if allowed() or unshare is None:
        return
    if subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        return
    os.environ[_INSIDE] = "1"
    os.execv(unshare, [unshare, "-rn", sys.executable, "-m", module, *argv])
