"""What is broken between hosts: partitions and impairments, as data.

A partition cuts; an impairment delays, loses, duplicates, reorders, corrupts, slows or shortens what one host sends to
another (the terms are those of Linux' netem). Both are the same list at every host; each host applies what concerns it.
The document is JSON:

    {"partitions": [{"id": "1", "groups": [["192.0.2.1"], ["192.0.2.2"]], "oneway": false, "traffic": [], "since": 0}],
     "impairments": [{"id": "2", "from": [], "to": [], "traffic": ["vxlan"], "loss": 0.3, "since": 0}]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

STORED_AS = ("faults", "now")
"""Where a host keeps its faults in its store, so that it starts in the partition in which it ended."""

TRAFFIC = ("gossip", "vxlan", "lan", "cluster", "other", "udp", "tcp")
"""What a fault may be confined to: a port's kind, or a transport. Kinds and transports given together both must fit."""

_TRANSPORTS = ("udp", "tcp")
DISTRIBUTIONS = ("uniform", "normal", "pareto")


class BadFaults(ValueError):
    """A description of faults that cannot be read; what was in force stays so."""


def _fits(traffic: frozenset[str], kind: str, transport: str) -> bool:
    transports = [t for t in _TRANSPORTS if t in traffic]
    kinds = len(traffic) > len(transports)
    return (not transports or transport in traffic) and (not kinds or kind in traffic)


@dataclass(frozen=True, slots=True)
class Partition:
    """Hosts of different groups do not hear one another; hosts in no group hear all. With `oneway` only the way from
    an earlier group to a later one is cut. since: wall-clock seconds."""

    id: str
    groups: tuple[frozenset[str], ...]
    since: float
    oneway: bool = False
    traffic: frozenset[str] = frozenset()

    def cuts(self, source: str, target: str, kind: str, transport: str) -> bool:
        """Is the way from source to target cut for this traffic?"""
        left = next((i for i, g in enumerate(self.groups) if source in g), None)
        right = next((i for i, g in enumerate(self.groups) if target in g), None)
        if left is None or right is None or left == right or not _fits(self.traffic, kind, transport):
            return False
        return left < right or not self.oneway

    def describe(self) -> dict[str, object]:
        return {
            "id": self.id,
            "groups": [sorted(g) for g in self.groups],
            "oneway": self.oneway,
            "traffic": sorted(self.traffic),
            "since": self.since,
        }


@dataclass(frozen=True, slots=True)
class Impairment:
    """Acts at the sender, on the way from any host of `sources` to any of `targets` (none named: all).

    Probabilities are 0 to 1, times in seconds, rate in bytes a second (0: unlimited) with a queue of `queue` bytes,
    mtu in bytes of datagram payload (0: unlimited). On a stream, which TCP keeps whole, loss and corruption become
    delay, as its retransmission would make them; duplication, reordering and mtu do not apply.
    """

    id: str
    since: float
    sources: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    traffic: frozenset[str] = frozenset()
    delay: float = 0.0
    jitter: float = 0.0
    distribution: str = "uniform"
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    rate: float = 0.0
    queue: int = 1 << 20
    mtu: int = 0

    def concerns(self, source: str, target: str, kind: str, transport: str) -> bool:
        return (
            (not self.sources or source in self.sources)
            and (not self.targets or target in self.targets)
            and _fits(self.traffic, kind, transport)
        )

    def describe(self) -> dict[str, object]:
        return {
            "id": self.id,
            "since": self.since,
            "from": sorted(self.sources),
            "to": sorted(self.targets),
            "traffic": sorted(self.traffic),
            **{name: getattr(self, name) for name in (*_PROBABILITIES, *_AMOUNTS, "distribution")},
        }


_PROBABILITIES = ("loss", "duplicate", "reorder", "corrupt")
_AMOUNTS = ("delay", "jitter", "rate", "queue", "mtu")


@dataclass(frozen=True, slots=True)
class FaultList:
    """All that is broken now."""

    partitions: tuple[Partition, ...] = ()
    impairments: tuple[Impairment, ...] = ()

    def describe(self) -> dict[str, object]:
        return {
            "partitions": [p.describe() for p in self.partitions],
            "impairments": [i.describe() for i in self.impairments],
        }


@dataclass(slots=True)
class Faults:
    """What is broken now. Subscribers are told after each change."""

    now: FaultList = field(default_factory=FaultList)
    _subscribers: dict[int, Callable[[], None]] = field(default_factory=dict)
    _next: int = 0

    def cut(self, source: str, target: str, kind: str, transport: str) -> bool:
        """Is the way from source to target cut for this traffic?"""
        return any(p.cuts(source, target, kind, transport) for p in self.now.partitions)

    def impairments(self, source: str, target: str, kind: str, transport: str) -> tuple[Impairment, ...]:
        """What acts on this traffic on its way from source to target, in the order of the list. What a host sends to
        itself is on no wire."""
        if source == target:
            return ()
        return tuple(i for i in self.now.impairments if i.concerns(source, target, kind, transport))

    def set(self, faults: FaultList) -> None:
        self.now = faults
        for callback in list(self._subscribers.values()):
            callback()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._next += 1
        token = self._next
        self._subscribers[token] = callback

        def unsubscribe() -> None:
            self._subscribers.pop(token, None)

        return unsubscribe

    def describe(self) -> dict[str, object]:
        return self.now.describe()


