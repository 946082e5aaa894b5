"""The LAN's router as the way to the machine's own network, through sockets that any user may open.

What comes to the router for another network, or for a port of the router itself, ends here: TCP is accepted in the
router's stack in the name of its real destination, once the real connection stands (so that a refusal is a refusal and
not a connection that dies), UDP and echo requests are sent on, and their answers come back as from where they were
meant to go. The router's own address is the machine: 192.0.2.254:8000 is what listens at 127.0.0.1:8000 out there.
IPv4 only. The idea is slirp's.
"""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from dataclasses import dataclass, field

from overlay.nursery import Nursery
from overlay.publish.relay import RealStream, relay
from overlay.sandbox import Sandbox, TcpConnection, TcpListener
from overlay.spec import Address, MachineNetwork, RealFlow
from overlay.wire import icmp, tcp, udp
from overlay.wire.address import ip_text, network_of
from overlay.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Malformed, Packet

MACHINE = "127.0.0.1"
_DNS = 53
_CONNECT = 20.0
_UDP_IDLE = 60.0
_FLOWS = 1024
_DESTINATIONS = 512
_FIRST_PORT = 20000
_UNREACHABLE = {
    errno.ENETUNREACH: icmp.NET_UNREACHABLE,
    errno.EHOSTUNREACH: icmp.HOST_UNREACHABLE,
    errno.EACCES: icmp.ADMINISTRATIVELY_PROHIBITED,
    errno.EPERM: icmp.ADMINISTRATIVELY_PROHIBITED,
}

Flow = tuple[bytes, bytes, bytes]
"""Sender, destination, both ports as they stand in the packet."""


@dataclass(slots=True)
class _Destination:
    """Where a TCP destination is accepted in the router's stack, and who is on the way there."""

    address: bytes
    port: int
    listener: TcpListener
    waiting: dict[Address, tuple[RealStream, asyncio.TimerHandle]] = field(default_factory=dict)
    flows: int = 0


