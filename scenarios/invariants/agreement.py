"""What all hosts must tell alike a while after the last change: members and tables."""

from __future__ import annotations

from collections.abc import Mapping

from scenarios.invariants.snapshot import View
from scenarios.invariants.statics import Violation
from scenarios.running.stage import Stage
from scenarios.running.swarm import HostSilent, SwarmFailed, alive


async def agreement(stage: Stage, views: Mapping[str, View]) -> list[Violation]:
    """Of the hosts that are in the swarm and answer."""
    hosts = [host for host, view in views.items() if view.active]
    found: list[Violation] = []
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for host in hosts:
        try:
            seen = sorted(await alive(stage.swarm, host))
            tables[host] = await stage.swarm.control(host, "GET", "/v1/tables")
        except (HostSilent, SwarmFailed):
            continue
        if seen != sorted(hosts):
            found.append(Violation("convergence", f"members {host}",
                f"{host} holds {', '.join(seen)} alive, and {', '.join(sorted(hosts))} are", host))  # fmt: skip
    for host in list(tables)[1:]:
        first = next(iter(tables))
        for table, rows in tables[first].items():
            own = tables[host].get(table, {})
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
                    f"the table {table} of {host} differs from that of {first} in {len(differing)} rows: "
                    f"of {key} it {how}",
                    f"{first}, {host}"))  # fmt: skip
    return found
