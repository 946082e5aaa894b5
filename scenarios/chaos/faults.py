"""Partitions of a running swarm, set at each daemon's control socket.

Every daemon gets the same list and drops for itself what crosses a cut. A daemon that is dead gets it as the file
that it reads before it binds anything, so that one restarted inside a partition starts inside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.store.sqlite import SqliteStore, StoreUnusable
from daemon.underlay.faults import STORED_AS
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

    def __str__(self) -> str:
        return " / ".join(",".join(group) for group in self.groups)


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


def current(swarm: Swarm) -> list[Partition]:
    """The partitions in force, as the first living daemon tells. Raises LaunchError when none answers."""
    names = {host.address: host.name for host in swarm.hosts}
    for host in swarm.alive:
        try:
            answer = request(host.control_api, "GET", "/v1/faults", timeout=_TIMEOUT)
        except (OSError, RequestFailed):
            continue
        found = answer.get("partitions") if isinstance(answer, dict) else None
        return [_partition(entry, names) for entry in found or () if isinstance(entry, dict)] if isinstance(
            found, list) else []  # fmt: skip
    raise LaunchError(f"no daemon of {swarm.directory} answers at its control socket")


def _partition(entry: dict[str, JSON], names: dict[str, str]) -> Partition:
    groups = entry.get("groups")
    since = entry.get("since")
    return Partition(
        str(entry.get("id")),
        tuple(
            tuple(names.get(str(a), str(a)) for a in group) for group in groups if isinstance(group, list)
        ) if isinstance(groups, list) else (),
        float(since) if isinstance(since, int | float) else 0.0,
    )  # fmt: skip


def leave_for(host: Host, body: JSON) -> None:
    """Puts the faults where a daemon that does not run now will find them."""
    path = Path(host.directory, "state.db")
    if path.exists():
        store = SqliteStore(path)
        try:
            store.commit([(*STORED_AS, json.dumps(body).encode())])
        finally:
            store.close()


def apply(swarm: Swarm, partitions: list[Partition]) -> None:
    """Makes `partitions` the faults of every daemon, dead ones included. Raises LaunchError when one cannot be told."""
    addresses = {host.name: host.address for host in swarm.hosts}
    body: JSON = {
        "partitions": [
            {"id": p.id, "since": p.since, "groups": [[addresses.get(n, n) for n in group] for group in p.groups]}
            for p in partitions
        ]
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


def partition(swarm: Swarm, words: Sequence[str]) -> Partition:
    """Adds a cut to those in force."""
    groups = parse_groups(words, swarm)
    before = current(swarm)
    taken = {p.id for p in before}
    number = next(n for n in range(1, len(taken) + 2) if str(n) not in taken)
    made = Partition(str(number), groups, time.time())
    apply(swarm, [*before, made])
    return made


def heal(swarm: Swarm, ids: Sequence[str] = ()) -> list[Partition]:
    """Ends the cuts with these ids, or all; returns them. Raises LaunchError for an id that is not there."""
    before = current(swarm)
    for wanted in ids:
        if wanted not in {p.id for p in before}:
            raise LaunchError(f"no fault {wanted!r} in force")
    ended = [p for p in before if not ids or p.id in ids]
    apply(swarm, [p for p in before if p not in ended])
    return ended
