"""All TCP of a stack: which connection a segment is for, ports, initial sequence numbers, resets for nobody."""

from __future__ import annotations

import errno
from hashlib import blake2b
from typing import TYPE_CHECKING

from overlay.stack.icmp import errno_of
from overlay.stack.ports import connection_key, ephemeral
from overlay.stack.tcp import arrives, transmit
from overlay.stack.tcp.congestion import DEFAULT
from overlay.stack.tcp.connection import Connection
from overlay.stack.tcp.limits import (
    CHALLENGES_PER_SECOND,
    LARGEST_PACKET,
    TIME_WAIT_CONNECTIONS,
    WINDOW_SCALE,
    fixed_headers,
)
from overlay.stack.tcp.listener import Listener
from overlay.stack.tcp.sequence import unwrap
from overlay.stack.tcp.state import State
from overlay.stack.udp import collide, failure
from overlay.wire import icmp, tcp
from overlay.wire.address import ANY, ANY6, LOCALHOST, LOCALHOST6, is_multicast
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import PROTOCOL_TCP, Packet
from overlay.wire.ipv6 import Packet6
from overlay.wire.tcp import ACK, RST, SYN, Segment

if TYPE_CHECKING:
    from overlay.stack.stack import Stack

_MASK = 0xFFFFFFFF


