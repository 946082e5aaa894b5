"""Token buckets: what is sent at once is bounded in rate, whatever the cause and whomever it is about."""

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


_SUBJECTS_MAX = 1024


class SubjectBuckets:
    """A token bucket for each subject: one member that is accused and refutes all the time, for its link is bad, must
    not make everybody talk of nothing else. Of a thousand subjects the one longest silent is forgotten."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, subject: str, now: float) -> bool:
        """One token of the subject's, if there is one."""
        bucket = self._buckets.pop(subject, None) or TokenBucket(self._rate, self._burst)
        self._buckets[subject] = bucket
        if len(self._buckets) > _SUBJECTS_MAX:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(now)
