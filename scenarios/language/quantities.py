"""Durations, probabilities, rates and sizes as people write them: 200ms, 30%, 10mbit."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|s|m|h)")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(bit|kbit|mbit|gbit|B/s|kB/s|MB/s|GB/s)")
_BYTES = {"bit": 0.125, "kbit": 125.0, "mbit": 125e3, "gbit": 125e6, "B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9}
_VARIABLE = r"\$\{[^}]+\}"


def duration(value: object) -> float:
    """Seconds. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if isinstance(value, str):
        text = value.strip().removeprefix("+")
        parts = _DURATION.findall(text)
        if parts and "".join(a + u for a, u in parts) == text:
            return sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    raise ValueError(f"a duration such as 5s, 200ms or 1m30s expected, not {value!r}")


def span(value: object) -> tuple[float, float]:
    """From, to in seconds; one duration is both. Raises ValueError."""
    if isinstance(value, str) and ".." in value:
        low, high = (duration(part) for part in value.split("..", 1))
        if low > high:
            raise ValueError(f"a span such as 1s..3s expected, the shorter first, not {value!r}")
        return low, high
    if isinstance(value, tuple | list) and len(value) == 2:
        return duration(value[0]), duration(value[1])
    return duration(value), duration(value)


def probability(value: object) -> float:
    """0 to 1. Raises ValueError."""
    found = -1.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    elif isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?%", value.strip()):
        found = float(value.strip()[:-1]) / 100
    if not 0 <= found <= 1:
        raise ValueError(f"a share such as 30% or 0.3 expected, not {value!r}")
    return found


def rate(value: object) -> float:
    """Bytes a second. Raises ValueError."""
    if isinstance(value, str) and (match := _RATE.fullmatch(value.strip())):
        return float(match[1]) * _BYTES[match[2]]
    raise ValueError(f"a rate such as 10mbit or 500kB/s expected, not {value!r}")


def _written(pattern: str, what: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": f"^({pattern}|.*{_VARIABLE}.*)$"},
            ],
            "description": what,
        }
    )


Duration = Annotated[
    float,
    BeforeValidator(duration),
    _written(r"(\d+(\.\d+)?(ms|us|s|m|h))+", "A duration: 5s, 200ms, 1m30s; a plain number is seconds."),
]
_LENGTH = r"(\d+(\.\d+)?(ms|us|s|m|h))+"
Span = Annotated[
    tuple[float, float],
    BeforeValidator(span),
    _written(rf"{_LENGTH}(\.\.{_LENGTH})?", "A duration, or a span as in 1s..3s from which the run's seed draws one."),
]
Probability = Annotated[
    float, BeforeValidator(probability), _written(r"\d+(\.\d+)?%", "A share: 30% or a number from 0 to 1.")
]
Rate = Annotated[
    float,
    BeforeValidator(rate),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^(\d+(\.\d+)?\s*({'|'.join(_BYTES)})|.*{_VARIABLE}.*)$",
            "description": "A rate: 10mbit, 500kB/s.",
        }
    ),
]
