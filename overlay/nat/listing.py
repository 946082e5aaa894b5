"""What a host's gateway does, as an administrator reads it: the rules in the order in which they are asked, in the
names of iptables, each with a sentence in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overlay.wire.address import ip_text

if TYPE_CHECKING:
    from overlay.nat.gateway import BridgeRules, Forward

_ANY = "anywhere"


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule. `chain` is PREROUTING, POSTROUTING or FORWARD; `came` and `goes` are interfaces, "any" for all."""

    chain: str
    target: str
    protocol: str
    came: str
    goes: str
    source: str
    destination: str
    meaning: str


def lines_of(
    bridges: Iterable[BridgeRules], forwards: Iterable[Forward], uplinks: Mapping[str, bytes], names: Mapping[str, str]
) -> list[RuleLine]:
    """`names`: what the network of a bridge is called."""
    networks = [(rules, names.get(rules.interface, rules.interface)) for rules in bridges]
    out = ", ".join(uplinks) or "any"
    return [*_published(forwards, out), *_masqueraded(networks, uplinks), *_filtered(networks)]


def _published(forwards: Iterable[Forward], came: str) -> list[RuleLine]:
    return [
        RuleLine(
            "PREROUTING", "DNAT", rule.protocol, came, "any", _ANY, f"{rule.host_ip or 'this host'}:{rule.host_port}",
            f"goes to {rule.target_ip}:{rule.target_port}",
        )
        for rule in forwards
    ]  # fmt: skip


def _masqueraded(networks: Sequence[tuple[BridgeRules, str]], uplinks: Mapping[str, bytes]) -> list[RuleLine]:
    return [
        RuleLine("POSTROUTING", "MASQUERADE", "all", rules.interface, goes, subnet, _ANY,
                 f"what leaves {name} has {ip_text(address)} as its source")
        for rules, name in networks if rules.masquerade
        for subnet in rules.subnets
        for goes, address in uplinks.items()
    ]  # fmt: skip


def _filtered(networks: Sequence[tuple[BridgeRules, str]]) -> list[RuleLine]:
    def line(target: str, came: str, goes: str, meaning: str) -> RuleLine:
        return RuleLine("FORWARD", target, "all", came, goes, _ANY, _ANY, meaning)

    inside = [
        line("ACCEPT" if rules.icc else "DROP", rules.interface, rules.interface,
             f"containers of {name} {'may' if rules.icc else 'may not'} talk to one another")
        for rules, name in networks
    ]  # fmt: skip
    isolated = [line("DROP", "any bridge", "another bridge", "networks are isolated from one another")]
    internal = [
        each
        for rules, name in networks if rules.internal
        for each in (line("DROP", rules.interface, "any", f"{name} is internal: nothing leaves it"),
                     line("DROP", "any", rules.interface, f"{name} is internal: nothing enters it"))
    ]  # fmt: skip
    return [
        *inside,
        *(isolated if len(networks) > 1 else []),
        *internal,
        line("ACCEPT", "any", "any", "flows that are known: answers, and what was sent to a published port"),
        line("DROP", "outside", "any bridge", "nothing else enters a network unasked"),
        line("ACCEPT", "any bridge", "outside", "containers may open flows to the outside"),
    ]
