"""What all hosts must tell alike a while after the last change: members, networks, and every record of their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scenarios.invariants.snapshot import View
from scenarios.invariants.statics import Violation
from scenarios.running.stage import Stage
from scenarios.running.swarm import HostSilent, SwarmFailed, alive

_KINDS = {
    "o": "owned rows of {}, deleted and hidden ones too", "s": "shared rows of {}, tombstones too",
    "n": "rings of the number spaces", "r": "the roster", "e": "the owners' boots",
}  # fmt: skip
"""Groups of a daemon's records: the first letter is their kind, the rest their table."""


async def agreement(stage: Stage, views: Mapping[str, View]) -> list[Violation]:
    """Of the hosts that are in the swarm and answer."""
    hosts = [host for host, view in views.items() if view.active]
    found: list[Violation] = []
    tables: dict[str, dict[str, dict[str, str]]] = {}
    records: dict[str, dict[str, Mapping[str, int]]] = {}
    for host in hosts:
        try:
            seen = sorted(await alive(stage.swarm, host))
            tables[host] = await stage.swarm.control(host, "GET", "/v1/tables")
            records[host] = _named(await stage.swarm.control(host, "GET", "/v1/tables?all=1"))
        except (HostSilent, SwarmFailed):
            continue
        if seen != sorted(hosts):
            found.append(Violation("convergence", f"members {host}",
                f"{host} holds {', '.join(seen)} alive, and {', '.join(sorted(hosts))} are", host))  # fmt: skip
    return found + _networks([views[h] for h in tables]) + _differences(tables) + _differences(records)


def keys(views: Mapping[str, View], seals: Mapping[str, Mapping[str, None]]) -> list[Violation]:
    """Nobody seals with a key that one had who was removed. seals: which each node id was seen to seal with."""
    return [
        Violation("convergence", f"key {view.host}",
            f"{view.host} seals gossip with a key that node {node[:12]} had, which was removed", view.host)
        for view in views.values() if view.active
        for node in view.removed if view.seal in seals.get(node, {})
    ]  # fmt: skip


def _networks(views: Sequence[View]) -> list[Violation]:
    """What `docker network ls` shows: managers all overlays, workers none that no manager has."""
    shown = {view.host: {id: n["Name"] for id, n in view.networks.items() if view.is_overlay(id)} for view in views}
    known: dict[str, str] = {}
    for view in views:
        if view.manager:
            known.update(shown[view.host])
    found = []
    for view in views:
        own = shown[view.host]
        missing = [id for id in known if id not in own] if view.manager else []
        for id in [*missing, *(id for id in own if id not in known)]:
            name, has = (own.get(id) or known[id], id in own)
            told = f"{view.host} shows the network {name} ({id[:12]}), and no manager has it"
            if not has:
                told = f"{view.host} does not show the network {name} ({id[:12]}), and another manager does"
            found.append(Violation("convergence", f"network {id} {view.host}", told, view.host))
    return found if known or any(view.manager for view in views) else []


def _named(groups: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, int]]:
    return {_KINDS.get(group[:1], group).format(group[1:]): rows for group, rows in groups.items()}


def _differences(tables: Mapping[str, Mapping[str, Mapping[str, object]]]) -> list[Violation]:
    """Of each host from the first."""
    if not tables:
        return []
    first, *others = tables
    found = []
    for host in others:
        for table in dict.fromkeys([*tables[first], *tables[host]]):
            rows, own = tables[first].get(table, {}), tables[host].get(table, {})
            differing = sorted(key for key in {**rows, **own} if rows.get(key) != own.get(key))
            if differing:
                key = differing[0]
                how = (
                    "has it not"
                    if key not in own
                    else f"has it and {first} has it not"
                    if key not in rows
                    else "has another"
                )
                found.append(Violation("convergence", f"table {table} {host}",
                    f"{table}: {host} differs from {first} in {len(differing)} rows: {key}: it {how}",
                    f"{first}, {host}"))  # fmt: skip
    return found
