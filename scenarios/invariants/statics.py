"""Laws about one moment's answers of all hosts: addresses, MACs, VNIs, what was acknowledged. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass

from scenarios.invariants.history import History
from scenarios.invariants.snapshot import Endpoint, View, vni


@dataclass(frozen=True, slots=True)
class Violation:
    """key: equal for the same thing seen again."""

    invariant: str
    key: str
    what: str
    where: str


def addresses(views: Mapping[str, View], out: Container[str] = ()) -> list[Violation]:
    """No two live endpoints of a network hold one address or MAC.

    out: hosts that were removed from the swarm. Until such a one hears of it (it may be cut off) it keeps its overlays
    to itself, for members take no VXLAN of it; what it had is the heir's to give.
    """
    found: list[Violation] = []
    for kind in ("address", "mac"):
        held: dict[tuple[str, str], Endpoint] = {}
        for view in views.values():
            for endpoint in view.endpoints:
                value = getattr(endpoint, kind)
                # A local network's id is its host's own; ipvlan's containers have no MACs of their own.
                driver = view.networks.get(endpoint.network, {}).get("Driver")
                if endpoint.host in out and view.is_overlay(endpoint.network):
                    continue
                if not value or (kind == "mac" and driver == "ipvlan"):
                    continue
                first = held.setdefault((endpoint.network, value), endpoint)
                if first.container != endpoint.container:
                    both = f"{first.host}/{first.name} and {endpoint.host}/{endpoint.name}"
                    word = "MAC" if kind == "mac" else "address"
                    found.append(Violation("addresses", f"{kind} {endpoint.network} {value}",
                        f"{both} both hold the {word} {value} on {endpoint.network_name}", both))  # fmt: skip
    return found


def vnis(views: Mapping[str, View], chosen: Collection[int], out: Container[str] = ()) -> list[Violation]:
    """No two live networks hold one VNI. chosen: those that users chose, perhaps twice across a cut.

    out: as for `addresses`. What such a host still tells of may have been removed, and its VNI be another's.
    """
    held: dict[int, tuple[str, str, str]] = {}
    found: list[Violation] = []
    for view in views.values():
        if view.host in out:
            continue
        for id, network in view.networks.items():
            number = vni(network) if network.get("Driver") == "overlay" else None
            if number is None or number in chosen:
                continue
            first = held.setdefault(number, (id, network["Name"], view.host))
            if first[0] != id:
                found.append(Violation("vnis", f"vni {number}",
                    f"{first[1]} (told by {first[2]}) and {network['Name']} (told by {view.host}) both hold "
                    f"VNI {number}",
                    f"{first[2]}, {view.host}"))  # fmt: skip
    return found


def durability(views: Mapping[str, View], history: History) -> list[Violation]:
    """What was acknowledged is there; what was acknowledged as removed is not."""
    found: list[Violation] = []
    for thing in history.made.values():
        # A removal spreads as it can: only who acknowledged it must know of it at once.
        host = thing.removed_by or thing.host
        view = views.get(host)
        if view is None or host in history.vague or view.at < thing.at:
            continue
        there = thing.id in (view.containers if thing.kind == "container" else view.networks)
        if thing.shared and not thing.removed_by and not there:
            # A worker tells only of those that it is on, and a manager may have become one: a manager knows.
            there = any(thing.id in other.networks for other in views.values())
            if not any(other.manager for other in views.values()):
                continue
        what = f"{thing.kind} {thing.name} ({thing.id[:12]}) on {host}"
        if not there and not thing.gone:
            told = f"{what} was acknowledged at {thing.at:.3f} s and is not there any more"
            found.append(Violation("durability", f"lost {thing.id}", told, host))
        if there and thing.removed_by:
            told = f"the removal of {what} was acknowledged, and it is there again"
            found.append(Violation("durability", f"back {thing.id}", told, host))
    return found
