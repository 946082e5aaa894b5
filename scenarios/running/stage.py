"""What all parts of a run share: the swarm below, the record above, variables, chance, and the clock."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scenarios.invariants.history import History
from scenarios.language.model import Scenario
from scenarios.language.variables import filled
from scenarios.oracle.ledger import Call, Ledger
from scenarios.running.lacking import lacking
from scenarios.running.record import ERROR, FAILED, Event, Packet, RunRecord, Verdict
from scenarios.running.swarm import Swarm

_LEADING = 12
_PACKETS = 20_000


class Failed(Exception):
    """Something that must hold did not: `verdict` says what, when and where."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.what)
        self.verdict = verdict


@dataclass(slots=True)
class Stage:
    """began: when the steps began, in the swarm's seconds. tell: is called with each event, for whoever looks on.
    copied: is called when a program in a container says that it got a copy."""

    scenario: Scenario
    swarm: Swarm
    record: RunRecord
    chance: random.Random
    variables: dict[str, Any]
    tell: Callable[[Event], None] = lambda event: None
    began: float = 0.0
    doing: dict[int, str] = field(default_factory=dict)
    packets: deque[Packet] = field(default_factory=lambda: deque(maxlen=_PACKETS))
    expected_down: dict[str, float | None] = field(default_factory=dict)
    disturbed: float = 0.0
    history: History | None = None
    ledger: Ledger = field(default_factory=Ledger)
    copied: Callable[[str, str, str], None] = lambda host, container, output: None

    def event(
        self, kind: str, text: str, *, host: str = "", ok: bool | None = None, line: int = 0, **details: Any
    ) -> Event:
        event = Event(self.swarm.now(), kind, text, host, ok=ok, line=line, details=details)
        self.record.events.append(event)
        self.tell(event)
        return event

    def end(self, event: Event, ok: bool | None = None) -> None:
        event.until = self.swarm.now()
        if ok is not None:
            event.ok = ok
        self.tell(event)

    def text(self, text: str) -> str:
        """With captures and variables. Raises UnknownVariable."""
        return str(filled(text, self.variables))

    def fail(self, what: str, *, where: str = "", line: int = 0, outcome: str = "failed") -> Verdict:
        """Notes a failure, with the events that led to it."""
        leading = sorted(
            (e for e in self.record.events if e.kind != "load" and (e.kind != "note" or e.ok is False)),
            key=lambda e: e.at,
        )[-_LEADING:]
        verdict = Verdict(outcome, what, self.swarm.now(), where, line, list(leading))
        self.record.failures.append(verdict)
        return verdict

    def fail_command(self, what: str, output: str, *, where: str, line: int) -> Verdict:
        """Of a command that must succeed. Where nothing in shoal could have done it the run is an error: it judges
        nobody."""
        why = lacking(output, (call.words for call in self.ledger.history() if isinstance(call, Call)))
        return self.fail(f"{what}; {why}" if why else what, where=where, line=line, outcome=ERROR if why else FAILED)

    def disturb(self) -> None:
        """Something was broken, mended or changed: what must agree again may take its time from now."""
        self.disturbed = self.swarm.now()
