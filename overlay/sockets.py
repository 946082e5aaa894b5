"""The asyncio face of the stack's sockets: what programs inside a container await.

Addresses at this edge are `(dotted quad, port)`. Errors are OSError with errno set: ECONNREFUSED, ETIMEDOUT,
EHOSTUNREACH, ENETUNREACH, ECONNRESET, EADDRINUSE, EADDRNOTAVAIL, EMSGSIZE, EBADF after close.
"""

from __future__ import annotations

from dataclasses import dataclass

Address = tuple[str, int]


class TcpConnection:
    """An established connection. `local` and `peer` stay readable after close."""

    local: Address
    peer: Address

    async def read(self, n: int = 65536) -> bytes:
        """Between 1 and `n` bytes as soon as there are some; b"" at the peer's FIN; OSError if it broke."""
        raise NotImplementedError

    async def readexactly(self, n: int) -> bytes:
        """Exactly `n` bytes; asyncio.IncompleteReadError at an early end."""
        raise NotImplementedError

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue all of `data`, waiting while the send buffer is full; OSError if the connection broke."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Wait until the peer has acknowledged everything written (and the FIN, if shut down)."""
        raise NotImplementedError

    def shutdown_write(self) -> None:
        """Send FIN after what is queued; reading goes on (half-close)."""
        raise NotImplementedError

    def close(self) -> None:
        """Orderly end in the background: FIN after what is queued; unread data makes it a RST, as in Linux."""
        raise NotImplementedError

    def abort(self) -> None:
        """RST now."""
        raise NotImplementedError

    def set_keepalive(self, idle: float | None, interval: float = 75.0, probes: int = 9) -> None:
        """Probe an idle peer after `idle` seconds, None switches it off."""
        raise NotImplementedError

    def set_nodelay(self, on: bool) -> None:
        """TCP_NODELAY: do not wait to fill segments (Nagle, RFC 9293 3.7.4)."""
        raise NotImplementedError


class TcpListener:
    """A listening socket."""

    local: Address

    async def accept(self) -> TcpConnection:
        """The next established connection; OSError(EBADF) once closed."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop listening; connections not accepted yet are reset."""
        raise NotImplementedError


class UdpSocket:
    """A UDP socket; what nobody reads in time is dropped at a bound, and counted in `dropped`."""

    local: Address
    dropped: int

    def sendto(self, data: bytes, to: Address | None = None) -> None:
        """Send one datagram (to the connected peer when `to` is None). OSError: ENETUNREACH, EMSGSIZE,
        or the pending error of an earlier one when connected (ECONNREFUSED after a port unreachable)."""
        raise NotImplementedError

    async def recvfrom(self) -> tuple[bytes, Address]:
        """The next datagram and who sent it; when connected also raises ICMP errors as OSError."""
        raise NotImplementedError

    def connect(self, to: Address) -> None:
        """Fix the peer: only its datagrams are received, ICMP errors are reported, `local` gets its address."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the port back; a waiting recvfrom gets OSError(EBADF)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class IcmpReceived:
    """An echo reply (type 0) or an error (3 unreachable, 11 time exceeded) about one of our echo requests.

    `source` is who sent it (the router for an error), `ttl` the TTL it arrived with, `ident`/`seq` those of the
    echo (taken from the quoted packet in an error), `payload` the echo's data (or what was quoted of it),
    `when` the arrival in seconds of the loop's clock, `destination` whom the echo was for,
    `mtu` the next hop's MTU of a "fragmentation needed" (else 0).
    """

    source: str
    ttl: int
    type: int
    code: int
    ident: int
    seq: int
    payload: bytes
    when: float
    destination: str = ""
    mtu: int = 0


class IcmpSocket:
    """Raw ICMP for ping and traceroute; gets every echo reply and error that reaches this sandbox.

    Errors about UDP datagrams and TCP segments of this sandbox are given too (traceroute by UDP): then `ident`
    is the quoted source port and `seq` the quoted destination port.
    """

    dropped: int

    def send_echo(self, dst: str, *, ident: int, seq: int, payload: bytes, ttl: int = 64) -> None:
        """Send an echo request; OSError(ENETUNREACH) without a route."""
        raise NotImplementedError

    async def recv(self) -> IcmpReceived:
        """The next echo reply or error."""
        raise NotImplementedError

    def close(self) -> None:
        """A waiting recv gets OSError(EBADF)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SocketInfo:
    """One row of ss / netstat: protocol "tcp" | "udp" | "icmp", state in RFC words (LISTEN, ESTABLISHED, …; "" for
    udp), bytes waiting to be read and to be acknowledged."""

    protocol: str
    state: str
    local: Address
    peer: Address | None
    receive_queue: int
    send_queue: int
