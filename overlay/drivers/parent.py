"""What macvlan and ipvlan networks have in common: a parent interface (the option `parent`), made if need be, and the
slaves' device on it, which is there as long as an endpoint is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from overlay.drivers.driver import Plug
from overlay.lower import LowerDevice
from overlay.parents import Parents
from overlay.port import Port
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec

PARENT = "parent"
_DUMMY = {"macvlan": "dm-", "ipvlan": "di-"}
_SHORT_ID = 12


class Upper(Protocol):
    """macvlan's or ipvlan's device on a lower one."""

    def receive(self, frame: bytes) -> bool:
        """As `lower.Slaves`."""

    def unplug(self, theirs: Port) -> None:
        """Take out the slave whose end of the cable this is."""


Device = TypeVar("Device", bound=Upper)


@dataclass(frozen=True, slots=True)
class ParentOptions:
    """A network's parent. `made`: for this network, so it goes with it."""

    name: str
    network_id: str
    made: bool


@dataclass(frozen=True, slots=True)
class Slave:
    """An endpoint: the end of its cable, and the interface that is on it."""

    port: Port
    sandbox: Sandbox
    interface: str


@dataclass(slots=True)
class Stand(Generic[Device]):
    """A network's place on its parent. `make` puts the device on the lower one; `arp`: its slaves speak it."""

    spec: NetworkSpec
    kind: str
    parents: Parents
    parent: ParentOptions
    make: Callable[[LowerDevice], Device]
    arp: bool = True
    slaves: dict[str, Slave] = field(default_factory=dict)
    _open: tuple[LowerDevice, Device] | None = None

    def join(
        self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug, cable: Callable[[Device], Port], *, own_mac: bool
    ) -> None:
        """Plug `cable`'s end into a new interface, which has the endpoint's MAC or the parent's. NetworkError, and
        nothing was done, if the parent is not there or busy, or the device (ValueError) or the sandbox refuses."""
        lower, device = self._opened()
        try:
            port = cable(device)
            try:
                interface = sandbox.add_interface(
                    plug.interface,
                    mac=spec.mac if own_mac else lower.mac,
                    mtu=lower.mtu,
                    addresses=spec.all_addresses,
                    port=port,
                    index=plug.index,
                    arp=self.arp,
                )
            except (OSError, ValueError) as error:
                device.unplug(port)
                raise NetworkError(f"failed to add interface {plug.interface} to sandbox: {error}") from error
            interface.beneath = f"if{lower.index}"
            self.slaves[spec.id] = Slave(port, sandbox, plug.interface)
        except ValueError as error:
            raise NetworkError(f"failed to create the {self.kind} port: {error}") from error
        finally:
            self._close_if_empty()

    def leave(self, endpoint_id: str) -> None:
        """Take the slave away; the device goes with the last."""
        slave = self.slaves.pop(endpoint_id)
        if any(interface.name == slave.interface for interface in slave.sandbox.interfaces()):
            slave.sandbox.remove_interface(slave.interface)
        if self._open is not None:
            self._open[1].unplug(slave.port)
        self._close_if_empty()

    def release(self) -> None:
        """The network is gone; its parent too if it was made for it and is still there."""
        if self.parent.made and self.parents.exists(self.parent.name):
            self.parents.remove(self.parent.name)

    def _opened(self) -> tuple[LowerDevice, Device]:
        if self._open is None:
            lower = self.parents.lower(self.parent.name)
            device = self.make(lower)
            self.parents.seize(lower, device, self.kind)
            self._open = lower, device
        return self._open

    def _close_if_empty(self) -> None:
        if self._open is not None and not self.slaves:
            self.parents.free(self._open[0])
            self._open = None


def claim(parents: Parents, spec: NetworkSpec, kind: str, others: Sequence[ParentOptions]) -> ParentOptions:
    """The network's parent interface, made if need be; an internal network has a dummy whatever it asked for.
    NetworkError: loopback, another network of this kind has it (`others`), or no such interface can be."""
    dummy = _DUMMY[kind] + spec.id[:_SHORT_ID]
    name = "" if spec.internal else spec.options.get(PARENT, "")
    if name == "lo":
        raise NetworkError(f"loopback interface is not a valid {kind} parent link")
    name = name or dummy
    for other in others:
        if other.name == name:
            holder = _DUMMY[kind] + other.network_id[:_SHORT_ID]
            raise NetworkError(f"network {holder} is already using parent interface {name}")
    made = not parents.exists(name)
    if made and name == dummy:
        parents.make_dummy(name)
    elif made:
        parents.make_vlan(name)
    return ParentOptions(name, spec.id, made)
