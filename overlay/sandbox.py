"""A container's network namespace: a user-space stack (overlay/stack) moved by one asyncio pump.

Ports only enqueue; the first frame schedules one pump with `call_soon`, which drains a bounded batch; one
`call_at` per sandbox stands for all of the stack's timers. So the cost of the event loop is paid per burst.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from overlay.capture import Capture, Captured, Watching
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
from overlay.stack.interface import Counters, Interface
from overlay.stack.stack import Stack
from overlay.stack.udp import failure
from overlay.views import Neighbour, Route, neighbours_of, routes_of, sockets_of
from overlay.wire.address import ANY, BROADCAST_MAC, pack_ip, pack_mac, parse_cidr
from overlay.wire.ethernet import HEADER_LENGTH
from overlay.wire.ipv4 import Packet
from overlay.wire.nd import link_local

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

# What may wait for the pump; Linux's net.core.netdev_max_backlog is 1000 frames. Super-frames make bytes count too.
QUEUED_FRAMES = 4096
QUEUED_BYTES = 16 << 20
# What is handled before others on the event loop have their turn: a few milliseconds' work.
BATCH_FRAMES = 128
BATCH_BYTES = 1 << 20


class Sandbox:
    """One network namespace. Make it anywhere; use it inside a running event loop. Has lo (127.0.0.1/8)."""

    def __init__(self, name: str, *, random: Random) -> None:
        self.name = name
        self.stack = Stack(random)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: deque[tuple[Interface, bytes]] = deque()
        self._queued_bytes = 0
        self._pump_scheduled = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._ports: dict[str, Port] = {}
        self._captures: list[Capture | Watching] = []
        self._closed = False
        self.stack.lo.transmit = self._loopback

    @property
    def hooks(self) -> Hooks:
        """Where NAT and filters are put."""
        return self.stack.hooks

    @property
    def forwarding(self) -> bool:
        """Whether it routes what is not for itself (net.ipv4.ip_forward)."""
        return self.stack.forwarding

    @forwarding.setter
    def forwarding(self, on: bool) -> None:
        self.stack.forwarding = on

    @property
    def counters(self) -> dict[str, int]:
        """What was dropped or odd, by name."""
        return self.stack.counters

    # ------------------------------------------------------------------ the pump

    def time(self) -> float:
        """Seconds of the loop's clock."""
        return self._running_loop().time()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        return loop

    def _enqueue(self, interface: Interface, frame: bytes) -> None:
        if frame[:6] == BROADCAST_MAC and not self._captures and self.stack.ignores(interface, frame):
            return
        queue = self._queue
        size = self._queued_bytes + len(frame)
        if len(queue) >= QUEUED_FRAMES or size > QUEUED_BYTES:
            interface.counters.rx_dropped += 1
            return
        self._queued_bytes = size
        queue.append((interface, frame))
        if not self._pump_scheduled:
            self._pump_scheduled = True
            self._running_loop().call_soon(self._pump)

    def _loopback(self, frame: bytes) -> None:
        if self._captures:
            self._tap(self.stack.lo, frame, outgoing=True)
        self._enqueue(self.stack.lo, frame)

    def _pump(self) -> None:
        self._pump_scheduled = False
        if self._closed:
            return
        queue, receive = self._queue, self.stack.receive
        now = self.time()
        size = 0
        for _ in range(min(len(queue), BATCH_FRAMES)):
            interface, frame = queue.popleft()
            size += len(frame)
            if self._captures:
                self._tap(interface, frame, outgoing=False)
            receive(interface, frame, now)
            if size >= BATCH_BYTES:
                break
        self._queued_bytes -= size
        self.stack.flush(now)
        if queue and not self._pump_scheduled:
            self._pump_scheduled = True
            self._running_loop().call_soon(self._pump)
        self.settle()

    def settle(self) -> None:
        """Set the alarm for the stack's next timer. One that would ring too early is left: it will find nothing."""
        when = self.stack.next_timer()
        if when is None or self._closed:
            return
        if self._alarm is not None:
            if self._alarm_at <= when:
                return
            self._alarm.cancel()
        self._alarm_at = when
        self._alarm = self._running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._closed:
            return
        # The loop may call up to its clock's resolution too early; what was asked for is due.
        now = max(self.time(), self._alarm_at)
        self.stack.handle_timer(now)
        self.stack.flush(now)
        self.settle()

    # ------------------------------------------------------------------ interfaces

    def add_interface(
        self,
        name: str,
        *,
        mac: str,
        mtu: int,
        addresses: Sequence[str],
        port: Port,
        index: int | None = None,
        arp: bool = True,
    ) -> Interface:
        """Plug a cable in. Each address brings its link route, and is announced by gratuitous ARP (which takes a
        running event loop). OSError(EEXIST): name or index are taken. `port.gso_size` becomes the interface's.
        Without `arp` it is a NOARP interface, as ipvlan's in l3 mode."""
        interface = self.stack.add_interface(
            name,
            hardware=pack_mac(mac),
            mtu=mtu,
            transmit=port.transmit,
            index=index,
            gso_size=max(port.gso_size - HEADER_LENGTH, 0),
        )
        interface.arp = arp
        self._ports[name] = port

        def transmit(frame: bytes) -> None:
            if self._captures:
                self._tap(interface, frame, outgoing=True)
            port.transmit(frame)

        interface.transmit = transmit
        port.on_receive(lambda frame: self._enqueue(interface, frame))
        for cidr in addresses:
            self.add_address(name, cidr, detect=False)
        return interface

    def remove_interface(self, name: str) -> None:
        """Pull it out: its addresses, routes and neighbours go; KeyError if there is none of that name."""
        interface = self.stack.interfaces[name]
        if interface.loopback:
            raise failure(errno.EPERM)
        self.stack.remove_interface(interface)
        self._ports.pop(name).on_receive(_nowhere)

    def set_up(self, name: str, up: bool) -> None:
        """`ip link set NAME up|down`: down drops both ways; its routes are used again when it is up."""
        self.stack.set_up(self.stack.interfaces[name], up)

    def interfaces(self) -> list[Interface]:
        """By index; live objects (counters go on)."""
        return sorted(self.stack.interfaces.values(), key=lambda interface: interface.index)

    def interface(self, name: str) -> Interface:
        """One of them; KeyError if there is none of that name."""
        return self.stack.interfaces[name]

    def cable(self, name: str) -> Port:
        """The end of the cable that is plugged into an interface (lo has none: KeyError)."""
        return self._ports[name]

    def add_address(self, interface: str, cidr: str, *, detect: bool = True) -> None:
        """Add "10.0.1.2/24" or "fd00::2/64" with its link route; the first of IPv6 enables that on the interface.
        OSError(EEXIST) if it is there already. `detect`: ask first whether another node has it (IPv6 only)."""
        held = self.stack.interfaces[interface]
        address, prefix = parse_cidr(cidr)
        if len(address) == 16:
            self.enable_ipv6(interface)
        self.stack.add_address(held, address, prefix)
        if held.loopback or not held.arp:
            return
        if len(address) == 16 and detect:
            self._claim(held, address)
            return
        if len(address) == 16:
            held.nodad.append(address)
        self.stack.announce(held, address)

    def enable_ipv6(self, interface: str) -> None:
        """Let an interface take IPv6, with its link-local address; nothing the second time."""
        held = self.stack.interfaces[interface]
        if held.ipv6:
            return
        self.stack.enable_ipv6(held)
        if not held.loopback and held.arp:
            self._claim(held, link_local(held.hardware))

    def _claim(self, interface: Interface, address: bytes) -> None:
        if self._loop is not None:
            self.stack.now = max(self.stack.now, self._loop.time())
        self.stack.discovery.claim(interface, address)

    def remove_address(self, interface: str, cidr: str) -> None:
        """OSError(EADDRNOTAVAIL) if it is not there."""
        self.stack.remove_address(self.stack.interfaces[interface], *parse_cidr(cidr))

    # ------------------------------------------------------------------ routes and neighbours

    def add_route(
        self,
        destination: str,
        *,
        via: str | None = None,
        interface: str | None = None,
        source: str | None = None,
        metric: int = 0,
    ) -> None:
        """ "0.0.0.0/0" and "::/0" are the default routes. Without `interface` it is the one through which `via` is
        reached; OSError(ENETUNREACH) if that is none, OSError(EEXIST) for the same destination and metric."""
        network, prefix = parse_cidr(destination)
        self.stack.add_route(
            network,
            prefix,
            None if via is None else pack_ip(via),
            None if interface is None else self.stack.interfaces[interface],
            None if source is None else pack_ip(source),
            metric,
        )

    def remove_route(self, destination: str, *, via: str | None = None, interface: str | None = None) -> None:
        """Remove the first that fits; OSError(ESRCH) if none does."""
        network, prefix = parse_cidr(destination)
        self.stack.remove_route(
            network,
            prefix,
            None if via is None else pack_ip(via),
            None if interface is None else self.stack.interfaces[interface],
        )

    def route(self, packet: Packet) -> bool:
        """Send a packet that somebody else made as one of this namespace's own; False if there is no way."""
        self.stack.now = max(self.stack.now, self._open())
        try:
            self.stack.output(packet, self.stack.route_to(packet.destination))
        except OSError:
            return False
        self.settle()
        return True

    def routes(self) -> list[Route]:
        """As `ip route` orders them: default first, then by destination. lo's are not shown."""
        return routes_of(self.stack)

    def neighbours(self) -> list[Neighbour]:
        """What ARP and ND found."""
        if self._loop is not None:
            self.stack.now = max(self.stack.now, self._loop.time())
        return neighbours_of(self.stack)

    def add_neighbour(self, ip: str, mac: str, interface: str) -> None:
        """A permanent entry."""
        self.stack.neighbours.set_permanent(self.stack.interfaces[interface], pack_ip(ip), pack_mac(mac))

    def remove_neighbour(self, ip: str, interface: str) -> None:
        """Forget an entry, permanent or learned; nothing happens if there is none."""
        self.stack.neighbours.forget(self.stack.interfaces[interface], pack_ip(ip))

    # ------------------------------------------------------------------ sockets

    def pack(self, address: str) -> bytes:
        """An address as the stack has it; a zone (fe80::1%eth0) is remembered for it. OSError(ENODEV): no such zone."""
        packed = pack_ip(address)
        zone = address.partition("%")[2]
        if zone:
            interface = self.stack.interfaces.get(zone)
            if interface is None:
                raise failure(errno.ENODEV)
            self.stack.ip6.note_zone(packed, interface)
        return packed

    def _open(self) -> float:
        if self._closed:
            raise failure(errno.ENETDOWN)
        return self.time()

    async def tcp_connect(
        self,
        address: str,
        port: int,
        *,
        source: str | None = None,
        source_port: int = 0,
        timeout: float | None = None,
    ) -> TcpConnection:
        """Connect; `timeout` in seconds (else as Linux: about 130 s of SYNs, then ETIMEDOUT). OSError."""
        endpoint = self.stack.tcp.connect(
            self.pack(address),
            port,
            self._open(),
            source=ANY if source is None else self.pack(source),
            source_port=source_port,
        )
        self.settle()
        connection = TcpConnection(self, endpoint)
        try:
            async with asyncio.timeout(timeout):
                await connection.established()
        except TimeoutError:
            connection.abort()
            raise failure(errno.ETIMEDOUT) from None
        except BaseException:
            connection.abort()
            raise
        return connection

    def tcp_listen(self, address: str, port: int, *, backlog: int = 128, only6: bool = False) -> TcpListener:
        """Listen ("0.0.0.0" for all of IPv4, "::" for all, or all of IPv6 with `only6`; port 0 picks one).
        OSError: EADDRINUSE, EADDRNOTAVAIL."""
        self._open()
        return TcpListener(self, self.stack.tcp.listen(self.pack(address), port, backlog, only6=only6))

    def udp_open(self, address: str = "0.0.0.0", port: int = 0, *, only6: bool = False) -> UdpSocket:
        """Bind, as tcp_listen; port 0 picks one of 32768–60999. OSError: EADDRINUSE, EADDRNOTAVAIL."""
        self._open()
        return UdpSocket(self, self.stack.udp.open(self.pack(address), port, only6=only6))

    def icmp_open(self) -> IcmpSocket:
        """A raw socket for ICMP and ICMPv6."""
        self._open()
        return IcmpSocket(self, self.stack.icmp.open())

    def sockets(self) -> list[SocketInfo]:
        """What ss and netstat show, listeners first."""
        return sockets_of(self.stack)

    # ------------------------------------------------------------------ captures and the end

    def capture(self, interface: str | None = None, *, limit: int = 1024) -> Capture:
        """Frames of one interface or of all (lo too), both directions, from now on; at most `limit` unread."""
        capture = Capture(interface, limit, self._captures.remove)
        self._captures.append(capture)
        return capture

    def watch(self, see: Callable[[Captured], None]) -> Callable[[], None]:
        """As `capture`, but `see` is called for each frame as it passes; the answer ends it."""
        watching = Watching(see)
        self._captures.append(watching)
        return lambda: self._captures.remove(watching) if watching in self._captures else None

    def _tap(self, interface: Interface, frame: bytes, *, outgoing: bool) -> None:
        captured = Captured(self.time(), interface.name, frame, outgoing)
        for capture in self._captures:
            capture.offer(captured)

    async def close(self) -> None:
        """Reset all connections, wake all waiters with OSError, drop timers. Idempotent."""
        if self._closed:
            return
        now = self.time()
        stack = self.stack
        listeners = [listener for group in stack.tcp.listeners.values() for listener in group]
        endings: list[Callable[[], None]] = [
            *(lambda listener=listener: listener.close(now) for listener in listeners),
            *(lambda conn=conn: conn.abort(now) for conn in stack.tcp.connections.values()),
            *(socket.close for group in stack.udp.by_port.values() for socket in group),
            *(socket.close for socket in stack.icmp.endpoints),
        ]
        for end in endings:
            end()
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for capture in list(self._captures):
            capture.close()
        for name, port in list(self._ports.items()):
            port.on_receive(_nowhere)
            del self._ports[name]
        self._queue.clear()


def _nowhere(frame: bytes) -> None:
    """Who takes frames when the interface is gone."""
