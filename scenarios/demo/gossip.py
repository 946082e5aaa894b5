"""Who told whom: each daemon's own account of what it learnt of the others, from its control socket."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scenarios.launch.localhttp import lines
from scenarios.launch.record import Host

_NODE = re.compile(r"-[a-z0-9]{25}\b")


@dataclass(frozen=True, slots=True)
class Rumour:
    """One change of a member in a host's eyes. `when` is wall-clock seconds."""

    host: str
    when: float
    event: str
    member: str
    reason: str
    told_by: str


def short(member: str | None) -> str:
    """`h1` of the gossip name `h1-<node id>`."""
    return _NODE.sub("", member or "")


def rumours(host: Host, *, since: float = 0.0) -> list[Rumour]:
    """What the host noticed of members since a wall-clock time, oldest first."""
    found = []
    for entry in lines(host.control_api, "/v1/events"):
        if isinstance(entry, dict) and entry.get("type") == "member":
            when = entry.get("when")
            rumour = Rumour(
                host.name, float(when) if isinstance(when, int | float) else 0.0, str(entry.get("event")),
                short(str(entry.get("member"))), short(str(entry.get("reason") or "")),
                short(str(entry["told_by"])) if entry.get("told_by") else "",
            )  # fmt: skip
            if rumour.when >= since:
                found.append(rumour)
    return found


def sentence(rumour: Rumour) -> str:
    """For reading."""
    by = f", told by {rumour.told_by}" if rumour.told_by and rumour.told_by != rumour.host else ""
    why = f" ({rumour.reason})" if rumour.reason else ""
    return f"{rumour.host}: {rumour.member} {rumour.event}{by}{why}"
