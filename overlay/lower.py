"""An interface of the host that others are stacked upon: VLAN sub-interfaces, and the slaves of macvlan or ipvlan.

It stands on the cable between the host's stack and the network, in the place of the kernel's receive handler. What
comes from the network is first sorted by its 802.1Q tag, then offered to the slaves, then the host's. What the host
sends itself goes out without a look: that is why a host and the slaves on its interface do not reach each other.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from overlay.drivers.driver import MAX_FRAME
from overlay.port import Port, cable, mend, splice
from overlay.sandbox import Sandbox
from overlay.wire import vlan
from overlay.wire.ipv4 import Malformed


class Slaves(Protocol):
    """macvlan or ipvlan on a lower device; one kind at a time, as the kernel allows one receive handler."""

    def receive(self, frame: bytes) -> bool:
        """An untagged frame from the network; True if the host is to have it (too)."""


class LowerDevice:
    """`name` is an interface of `host`. It touches nothing before something is stacked upon it."""

    def __init__(self, name: str, host: Sandbox, *, counters: Counter[str]) -> None:
        self.name = name
        self.slaves: Slaves | None = None
        interface = host.interface(name)
        self.hardware = interface.hardware
        self.mac = interface.mac
        self.mtu = interface.mtu
        self.index = interface.index
        self._counters = counters
        self._vlans: dict[int, Port] = {}
        self.cable = host.cable(name)
        self._inner, self._outer = splice(self.cable)
        self._inner.on_receive(self._outer.transmit)
        self._outer.on_receive(self._receive)

    @property
    def in_use(self) -> bool:
        """Whether anything is stacked upon it."""
        return self.slaves is not None or bool(self._vlans)

    def close(self) -> None:
        """Nothing is stacked upon it any more: the host has its cable back."""
        mend(self._inner, self._outer)

    def transmit(self, frame: bytes) -> None:
        """Send a slave's frame to the network."""
        self._outer.transmit(frame)

    def add_vlan(self, vid: int) -> Port:
        """The cable of a new sub-interface: what goes in is tagged, what has the tag comes out without it."""
        tag = vlan.Tag(vid)
        theirs, ours = cable(MAX_FRAME - vlan.TAG_LENGTH)
        ours.on_receive(lambda frame: self.transmit(vlan.push(frame, tag)))
        self._vlans[vid] = ours
        return theirs

    def remove_vlan(self, vid: int) -> None:
        """Pull that cable out."""
        self._vlans.pop(vid).unplug()

    def _receive(self, frame: bytes) -> None:
        if vlan.is_tagged(frame):
            try:
                tag, frame = vlan.pop(frame)
            except Malformed as error:
                self._counters[error.reason] += 1
                return
            if tag.vid:
                sub = self._vlans.get(tag.vid)
                if sub is None:
                    self._counters["vlan_dropped_unknown_vid"] += 1
                else:
                    sub.transmit(frame)
                return
        if self.slaves is None or self.slaves.receive(frame):
            self._inner.transmit(frame)
