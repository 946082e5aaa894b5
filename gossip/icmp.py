"""ICMP errors about our own datagrams: what the kernel of a host says when nobody has the port any more.

Linux keeps them for a UDP socket that asks (IP_RECVERR, ip(7)) in a queue of their own, with the destination of the
datagram that they are about. They are evidence that a process is gone, and come within a round trip. Anybody who sees
our packets could forge them: so they are a reason to probe at once, and no more.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys

from gossip.swim.member import Address

_IP_RECVERR = 11
_ORIGIN_ICMP = 2
_ERROR = struct.Struct("=IBBBBII")
"""sock_extended_err: errno, origin, type, code, pad, info, data."""
_MOST = 64
"""Errors read at one time."""


def listen(sock: socket.socket) -> bool:
    """Ask the kernel to keep errors. False where it cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    except OSError:
        return False
    return True


def refused(sock: socket.socket) -> list[Address]:
    """Destinations that answered "port unreachable" since the last call; the socket's error is cleared by it."""
    found: dict[Address, None] = {}
    for _ in range(_MOST):
        try:
            _, control, _, where = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:
            break
        for level, kind, data in control:
            if (level, kind) != (socket.IPPROTO_IP, _IP_RECVERR) or len(data) < _ERROR.size:
                continue
            number, origin, *_ = _ERROR.unpack_from(data)
            if origin == _ORIGIN_ICMP and number == errno.ECONNREFUSED:
                found[(where[0], where[1])] = None
    return list(found)
