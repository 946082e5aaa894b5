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

from daemon.underlay.addresses import PORTS_PER_HOST
from scenarios.launch.errors import LaunchError

CLAIM_PORT = 4787
"""Next to the LAN's and VXLAN's ports; nothing is ever sent to it."""

_BLOCKS = range(2, 255)
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


def claim(hosts: int, *, only: int | None = None) -> tuple[int, socket.socket]:
    """A block whose claim and whose hosts' addresses are all free, and the socket that holds it while it is open.

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
        stranger = _first_taken([(real_address(block, n), port, kind) for n in range(1, hosts + 1)
                                 for port, kind in _NEEDED])  # fmt: skip
        if stranger is None:
            return block, holder
        taken = stranger
        holder.close()
    raise LaunchError(
        "no free block of loopback addresses 127.0.B.x" + (f": {taken} is in use, for one" if taken else "")
    )


def claim_ports(hosts: int, *, only: int | None = None) -> tuple[int, socket.socket]:
    """For machines with 127.0.0.1 alone: the first port P of a free range, held by a socket on P itself."""
    width = PORTS_PER_HOST * (hosts + 1)
    for base in range(20000, 32000 - width, width) if only is None else (only,):
        holder = _bind("127.0.0.1", base, socket.SOCK_STREAM)
        if holder is None:
            continue
        wanted = [("127.0.0.1", base + PORTS_PER_HOST * n + k, kind) for n in range(1, hosts + 1)
                  for k in range(PORTS_PER_HOST) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]  # fmt: skip
        if _first_taken(wanted) is None:
            return base, holder
        holder.close()
    raise LaunchError(f"no free range of {width} ports on 127.0.0.1 between 20000 and 32000")


def _first_taken(wanted: Sequence[tuple[str, int, socket.SocketKind]]) -> str | None:
    for address, port, kind in wanted:
        probe = _bind(address, port, kind, exclusive=False)
        if probe is None:
            return f"{address}:{port}"
        probe.close()
    return None
