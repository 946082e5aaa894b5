"""What macvlan and ipvlan networks have in common: the option `parent`, and what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from overlay.parents import Parents
from overlay.spec import NetworkError, NetworkSpec

PARENT = "parent"
_DUMMY = {"macvlan": "dm-", "ipvlan": "di-"}
_SHORT_ID = 12


@dataclass(frozen=True, slots=True)
class ParentOptions:
    """A network's parent. `made`: for this network, so it goes with it."""

    name: str
    network_id: str
    made: bool


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


def release(parents: Parents, parent: ParentOptions) -> None:
    """The network is gone; its parent too if it was made for it and is still there."""
    if parent.made and parents.exists(parent.name):
        parents.remove(parent.name)
