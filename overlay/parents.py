"""Interfaces of the host that macvlan and ipvlan networks stand on: found, or made when a network asks for one.

`eth0.50` is made as a VLAN sub-interface, a network without a parent gets a dummy that leads nowhere; both go with the
network that they were made for. The texts are libnetwork's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from overlay.drivers.driver import MAX_FRAME
from overlay.lower import LowerDevice, Slaves
from overlay.port import cable
from overlay.sandbox import Sandbox
from overlay.spec import NetworkError
from overlay.wire.vlan import MAX_VID


class Parents:
    """Lower devices of one host."""

    def __init__(self, host: Sandbox, *, next_index: Callable[[], int], random: Random, counters: Counter[str]) -> None:
        self.host = host
        self._next_index = next_index
        self._random = random
        self._counters = counters
        self._devices: dict[str, LowerDevice] = {}
        self._vlans: dict[str, tuple[str, int]] = {}

    def exists(self, name: str) -> bool:
        """Whether the host has such an interface."""
        return any(interface.name == name for interface in self.host.interfaces())

    def make_vlan(self, name: str) -> None:
        """A sub-interface by its name, "eth0.50". NetworkError: no such name, number or parent."""
        if "." not in name:
            raise NetworkError(f"invalid subinterface vlan name {name}, example formatting is eth0.10")
        parts = name.split(".")
        if len(parts) != 2:
            raise NetworkError(
                f"required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {name}"
            )
        parent, text = parts
        if not text.isdigit():
            raise NetworkError(f"unable to parse a valid vlan id from: {text} (ex. eth0.10 for vlan 10)")
        if not self.exists(parent):
            raise NetworkError(f"-o parent interface does was not found on the host: {parent}")
        vid = int(text)
        if not 1 <= vid <= MAX_VID:
            raise NetworkError(f"vlan id must be between 1-4094, received: {vid}")
        device = self._device(parent)
        made = self.host.add_interface(
            name, mac=device.mac, mtu=device.mtu, addresses=(), port=device.add_vlan(vid), index=self._next_index()
        )
        made.beneath = parent
        self._vlans[name] = parent, vid

    def make_dummy(self, name: str) -> None:
        """An interface that leads nowhere: what stands on it is alone among itself."""
        mac = ":".join(f"{byte:02x}" for byte in b"\x02\x42" + self._random.randbytes(4))
        made = self.host.add_interface(
            name, mac=mac, mtu=1500, addresses=(), port=cable(MAX_FRAME)[0], index=self._next_index()
        )
        made.beneath = ""

    def remove(self, name: str) -> None:
        """Take down what was made here."""
        self.host.remove_interface(name)
        parent, vid = self._vlans.pop(name, ("", 0))
        if parent:
            self._devices[parent].remove_vlan(vid)
            self._let_go(parent)

    def lower(self, name: str) -> LowerDevice:
        """The device to put slaves on. NetworkError if the interface is not there (any more)."""
        if not self.exists(name) or name == "lo":
            raise NetworkError(f"the requested parent interface {name} was not found on the Docker host")
        return self._device(name)

    def seize(self, device: LowerDevice, slaves: Slaves, kind: str) -> None:
        """Put slaves on a device. NetworkError: others are on it."""
        if device.slaves is not None:
            raise NetworkError(f"failed to create the {kind} port: device or resource busy")
        device.slaves = slaves

    def free(self, device: LowerDevice) -> None:
        """Its last slave is gone."""
        device.slaves = None
        self._let_go(device.name)

    def _device(self, name: str) -> LowerDevice:
        known = self._devices.get(name)
        if known is None or known.cable is not self.host.cable(name):  # the interface may have been made anew
            known = self._devices[name] = LowerDevice(name, self.host, counters=self._counters)
        return known

    def _let_go(self, name: str) -> None:
        device = self._devices.get(name)
        if device is not None and not device.in_use:
            del self._devices[name]
            device.close()
