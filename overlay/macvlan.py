"""macvlan: slaves of one lower device, each with a MAC of its own (modes after Linux's drivers/net/macvlan.c).

    bridge    slaves reach one another without leaving the host
    vepa      all that a slave sends goes to the network; a switch with reflective relay (802.1Qbg) may send it back
    private   as vepa, but what comes back from a slave of this device is not taken
    passthru  one slave, which gets everything that comes in, whatever its MAC; the host keeps group frames only

In no mode does a slave reach its own host: what it sends leaves by the lower device, never up to the host's stack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum

from overlay.drivers.driver import MAX_FRAME
from overlay.guard import Guard
from overlay.lower import LowerDevice
from overlay.port import Port, cable


class Mode(Enum):
    """Values of Docker's option macvlan_mode."""

    BRIDGE = "bridge"
    PRIVATE = "private"
    VEPA = "vepa"
    PASSTHRU = "passthru"


class MacvlanDevice:
    """All slaves of one lower device. They have one mode: a network has one, and a parent one network."""

    def __init__(self, lower: LowerDevice, mode: Mode, *, counters: Counter[str]) -> None:
        self.mode = mode
        self.slaves: dict[bytes, Port] = {}
        self._lower = lower
        self._counters = counters

    def plug(self, mac: str, addresses: Sequence[str]) -> Port:
        """A new slave: its end of the cable. ValueError: a MAC that is none, or that another slave has, or in passthru
        mode a second one."""
        if self.mode is Mode.PASSTHRU and self.slaves:
            raise ValueError("invalid argument")
        guard = Guard(mac, addresses, kind="macvlan", counters=self._counters)
        if guard.mac in self.slaves or guard.mac == self._lower.hardware:
            raise ValueError(f"MAC address {mac} is in use on {self._lower.name}")
        theirs, ours = cable(MAX_FRAME)
        ours.on_receive(lambda frame: self._send(frame, guard))
        self.slaves[guard.mac] = ours
        return theirs

    def unplug(self, theirs: Port) -> None:
        """Take a slave out."""
        mac = next((mac for mac, ours in self.slaves.items() if ours is theirs.peer), None)
        if mac is not None:
            self.slaves.pop(mac).unplug()

    def receive(self, frame: bytes) -> bool:
        """From the network. The host gets group frames, and what is for no slave."""
        group = bool(frame[0] & 1)
        if self.mode is Mode.PASSTHRU:
            self._flood(frame, None)
            return group
        source = frame[6:12]
        reflected = source in self.slaves
        if reflected and self.mode is Mode.PRIVATE:
            self._counters["macvlan_dropped_private"] += 1
            return group
        if group:
            # In bridge mode the others have seen their neighbour's frame on its way out.
            if not (reflected and self.mode is Mode.BRIDGE):
                self._flood(frame, source)
            return True
        slave = self.slaves.get(frame[:6])
        if slave is None:
            return True
        slave.transmit(frame)
        return False

    def _send(self, frame: bytes, guard: Guard) -> None:
        if not guard.passes(frame):
            return
        if self.mode is Mode.BRIDGE:
            if frame[0] & 1:
                self._flood(frame, guard.mac)
            elif (neighbour := self.slaves.get(frame[:6])) is not None:
                neighbour.transmit(frame)
                return
        self._lower.transmit(frame)

    def _flood(self, frame: bytes, source: bytes | None) -> None:
        for mac, slave in self.slaves.items():
            if mac != source:
                slave.transmit(frame)
