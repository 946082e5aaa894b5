"""The JSON documents of Docker's API, as the engine keeps them.

`Config`, `HostConfig` and the like have some two hundred fields that most code passes through untouched, so they stay
dictionaries: types are checked once, at the edge (`daemon/api/schema.py`), and only what is used is read by key.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

JsonObject = dict[str, Any]

ZERO_TIME = "0001-01-01T00:00:00Z"  # Go's zero time, which clients know to mean "never"


def rfc3339(when: float | None) -> str:
    """Seconds since the epoch as Go prints a time.Time (RFC3339Nano, trailing zeros cut); None is Go's zero time."""
    if when is None:
        return ZERO_TIME
    return rfc3339_nano(round(when * 1e9))


@lru_cache(256)
def rfc3339_nano(nanoseconds: int) -> str:
    """Nanoseconds since the epoch in RFC3339Nano."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def rfc3339_fixed(nanoseconds: int) -> str:
    """Nanoseconds since the epoch with all nine digits, as `docker logs --timestamps` prints them."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{fraction:09d}Z"
