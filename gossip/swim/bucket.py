"""A token bucket: what is sent at once is bounded in rate, whatever the cause."""

from __future__ import annotations


class TokenBucket:
    """``rate`` tokens a second, at most ``burst`` of them saved up."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._filled = 0.0

    def has_token(self, now: float) -> bool:
        if now > self._filled:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
            self._filled = now
        return self._tokens >= 1

    def take(self, now: float) -> bool:
        """One token, if there is one."""
        if not self.has_token(now):
            return False
        self._tokens -= 1
        return True