class Uplink:
    """Put on the hooks of the router's stack. `network` is the machine's."""

    def __init__(
        self, stack: Sandbox, network: MachineNetwork, *, address: bytes, prefix_length: int, counters: Counter[str]
    ) -> None:
        self._stack = stack
        self._network = network
        self._address = address
        self._lan = network_of(address, prefix_length), prefix_length
        self._counters = counters
        self._tasks = Nursery(_FLOWS)
        self._connecting: dict[Flow, None] = {}
        self._destinations: dict[tuple[bytes, int], _Destination] = {}
        self._by_port: dict[int, _Destination] = {}
        self._next_port = _FIRST_PORT
        self._udp: dict[Flow, RealFlow] = {}
        self._last: dict[Flow, float] = {}
        stack.hooks.prerouting = self._prerouting
        stack.hooks.postrouting = self._postrouting

    async def close(self) -> None:
        """End all that goes through."""
        await self._tasks.close()
        for flow in self._udp.values():
            flow.close()
        self._udp.clear()
        for destination in self._destinations.values():
            for sender in list(destination.waiting):
                self._give_up(destination, sender)
            destination.listener.close()
        self._destinations.clear()
        self._by_port.clear()

    # -- packets ------------------------------------------------------------------------------------------------

    def _prerouting(self, packet: Packet) -> Packet | None:
        if packet.version != 4 or packet.in_interface == "lo":
            return packet
        to_router = packet.destination == self._address
        if to_router and (packet.protocol == PROTOCOL_ICMP or packet.payload[2:4] == _DNS.to_bytes(2, "big")):
            return packet
        if not to_router and not self._elsewhere(packet.destination):
            return packet
        if not to_router and packet.ttl <= 1:
            self._stack.stack.icmp.error_about(packet, icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED)
            return None
        if packet.protocol == PROTOCOL_TCP and len(packet.payload) >= tcp.HEADER_LENGTH:
            return self._tcp(packet)
        if packet.protocol == PROTOCOL_UDP:
            self._send_on(packet)
        elif packet.protocol == PROTOCOL_ICMP:
            self._echo(packet)
        return None

    def _elsewhere(self, destination: bytes) -> bool:
        first = destination[0]
        lan, bits = self._lan
        return 0 < first < 224 and first != 127 and network_of(destination, bits) != lan

    def _postrouting(self, packet: Packet) -> Packet | None:
        if packet.protocol == PROTOCOL_TCP and packet.source == self._address and packet.out_interface != "lo":
            destination = self._by_port.get(int.from_bytes(packet.payload[:2], "big"))
            if destination is not None:
                packet.rewrite(source=destination.address, source_port=destination.port)
        return packet

    # -- TCP ----------------------------------------------------------------------------------------------------

    def _tcp(self, packet: Packet) -> Packet | None:
        key = packet.source, packet.destination, packet.payload[:4]
        port = int.from_bytes(packet.payload[2:4], "big")
        flags = packet.payload[13]
        known = self._destinations.get((packet.destination, port))
        if flags & (tcp.SYN | tcp.ACK | tcp.RST) == tcp.SYN:
            sender = ip_text(packet.source), int.from_bytes(packet.payload[:2], "big")
            if key in self._connecting:
                return None  # said again while the real connection is still being made
            if known is None or sender not in known.waiting:
                self._connecting[key] = None
                if not self._tasks.spawn(self._connect(packet, key, (packet.destination, port))):
                    self._connecting.pop(key, None)
                    self._counters["uplink_dropped_full"] += 1
                return None
        if known is None:
            self._counters["uplink_dropped_unknown"] += 1
            return None
        packet.rewrite(destination=self._address, destination_port=known.listener.local[1])
        return packet

    async def _connect(self, packet: Packet, key: Flow, to: tuple[bytes, int]) -> None:
        try:
            async with asyncio.timeout(_CONNECT):
                reader, writer = await self._network.connect(self._real(*to))
        except OSError as error:
            self._refuse(packet, error)
            return
        finally:
            self._connecting.pop(key, None)
        stream = RealStream(reader, writer)
        destination = self._destination(to)
        if destination is None:
            stream.close()
            return
        sender = ip_text(packet.source), int.from_bytes(packet.payload[:2], "big")
        # Who never finishes the handshake gives the real connection back.
        alarm = asyncio.get_running_loop().call_later(_CONNECT, self._give_up, destination, sender)
        destination.waiting[sender] = stream, alarm
        destination.flows += 1
        packet.rewrite(destination=self._address, destination_port=destination.listener.local[1])
        self._counters["uplink_tcp"] += 1
        self._stack.route(packet)

    def _give_up(self, destination: _Destination, sender: Address) -> None:
        stream, alarm = destination.waiting.pop(sender)
        alarm.cancel()
        stream.close()
        destination.flows -= 1

    def _real(self, address: bytes, port: int) -> Address:
        return (MACHINE if address == self._address else ip_text(address)), port

    def _refuse(self, packet: Packet, error: OSError) -> None:
        code = _UNREACHABLE.get(error.errno or 0)
        if code is not None:
            self._stack.stack.icmp.error_about(packet, icmp.UNREACHABLE, code)
            return
        if not isinstance(error, ConnectionRefusedError):
            return  # nobody answered out there: nobody answers in here
        try:
            syn = tcp.parse(packet.payload, packet.source, packet.destination)
        except Malformed:
            return
        reset = tcp.Segment(
            syn.destination_port, syn.source_port, 0, syn.seq + 1 & 0xFFFFFFFF, tcp.RST | tcp.ACK, 0
        ).emit(packet.destination, packet.source)
        self._stack.route(Packet(packet.destination, packet.source, PROTOCOL_TCP, reset))

    def _destination(self, to: tuple[bytes, int]) -> _Destination | None:
        known = self._destinations.get(to)
        if known is not None:
            return known
        if len(self._destinations) >= _DESTINATIONS:
            idle = next((key for key, each in self._destinations.items() if not each.flows), None)
            if idle is None:
                self._counters["uplink_dropped_full"] += 1
                return None
            gone = self._destinations.pop(idle)
            del self._by_port[gone.listener.local[1]]
            gone.listener.close()
        listener = self._stack.tcp_listen(ip_text(self._address), self._free_port())
        made = self._destinations[to] = self._by_port[listener.local[1]] = _Destination(*to, listener)
        self._tasks.spawn(self._accept(made))
        return made

    def _free_port(self) -> int:
        while True:
            self._next_port = self._next_port + 1 if self._next_port < 65535 else _FIRST_PORT
            if self._next_port not in self._by_port:
                return self._next_port

    async def _accept(self, destination: _Destination) -> None:
        while True:
            connection = await destination.listener.accept()
            stream, alarm = destination.waiting.pop(connection.peer, (None, None))
            if alarm is not None:
                alarm.cancel()
            if stream is None or not self._tasks.spawn(self._carry(destination, stream, connection)):
                connection.abort()
                if stream is not None:
                    stream.close()
                    destination.flows -= 1

    async def _carry(self, destination: _Destination, stream: RealStream, connection: TcpConnection) -> None:
        try:
            await relay(stream, connection)
        finally:
            destination.flows -= 1

    # -- UDP ----------------------------------------------------------------------------------------------------

    def _send_on(self, packet: Packet) -> None:
        try:
            datagram = udp.parse(packet.payload, packet.source, packet.destination)
        except Malformed as error:
            self._counters[error.reason] += 1
            return
        key = packet.source, packet.destination, packet.payload[:4]
        flow = self._udp.get(key)
        if flow is None:
            if not self._tasks.spawn(self._open(packet, key, datagram)):
                self._counters["uplink_dropped_full"] += 1
            return
        self._last[key] = self._stack.time()
        flow.send(datagram.payload)

    async def _open(self, packet: Packet, key: Flow, first: udp.Datagram) -> None:
        """One real socket a flow, until it has been idle for a while."""

        def receive(data: bytes) -> None:
            self._last[key] = self._stack.time()
            answer = udp.Datagram(first.destination_port, first.source_port, data)
            body = answer.emit(packet.destination, packet.source)
            self._stack.route(Packet(packet.destination, packet.source, PROTOCOL_UDP, body))

        def refused() -> None:
            self._stack.stack.icmp.error_about(packet, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE)

        try:
            flow = self._network.datagrams(self._real(packet.destination, first.destination_port), receive, refused)
        except OSError as error:
            self._refuse(packet, error)
            return
        old = self._udp.pop(key, None)
        if old is not None:
            old.close()
        self._udp[key] = flow
        self._last[key] = self._stack.time()
        self._counters["uplink_udp"] += 1
        flow.send(first.payload)
        try:
            while (left := self._last[key] + _UDP_IDLE - self._stack.time()) > 0:  # noqa: ASYNC110 - a flow has no end
                await asyncio.sleep(left)
        finally:
            if self._udp.get(key) is flow:
                del self._udp[key]
                self._last.pop(key, None)
            flow.close()

    # -- ICMP ---------------------------------------------------------------------------------------------------

    def _echo(self, packet: Packet) -> None:
        try:
            message = icmp.parse(packet.payload)
        except Malformed as error:
            self._counters[error.reason] += 1
            return
        if message.type == icmp.ECHO_REQUEST and not self._tasks.spawn(self._ask(packet, message)):
            self._counters["uplink_dropped_full"] += 1

    async def _ask(self, packet: Packet, message: icmp.Icmp) -> None:
        try:
            async with asyncio.timeout(_CONNECT):
                data = await self._network.echo(ip_text(packet.destination), message.second, message.payload)
        except TimeoutError:
            return
        except OSError as error:
            self._refuse(packet, error)
            return
        self._counters["uplink_echo"] += 1
        reply = icmp.Icmp(icmp.ECHO_REPLY, 0, message.first, message.second, data).emit()
        self._stack.route(Packet(packet.destination, packet.source, PROTOCOL_ICMP, reply))

