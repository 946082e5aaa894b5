"""Lifeguard's local health multiplier: how much a node trusts its own view of others.

Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate Failure Detection", 2017, section IV-A
(memberlist: awareness.go). A score of 0 is healthy; missed nacks, failed probes and having to refute raise it.
"""

from __future__ import annotations


class Awareness:
    """Scores 0 to ``limit - 1``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.score = 0

    def apply(self, delta: int) -> None:
        self.score = max(0, min(self._limit - 1, self.score + delta))

    def scale(self, seconds: float) -> float:
        """LHA-Probe: an interval or timeout times the multiplier."""
        return seconds * (self.score + 1)
