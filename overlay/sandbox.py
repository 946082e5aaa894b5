"""A container's network namespace: a user-space stack (overlay/stack) moved by one asyncio pump.

Ports only enqueue; the first frame schedules one pump with `call_soon`, which drains a bounded batch; one
`call_at` per sandbox stands for all of the stack's timers. So the cost of the event loop is paid per burst.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from random import Random

from overlay.port import Port
from overlay.sockets import (
    Address,
    IcmpReceived,
    IcmpSocket,
    SocketInfo,
    TcpConnection,
    TcpListener,
    UdpSocket,
)
from overlay.stack.hooks import Hooks

__all__ = [
    "Address",
    "Capture",
    "Captured",
    "Counters",
    "IcmpReceived",
    "IcmpSocket",
    "Interface",
    "Neighbour",
    "Route",
    "Sandbox",
    "SocketInfo",
    "TcpConnection",
    "TcpListener",
    "UdpSocket",
]


@dataclass(slots=True)
class Counters:
    """What /proc/net/dev counts."""

    rx_packets: int = 0
    rx_bytes: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(slots=True)
class Interface:
    """An interface as `ip addr` shows it. `mac` and `addresses` ("10.0.1.2/24") are text."""

    name: str
    index: int
    mac: str
    mtu: int
    addresses: list[str]
    up: bool = True
    loopback: bool = False
    counters: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True)
class Route:
    """One line of `ip route`. `via` and `source` are None where there is none; `scope_link`: made by an address."""

    destination: str
    via: str | None
    interface: str
    source: str | None
    metric: int = 0
    kernel: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One line of `ip neigh`. `state`: REACHABLE, STALE, INCOMPLETE, FAILED, PERMANENT. `mac` None when not known."""

    ip: str
    mac: str | None
    interface: str
    state: str


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame that passed an interface. `when` in seconds of the loop's clock; `outgoing` seen from the sandbox."""

    when: float
    interface: str
    frame: bytes
    outgoing: bool


class Capture:
    """An async iterator of `Captured`, newest dropped when nobody reads (`dropped`); `close()` ends the iteration."""

    dropped: int

    def __aiter__(self) -> AsyncIterator[Captured]:
        raise NotImplementedError

    def close(self) -> None:
        """End it: the iteration stops."""
        raise NotImplementedError


class Sandbox:
    """One network namespace. Make it anywhere; use it inside a running event loop. Has lo (127.0.0.1/8)."""

    name: str
    hooks: Hooks
    forwarding: bool

    def __init__(self, name: str, *, random: Random) -> None:
        raise NotImplementedError

    def add_interface(
        self, name: str, *, mac: str, mtu: int, addresses: Sequence[str], port: Port, index: int | None = None
    ) -> Interface:
        """Plug a cable in. Each address brings its link route. ValueError: the name is taken. Announces its
        addresses by gratuitous ARP."""
        raise NotImplementedError

    def remove_interface(self, name: str) -> None:
        """Pull it out: its addresses, routes and neighbours go; KeyError if there is none of that name."""
        raise NotImplementedError

    def set_up(self, name: str, up: bool) -> None:
        """`ip link set NAME up|down`: down drops both ways; routes come back with up."""
        raise NotImplementedError

    def interfaces(self) -> list[Interface]:
        """By index; live objects (counters go on)."""
        raise NotImplementedError

    def add_address(self, interface: str, cidr: str) -> None:
        """Add "10.0.1.2/24" with its link route; OSError(EEXIST) if it is there already."""
        raise NotImplementedError

    def remove_address(self, interface: str, cidr: str) -> None:
        """OSError(EADDRNOTAVAIL) if it is not there."""
        raise NotImplementedError

    def add_route(
        self,
        destination: str,
        *,
        via: str | None = None,
        interface: str | None = None,
        source: str | None = None,
        metric: int = 0,
    ) -> None:
        """"0.0.0.0/0" is the default route. Without `interface` it is the one through which `via` is reached;
        OSError(ENETUNREACH) if that is none, OSError(EEXIST) for the same destination and metric."""
        raise NotImplementedError

    def remove_route(self, destination: str, *, via: str | None = None, interface: str | None = None) -> None:
        """Remove the first that fits; OSError(ESRCH) if none does."""
        raise NotImplementedError

    def routes(self) -> list[Route]:
        """As `ip route` orders them: default first, then by destination. lo's are not shown."""
        raise NotImplementedError

    def neighbours(self) -> list[Neighbour]:
        """The ARP cache."""
        raise NotImplementedError

    def add_neighbour(self, ip: str, mac: str, interface: str) -> None:
        """A permanent entry."""
        raise NotImplementedError

    def remove_neighbour(self, ip: str, interface: str) -> None:
        """Forget an entry, permanent or learned; nothing happens if there is none."""
        raise NotImplementedError

    async def tcp_connect(
        self,
        address: str,
        port: int,
        *,
        source: str | None = None,
        source_port: int = 0,
        timeout: float | None = None,
    ) -> TcpConnection:
        """Connect; `timeout` in seconds (else as Linux: about 130 s of SYNs, then ETIMEDOUT)."""
        raise NotImplementedError

    def tcp_listen(self, address: str, port: int, *, backlog: int = 128) -> TcpListener:
        """Listen ("0.0.0.0" for all; port 0 picks one). OSError: EADDRINUSE, EADDRNOTAVAIL."""
        raise NotImplementedError

    def udp_open(self, address: str = "0.0.0.0", port: int = 0) -> UdpSocket:
        """Bind; port 0 picks one of 32768–60999. OSError: EADDRINUSE, EADDRNOTAVAIL."""
        raise NotImplementedError

    def icmp_open(self) -> IcmpSocket:
        """A raw ICMP socket."""
        raise NotImplementedError

    def capture(self, interface: str | None = None, *, limit: int = 1024) -> Capture:
        """Frames of one interface or of all (lo too), both directions, from now on; at most `limit` unread."""
        raise NotImplementedError

    def sockets(self) -> list[SocketInfo]:
        """What ss and netstat show, listeners first."""
        raise NotImplementedError

    async def close(self) -> None:
        """Reset all connections, wake all waiters with OSError, drop timers. Idempotent."""
        raise NotImplementedError
