"""Line and bar charts as SVG: a few hundred bytes of text instead of a plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 190, 42, 52
_COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#8e5ea2", "#c77d00", "#555555", "#0b8a8f", "#a0522d")


@dataclass(frozen=True, slots=True)
class Series:
    """One line: points in order of x."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def lines(
    title: str,
    series: Sequence[Series],
    *,
    x: str,
    y: str,
    log_x: bool = False,
    log_y: bool = False,
    marks: bool = True,
) -> str:
    """``x`` and ``y`` name the axes; both begin at 0 unless they are logarithmic. Points that are nan are left out."""
    shown = [(line, [(a, b) for a, b in line.points if math.isfinite(b) and (b > 0 or not log_y)]) for line in series]
    across = _Axis([a for _, points in shown for a, _ in points], _LEFT, WIDTH - _RIGHT, log_x)
    up = _Axis([b for _, points in shown for _, b in points], HEIGHT - _BOTTOM, _TOP, log_y)
    parts = [*_frame(title, x, y), *_grid(across, up)]
    for place, (line, points) in enumerate(shown):
        colour = _COLOURS[place % len(_COLOURS)]
        path = " ".join(f"{across.at(a):.1f},{up.at(b):.1f}" for a, b in points)
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        if marks and not line.dashed:
            parts += [f'<circle cx="{across.at(a):.1f}" cy="{up.at(b):.1f}" r="3" fill="{colour}"/>' for a, b in points]
        parts += _legend(place, line.name, colour, dash)
    return _document(parts)


def bars(title: str, names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], *, y: str) -> str:
    """Groups of bars, one group a name and in it one bar a series, on a logarithmic scale that begins below 1."""
    values = [max(value, 0.5) for _, many in series for value in many]
    up = _Axis([0.5, *values], HEIGHT - _BOTTOM, _TOP, True)
    parts = [*_frame(title, "", y), *_grid(None, up)]
    group = (WIDTH - _RIGHT - _LEFT) / len(names)
    width = group * 0.8 / len(series)
    for place, (name, many) in enumerate(series):
        colour = _COLOURS[place % len(_COLOURS)]
        for number, value in enumerate(many):
            left = _LEFT + group * (number + 0.1) + width * place
            top = up.at(max(value, 0.5))
            height = HEIGHT - _BOTTOM - top
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
            )
            parts.append(_text(left + width / 2, top - 3, f"{value:g}", size=8))
        parts += _legend(place, name, colour, "")
    for number, name in enumerate(names):
        centre = _LEFT + group * (number + 0.5)
        parts += [
            _text(centre, HEIGHT - _BOTTOM + 14 + 11 * row, word, size=9)
            for row, word in enumerate(name.replace("-", "- ").split(" ", 2))
        ]
    return _document(parts)


class _Axis:
    """From values to pixels."""

    def __init__(self, values: Sequence[float], first: float, last: float, log: bool) -> None:
        self._first, self._last, self._log = first, last, log
        top = max(values, default=1.0)
        if log:
            low = math.floor(math.log10(min(values, default=1.0)) + 1e-9)
            high = max(low + 1, math.ceil(math.log10(top) - 1e-9))
            self._low, self._high = float(low), float(high)
            self.ticks = [10.0**power for power in range(low, high + 1)]
        else:
            step = _step(top or 1.0)
            count = max(1, math.ceil(top / step - 1e-9))
            self._low, self._high = 0.0, step * count
            self.ticks = [step * number for number in range(count + 1)]

    def at(self, value: float) -> float:
        value = math.log10(value) if self._log else value
        return self._first + (value - self._low) / (self._high - self._low) * (self._last - self._first)


def _step(top: float) -> float:
    power = 10.0 ** math.floor(math.log10(top / 4))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if top / (power * factor) <= 6)


def _frame(title: str, x: str, y: str) -> list[str]:
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    return [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(_LEFT, 22, title, size=14, anchor="start", bold=True),
        _text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 12, x),
        f'<text x="16" y="{middle:.0f}" font-size="11" text-anchor="middle" '
        f'transform="rotate(-90 16 {middle:.0f})">{escape(y)}</text>',
    ]


def _grid(across: _Axis | None, up: _Axis) -> list[str]:
    parts = []
    for tick in up.ticks:
        place = up.at(tick)
        parts.append(_rule(_LEFT, place, WIDTH - _RIGHT, place))
        parts.append(_text(_LEFT - 6, place + 4, f"{tick:g}", anchor="end"))
    for tick in across.ticks if across is not None else []:
        place = across.at(tick) if across is not None else 0.0
        parts.append(_rule(place, _TOP, place, HEIGHT - _BOTTOM))
        parts.append(_text(place, HEIGHT - _BOTTOM + 16, f"{tick:,.10g}"))
    return parts


def _legend(place: int, name: str, colour: str, dash: str) -> list[str]:
    left, top = WIDTH - _RIGHT + 12, _TOP + 10 + 18 * place
    return [
        f'<line x1="{left}" y1="{top}" x2="{left + 18}" y2="{top}" stroke="{colour}" stroke-width="3"{dash}/>',
        _text(left + 24, top + 4, name, anchor="start"),
    ]


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "middle", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def _document(parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" fill="#222222">'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"
