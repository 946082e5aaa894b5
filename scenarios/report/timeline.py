"""The timeline: faults, the run and each host a lane, on one axis of time. Places are percents: any width will do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scenarios.language.checking import DISKS
from scenarios.report.markup import moment, plain, share, tag, text, ticks
from scenarios.report.views import Span, down_spans, views, worst
from scenarios.running.record import Event, RunRecord

_STRIPS = 9
"""Members with a strip each in a host's lane; with more, one strip tells the worst."""
_THIN = 0.004
"""Of the axis: what is shorter is drawn as a point."""


@dataclass(frozen=True, slots=True)
class _Bar:
    start: float
    end: float
    kind: str
    label: str
    title: str
    target: str = ""


def affected(event: Event, hosts: list[str]) -> list[str]:
    """The hosts that a fault is about."""
    settings = event.details.get("settings")
    if not isinstance(settings, dict):
        return [event.host] if event.host in hosts else hosts
    named: list[str] = []
    for group in settings.get("partition") or ():
        named += group
    for key in ("islands", "kill", "pause", "full_disk", *DISKS, "from_", "to"):
        named += settings.get(key) or ()
    for key in ("slow", "clock"):
        if isinstance(settings.get(key), dict):
            named.append(settings[key].get("host", ""))
    if isinstance(settings.get("flap"), dict):
        named += settings["flap"].get("hosts") or ()
    return [host for host in hosts if host in named] or hosts


def timeline(record: RunRecord) -> str:
    whole = record.duration or 1.0
    hosts = [host.name for host in record.hosts]
    faults = [event for event in record.events if event.kind == "fault"]
    seen = views(record)
    down = down_spans(record)
    lanes = [_axis(whole)]
    if faults:
        bars = [_bar(event, whole, "fault") for event in faults]
        lanes.append(_lane("faults", "", _packed(bars, whole), "faults"))
    own = [e for e in record.events if e.host not in hosts and e.kind not in ("fault", "member", "container")]
    lanes.append(_lane("run", "", _events(own, whole), "run"))
    for host in record.hosts:
        events = [e for e in record.events if e.host == host.name and e.kind not in ("fault", "member", "container")]
        shades = "".join(_shade(e, whole) for e in faults if host.name in affected(e, hosts))
        shades += "".join(_strip([span], whole, "outage") for span in down[host.name])
        inside = shades + _views(seen[host.name], whole)
        inside += _packed(_containers(record, host.name, down[host.name]), whole)
        lanes.append(_lane(host.name, host.address, inside + _events(events, whole), "host"))
    marks = "".join(
        tag("i", class_="verdict-mark", style=f"--at:{share(v.when, whole)}", title=f"{moment(v.when)}: {v.what}")
        for v in record.failures if v.when is not None
    )  # fmt: skip
    cursor = tag("div", tag("i", class_="cursor") + marks, class_="overlay axis", data_whole=f"{whole:.6f}")
    return tag("div", tag("div", *lanes, cursor, class_="timeline"), class_="scroll")


def _axis(whole: float) -> str:
    marks = "".join(tag("span", f"{at:g}", style=f"--at:{share(at, whole)}") for at in ticks(whole))
    return _row("seconds", "", marks, "ruler")


def _lane(name: str, about: str, inside: str, kind: str) -> str:
    return _row(name, about, inside, f"lane {kind}")


def _row(name: str, about: str, inside: str, kind: str) -> str:
    head = tag("div", tag("b", text(name)), tag("small", text(about)) if about else "", class_="head")
    return tag("div", head, tag("div", inside, class_="track"), class_=kind)


def _shade(event: Event, whole: float) -> str:
    end = whole if event.until is None else event.until
    return tag("i", class_="shade", style=f"--at:{share(event.at, whole)};--to:{share(end, whole)}")


def _views(members: dict[str, list[Span]], whole: float) -> str:
    if not members:
        return ""
    if len(members) > _STRIPS:
        rows = [(f"{len(members)} members", worst(list(members.values())))]
    else:
        rows = sorted(members.items())
    out = []
    for member, spans in rows:
        strips = "".join(_strip([span], whole, f"view {span.state}") for span in spans)
        out.append(tag("div", tag("span", text(member)), strips, class_="views"))
    return "".join(out)