def parse_faults(document: object) -> FaultList:
    """From the control socket's or the store's JSON. Raises BadFaults with what was expected."""
    if not isinstance(document, Mapping):
        raise BadFaults('expected {"partitions": […], "impairments": […]}')
    _known(document, ("partitions", "impairments"), "fault")
    lists = [document.get(name, []) for name in ("partitions", "impairments")]
    if not document or not all(isinstance(found, list) for found in lists):
        raise BadFaults('expected {"partitions": […], "impairments": […]}')
    faults = FaultList(tuple(_partition(e) for e in lists[0]), tuple(_impairment(e) for e in lists[1]))
    ids = [p.id for p in faults.partitions] + [i.id for i in faults.impairments]
    if len(dict.fromkeys(ids)) != len(ids):
        raise BadFaults("two faults have one id")
    return faults


def _known(entry: Mapping[str, object], names: tuple[str, ...], what: str) -> None:
    unknown = sorted(str(k) for k in entry if k not in names)
    if unknown:
        raise BadFaults(f"unknown {what} {unknown[0]!r}; known: {', '.join(names)}")


def _mapping(entry: object, what: str) -> Mapping[str, object]:
    if not isinstance(entry, Mapping):
        raise BadFaults(f"{what}: an object expected")
    return entry


def _hosts(found: object, what: str) -> frozenset[str]:
    if not isinstance(found, list) or not all(isinstance(a, str) for a in found):
        raise BadFaults(f"{what}: a list of addresses expected")
    return frozenset(found)


def _traffic(entry: Mapping[str, object]) -> frozenset[str]:
    found = entry.get("traffic", [])
    if not isinstance(found, list) or not all(t in TRAFFIC for t in found):
        raise BadFaults(f"traffic: a list of {', '.join(TRAFFIC)} expected")
    return frozenset(found)


def _number(entry: Mapping[str, object], name: str, most: float, default: float = 0.0) -> float:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadFaults(f"{name}: a number from 0 to {most:g} expected, not {value!r}")
    return float(value)


def _partition(found: object) -> Partition:
    entry = _mapping(found, "a partition")
    _known(entry, ("id", "groups", "since", "oneway", "traffic"), "setting of a partition")
    groups = entry.get("groups")
    if not isinstance(groups, list) or len(groups) < 2 or not all(isinstance(g, list) and g for g in groups):
        raise BadFaults("a partition needs two or more groups, each a list of addresses")
    members = [address for group in groups for address in group]
    if len(members) != len(dict.fromkeys(map(str, members))):
        raise BadFaults("a host stands in two groups of one partition")
    oneway = entry.get("oneway", False)
    if not isinstance(oneway, bool):
        raise BadFaults("oneway: true or false expected")
    return Partition(
        str(entry.get("id", "")),
        tuple(_hosts(g, "a group") for g in groups),
        _number(entry, "since", 1e12),
        oneway,
        _traffic(entry),
    )


def _impairment(found: object) -> Impairment:
    entry = _mapping(found, "an impairment")
    names = ("id", "since", "from", "to", "traffic", "distribution", *_PROBABILITIES, *_AMOUNTS)
    _known(entry, names, "setting of an impairment")
    distribution = entry.get("distribution", "uniform")
    if distribution not in DISTRIBUTIONS:
        raise BadFaults(f"distribution: {', '.join(DISTRIBUTIONS)} expected")
    made = Impairment(
        id=str(entry.get("id", "")),
        since=_number(entry, "since", 1e12),
        sources=_hosts(entry.get("from", []), "from"),
        targets=_hosts(entry.get("to", []), "to"),
        traffic=_traffic(entry),
        delay=_number(entry, "delay", 3600),
        jitter=_number(entry, "jitter", 3600),
        distribution=str(distribution),
        loss=_number(entry, "loss", 1),
        duplicate=_number(entry, "duplicate", 1),
        reorder=_number(entry, "reorder", 1),
        corrupt=_number(entry, "corrupt", 1),
        rate=_number(entry, "rate", 1e12),
        queue=int(_number(entry, "queue", 1 << 30, 1 << 20)),
        mtu=int(_number(entry, "mtu", 65535)),
    )
    if not any(getattr(made, name) for name in (*_PROBABILITIES, "delay", "jitter", "rate", "mtu")):
        raise BadFaults(
            "an impairment that does nothing: give delay, jitter, loss, duplicate, reorder, corrupt, rate or mtu"
        )
    return made
