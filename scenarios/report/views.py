"""How the members saw one another over time, from the members' events of a run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from scenarios.running.record import Event, RunRecord

ALIVE, SUSPECT, DEAD, LEFT, DOWN = "alive", "suspect", "dead", "left", "down"


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which something stayed as it was."""

    start: float
    end: float
    state: str
    why: str = ""


def down_spans(record: RunRecord) -> dict[str, list[Span]]:
    """When each host was killed or paused, as far as the faults and steps of the run tell."""
    found: dict[str, list[Span]] = {host.name: [] for host in record.hosts}
    open_since: dict[str, Event] = {}
    for event in sorted(record.events, key=lambda e: e.at):
        settings = event.details.get("settings")
        if event.kind == "fault" and isinstance(settings, dict):
            for action in ("kill", "pause"):
                for host in settings.get(action) or ():
                    if host in found:
                        found[host].append(Span(event.at, event.until or record.duration, DOWN, event.text))
            continue
        words = event.text.replace(",", " ").split()
        if event.kind not in ("step", "fault") or not words or words[0] not in ("kill", "pause", "resume", "restart"):
            continue
        for host in words[1:]:
            if host not in found:
                continue
            if words[0] in ("kill", "pause"):
                open_since.setdefault(host, event)
            elif (since := open_since.pop(host, None)) is not None:
                found[host].append(Span(since.at, event.until or event.at, DOWN, since.text))
            elif words[0] == "restart":
                found[host].append(Span(event.at, event.until or event.at, DOWN, event.text))
    for host, since in open_since.items():
        found[host].append(Span(since.at, record.duration, DOWN, since.text))
    return found


def views(record: RunRecord) -> dict[str, dict[str, list[Span]]]:
    """observer -> member -> what it held it to be, in order, until the end of the run."""
    names = {host.name for host in record.hosts}
    now: dict[tuple[str, str], tuple[float, str, str]] = {}
    found: dict[str, dict[str, list[Span]]] = {host.name: {} for host in record.hosts}
    for event in sorted((e for e in record.events if e.kind == "member"), key=lambda e: e.at):
        member, state = str(event.details.get("member", "")), str(event.details.get("state") or "")
        if event.host not in names or member == event.host or not state:
            continue
        key = (event.host, member)
        if key in now:
            since, before, why = now[key]
            found[event.host].setdefault(member, []).append(Span(since, event.at, before, why))
        now[key] = (event.at, state, event.text)
    for (observer, member), (since, state, why) in now.items():
        found[observer].setdefault(member, []).append(Span(since, max(since, record.duration), state, why))
    for observer, outages in down_spans(record).items():
        for outage in outages:
            if not outage.why.startswith("pause"):
                for member, spans in found[observer].items():
                    found[observer][member] = _forgotten(spans, outage)
    return found


def _forgotten(spans: list[Span], outage: Span) -> list[Span]:
    """A process that was killed holds nothing more; after it starts again only what it was told since."""
    kept = []
    for span in spans:
        if span.end <= outage.start or span.start >= outage.end:
            kept.append(span)
        elif span.start < outage.start:
            kept.append(Span(span.start, outage.start, span.state, span.why))
        elif span.end > outage.end:  # the new process told it before its start was done
            kept.append(Span(outage.end, span.end, span.state, span.why))
    return kept


def worst(spans: list[list[Span]]) -> list[Span]:
    """Many members' spans as one: the worst that any of them was held to be."""
    rank = {ALIVE: 0, LEFT: 1, SUSPECT: 2, DEAD: 3}
    edges = sorted({edge for member in spans for span in member for edge in (span.start, span.end)})
    found: list[Span] = []
    for start, end in itertools.pairwise(edges):
        here = [span for member in spans for span in member if span.start <= start < span.end]
        if not here:
            continue
        chosen = max(here, key=lambda s: rank.get(s.state, 0))
        count = sum(span.state == chosen.state for span in here)
        if found and found[-1].state == chosen.state and found[-1].end == start:
            found[-1] = Span(found[-1].start, end, chosen.state, found[-1].why)
        else:
            found.append(Span(start, end, chosen.state, f"{count} of {len(here)} {chosen.state}"))
    return found


def doubts(record: RunRecord) -> dict[str, list[tuple[float, int]]]:
    """state -> how many pairs (observer, member) were in it, at each moment that this changed: SUSPECT and DEAD."""
    steps: list[tuple[float, str, int]] = []
    for members in views(record).values():
        for spans in members.values():
            for span in spans:
                if span.state in (SUSPECT, DEAD):
                    steps += [(span.start, span.state, 1)]
                    if span.end < record.duration:
                        steps += [(span.end, span.state, -1)]
    found: dict[str, list[tuple[float, int]]] = {SUSPECT: [(0.0, 0)], DEAD: [(0.0, 0)]}
    for at, state, change in sorted(steps):
        found[state].append((at, found[state][-1][1] + change))
    return found
