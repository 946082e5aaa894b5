"""Faults of a running swarm, set at each daemon's control socket.

Every daemon gets the same list and applies for itself what concerns it. A daemon that is dead gets it as the file
that it reads before it binds anything, so that one restarted inside a partition starts inside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.store.sqlite import SqliteStore, StoreUnusable
from daemon.underlay.faults import STORED_AS, TRAFFIC
from scenarios.launch.errors import LaunchError
from scenarios.launch.localhttp import JSON, RequestFailed, request
from scenarios.launch.record import Host, Swarm

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Partition:
    """A cut between groups of hosts, by name. `since` is wall-clock seconds."""

    id: str
    groups: tuple[tuple[str, ...], ...]
    since: float
    oneway: bool = False
    traffic: tuple[str, ...] = ()

    kind = "partition"

    def __str__(self) -> str:
        among = f" ({', '.join(self.traffic)} only)" if self.traffic else ""
        return (" -> " if self.oneway else " / ").join(",".join(group) for group in self.groups) + among

    def document(self, addresses: Mapping[str, str]) -> dict[str, JSON]:
        return {
            "id": self.id, "since": self.since, "oneway": self.oneway, "traffic": list(self.traffic),
            "groups": [[addresses.get(n, n) for n in group] for group in self.groups],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Impairment:
    """What is wrong on the way from hosts to hosts (none: all), by name. amounts: as the control socket takes them."""

    id: str
    since: float
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    traffic: tuple[str, ...] = ()
    amounts: Mapping[str, float | str] = field(default_factory=dict)

    kind = "impairment"

    def __str__(self) -> str:
        amounts = ", ".join(f"{k} {v if isinstance(v, str) else f'{v:g}'}" for k, v in self.amounts.items())
        way = f": {','.join(self.sources) or 'all'} -> {','.join(self.targets) or 'all'}"
        among = f" ({', '.join(self.traffic)} only)" if self.traffic else ""
        return amounts + (way if self.sources or self.targets else "") + among

    def document(self, addresses: Mapping[str, str]) -> dict[str, JSON]:
        return {
            "id": self.id, "since": self.since, "traffic": list(self.traffic), **self.amounts,
            "from": [addresses.get(n, n) for n in self.sources], "to": [addresses.get(n, n) for n in self.targets],
        }  # fmt: skip


Fault = Partition | Impairment


def parse_groups(words: Sequence[str], swarm: Swarm) -> tuple[tuple[str, ...], ...]:
    """`h1,h2 / h3` as groups; one group alone is cut off from all the rest. Raises LaunchError."""
    groups = [tuple(filter(None, (name.strip() for name in part.split(",")))) for part in " ".join(words).split("/")]
    if not all(groups):
        raise LaunchError("a partition is written h1,h2 / h3: a group is empty")
    named = [name for group in groups for name in group]
    for name in named:
        swarm.host(name)
        if named.count(name) > 1:
            raise LaunchError(f"{name} stands in two groups")
    if len(groups) == 1:
        rest = tuple(host.name for host in swarm.hosts if host.name not in named)
        if not rest:
            raise LaunchError("all hosts are in one group: nothing would be cut")
        groups.append(rest)
    return tuple(groups)


def current(swarm: Swarm) -> list[Fault]:
    """The faults in force, as the first living daemon tells. Raises LaunchError when none answers."""
    names = {host.address: host.name for host in swarm.hosts}
    for host in swarm.alive:
        try:
            answer = request(host.control_api, "GET", "/v1/faults", timeout=_TIMEOUT)
        except (OSError, RequestFailed):
            continue
        if not isinstance(answer, dict):
            return []
        cuts = [_partition(entry, names) for entry in _entries(answer.get("partitions"))]
        return [*cuts, *(_impairment(entry, names) for entry in _entries(answer.get("impairments")))]
    raise LaunchError(f"no daemon of {swarm.directory} answers at its control socket")


def _entries(found: JSON) -> list[dict[str, JSON]]:
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _named(found: JSON, names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names.get(str(a), str(a)) for a in found) if isinstance(found, list) else ()


def _since(entry: Mapping[str, JSON]) -> float:
    since = entry.get("since")
    return float(since) if isinstance(since, int | float) else 0.0


def _partition(entry: dict[str, JSON], names: Mapping[str, str]) -> Partition:
    groups = entry.get("groups")
    return Partition(
        str(entry.get("id")),
        tuple(_named(group, names) for group in groups) if isinstance(groups, list) else (),
        _since(entry),
        entry.get("oneway") is True,
        _named(entry.get("traffic"), {}),
    )


def _impairment(entry: dict[str, JSON], names: Mapping[str, str]) -> Impairment:
    amounts: dict[str, float | str] = {}
    for name in ("delay", "jitter", "loss", "duplicate", "reorder", "corrupt", "rate", "mtu"):
        value = entry.get(name)
        if isinstance(value, int | float) and value:
            amounts[name] = float(value) if name != "mtu" else int(value)
    if entry.get("distribution") not in (None, "uniform"):
        amounts["distribution"] = str(entry["distribution"])
    queue = entry.get("queue")
    if "rate" in amounts and isinstance(queue, int):
        amounts["queue"] = queue
    ends = (_named(entry.get("from"), names), _named(entry.get("to"), names))
    return Impairment(str(entry.get("id")), _since(entry), *ends, _named(entry.get("traffic"), {}), amounts)


def leave_for(host: Host, body: JSON) -> None:
    """Puts the faults where a daemon that does not run now will find them."""
    path = Path(host.directory, "state.db")
    if path.exists():
        store = SqliteStore(path)
        try:
            store.commit([(*STORED_AS, json.dumps(body).encode())])
        finally:
            store.close()


def apply(swarm: Swarm, faults: Sequence[Fault]) -> None:
    """Makes these the faults of every daemon, dead ones included. Raises LaunchError when one cannot be told."""
    addresses = {host.name: host.address for host in swarm.hosts}
    body: JSON = {
        "partitions": [f.document(addresses) for f in faults if isinstance(f, Partition)],
        "impairments": [f.document(addresses) for f in faults if isinstance(f, Impairment)],
    }
    for host in swarm.hosts:
        try:
            if host.alive:
                request(host.control_api, "PUT", "/v1/faults", body, timeout=_TIMEOUT)
            else:
                leave_for(host, body)
        except StoreUnusable as error:
            raise LaunchError(f"{host.name} is dead and its store cannot be told: {error}") from error
        except RequestFailed as error:
            raise LaunchError(f"{host.name} refused: {error.message}") from error
        except OSError as error:
            raise LaunchError(f"{host.name} does not answer at its control socket: {error}") from error


def _next_id(before: Sequence[Fault]) -> str:
    taken = {fault.id for fault in before}
    return next(str(n) for n in range(1, len(taken) + 2) if str(n) not in taken)


def _traffic(words: Sequence[str]) -> tuple[str, ...]:
    for word in words:
        if word not in TRAFFIC:
            raise LaunchError(f"--traffic {word!r}: one of {', '.join(TRAFFIC)} expected")
    return tuple(words)


def partition(swarm: Swarm, words: Sequence[str], *, oneway: bool = False, traffic: Sequence[str] = ()) -> Partition:
    """Adds a cut to those in force."""
    groups = parse_groups(words, swarm)
    before = current(swarm)
    made = Partition(_next_id(before), groups, time.time(), oneway, _traffic(traffic))
    apply(swarm, [*before, made])
    return made


def impair(
    swarm: Swarm, amounts: Mapping[str, float | str], *, sources: Sequence[str] = (), targets: Sequence[str] = (),
    traffic: Sequence[str] = (),
) -> Impairment:  # fmt: skip
    """Adds an impairment to those in force. Raises LaunchError for hosts and traffic that do not exist."""
    for name in (*sources, *targets):
        swarm.host(name)
    before = current(swarm)
    made = Impairment(_next_id(before), time.time(), tuple(sources), tuple(targets), _traffic(traffic), dict(amounts))
    apply(swarm, [*before, made])
    return made


def heal(swarm: Swarm, ids: Sequence[str] = ()) -> list[Fault]:
    """Ends the faults with these ids, or all; returns them. Raises LaunchError for an id that is not there."""
    before = current(swarm)
    for wanted in ids:
        if wanted not in {fault.id for fault in before}:
            raise LaunchError(f"no fault {wanted!r} in force")
    ended = [fault for fault in before if not ids or fault.id in ids]
    apply(swarm, [fault for fault in before if fault not in ended])
    return ended
