"""Says what was dropped, at most once a second: a flood of garbage must not become a flood of log lines."""

from __future__ import annotations

import logging
from collections import Counter

LOG = logging.getLogger("gossip")
_INTERVAL = 1.0
_LOOK = 0.05
"""Seconds between two looks while there is nothing to say."""
_PREFIX = "dropped."


class DropLog:
    """Reads the ``dropped.*`` counters of one memberlist."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said: Counter[str] = Counter()
        self._next = 0.0

    def look(self, counters: Counter[str], now: float) -> None:
        """Call after bytes from the wire were handled; ``now`` in seconds of any one clock."""
        if now < self._next:
            return
        news = {
            name.removeprefix(_PREFIX): count - self._said[name]
            for name, count in counters.items()
            if name.startswith(_PREFIX) and count > self._said[name]
        }
        self._next = now + (_INTERVAL if news else _LOOK)
        if news:
            self._said.update({_PREFIX + name: count for name, count in news.items()})
            LOG.warning("%s dropped %s", self._name, ", ".join(f"{count} {name}" for name, count in news.items()))
