"""What a run left behind: all that reports, JUnit files and people read of it.

Times are seconds since the run began; `started` alone is wall-clock time. A record is complete however it ended, an
interruption too: it has what was observed until then. The JSON form is the dataclasses', field by field, and
is read back by `from_json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1

PASSED, FAILED, ERROR = "passed", "failed", "error"
"""Verdicts: all held; an expectation or invariant did not; the run itself could not go on (what was asked for could not
be started or read, Ctrl-C, a deadline of the run)."""

REAL, SIMULATED = "real", "sim"

DIRECTIONS = {"out": "sent", "in": "received", "lost": "lost"}
"""Of packets: the daemons' words and ours."""

KINDS = ("step", "expectation", "fault", "member", "container", "invariant", "load", "host", "note")
"""Kinds of events: a lane's colours in a timeline."""


class BadRecord(ValueError):
    """A file that is not a run's record of this version."""


@dataclass(slots=True)
class Event:
    """Something that happened. host "" is the run's own lane. `until`: its end, when it lasted (a fault, a step that
    took time); None for a point in time, or for what still went on at the end of the run.

    ok: False for what failed, None where nothing is judged. details: plain JSON (a step's output, an expectation's last
    answer, a fault's settings, a member's state before and after).
    """

    at: float
    kind: str
    text: str
    host: str = ""
    until: float | None = None
    ok: bool | None = None
    line: int = 0
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Series:
    """Measurements over time: (seconds, value); a lost probe is a value of None."""

    name: str
    unit: str
    host: str = ""
    points: list[tuple[float, float | None]] = field(default_factory=list)


@dataclass(slots=True)
class Message:
    """One message between hosts, for Lamport diagrams. received: None when it never arrived. id: unique in a run."""

    id: int
    source: str
    target: str
    sent: float
    received: float | None
    kind: str
    label: str = ""


@dataclass(slots=True)
class Verdict:
    """The outcome. what: one sentence; when: seconds; where: a host, container or network; line: of the scenario's
    file; leading: the events that led to it, oldest first."""

    outcome: str = PASSED
    what: str = ""
    when: float | None = None
    where: str = ""
    line: int = 0
    leading: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class HostRecord:
    """A host of the run. logs: its daemon's last lines. capture: the file of its underlay's packets, where one was
    kept."""

    name: str
    address: str
    logs: list[str] = field(default_factory=list)
    capture: str = ""


@dataclass(slots=True)
class Packet:
    """One datagram at a host's underlay, or a part of a stream. direction: "sent", "received", or "lost" (a fault kept
    it from leaving). Ends are "address:port"; data in hex. stream: "" for a datagram, else "open", "data" or "end"."""

    at: float
    host: str
    direction: str
    kind: str
    source: str
    target: str
    data: str
    stream: str = ""


@dataclass(slots=True)
class RunRecord:
    """A run. `failures` has every judgement that failed, the first of them is the verdict. digest: of all packets, in
    simulated time only. packets: bounded, the newest kept; `packets_dropped` counts the rest,
    and what the hosts could not tell of in time."""

    scenario: str
    file: str
    text: str
    mode: str
    seed: int
    started: float
    hosts: list[HostRecord] = field(default_factory=list)
    duration: float = 0.0
    took: float = 0.0
    story: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    failures: list[Verdict] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)
    packets_dropped: int = 0
    captures: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    format: int = FORMAT

    @property
    def passed(self) -> bool:
        return self.verdict.outcome == PASSED

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Atomic: a reader sees the old file or the whole new one."""
        new = path.with_name(path.name + ".new")
        new.write_text(self.to_json())
        new.replace(path)


def from_json(text: str) -> RunRecord:
    """Raises BadRecord."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise BadRecord(f"a run's record of format {FORMAT} expected")
        return RunRecord(**{
            **found,
            "hosts": [HostRecord(**h) for h in found["hosts"]],
            "verdict": _verdict(found["verdict"]),
            "failures": [_verdict(v) for v in found["failures"]],
            "events": [Event(**e) for e in found["events"]],
            "series": [Series(**{**s, "points": [(p[0], p[1]) for p in s["points"]]}) for s in found["series"]],
            "messages": [Message(**m) for m in found["messages"]],
            "packets": [Packet(**p) for p in found["packets"]],
        })  # fmt: skip
    except (ValueError, TypeError, KeyError, IndexError) as error:
        if isinstance(error, BadRecord):
            raise
        raise BadRecord(f"not a run's record: {error}") from error


def read(path: Path) -> RunRecord:
    """Raises BadRecord, OSError."""
    return from_json(path.read_text())


def _verdict(found: Mapping[str, Any]) -> Verdict:
    return Verdict(**{**found, "leading": [Event(**e) for e in found["leading"]]})
