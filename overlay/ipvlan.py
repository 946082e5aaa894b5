"""ipvlan: slaves of one lower device that share its MAC, told apart by address (Linux's drivers/net/ipvlan).

    l2    a segment with the lower device's network: slaves speak ARP, group frames reach all of them
    l3    no segment: slaves have no ARP and get no group frames; a packet for another slave, of whatever subnet, goes
          straight to it, every other one is routed by the host's table, as if the host had sent it
    l3s   as l3, and what comes in passes the host's filters (prerouting, input) like what goes out

Flags: bridge (as above); private: slaves do not reach one another; vepa: what is for a neighbour goes to the network,
and comes back if a switch there relays it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum

from overlay.drivers.driver import MAX_FRAME
from overlay.guard import Guard
from overlay.lower import LowerDevice
from overlay.port import Port, cable
from overlay.sandbox import Sandbox
from overlay.wire import ipv4, ipv6
from overlay.wire.ethernet import HEADER_LENGTH
from overlay.wire.ipv4 import Malformed, Packet

_IPV4, _ARP, _IPV6 = b"\x08\x00", b"\x08\x06", b"\x86\xdd"


class Mode(Enum):
    """Values of Docker's option ipvlan_mode."""

    L2 = "l2"
    L3 = "l3"
    L3S = "l3s"


class Flag(Enum):
    """Values of Docker's option ipvlan_flag."""

    BRIDGE = "bridge"
    PRIVATE = "private"
    VEPA = "vepa"


def target_of(frame: bytes) -> bytes:
    """The address that a frame is for; of ARP the one that it asks about or answers to."""
    kind = frame[12:14]
    if kind == _IPV4:
        return frame[30:34]
    if kind == _ARP:
        return frame[38:42]
    return frame[38:54] if kind == _IPV6 else b""


class IpvlanDevice:
    """All slaves of one lower device; mode and flag are the device's. `host` routes for l3 and l3s."""

    def __init__(self, lower: LowerDevice, host: Sandbox, mode: Mode, flag: Flag, *, counters: Counter[str]) -> None:
        self.mode = mode
        self.flag = flag
        self.ports: list[Port] = []
        self._by_address: dict[bytes, Port] = {}
        self._lower = lower
        self._host = host
        self._counters = counters

    def plug(self, addresses: Sequence[str]) -> Port:
        """A new slave: its end of the cable. ValueError: an address that is none, or that another slave has."""
        guard = Guard(self._lower.mac, addresses, kind="ipvlan", counters=self._counters)
        if any(address in self._by_address for address in guard.addresses):
            raise ValueError(f"one of {', '.join(addresses)} is in use on {self._lower.name}")
        theirs, ours = cable(MAX_FRAME)
        send = self._send_l2 if self.mode is Mode.L2 else self._send_l3
        ours.on_receive(lambda frame: send(frame, ours) if guard.passes(frame) else None)
        self.ports.append(ours)
        self._by_address.update(dict.fromkeys(sorted(guard.addresses), ours))
        return theirs

    def unplug(self, theirs: Port) -> None:
        """Take a slave out."""
        ours = theirs.peer
        if ours is None:
            return
        self.ports.remove(ours)
        self._by_address = {address: port for address, port in self._by_address.items() if port is not ours}
        ours.unplug()

    def receive(self, frame: bytes) -> bool:
        """From the network. The host gets group frames, and what is for no slave."""
        if frame[0] & 1:
            if self.mode is Mode.L2 and frame[6:12] != self._lower.hardware:
                self._flood(frame, None)
            return True
        slave = self._by_address.get(target_of(frame))
        if slave is None:
            return True
        if self.mode is not Mode.L3S or self._passes_host(frame):
            slave.transmit(frame)
        return False

    def _send_l2(self, frame: bytes, source: Port) -> None:
        if frame[0] & 1:
            if self.flag is not Flag.PRIVATE:
                self._flood(frame, source)
        elif frame[:6] == self._lower.hardware and self.flag is not Flag.VEPA:
            neighbour = self._by_address.get(target_of(frame))
            if neighbour is None:
                self._counters["ipvlan_dropped_for_host"] += 1
            else:
                self._pass(frame, neighbour)
            return
        self._lower.transmit(frame)

    def _send_l3(self, frame: bytes, source: Port) -> None:
        if frame[12:14] not in (_IPV4, _IPV6):
            self._counters["ipvlan_dropped_not_ip"] += 1
        elif frame[0] & 1:
            self._counters["ipvlan_dropped_group"] += 1
        elif self.flag is not Flag.VEPA and (neighbour := self._by_address.get(target_of(frame))) is not None:
            self._pass(frame, neighbour)
        else:
            self._route(frame)

    def _pass(self, frame: bytes, neighbour: Port) -> None:
        if self.flag is Flag.PRIVATE:
            self._counters["ipvlan_dropped_private"] += 1
        else:
            neighbour.transmit(frame)

    def _route(self, frame: bytes) -> None:
        packet = self._packet(frame)
        if packet is not None and not self._host.route(packet):
            self._counters["ipvlan_dropped_no_route"] += 1

    def _packet(self, frame: bytes) -> Packet | None:
        try:
            if frame[12:14] == _IPV4:
                return ipv4.parse(frame, HEADER_LENGTH)
            return ipv6.parse(frame, HEADER_LENGTH)
        except Malformed as error:
            self._counters[error.reason] += 1
            return None

    def _passes_host(self, frame: bytes) -> bool:
        """The hooks that an incoming packet meets on a host; they may drop it, not change where it goes."""
        if frame[12:14] not in (_IPV4, _IPV6):
            return True
        packet = self._packet(frame)
        if packet is None:
            return False
        packet.in_interface = self._lower.name
        hooks = self._host.hooks
        for hook in (hooks.prerouting, hooks.input):
            if hook is not None and hook(packet) is None:
                self._counters["ipvlan_dropped_filtered"] += 1
                return False
        return True

    def _flood(self, frame: bytes, source: Port | None) -> None:
        for port in self.ports:
            if port is not source:
                port.transmit(frame)
