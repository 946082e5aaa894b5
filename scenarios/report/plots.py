"""Plots of what was measured: latency and loss of every load, throughput, and how the members' views converged.

SVG that stretches with the page; words stand outside of it, so that they stay readable at any width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scenarios.language.metrics import statistic
from scenarios.report.markup import moment, seconds, share, tag, text, ticks
from scenarios.report.views import DEAD, SUSPECT, doubts
from scenarios.running.record import RunRecord, Series

_BINS = 60
_HEIGHT = 100


@dataclass(frozen=True, slots=True)
class _Curve:
    """steps: it keeps its value until the next point. None breaks the line."""

    kind: str
    points: Sequence[tuple[float, float | None]]
    steps: bool = False


def plots(record: RunRecord) -> str:
    """All plots of a run, as figures."""
    whole = record.duration or 1.0
    out = []
    for series in record.series:
        if series.points:
            out.append(_latency(record, series, whole) if series.unit == "s" else _throughput(record, series, whole))
            if (lost := _loss(series, whole)) is not None:
                out.append(_figure(record, f"{series.name}: loss", _loss_words(series), [lost], whole, 1.0, _percent))
    if (carried := _carried(record, whole)) is not None:
        out.append(carried)
    out.append(_convergence(record, whole))
    return "".join(out)


def _latency(record: RunRecord, series: Series, whole: float) -> str:
    answered = [v for _, v in series.points if v is not None]
    if answered:
        words = ", ".join(f"{name} {seconds(statistic(name, series.points))}" for name in ("median", "p95", "max"))
    else:
        words = "no probe was answered"
    lost = [at for at, value in series.points if value is None]
    curve = _Curve("latency", series.points)
    return _figure(record, f"{series.name}: latency", f"{words}; from {series.host}", [curve], whole,
                   max(answered, default=0.001), seconds, lost)  # fmt: skip


def _throughput(record: RunRecord, series: Series, whole: float) -> str:
    answered = [v for _, v in series.points if v is not None]
    words = f"mean {_rate(sum(answered) / len(answered))}" if answered else "no bytes arrived"
    lost = [at for at, value in series.points if value is None]
    return _figure(record, f"{series.name}: throughput", words, [_Curve("rate", series.points, steps=True)], whole,
                   max(answered, default=1.0), _rate, lost)  # fmt: skip


def _loss(series: Series, whole: float) -> _Curve | None:
    if all(value is not None for _, value in series.points):
        return None
    bins = min(_BINS, max(1, len(series.points) // 4))
    width = whole / bins
    found: list[tuple[float, float | None]] = []
    for n in range(bins):
        here = [v for at, v in series.points if n * width <= at < (n + 1) * width or (n == bins - 1 and at >= whole)]
        found.append((n * width, sum(v is None for v in here) / len(here) if here else None))
    return _Curve("loss", [*found, (whole, found[-1][1])], steps=True)


def _loss_words(series: Series) -> str:
    lost = sum(value is None for _, value in series.points)
    return (f"{lost} of {len(series.points)} probes without an answer; the longest time without one: "
            f"{seconds(statistic('gap', series.points))}")  # fmt: skip


def _carried(record: RunRecord, whole: float) -> str | None:
    """Bytes between hosts by kind, from the packets that were kept."""
    sent = [p for p in record.packets if p.direction == "sent"]
    if not sent:
        return None
    width = whole / _BINS
    curves = []
    most = 1.0
    total: dict[str, int] = {}
    for kind in dict.fromkeys(sorted(p.kind for p in sent)):
        bins = [0.0] * _BINS
        for packet in sent:
            if packet.kind == kind:
                bins[min(_BINS - 1, max(0, int(packet.at / width)))] += len(packet.data) / 2 / width
                total[kind] = total.get(kind, 0) + len(packet.data) // 2
        curves.append(_Curve(kind, [(n * width, value) for n, value in enumerate(bins)], steps=True))
        most = max(most, *bins)
    words = ", ".join(f"{kind} {size / 1e3:.0f} kB" for kind, size in total.items())
    if record.packets_dropped:
        words += f"; {record.packets_dropped} older packets were not kept"
    return _figure(record, "between hosts: throughput", words, curves, whole, most, _rate)


def _convergence(record: RunRecord, whole: float) -> str:
    found = doubts(record)
    suspected, dead = found[SUSPECT], found[DEAD]
    most = max(n for points in (suspected, dead) for _, n in points)
    last = max((points[-1][0] for points in (suspected, dead) if points[-1][1] == 0), default=0.0)
    open_ = suspected[-1][1] + dead[-1][1]
    if not most:
        words = "nobody was ever suspected"
    elif open_:
        words = f"{open_} views of a member were still not alive at the end"
    else:
        words = f"all see all alive again at {moment(last)}"
    curves = [
        _Curve(kind, [*((at, float(n)) for at, n in points), (whole, float(points[-1][1]))], steps=True)
        for kind, points in (("suspect", suspected), ("dead", dead))
    ]
    title = "convergence: views that are not alive"
    return _figure(record, title, words, curves, whole, max(1.0, most), lambda v: f"{v:g}")


def _figure(
    record: RunRecord, title: str, words: str, curves: Sequence[_Curve], whole: float, most: float,
    said: Callable[[float], str], lost: Sequence[float] = (),
) -> str:  # fmt: skip
    """`said`: a value of the scale in words."""
    top = _round_up(most)
    paths = "".join(_path(curve, whole, top) for curve in curves)
    marks = "".join(f'<path class="lost" d="M{1000 * at / whole:.2f} 0v7"/>' for at in lost)
    svg = (f'<svg viewBox="0 0 1000 {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
           f'<path class="grid" d="M0 .5H1000M0 {_HEIGHT / 2}H1000M0 {_HEIGHT - 0.5}H1000"/>'
           f"{paths}{marks}</svg>")  # fmt: skip
    faults = [(e.at, whole if e.until is None else e.until) for e in record.events if e.kind == "fault"]
    places = [f"--at:{share(start, whole)};--to:{share(end, whole)}" for start, end in faults]
    bands = "".join(tag("i", class_="shade", style=place) for place in places)
    scale = tag("div", tag("span", text(said(top))), tag("span", text(said(top / 2))), tag("span", "0"), class_="scale")
    marks = "".join(tag("span", f"{at:g}", style=f"--at:{share(at, whole)}") for at in ticks(whole))
    legend = "".join(tag("span", text(c.kind), class_=f"key {text(c.kind)}") for c in curves) if len(curves) > 1 else ""
    if lost:
        legend += tag("span", f"{len(lost)} lost", class_="key lost")
    area = tag("div", bands, svg, tag("i", class_="cursor"), class_="area axis", data_whole=f"{whole:.6f}")
    caption = tag("figcaption", tag("b", text(title)), " ", tag("span", text(words)), legend)
    return tag("figure", caption, tag("div", scale, area, class_="plot"), tag("div", marks, class_="ruler"))


def _path(curve: _Curve, whole: float, top: float) -> str:
    out: list[str] = []
    dots = []
    drawing = False
    points = list(curve.points)
    for n, (at, value) in enumerate(points):
        if value is None:
            drawing = False
            continue
        x, y = 1000 * at / whole, _HEIGHT * (1 - min(value, top) / top)
        if not drawing:
            out.append(f"M{x:.2f} {y:.2f}")
        elif curve.steps:
            out.append(f"H{x:.2f}V{y:.2f}")
        else:
            out.append(f"L{x:.2f} {y:.2f}")
        lonely = not drawing and (n + 1 == len(points) or points[n + 1][1] is None)
        if lonely:
            dots.append(f"M{x:.2f} {y:.2f}h.01")
        drawing = True
    if curve.steps and drawing and points[-1][0] < whole:
        out.append("H1000")
    dot = f'<path class="dot {text(curve.kind)}" d="{"".join(dots)}"/>' if dots else ""
    return f'<path class="curve {text(curve.kind)}" d="{"".join(out)}"/>{dot}'


def _round_up(value: float) -> float:
    if value <= 0:
        return 1.0
    base = 10 ** math.floor(math.log10(value))
    return float(next(m * base for m in (1, 2, 5, 10) if m * base >= value * 0.999999))


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _rate(value: float) -> str:
    for unit, size in (("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} B/s"
