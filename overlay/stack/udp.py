"""UDP endpoints and who gets a datagram (RFC 768, RFC 1122 4.1)."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from overlay.stack.icmp import errno_of
from overlay.stack.ports import ephemeral
from overlay.wire import icmp, udp
from overlay.wire.address import ANY, ANY6, LOCALHOST, LOCALHOST6
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import PROTOCOL_UDP, Packet
from overlay.wire.ipv6 import Packet6

if TYPE_CHECKING:
    from overlay.stack.stack import Stack

# Linux's net.core.rmem_default.
QUEUED_BYTES = 212992

Peer = tuple[bytes, int]


def failure(code: int) -> OSError:
    """The OSError for an errno, with its usual text."""
    return OSError(code, os.strerror(code))


def collide(one: bytes, one_only6: bool, other: bytes, other_only6: bool) -> bool:
    """Whether two sockets cannot have the same port with these local addresses (Linux's ipv6_rcv_saddr_equal)."""
    if one == other:
        return True
    for wild, only6, held in ((one, one_only6, other), (other, other_only6, one)):
        if wild == ANY and len(held) == 4:
            return True
        if wild == ANY6 and (len(held) == 16 or not only6):
            return True
    return False


class UdpEndpoint:
    """One UDP socket without I/O. `notify` is called when there is something to read or an error.

    Bound to :: it takes IPv4 too unless `only6`; bound to 0.0.0.0 it becomes such a one when it first sends to IPv6.
    """

    __slots__ = (
        "closed",
        "dropped",
        "error",
        "held",
        "layer",
        "local_ip",
        "local_port",
        "notify",
        "only6",
        "peer",
        "queue",
        "ttl",
    )

    def __init__(self, layer: UdpLayer, local_ip: bytes, local_port: int, only6: bool = False) -> None:
        self.layer = layer
        self.local_ip = local_ip
        self.local_port = local_port
        self.only6 = only6
        self.peer: Peer | None = None
        self.queue: deque[tuple[bytes, Peer]] = deque()
        self.held = 0
        self.dropped = 0
        self.ttl = 64
        self.error = 0
        self.closed = False
        self.notify: Callable[[], None] | None = None

    def take_error(self) -> None:
        """Raise the pending ICMP error, once."""
        if self.error:
            code, self.error = self.error, 0
            raise failure(code)

    def send(self, data: bytes, to: Peer | None, now: float) -> None:
        """OSError: EDESTADDRREQ, EMSGSIZE, ENETUNREACH, or a pending error."""
        if self.closed:
            raise failure(errno.EBADF)
        self.take_error()
        target = to or self.peer
        if target is None:
            raise failure(errno.EDESTADDRREQ)
        if len(data) > udp.MAX_PAYLOAD:
            raise failure(errno.EMSGSIZE)
        stack = self.layer.stack
        stack.now = now
        ip, port = target
        if ip in (ANY, ANY6):
            ip = LOCALHOST if ip == ANY else LOCALHOST6
        six = len(ip) == 16
        route = stack.route_to(ip)
        source = self.local_ip
        if source in (ANY, ANY6):
            if six:
                self.local_ip = ANY6
            source = route.preferred_source(ip)
        if len(source) != len(ip):
            raise failure(errno.ENETUNREACH)
        packet = (Packet6 if six else Packet)(
            source,
            ip,
            PROTOCOL_UDP,
            udp.Datagram(self.local_port, port, data).emit(source, ip),
            ttl=self.ttl,
            identification=stack.next_identification(),
        )
        packet.dont_fragment = packet.total_length <= stack.path_mtu(ip, route)
        stack.output(packet, route)

    def connect(self, to: Peer) -> None:
        """Fix the peer; the local address becomes the route's source. OSError(ENETUNREACH)."""
        if self.local_ip in (ANY, ANY6):
            self.local_ip = self.layer.stack.route_to(to[0]).preferred_source(to[0])
        self.peer = to

    def accepts(self, ip: bytes) -> bool:
        """Whether what is for this address of the host is for this socket."""
        local = self.local_ip
        return local == ip or (local == ANY and len(ip) == 4) or (local == ANY6 and not (self.only6 and len(ip) == 4))

    def receive(self) -> tuple[bytes, Peer] | None:
        """The next datagram; None when there is none; OSError when an error is pending or it is closed."""
        if self.queue:
            data, peer = self.queue.popleft()
            self.held -= len(data)
            return data, peer
        self.take_error()
        if self.closed:
            raise failure(errno.EBADF)
        return None

    def close(self) -> None:
        """Give the port back."""
        if not self.closed:
            self.closed = True
            self.layer.remove(self)
            if self.notify:
                self.notify()


class UdpLayer:
    """All UDP endpoints of a stack, by local port."""

    __slots__ = ("by_port", "stack")

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.by_port: dict[int, list[UdpEndpoint]] = {}

    def open(self, ip: bytes, port: int, *, only6: bool = False) -> UdpEndpoint:
        """OSError: EADDRINUSE, EADDRNOTAVAIL. `only6`: bound to ::, no IPv4 (IPV6_V6ONLY)."""
        stack = self.stack
        if ip not in (ANY, ANY6) and not stack.is_local(ip) and not stack.is_broadcast(ip):
            raise failure(errno.EADDRNOTAVAIL)
        if port == 0:
            port = ephemeral(stack.random, lambda candidate: self._is_free(ip, candidate, only6))
        elif not self._is_free(ip, port, only6):
            raise failure(errno.EADDRINUSE)
        endpoint = UdpEndpoint(self, ip, port, only6)
        self.by_port.setdefault(port, []).append(endpoint)
        return endpoint

    def _is_free(self, ip: bytes, port: int, only6: bool) -> bool:
        return not any(collide(ip, only6, other.local_ip, other.only6) for other in self.by_port.get(port, ()))

    def remove(self, endpoint: UdpEndpoint) -> None:
        """Forget a closed endpoint."""
        endpoints = self.by_port[endpoint.local_port]
        endpoints.remove(endpoint)
        if not endpoints:
            del self.by_port[endpoint.local_port]

    def _find(self, local_ip: bytes, local_port: int, peer: Peer) -> UdpEndpoint | None:
        best, best_score = None, -1
        for endpoint in self.by_port.get(local_port, ()):
            if not endpoint.accepts(local_ip) or endpoint.peer not in (None, peer):
                continue
            # The nearest: this address, then all of its family, then all.
            score = 2 * (endpoint.local_ip == local_ip) + (endpoint.local_ip == ANY) + 4 * (endpoint.peer is not None)
            if score > best_score:
                best, best_score = endpoint, score
        return best

    def receive(self, packet: Packet, *, broadcast: bool) -> None:
        """A whole UDP packet for this host."""
        datagram = udp.parse(packet.payload, packet.source, packet.destination)
        peer = (packet.source, datagram.source_port)
        endpoint = self._find(packet.destination, datagram.destination_port, peer)
        if endpoint is None:
            self.stack.count("udp-no-port")
            if not broadcast:
                self.stack.icmp.error_about(packet, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE)
            return
        if endpoint.held + len(datagram.payload) > QUEUED_BYTES or len(endpoint.queue) >= QUEUED_BYTES // 256:
            endpoint.dropped += 1
            self.stack.count("udp-queue-full")
            return
        endpoint.held += len(datagram.payload)
        endpoint.queue.append((bytes(datagram.payload), peer))
        if endpoint.notify:
            endpoint.notify()

    def error(self, quoted: Packet, message: Icmp) -> None:
        """An ICMP error about a datagram that we sent: connected sockets learn of it."""
        ports = quoted.ports()
        if ports is None or (message.code == icmp.FRAGMENTATION_NEEDED and message.type == icmp.UNREACHABLE):
            return
        endpoint = self._find(quoted.source, ports[0], (quoted.destination, ports[1]))
        if endpoint is not None and endpoint.peer is not None:
            endpoint.error = errno_of(message)
            if endpoint.notify:
                endpoint.notify()
