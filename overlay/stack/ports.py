"""Ports: ephemeral ones (Linux's range, from a random start: RFC 6056, algorithm 1), and connections by theirs."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from random import Random

FIRST = 32768
LAST = 60999


def ephemeral(random: Random, is_free: Callable[[int], bool]) -> int:
    """A port for which `is_free` holds; OSError(EADDRINUSE) if there is none."""
    count = LAST - FIRST + 1
    start = random.randrange(count)
    for step in range(count):
        port = FIRST + (start + step) % count
        if is_free(port):
            return port
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def connection_key(remote_ip: bytes, local_ip: bytes, remote_port: int, local_port: int) -> bytes:
    """What a segment that arrives for a connection shows: source, destination, source port, destination port."""
    return remote_ip + local_ip + remote_port.to_bytes(2, "big") + local_port.to_bytes(2, "big")
