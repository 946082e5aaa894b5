"""The asyncio face of the stack's sockets: what programs inside a container await.

Addresses at this edge are `(text, port)`; one with a colon is IPv6. Errors are OSError with errno set:
ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ECONNRESET, EADDRINUSE, EADDRNOTAVAIL, EMSGSIZE, EBADF after close.

Each waits on one future per direction, which the endpoint's `notify` resolves. After every call that may have
moved a deadline the socket tells its `Host` (`settle`), which keeps the alarm.
"""

from __future__ import annotations

import asyncio
import errno
from dataclasses import dataclass
from typing import Protocol

from overlay.stack.icmp import IcmpArrival, IcmpEndpoint
from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.listener import Listener
from overlay.stack.tcp.state import State
from overlay.stack.udp import UdpEndpoint, failure
from overlay.wire import icmpv6
from overlay.wire.address import ip_text
from overlay.wire.icmp import ECHO_REQUEST, FRAGMENTATION_NEEDED, UNREACHABLE, Icmp

Address = tuple[str, int]


class Host(Protocol):
    """What a socket needs of its sandbox."""

    def time(self) -> float:
        """Seconds of the loop's clock."""

    def settle(self) -> None:
        """The stack was called: set the alarm for its next timer."""

    def pack(self, address: str) -> bytes:
        """An address, perhaps with a zone, as the stack has it."""


class _Waiter:
    """At most a few coroutines that wait for the same thing; all are woken, all look again."""

    __slots__ = ("_futures",)

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        try:
            await future
        finally:
            if future in self._futures:
                self._futures.remove(future)

    def wake(self) -> None:
        if self._futures:
            futures, self._futures = self._futures, []
            for future in futures:
                if not future.done():
                    future.set_result(None)


