"""Messages between hosts around a moment, as Lamport drew them: a line for each host, time downwards, an arrow for each
message. Rows are events in their order, not a scale of time: what happened within a millisecond is told apart."""

from __future__ import annotations

from scenarios.report.markup import plain, seconds, tag, text
from scenarios.running.record import Event, Message, RunRecord

_MOST = 44
_ROW, _TOP, _LEFT, _COLUMN, _RIGHT = 18, 34, 78, 250, 330
_PAUSE = 0.2
"""Seconds without a message that are marked as a gap."""


def around(record: RunRecord, moment: float, *, after: int = _MOST // 5) -> list[Message]:
    """The messages nearest before a moment and `after` ones after it; data of containers and what was lost go before
    gossip. What a host says to itself is between nobody."""
    between = [m for m in record.messages if m.source != m.target]
    before = [m for m in between if m.sent <= moment]
    later = [m for m in between if m.sent > moment][:after]
    room = _MOST - len(later)
    telling = [m for m in before if m.kind != "gossip" or m.received is None][-(room * 2 // 3) :]
    known = {m.id for m in telling}
    rest = [m for m in before if m.id not in known][-(room - len(telling)) :]
    return sorted([*telling, *rest, *later], key=lambda m: (m.sent, m.id))


def diagram(record: RunRecord, moment: float, what: str, *, bad: bool) -> str:
    """An SVG in a box that scrolls; empty when no message was seen then. Of what is bad, the time before counts; of a
    fault that was survived, the time after."""
    chosen = around(record, moment) if bad else around(record, moment, after=_MOST * 3 // 4)
    if not chosen:
        return ""
    ends = {end for m in chosen for end in (m.source, m.target)}
    hosts = [h.name for h in record.hosts if h.name in ends]
    hosts += sorted(ends - set(hosts))
    x = {host: _LEFT + 30 + n * _COLUMN for n, host in enumerate(hosts)}
    low, high = chosen[0].sent, max(m.received or m.sent for m in chosen)
    marks = [e for e in record.events if e.kind in ("fault", "expectation", "member", "step") and low <= e.at <= high]
    rows: list[tuple[float, int, str, Message | Event | None]] = [(moment, 1, "moment", None)]
    rows += [(m.sent, 2, "sent", m) for m in chosen]
    rows += [(m.received, 3, "received", m) for m in chosen if m.received is not None]
    rows += [(e.at, 0, "event", e) for e in marks[-_MOST:]]
    ended = [e for e in record.events if e.kind == "fault" and e.until is not None and low <= e.until <= high]
    rows += [(e.until or 0.0, 0, "event", Event(e.until or 0.0, "fault", f"end of: {e.text}")) for e in ended]
    y, at = float(_TOP), None
    sent: dict[int, float] = {}
    arrows: list[str] = []
    notes: list[str] = []
    for when, _, kind, what_ in sorted(rows, key=lambda r: (r[0], r[1])):
        if at is not None and when - at > _PAUSE:
            y += _ROW
            notes.append(_text(_LEFT - 8, y + 4, f"{seconds(when - at)} later", "gap", "end"))
            y += _ROW / 2
        at = when
        y += _ROW
        if kind in ("sent", "moment", "event"):
            notes.append(_text(_LEFT - 8, y + 4, f"{when:.4f}", "time", "end"))
        if isinstance(what_, Message) and kind == "sent":
            sent[what_.id] = y
            notes.append(_label(what_, x, y))
            if what_.received is None:
                arrows.append(_lost(what_, x, y))
        elif isinstance(what_, Message):
            arrows.append(_arrow(what_, x, sent[what_.id], y))
        elif isinstance(what_, Event):
            notes.append(_event(what_, x, y))
        else:
            end = _LEFT + 30 + (len(hosts) - 1) * _COLUMN + 60
            notes.append(f'<path class="moment{" bad" if bad else ""}" d="M{_LEFT} {y}H{end}"/>')
            y += _ROW
            notes.append(_text(_LEFT + 4, y, what[:70] + ("…" if len(what) > 70 else ""), "moment-text", "start"))
    width, height = _LEFT + 30 + (len(hosts) - 1) * _COLUMN + _RIGHT, int(y + 2 * _ROW)
    lines = "".join(
        f'<path class="life" d="M{x[h]} {_TOP}V{height - 8}"/>' + _text(x[h], _TOP - 12, h, "name", "middle")
        for h in hosts
    )
    svg = (f'<svg class="lamport" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
           f'aria-label="messages around {seconds(moment)}">{lines}{"".join([*arrows, *notes])}</svg>')  # fmt: skip
    return tag("div", svg, class_="scroll")


def _text(x: float, y: float, words: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(words)}</text>'


def _event(event: Event, x: dict[str, int], y: float) -> str:
    host = event.host if event.host in x else ""
    state = " bad" if event.ok is False else ""
    at = x[host] + 8 if host else _LEFT + 4
    dot = f'<circle class="mark {event.kind}{state}" cx="{x[host]}" cy="{y}" r="4"/>' if host else ""
    words = plain(event.text)
    words = words if len(words) <= 60 else words[:59] + "…"
    return dot + _text(at, y + 4, words, f"note {event.kind}{state}", "start")


def _label(m: Message, x: dict[str, int], y: float) -> str:
    right = x[m.target] > x[m.source]
    place = x[m.source] + (10 if right else -10)
    kind = "lost" if m.received is None else m.kind
    return _text(place, y - 3, m.label, f"label {kind}", "start" if right else "end")


def _arrow(m: Message, x: dict[str, int], y1: float, y2: float) -> str:
    x1, x2 = x[m.source], x[m.target]
    turn = 7 if x2 > x1 else -7
    slope = (y2 - y1) / ((x2 - x1) or 1)
    head = f"M{x2 - turn} {y2 - turn * slope - 4:.1f}L{x2} {y2}L{x2 - turn} {y2 - turn * slope + 4:.1f}"
    title = f"<title>{text(f'{m.source} to {m.target}: {m.label}, {seconds((m.received or m.sent) - m.sent)}')}</title>"
    return f'<g class="msg {text(m.kind)}">{title}<path d="M{x1} {y1}L{x2} {y2}{head}"/></g>'


def _lost(m: Message, x: dict[str, int], y: float) -> str:
    x1, x2 = x[m.source], x[m.target]
    end, low = x1 + (x2 - x1) * 0.55, y + 10
    cross = f"M{end - 4:.1f} {low - 4}l8 8m-8 0l8 -8"
    title = f"<title>{text(f'{m.source} to {m.target}: {m.label}: never arrived')}</title>"
    way = f'<path class="way" d="M{x1} {y}L{end:.1f} {low}"/><path d="{cross}"/>'
    return f'<g class="msg lost">{title}{way}</g>'
