"""Are we cut off, or is it our own sending that fails? All are asked once, and the answer is counted.

When not one relay of a failed probe says a word, either most of the cluster is gone (we are on the small side of a
cut, and should know soon whom we have lost) or what we send gets lost. Both look alike from one probe. So everybody is
asked; as soon as clearly more have answered than not it is we who are sick, the rest is not asked, and for a while mute
relays are what they are for Lifeguard: a sign of our own health.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

_CLEARLY = 3
"""So many more answers than silences say that this is no cut."""
_AGAIN_AFTER = 30.0
"""Seconds until all are asked again (memberlist's push/pull interval: what a cut looks like has changed by then)."""


class Survey:
    def __init__(self) -> None:
        self._began = -math.inf
        self._asked: dict[str, None] = {}
        self._score = 0
        self.sick = False
        """The last one said that we are."""

    def may_begin(self, now: float) -> bool:
        return now - self._began >= _AGAIN_AFTER

    def begin(self, names: Iterable[str], now: float) -> None:
        self._began = now
        self._asked = dict.fromkeys(names)
        self._score = 0
        self.sick = False

    def asks(self, name: str) -> bool:
        """Whether an answer of a member is still to come."""
        return name in self._asked

    def result(self, name: str, *, answered: bool) -> bool:
        """A probe ended; True when with this it is clear that we are not cut off."""
        if name not in self._asked:
            return False
        del self._asked[name]
        self._score += 1 if answered else -1
        if self._score < _CLEARLY:
            return False
        self._asked.clear()
        self.sick = True
        return True
