"""ICMP of a host (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3): answers echo, makes errors, hands errors to sockets."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overlay.wire import icmp
from overlay.wire.address import ANY, BROADCAST, is_multicast
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Malformed, Packet, parse_quoted
from overlay.wire.ipv6 import Packet6

if TYPE_CHECKING:
    from overlay.stack.stack import Stack

# An error quotes as much as fits into the 576 bytes that every host takes (RFC 1812 4.3.2.3).
QUOTED = 576 - 20 - 8
# Linux's icmp_msgs_per_sec and icmp_msgs_burst.
ERRORS_PER_SECOND = 1000.0
ERROR_BURST = 50.0
QUEUED = 256

_UNREACHABLE_ERRNO = {
    icmp.NET_UNREACHABLE: errno.ENETUNREACH,
    icmp.HOST_UNREACHABLE: errno.EHOSTUNREACH,
    icmp.PROTOCOL_UNREACHABLE: errno.ENOPROTOOPT,
    icmp.PORT_UNREACHABLE: errno.ECONNREFUSED,
    icmp.FRAGMENTATION_NEEDED: errno.EMSGSIZE,
    6: errno.ENETUNREACH,
    7: errno.EHOSTDOWN,
    9: errno.ENETUNREACH,
    10: errno.EHOSTUNREACH,
    11: errno.ENETUNREACH,
    12: errno.EHOSTUNREACH,
}


def errno_of(message: Icmp) -> int:
    """What a socket gets for an ICMP error (as Linux's icmp_err_convert)."""
    if message.type == icmp.UNREACHABLE:
        return _UNREACHABLE_ERRNO.get(message.code, errno.EHOSTUNREACH)
    return errno.EHOSTUNREACH if message.type == icmp.TIME_EXCEEDED else errno.EPROTO


@dataclass(frozen=True, slots=True)
class IcmpArrival:
    """An ICMP message for raw sockets; `quoted` is the packet that an error is about (payload as far as quoted)."""

    packet: Packet
    message: Icmp
    quoted: Packet | None
    when: float


class IcmpEndpoint:
    """A raw ICMP socket: gets echo replies and errors, in a bounded queue. `ident` is an identifier for its echoes that
    no other socket of this stack has."""

    __slots__ = ("closed", "dropped", "ident", "layer", "notify", "queue")

    def __init__(self, layer: IcmpLayer, ident: int) -> None:
        self.layer = layer
        self.ident = ident
        self.queue: deque[IcmpArrival] = deque()
        self.dropped = 0
        self.closed = False
        self.notify: Callable[[], None] | None = None

    def send(self, destination: bytes, message: Icmp, ttl: int, now: float) -> None:
        """Send a message; OSError(ENETUNREACH)."""
        self.layer.stack.now = now
        if len(destination) == 16:
            self.layer.stack.icmp6.send(ANY, destination, message, ttl=ttl)
        else:
            self.layer.send(ANY, destination, message, ttl=ttl)

    def close(self) -> None:
        """No more messages."""
        if not self.closed:
            self.closed = True
            self.layer.endpoints.remove(self)
            if self.notify:
                self.notify()


class IcmpLayer:
    """The part of a stack that speaks ICMP."""

    __slots__ = ("_ident", "_tokens", "_tokens_at", "endpoints", "stack")

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._ident = stack.random.getrandbits(16)
        self.endpoints: list[IcmpEndpoint] = []
        self._tokens = ERROR_BURST
        self._tokens_at = 0.0

    def open(self) -> IcmpEndpoint:
        """A raw socket."""
        taken = {endpoint.ident for endpoint in self.endpoints}
        for _ in range(len(taken) + 1):  # in turn, as Linux's ping sockets take them (ping_get_port)
            self._ident = self._ident + 1 & 0xFFFF
            if self._ident not in taken:
                break
        endpoint = IcmpEndpoint(self, self._ident)
        self.endpoints.append(endpoint)
        return endpoint

    def send(self, source: bytes, destination: bytes, message: Icmp, *, ttl: int = 64, tos: int = 0) -> None:
        """Route and send; OSError(ENETUNREACH)."""
        stack = self.stack
        route = stack.route_to(destination)
        packet = Packet(
            route.preferred_source(destination) if source == ANY else source,
            destination,
            PROTOCOL_ICMP,
            message.emit(),
            ttl=ttl,
            tos=tos,
            identification=stack.next_identification(),
        )
        packet.dont_fragment = packet.total_length <= stack.path_mtu(destination, route)
        stack.output(packet, route)

    def receive(self, packet: Packet, *, broadcast: bool) -> None:
        """A whole ICMP packet for this host."""
        message = icmp.parse(packet.payload)
        if message.type == icmp.ECHO_REQUEST:
            if broadcast:
                self.stack.count("icmp-echo-broadcast")
                return
            reply = Icmp(icmp.ECHO_REPLY, 0, message.first, message.second, message.payload)
            try:
                self.send(packet.destination, packet.source, reply, tos=packet.tos)
            except OSError:
                self.stack.count("icmp-no-route-back")
        elif message.type == icmp.ECHO_REPLY:
            self.give(IcmpArrival(packet, message, None, self.stack.now))
        elif message.type in icmp.ERRORS:
            self._error(packet, message)

    def give(self, arrival: IcmpArrival) -> None:
        """Put a message into the queue of every raw socket."""
        for endpoint in self.endpoints:
            if len(endpoint.queue) >= QUEUED:
                endpoint.dropped += 1
                continue
            endpoint.queue.append(arrival)
            if endpoint.notify:
                endpoint.notify()

    def _error(self, packet: Packet, message: Icmp) -> None:
        try:
            quoted = parse_quoted(message.payload)
        except Malformed:
            self.stack.count("icmp-quote")
            return
        if message.type == icmp.REDIRECT:
            self.stack.count("icmp-redirect")
            return
        self.give(IcmpArrival(packet, message, quoted, self.stack.now))
        if message.type == icmp.UNREACHABLE and message.code == icmp.FRAGMENTATION_NEEDED:
            self.stack.learn_path_mtu(quoted, message.second)
        if quoted.protocol == PROTOCOL_UDP:
            self.stack.udp.error(quoted, message)
        elif quoted.protocol == PROTOCOL_TCP:
            self.stack.tcp.error(quoted, message)

    def error_about(self, packet: Packet, kind: int, code: int, *, mtu: int = 0) -> None:
        """Tell the sender of `packet` what became of it, unless RFC 1122 3.2.2 forbids an error about it."""
        stack = self.stack
        if isinstance(packet, Packet6):
            stack.icmp6.error_about(packet, kind, code, mtu=mtu)
            return
        source = packet.source
        if (
            packet.fragment_offset
            or source in (ANY, BROADCAST)
            or is_multicast(source)
            or is_multicast(packet.destination)
            or stack.is_broadcast(packet.destination)
            or stack.is_broadcast(source)
        ):
            return
        if packet.protocol == PROTOCOL_ICMP and (not packet.payload or packet.payload[0] in icmp.ERRORS):
            return
        if not self.allowed():
            stack.count("icmp-rate")
            return
        quote = packet.emit()[:QUOTED]
        try:
            own = packet.destination if stack.is_local(packet.destination) else ANY
            self.send(own, source, Icmp(kind, code, 0, mtu, quote), tos=0xC0 | packet.tos & 0x1E)
        except OSError:
            stack.count("icmp-no-route-back")

    def allowed(self) -> bool:
        """Whether one more error may leave; both families share the allowance."""
        now = self.stack.now
        self._tokens = min(ERROR_BURST, self._tokens + (now - self._tokens_at) * ERRORS_PER_SECOND)
        self._tokens_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
