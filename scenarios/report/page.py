"""The page that explains a run to someone who was not there: verdict, timeline, messages, plots, and all that was seen.

One file without anything from outside: styles and script stand in it, pictures are SVG and boxes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources

from scenarios.report.diagram import diagram
from scenarios.report.markup import moment, plain, seconds, tag, text
from scenarios.report.plots import plots
from scenarios.report.timeline import timeline
from scenarios.running.record import ERROR, FAILED, PASSED, Event, RunRecord, Verdict

_WORDS = {PASSED: "Passed", FAILED: "Failed", ERROR: "Could not be run to its end"}
_SIGNS = {PASSED: "✓", FAILED: "✗", ERROR: "!"}
_DIAGRAMS = 3


def page(record: RunRecord, beside: Mapping[str, str] | None = None) -> str:
    """beside: files that lie beside the page, what they are -> their names."""
    files = resources.files("scenarios.report")
    parts = [
        _head(record, beside or {}),
        _section("timeline", "Timeline", _legend(record), timeline(record)),
        _messages(record),
        _section("plots", "Measurements", plots(record)),
        _section("steps", "What was done and expected", _steps(record)),
        _section("hosts", "Hosts", *[_host(record, n) for n in range(len(record.hosts))]),
        _section("scenario", "The scenario", _source(record)),
    ]
    body = tag("main", *parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">'
        f"<title>{text(record.scenario)}: {text(record.verdict.outcome)}</title>"
        f"<style>{files.joinpath('page.css').read_text()}</style></head>"
        f"<body>{body}<script>{files.joinpath('page.js').read_text()}</script></body></html>\n"
    )


def _section(name: str, title: str, *inside: str) -> str:
    return tag("section", tag("h2", text(title)), *inside, id=name) if any(inside) else ""


def _head(record: RunRecord, beside: Mapping[str, str]) -> str:
    verdict = record.verdict
    badge = tag("p", tag("b", _SIGNS[verdict.outcome]), " ", _WORDS[verdict.outcome], class_=f"badge {verdict.outcome}")
    if verdict.outcome == PASSED:
        expected = sum(e.kind == "expectation" for e in record.events)
        what = f"All {expected} expectations held, and no invariant was violated, in {seconds(record.duration)}."
        where: list[str] = []
    else:
        what = verdict.what or "No reason was noted."
        where = [
            tag("span", tag("b", "when"), " ", text(moment(verdict.when))) if verdict.when is not None else "",
            tag("span", tag("b", "where"), " ", text(verdict.where)) if verdict.where else "",
            tag("a", text(f"{record.file}:{verdict.line}"), href=f"#line-{verdict.line}") if verdict.line else "",
        ]
    time = "simulated time" if record.mode == "sim" else "real time, on processes"
    facts = {
        "hosts": len(record.hosts), "ran in": time, "lasted": seconds(record.duration), "took": seconds(record.took),
        "seed": record.seed, "started": datetime.fromtimestamp(record.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        **{f"${name}": value for name, value in record.variables.items()},
    }  # fmt: skip
    if record.digest:
        facts["digest of all packets"] = record.digest[:16]
    if record.packets_dropped:
        facts["packets not in the capture"] = f"{record.packets_dropped}: the newest {len(record.packets)} are"
    rows = "".join(tag("div", tag("dt", text(k)), tag("dd", text(v))) for k, v in facts.items())
    action = "sim" if record.mode == "sim" else "run"
    again = f"shoal scenario {action} {record.file} --seed {record.seed}"
    for name, value in record.variables.items():
        again += f" --set {name}={json.dumps(value) if not isinstance(value, str) else value}"
    links = " · ".join(tag("a", text(what_), href=name) for what_, name in beside.items())
    return tag(
        "header",
        tag("h1", text(record.scenario)),
        badge,
        tag("p", text(what), class_="what"),
        tag("p", *where, class_="where") if any(where) else "",
        _leading(verdict, record),
        _others(record),
        _story(record.story),
        tag("dl", rows, class_="facts"),
        tag("p", "Again: ", tag("code", text(again)), class_="again"),
        tag("p", "Beside this page: ", links, class_="again") if links else "",
    )


def _story(story: str) -> str:
    """The first line is its title; lines of a paragraph are one."""
    title, _, rest = story.strip().partition("\n")
    paragraphs = [" ".join(part.split()) for part in rest.split("\n\n")]
    inside = [tag("p", tag("b", text(title)))] if title else []
    inside += [tag("p", text(part)) for part in paragraphs if part]
    return tag("div", *inside, class_="story") if inside else ""


def _leading(verdict: Verdict, record: RunRecord) -> str:
    if not verdict.leading:
        return ""
    rows = "".join(_led(event) for event in verdict.leading)
    end = tag("li", tag("time", text(moment(verdict.when))), tag("b", text(verdict.what)), class_="bad")
    return tag("details", tag("summary", "What led to it"), tag("ol", rows, end, class_="leading"), open="")


def _led(event: Event) -> str:
    state = {True: "good", False: "bad", None: ""}[event.ok]
    ended = f" (until {moment(event.until)})" if event.until is not None and event.until - event.at > 0.001 else ""
    host = tag("em", text(event.host)) if event.host else ""
    return tag("li", tag("time", text(moment(event.at))), tag("i", class_=f"dot {event.kind} {state}"), host,
               text(plain(event.text) + ended), class_=state or None)  # fmt: skip


def _others(record: RunRecord) -> str:
    rows = [
        tag("li", tag("time", text(moment(v.when))), text(v.what), tag("em", text(v.where)) if v.where else "")
        for v in record.failures if v != record.verdict
    ]  # fmt: skip
    if not rows:
        return ""
    return tag("details", tag("summary", f"{len(rows)} more that failed"), tag("ol", *rows, class_="leading"), open="")


def _legend(record: RunRecord) -> str:
    kinds = ("step", "expectation good", "expectation bad", "fault", "container", "load", "note")
    items = "".join(tag("span", tag("i", class_=f"dot {kind}"), text(_LEGEND[kind])) for kind in kinds)
    states = "".join(
        tag("span", tag("i", class_=f"view {state} swatch"), text(f"held {state}"))
        for state in ("alive", "suspect", "dead")
    )
    ways = (("−", "out", "less"), ("+", "in", "zoom the time"))
    buttons = [tag("button", sign, type="button", data_zoom=way, title=title) for sign, way, title in ways]
    zoom = tag("span", *buttons, class_="zoom")
    where = tag("span", "", class_="moment-at", aria_live="off")
    return tag("p", items, states, where, zoom, class_="legend")


_LEGEND = {
    "step": "step", "expectation good": "held", "expectation bad": "did not hold", "fault": "fault",
    "container": "container runs", "load": "load", "note": "note",
}  # fmt: skip


def _messages(record: RunRecord) -> str:
    """Around each failure; of a run that passed, around its first fault."""
    moments: list[tuple[float, str, bool]] = []
    for verdict in record.failures:
        if verdict.when is not None and all(abs(verdict.when - m[0]) > 0.01 for m in moments):
            moments.append((verdict.when, verdict.what, True))
    faults = [e for e in record.events if e.kind == "fault"]
    moments = moments[:_DIAGRAMS] or [(e.at, e.text, False) for e in faults[:1]]
    drawn = [(when, what, diagram(record, when, what, bad=bad)) for when, what, bad in moments]
    inside = [
        tag("p", f"around {moment(when)}: ", text(what), class_="about") + svg for when, what, svg in drawn if svg
    ]
    if not inside:
        return ""
    key = tag("p", "A line for each host, time downwards, an arrow for each message. Rows are events in their order. "
                   "Dashed: never arrived.", class_="about")  # fmt: skip
    return _section("messages", "Messages between hosts", key, *inside)


def _steps(record: RunRecord) -> str:
    rows = []
    for event in sorted((e for e in record.events if e.kind not in ("member", "container")), key=lambda e: e.at):
        state = {True: "good", False: "bad", None: ""}[event.ok]
        lasting = event.until - event.at if event.until is not None else None
        seen = event.details.get("output") or event.details.get("seen")
        more = tag("pre", text(str(seen).strip())) if isinstance(seen, str) and seen.strip() else ""
        line = tag("a", text(event.line), href=f"#line-{event.line}") if event.line else ""
        mark = {"good": "✓", "bad": "✗"}.get(state, "")
        took = seconds(lasting) if lasting else ""
        kind = tag("i", class_=f"dot {event.kind} {state}") + text(event.kind)
        what = tag("span", mark, class_="sign") + text(plain(event.text)) + more
        cells = (f"{event.at:.3f}", kind, text(event.host), what, took, line)
        rows.append(tag("tr", *[tag("td", cell) for cell in cells], class_=state or None))
    head = tag("tr", *[tag("th", name) for name in ("at (s)", "", "host", "", "lasted", "line")])
    return tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="scroll") if rows else ""


def _host(record: RunRecord, number: int) -> str:
    host = record.hosts[number]
    sent = [p for p in record.packets if p.host == host.name]
    own = [e for e in record.events if e.host == host.name and e.kind in ("member", "container")]
    lines = "".join(tag("li", tag("time", f"{e.at:.3f}"), text(plain(e.text))) for e in sorted(own, key=lambda e: e.at))
    words = f"{len(own)} events of its own, {len(sent)} packets kept, {len(host.logs)} lines of log"
    log = tag("pre", text("\n".join(host.logs[-200:])), class_="log") if host.logs else ""
    return tag("details", tag("summary", tag("b", text(host.name)), f" {text(host.address)} ", tag("small", words)),
               tag("ol", lines, class_="leading") if lines else "", log)  # fmt: skip


def _source(record: RunRecord) -> str:
    bad = {v.line for v in record.failures}
    held = {e.line for e in record.events if e.kind == "expectation" and e.ok} - bad
    lines = [
        tag("span", tag("b", text(number)), text(line) or " ", id=f"line-{number}",
            class_="bad" if number in bad else "good" if number in held else None)
        for number, line in enumerate(record.text.splitlines(), 1)
    ]  # fmt: skip
    return tag("pre", "".join(lines), class_="source") if lines else ""
