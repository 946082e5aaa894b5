"""A free block of loopback addresses for each swarm of the machine, taken atomically and without a file.

Host N of a swarm binds its real sockets on 127.0.B.N. Block B is held by a bound socket at 127.0.B.254 that every
daemon of the swarm inherits and never looks at: the kernel gives an address and port to one holder only, and takes
it back when the last daemon is gone, however it went. So nothing can be stale, ten launchers may ask at once, and
each network namespace (which has a loopback of its own) counts for itself.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.underlay.addresses import PORTS_PER_HOST
from scenarios.launch.errors import LaunchError

CLAIM_PORT = 4787
"""Next to the LAN's and VXLAN's ports; nothing is ever sent to it."""

_BLOCKS = range(2, 255)
_FIRST_PORT, _LAST_PORT = 20000, 32000
_HOSTS_PER_STRETCH = 16
_STRETCH = PORTS_PER_HOST * _HOSTS_PER_STRETCH
_NEEDED = ((7946, socket.SOCK_DGRAM), (7946, socket.SOCK_STREAM), (4789, socket.SOCK_DGRAM),
           (4788, socket.SOCK_DGRAM), (2377, socket.SOCK_STREAM))  # fmt: skip


def real_address(block: int, number: int) -> str:
    """The loopback address that stands for host `number` (1…)."""
    return f"127.0.{block}.{number}"


def _bind(address: str, port: int, kind: socket.SocketKind, *, exclusive: bool = True) -> socket.socket | None:
    """A bound socket, None if it is taken; raises OSError when the address cannot be had at all.

    Not `exclusive`: connections of an earlier swarm that still sit in TIME_WAIT do not count, listeners do.
    """
    bound = socket.socket(socket.AF_INET, kind)
    if not exclusive and kind is socket.SOCK_STREAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return None
        raise
    return bound


@dataclass(frozen=True, slots=True)
class Claim:
    """What a swarm holds of this machine's addresses, for as long as one of `sockets` is open anywhere.

    `where` is the block B of 127.0.B.x, or the first port.
    """

    where: int
    sockets: tuple[socket.socket, ...]

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        for held in self.sockets:
            held.close()

    def descriptors(self) -> tuple[int, ...]:
        return tuple(held.fileno() for held in self.sockets)


def claim(hosts: int, *, only: int | None = None) -> Claim:
    """A block whose claim and whose hosts' addresses are all free.

    `only` asks for one certain block (to come back to it). Raises LaunchError when none is free, or when this
    machine gives no loopback addresses but 127.0.0.1.
    """
    taken: str | None = None
    for block in _BLOCKS if only is None else (only,):
        try:
            holder = _bind(real_address(block, 254), CLAIM_PORT, socket.SOCK_STREAM)
        except OSError as error:
            raise LaunchError(
                f"cannot bind {real_address(block, 254)} ({error.strerror}): this machine has 127.0.0.1 only; "
                "use --addresses ports"
            ) from error
        if holder is None:
            continue
        stranger = _first_taken(
            [(real_address(block, n), port, kind) for n in range(1, hosts + 1) for port, kind in _NEEDED]
        )
        if stranger is None:
            return Claim(block, (holder,))
        taken = stranger
        holder.close()
    raise LaunchError(
        "no free block of loopback addresses 127.0.B.x" + (f": {taken} is in use, for one" if taken else "")
    )


def claim_ports(hosts: int, *, only: int | None = None) -> Claim:
    """For machines with 127.0.0.1 alone: a free range of ports. Each stretch of it is held by a socket on its first
    port, which no host uses, so that swarms of different sizes cannot overlap."""
    stretches = (hosts + 1 + _HOSTS_PER_STRETCH - 1) // _HOSTS_PER_STRETCH
    bases = range(_FIRST_PORT, _LAST_PORT - stretches * _STRETCH, _STRETCH) if only is None else (only,)
    for base in bases:
        held = [_bind("127.0.0.1", base + k * _STRETCH, socket.SOCK_STREAM) for k in range(stretches)]
        sockets = tuple(one for one in held if one is not None)
        wanted = [("127.0.0.1", base + PORTS_PER_HOST * n + k, kind) for n in range(1, hosts + 1)
                  for k in range(1, PORTS_PER_HOST) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]  # fmt: skip
        if len(sockets) == stretches and _first_taken(wanted) is None:
            return Claim(base, sockets)
        for one in sockets:
            one.close()
    raise LaunchError(f"no free range of {stretches * _STRETCH} ports between {_FIRST_PORT} and {_LAST_PORT}")


def _first_taken(wanted: Sequence[tuple[str, int, socket.SocketKind]]) -> str | None:
    for address, port, kind in wanted:
        probe = _bind(address, port, kind, exclusive=False)
        if probe is None:
            return f"{address}:{port}"
        probe.close()
    return None