def _strip(spans: list[Span], whole: float, kind: str) -> str:
    return "".join(
        tag("i", class_=kind, style=f"--at:{share(s.start, whole)};--to:{share(s.end, whole)}",
            title=f"{moment(s.start)} to {moment(s.end)}: {s.state}. {s.why}")
        for s in spans
    )  # fmt: skip


def _containers(record: RunRecord, host: str, down: list[Span]) -> list[_Bar]:
    """A bar for each time that a container ran, from the engine's own events; a daemon's death is its containers'."""
    running: dict[str, float] = {}
    found = []
    deaths = [Event(span.start, "container", "", host) for span in down if not span.why.startswith("pause")]
    own = [event for event in record.events if event.kind == "container" and event.host == host]
    for event in sorted([*own, *deaths], key=lambda e: e.at):
        if not event.text:
            for name, start in running.items():
                title = f"{name}: {moment(start)} to {moment(event.at)}, with its host"
                found.append(_Bar(start, event.at, "container", name, title))
            running.clear()
            continue
        noun, _, rest = event.text.partition(" ")
        name, _, action = rest.rpartition(": ")
        if noun != "container":
            continue
        if action == "start":
            running.setdefault(name, event.at)
        elif action == "die" and name in running:
            start = running.pop(name)
            found.append(_Bar(start, event.at, "container", name, f"{name}: {moment(start)} to {moment(event.at)}"))
    for name, start in running.items():
        found.append(_Bar(start, record.duration, "container", name, f"{name}: from {moment(start)}"))
    return sorted(found, key=lambda b: b.start)


def _bar(event: Event, whole: float, kind: str) -> _Bar:
    end = event.until if event.until is not None else whole if event.kind in ("fault", "load") else event.at
    verdict = {True: "held", False: "FAILED", None: ""}[event.ok]
    until = f" to {moment(end)}" if end > event.at else ""
    title = f"{moment(event.at)}{until}: {plain(event.text)} {verdict}".rstrip()
    state = {True: " good", False: " bad", None: ""}[event.ok]
    return _Bar(event.at, end, kind + state, plain(event.text), title, f"#line-{event.line}" if event.line else "")


def _events(events: Iterable[Event], whole: float) -> str:
    """Expectations and loads with a length are bars, all others points in one row."""
    bars: list[_Bar] = []
    points: list[_Bar] = []
    for event in events:
        bar = _bar(event, whole, event.kind)
        (bars if bar.end - bar.start > _THIN * whole else points).append(bar)
    dots = "".join(
        tag("a", class_=f"dot {b.kind}", style=f"--at:{share(b.start, whole)}", title=b.title, href=b.target or None)
        for b in points
    )  # fmt: skip
    return (tag("div", dots, class_="dots") if points else "") + _packed(bars, whole)


def _packed(bars: list[_Bar], whole: float) -> str:
    """Bars in as few rows as they need not to touch; one near the end has its label before it."""
    rows: list[list[_Bar]] = []
    for bar in sorted(bars, key=lambda b: b.start):
        start, _ = _room(bar, whole)
        row = next((r for r in rows if _room(r[-1], whole)[1] <= start), None)
        if row is None:
            rows.append([bar])
        else:
            row.append(bar)
    return "".join(tag("div", *[_drawn(bar, whole) for bar in row], class_="bars") for row in rows)


def _room(bar: _Bar, whole: float) -> tuple[float, float]:
    """What a bar takes up, roughly: a short one's label stands beside it, or before it near the end."""
    label = _label(bar, whole)
    if not _short(bar, whole):
        return bar.start, bar.end + 0.002 * whole
    return (bar.start - label, bar.end) if _before(bar, whole) else (bar.start, bar.end + label)


def _label(bar: _Bar, whole: float) -> float:
    return min(0.4, 0.0078 * (len(bar.label) + 3)) * whole


def _before(bar: _Bar, whole: float) -> bool:
    return bar.end + _label(bar, whole) > whole


def _short(bar: _Bar, whole: float) -> bool:
    return bar.end - bar.start <= min(0.5, 0.007 * (len(bar.label) + 4)) * whole


def _drawn(bar: _Bar, whole: float) -> str:
    short = _short(bar, whole)
    side = " before" if short and _before(bar, whole) else " beside" if short else ""
    place = f"--at:{share(bar.start, whole)};--to:{share(bar.end, whole)}"
    label = tag("span", text(bar.label))
    return tag("a", label, class_=f"bar {bar.kind}{side}", title=bar.title, href=bar.target or None, style=place)