class TcpLayer:
    """Connections by `connection_key`, listeners by local port. `congestion`: the control that new ones get."""

    __slots__ = ("_challenge_second", "_challenges", "_secret", "_time_wait", "_touched", "congestion", "connections",
                 "listeners", "stack")  # fmt: skip

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.congestion = DEFAULT
        self.connections: dict[bytes, Connection] = {}
        self.listeners: dict[int, list[Listener]] = {}
        self._touched: list[Connection] = []
        self._time_wait: dict[bytes, Connection] = {}
        self._secret = stack.random.randbytes(16)
        self._challenge_second = 0
        self._challenges = 0

    # ------------------------------------------------------------------ opening

    def connect(self, ip: bytes, port: int, now: float, *, source: bytes = ANY, source_port: int = 0) -> Connection:
        """Send a SYN. OSError: ENETUNREACH, EADDRNOTAVAIL, EADDRINUSE."""
        stack = self.stack
        stack.now = now
        if ip in (ANY, ANY6):
            ip = LOCALHOST if ip == ANY else LOCALHOST6
        if stack.is_broadcast(ip) or is_multicast(ip) or (len(ip) == 4 and ip[0] >= 224):
            raise failure(errno.ENETUNREACH)
        route = stack.route_to(ip)
        if source in (ANY, ANY6):
            source = route.preferred_source(ip)
        elif not stack.is_local(source):
            raise failure(errno.EADDRNOTAVAIL)
        if len(source) != len(ip):
            raise failure(errno.ENETUNREACH)
        if source_port == 0:
            source_port = ephemeral(stack.random, lambda candidate: self._is_free(source, candidate, ip, port))
        elif connection_key(ip, source, port, source_port) in self.connections:
            raise failure(errno.EADDRINUSE)
        conn = Connection(self, source, source_port, ip, port, now)
        conn.state = State.SYN_SENT
        conn.receive_scale = WINDOW_SCALE
        conn.set_path(now)
        self.add(conn)
        transmit.syn(conn, now)
        return conn

    def _is_free(self, source: bytes, port: int, ip: bytes, remote_port: int) -> bool:
        return port not in self.listeners and connection_key(ip, source, remote_port, port) not in self.connections

    def listen(self, ip: bytes, port: int, backlog: int, *, only6: bool = False) -> Listener:
        """OSError: EADDRINUSE, EADDRNOTAVAIL. On :: it takes IPv4 too unless `only6`."""
        if ip not in (ANY, ANY6) and not self.stack.is_local(ip):
            raise failure(errno.EADDRNOTAVAIL)
        if port == 0:
            port = ephemeral(self.stack.random, lambda candidate: candidate not in self.listeners)
        elif any(collide(ip, only6, other.local_ip, other.only6) for other in self.listeners.get(port, ())):
            raise failure(errno.EADDRINUSE)
        listener = Listener(self, ip, port, max(backlog, 1), only6)
        self.listeners.setdefault(port, []).append(listener)
        return listener

    def remove_listener(self, listener: Listener) -> None:
        """It was closed."""
        others = self.listeners[listener.local_port]
        others.remove(listener)
        if not others:
            del self.listeners[listener.local_port]

    def add(self, conn: Connection) -> None:
        """A new connection."""
        self.connections[conn.key] = conn

    def remove(self, conn: Connection) -> None:
        """It is over."""
        if self.connections.get(conn.key) is conn:
            del self.connections[conn.key]
        if self._time_wait.get(conn.key) is conn:
            del self._time_wait[conn.key]

    def waiting(self, conn: Connection) -> None:
        """It entered TIME_WAIT; beyond a bound the oldest of those go."""
        self._time_wait[conn.key] = conn
        if len(self._time_wait) > TIME_WAIT_CONNECTIONS:
            self.stack.count("tcp-time-wait-overflow")
            next(iter(self._time_wait.values())).finish(0, self.stack.now)

    def _digest(self, *parts: bytes) -> int:
        return int.from_bytes(blake2b(b"".join(parts), key=self._secret, digest_size=4).digest(), "big")

    def initial_sequence(self, conn: Connection, now: float) -> int:
        """RFC 6528: a clock of 4 µs plus a keyed hash of the connection's addresses and ports."""
        return self._digest(conn.key) + int(now * 250000) & _MASK

    def timestamp_offset(self, conn: Connection) -> int:
        """RFC 7323 5.4: one per pair of hosts, so that a new connection's stamps are later than an old one's."""
        return self._digest(b"timestamps", conn.local_ip, conn.remote_ip)

    # ------------------------------------------------------------------ the path

    def path(self, destination: bytes, now: float) -> tuple[int, int]:
        """(MTU, largest super-segment that the interface takes or 0) towards a destination. Somewhere behind it that
        may be cut, by that hop's MTU: not once a smaller one of the path is known."""
        stack = self.stack
        try:
            interface = stack.route_to(destination).interface
        except OSError:
            return 1500, 0
        mtu = stack.paths.mtu(destination, interface.mtu, now)
        whole = interface.gso_size if interface.gso_size > interface.mtu == mtu else 0
        return min(mtu, LARGEST_PACKET), whole

    def doubt_path(self, destination: bytes, now: float) -> None:
        """What was sent in large pieces is not acknowledged (RFC 4821, 7.7)."""
        self.stack.paths.doubt(destination, now)

    def announced_mss(self, destination: bytes) -> int:
        """RFC 6691, RFC 8200 8.3: the interface's MTU less the fixed headers."""
        try:
            mtu = self.stack.route_to(destination).interface.mtu
        except OSError:
            mtu = 1500
        return min(mtu, 65535) - fixed_headers(destination)

    def output(self, source: bytes, destination: bytes, body: bytes) -> None:
        """Send a segment. Without a route it is lost; the timers do the rest."""
        stack = self.stack
        try:
            route = stack.route_to(destination)
        except OSError:
            stack.count("tcp-no-route")
            return
        stack.output(
            (Packet if len(destination) == 4 else Packet6)(
                source,
                destination,
                PROTOCOL_TCP,
                body,
                identification=stack.next_identification(),
                dont_fragment=True,
            ),
            route,
        )

    # ------------------------------------------------------------------ segments

    def receive(self, packet: Packet) -> None:
        """A whole TCP packet for this host."""
        source, destination, payload = packet.source, packet.destination, packet.payload
        segment = tcp.parse(payload, source, destination)
        key = source + destination + payload[:4]
        conn = self.connections.get(key)
        now = self.stack.now
        if conn is not None:
            if conn.state is not State.TIME_WAIT or not self._may_reuse(conn, segment):
                arrives.segment_arrives(conn, segment, now)
                return
            conn.finish(0, now)
        if segment.flags & (SYN | ACK | RST) == SYN:
            listener = self._listener(destination, segment.destination_port)
            if listener is not None:
                listener.syn(destination, source, segment, now)
                return
        self.stack.count("tcp-no-connection")
        if not segment.flags & RST:
            self.refuse(destination, source, segment)

    def _may_reuse(self, conn: Connection, segment: Segment) -> bool:
        """RFC 6191 and RFC 9293 3.10.7.4: a SYN that is surely newer ends TIME_WAIT."""
        if segment.flags & (SYN | ACK | RST) != SYN:
            return False
        if segment.timestamps is not None and conn.timestamps_on:
            return 0 < (segment.timestamps[0] - conn.ts_recent & _MASK) < 0x80000000
        return unwrap(segment.seq, conn.rcv_nxt) > conn.rcv_nxt

    def _listener(self, ip: bytes, port: int) -> Listener | None:
        fallback = None
        for listener in self.listeners.get(port, ()):
            if listener.local_ip == ip:
                return listener
            whole_family = listener.local_ip == ANY and len(ip) == 4
            if whole_family or (listener.local_ip == ANY6 and not (listener.only6 and len(ip) == 4)):
                fallback = listener
        return fallback

    def refuse(self, local_ip: bytes, remote_ip: bytes, segment: Segment) -> None:
        """RST for a segment that belongs to nothing (RFC 9293 3.5.2)."""
        if segment.flags & ACK:
            seq, ack, flags = segment.ack, 0, RST
        else:
            length = len(segment.payload) + (segment.flags & SYN != 0) + (segment.flags & tcp.FIN != 0)
            seq, ack, flags = 0, segment.seq + length & _MASK, RST | ACK
        answer = Segment(segment.destination_port, segment.source_port, seq, ack, flags, 0)
        self.output(local_ip, remote_ip, answer.emit(local_ip, remote_ip))

    def challenge(self, conn: Connection) -> None:
        """A challenge ACK (RFC 5961), of which only so many leave in a second. How many is not to be known: by counting
        them a stranger could find out whether he hit a connection of others (CVE-2016-5696)."""
        second = int(self.stack.now)
        if second != self._challenge_second:
            least = CHALLENGES_PER_SECOND // 2
            self._challenge_second = second
            self._challenges = least + self.stack.random.randrange(CHALLENGES_PER_SECOND)
        if self._challenges > 0:
            self._challenges -= 1
            transmit.acknowledge(conn)

    def touch(self, conn: Connection) -> None:
        """It has something to do at the end of the burst."""
        if not conn.touched:
            conn.touched = True
            self._touched.append(conn)

    def flush(self, now: float) -> None:
        """The end of a burst: send what acknowledgements made room for, and owed acknowledgements."""
        while self._touched:
            touched, self._touched = self._touched, []
            for conn in touched:
                conn.touched = False
                if conn.state is State.CLOSED:
                    continue
                transmit.output(conn, now)
                if conn.ack_due:
                    transmit.acknowledge(conn)

    def error(self, quoted: Packet, message: Icmp) -> None:
        """An ICMP error about a segment of ours (RFC 5927: only if its sequence number is in flight)."""
        if len(quoted.payload) < 8:
            return
        ports = quoted.payload[2:4] + quoted.payload[:2]
        conn = self.connections.get(quoted.destination + quoted.source + ports)
        if conn is None or conn.state is State.TIME_WAIT:
            return
        seq = unwrap(int.from_bytes(quoted.payload[4:8], "big"), conn.snd_una)
        if not conn.snd_una <= seq <= conn.snd_nxt:
            self.stack.count("tcp-icmp-out-of-window")
            return
        now = self.stack.now
        if message.type == icmp.UNREACHABLE and message.code == icmp.FRAGMENTATION_NEEDED:
            self._smaller_path(conn, now)
            return
        code = errno_of(message)
        if conn.state in (State.SYN_SENT, State.SYN_RECEIVED) and message.type == icmp.UNREACHABLE:
            conn.finish(code, now)
        else:
            conn.soft_error = code

    def _smaller_path(self, conn: Connection, now: float) -> None:
        """Cut again what was too large; that is no congestion (RFC 1191 6.5)."""
        before = conn.mss
        conn.set_path(now)
        if conn.mss >= before:
            return
        for record in conn.scoreboard.records:
            if not record.syn and record.end - record.start > conn.mss:
                conn.scoreboard.mark_lost(record)
        self.touch(conn)
