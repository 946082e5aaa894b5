"""Which wounds there are: the rows of the table, with their reports and what they wait for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STAGED = Path(__file__).with_name("staged")


@dataclass(frozen=True, slots=True)
class Wound:
    """A row. name: of its scenario, and of its staging on real engines. sign: the regular expression that the message
    of a failed run must fit, so that nothing else is counted. waits: what of it cannot be staged yet, and on what."""

    name: str
    title: str
    reports: tuple[str, ...]
    sign: str = r"wound:|^invariant names: "
    modelled: bool = True
    waits: str = ""
    most: int = 1_000_000
    """So many seeds at most: some take minutes of simulated time."""

    @property
    def file(self) -> Path:
        return STAGED / f"{self.name}.yaml"


WOUNDS = (
    Wound("stale-fdb", "stale FDB after an address moves", ("33789", "35401", "52661")),
    Wound("names-after-disconnect", "names lost after a short disconnect", ("53141", "37535", "26747")),
    Wound("split-gossip", "split gossip does not heal", ("42459", "53715", "libnetwork 2134")),
    Wound("one-address-twice", "two containers, one address", ("33795", "33402", "41576", "32634", "22334"),
          sign=r"^invariant addresses: "),
    Wound("name-of-the-gone", "name answers for what is gone", ("28836", "36797", "41744")),
    Wound("name-taken-away", "name lost by a late event of another", ("30134",)),
    Wound("client-address", "client's address lost at the ingress", ("25526", "39465"), modelled=False,
          waits="services; staged is a container's published port"),
    Wound("idle-connection", "idle connections die through a VIP", ("31208", "37822", "29655", "docs 5519"),
          modelled=False, waits="services; staged is a container's published port", most=20),
    Wound("mtu-black-hole", "MTU black hole", ("24906", "for-linux 594")),
    Wound("wrong-source", "wrong outer source address", ("53004",), modelled=False,
          waits="simulated hosts with two addresses"),
    Wound("slow-accuser", "slow node gets healthy ones declared dead", ("consul 1212", "consul 5567")),
    Wound("network-not-found", "network not found without the manager", ("41576", "32634"),
          sign=r"wound:|context deadline exceeded"),
)  # fmt: skip


def named(name: str) -> Wound | None:
    return next((wound for wound in WOUNDS if wound.name == name), None)
