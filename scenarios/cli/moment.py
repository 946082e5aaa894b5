"""Times as Docker's `--since` and `--until` take them, and how long something lasts."""

from __future__ import annotations

import re
from datetime import datetime

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def moment(text: str | None, now: float) -> str | None:
    """Seconds since the epoch of `10m`, `1h30m` (ago), `1700000000` or an RFC 3339 time. Raises ValueError."""
    if text is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return text
    if _PART.sub("", text) == "":
        return f"{now - lasting(text):.9f}"
    try:
        return f"{datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp():.9f}"
    except ValueError:
        raise ValueError(f"failed to parse value as time or duration: {text!r}") from None


def lasting(text: str) -> float:
    """Seconds of `30s`, `1m30s`, `200ms`, as Go's ParseDuration. Raises ValueError."""
    if not text or _PART.sub("", text):
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text))