class TcpConnection:
    """An established connection. `local` and `peer` stay readable after close."""

    def __init__(self, host: Host, endpoint: Connection) -> None:
        self._host = host
        self._endpoint = endpoint
        self._readable = _Waiter()
        self._writable = _Waiter()
        self._closed = False
        endpoint.notify = self._notify
        self.local: Address = (ip_text(endpoint.local_ip), endpoint.local_port)
        self.peer: Address = (ip_text(endpoint.remote_ip), endpoint.remote_port)

    def _notify(self) -> None:
        if self._endpoint.readable:
            self._readable.wake()
        self._writable.wake()

    async def established(self) -> None:
        """Wait for the end of the handshake; OSError if it failed."""
        endpoint = self._endpoint
        while endpoint.state in (State.SYN_SENT, State.SYN_RECEIVED):
            await self._writable.wait()
        if endpoint.error:
            raise failure(endpoint.error)

    async def read(self, n: int = 65536) -> bytes:
        """Between 1 and `n` bytes as soon as there are some; b"" at the peer's FIN; OSError if it broke."""
        while True:
            if self._closed:
                raise failure(errno.EBADF)
            data = self._endpoint.read(n, self._host.time())
            if data is not None:
                return data
            await self._readable.wait()

    async def readexactly(self, n: int) -> bytes:
        """Exactly `n` bytes; asyncio.IncompleteReadError at an early end."""
        parts: list[bytes] = []
        missing = n
        while missing:
            data = await self.read(missing)
            if not data:
                raise asyncio.IncompleteReadError(b"".join(parts), n)
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue all of `data`, waiting while the send buffer is full; OSError if the connection broke."""
        endpoint = self._endpoint
        view = memoryview(data) if len(data) > endpoint.room else data
        while True:
            if self._closed:
                raise failure(errno.EBADF)
            taken = endpoint.write(view, self._host.time())
            self._host.settle()
            if taken == len(view):
                return
            view = memoryview(view)[taken:]
            # Woken by any acknowledgement; go on when a good part is free, not byte by byte.
            while endpoint.room < min(len(view), 1 << 17) and not endpoint.error and not self._closed:
                await self._writable.wait()

    async def drain(self) -> None:
        """Wait until the peer has acknowledged everything written (and the FIN, if shut down)."""
        endpoint = self._endpoint
        while (endpoint.buffer or (endpoint.fin_queued and endpoint.scoreboard.records)) and not endpoint.error:
            await self._writable.wait()
        if endpoint.error:
            raise failure(endpoint.error)

    def shutdown_write(self) -> None:
        """Send FIN after what is queued; reading goes on (half-close)."""
        self._endpoint.shutdown_write(self._host.time())
        self._host.settle()

    def close(self) -> None:
        """Orderly end in the background: FIN after what is queued; unread data makes it a RST, as in Linux."""
        if not self._closed:
            self._closed = True
            self._endpoint.close(self._host.time())
            self._readable.wake()
            self._writable.wake()
            self._host.settle()

    def abort(self) -> None:
        """RST now."""
        self._closed = True
        self._endpoint.notify = None
        self._endpoint.abort(self._host.time())
        self._readable.wake()
        self._writable.wake()

    def set_keepalive(self, idle: float | None, interval: float = 75.0, probes: int = 9) -> None:
        """Probe an idle peer after `idle` seconds, None switches it off."""
        self._endpoint.keepalive(idle, interval, probes, self._host.time())
        self._host.settle()

    def set_nodelay(self, on: bool) -> None:
        """TCP_NODELAY: do not wait to fill segments (Nagle, RFC 9293 3.7.4)."""
        self._endpoint.nodelay = on


class TcpListener:
    """A listening socket."""

    def __init__(self, host: Host, endpoint: Listener) -> None:
        self._host = host
        self._endpoint = endpoint
        self._waiter = _Waiter()
        endpoint.notify = self._waiter.wake
        self.local: Address = (ip_text(endpoint.local_ip), endpoint.local_port)

    async def accept(self) -> TcpConnection:
        """The next established connection; OSError(EBADF) once closed."""
        while True:
            if self._endpoint.closed:
                raise failure(errno.EBADF)
            conn = self._endpoint.accept()
            if conn is not None:
                return TcpConnection(self._host, conn)
            await self._waiter.wait()

    def close(self) -> None:
        """Stop listening; connections not accepted yet are reset."""
        self._endpoint.close(self._host.time())


class UdpSocket:
    """A UDP socket; what nobody reads in time is dropped at a bound, and counted in `dropped`."""

    def __init__(self, host: Host, endpoint: UdpEndpoint) -> None:
        self._host = host
        self._endpoint = endpoint
        self._waiter = _Waiter()
        endpoint.notify = self._waiter.wake

    @property
    def local(self) -> Address:
        """The address and port that it is bound to."""
        return ip_text(self._endpoint.local_ip), self._endpoint.local_port

    @property
    def dropped(self) -> int:
        """Datagrams that came while the queue was full."""
        return self._endpoint.dropped

    def sendto(self, data: bytes, to: Address | None = None) -> None:
        """Send one datagram (to the connected peer when `to` is None). OSError: ENETUNREACH, EMSGSIZE,
        or the pending error of an earlier one when connected (ECONNREFUSED after a port unreachable)."""
        self._endpoint.send(data, None if to is None else (self._host.pack(to[0]), to[1]), self._host.time())
        self._host.settle()

    def set_ttl(self, ttl: int) -> None:
        """The TTL of what is sent from now on (traceroute)."""
        self._endpoint.ttl = ttl

    async def recvfrom(self) -> tuple[bytes, Address]:
        """The next datagram and who sent it; when connected also raises ICMP errors as OSError."""
        while True:
            found = self._endpoint.receive()
            if found is not None:
                data, (ip, port) = found
                return data, (ip_text(ip), port)
            await self._waiter.wait()

    def connect(self, to: Address) -> None:
        """Fix the peer: only its datagrams are received, ICMP errors are reported, `local` gets its address."""
        self._endpoint.connect((self._host.pack(to[0]), to[1]))

    def close(self) -> None:
        """Give the port back; a waiting recvfrom gets OSError(EBADF)."""
        self._endpoint.close()


@dataclass(frozen=True, slots=True)
class IcmpReceived:
    """An echo reply (type 0) or an error (3 unreachable, 11 time exceeded) about one of our echo requests; of ICMPv6,
    as `source` shows, a reply is 129, errors are 1 unreachable, 2 packet too big, 3 time exceeded.

    `source` is who sent it (the router for an error), `ttl` the TTL it arrived with, `ident`/`seq` those of the
    echo (taken from the quoted packet in an error), `payload` the echo's data (or what was quoted of it),
    `when` the arrival in seconds of the loop's clock, `destination` whom the echo was for,
    `mtu` the next hop's MTU of a "fragmentation needed" or "packet too big" (else 0).
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

    def __init__(self, host: Host, endpoint: IcmpEndpoint) -> None:
        self._host = host
        self._endpoint = endpoint
        self._waiter = _Waiter()
        endpoint.notify = self._waiter.wake

    @property
    def dropped(self) -> int:
        """Messages that came while the queue was full."""
        return self._endpoint.dropped

    @property
    def ident(self) -> int:
        """An identifier for its echoes: no two sockets that are open in one sandbox have the same."""
        return self._endpoint.ident

    def send_echo(self, dst: str, *, ident: int, seq: int, payload: bytes, ttl: int = 64) -> None:
        """Send an echo request; OSError(ENETUNREACH) without a route."""
        target = self._host.pack(dst)
        kind = ECHO_REQUEST if len(target) == 4 else icmpv6.ECHO_REQUEST
        message = Icmp(kind, 0, ident & 0xFFFF, seq & 0xFFFF, payload)
        self._endpoint.send(target, message, ttl, self._host.time())
        self._host.settle()

    async def recv(self) -> IcmpReceived:
        """The next echo reply or error."""
        while True:
            if self._endpoint.queue:
                return _received(self._endpoint.queue.popleft())
            if self._endpoint.closed:
                raise failure(errno.EBADF)
            await self._waiter.wait()

    def close(self) -> None:
        """A waiting recv gets OSError(EBADF)."""
        self._endpoint.close()


def _received(arrival: IcmpArrival) -> IcmpReceived:
    packet, message, quoted = arrival.packet, arrival.message, arrival.quoted
    ident, seq, payload, destination, mtu = message.first, message.second, message.payload, "", 0
    if quoted is not None:
        destination = ip_text(quoted.destination)
        known = message if packet.version == 4 else icmpv6.as_ipv4(message)
        mtu = known.second if (known.type, known.code) == (UNREACHABLE, FRAGMENTATION_NEEDED) else 0
        ports = quoted.ports()
        if ports is not None:
            ident, seq = ports
            payload = bytes(quoted.payload[8:])
        else:
            head = bytes(quoted.payload[:8]).ljust(8, b"\0")
            ident, seq = int.from_bytes(head[4:6], "big"), int.from_bytes(head[6:8], "big")
            payload = bytes(quoted.payload[8:])
    return IcmpReceived(
        ip_text(packet.source),
        packet.ttl,
        message.type,
        message.code,
        ident,
        seq,
        bytes(payload),
        arrival.when,
        destination,
        mtu,
    )


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
