"""Round-trip time and retransmission timeout (RFC 6298)."""

from __future__ import annotations

INITIAL_RTO = 1.0
# RFC 6298 (2.4) says 1 s SHOULD; Linux's TCP_RTO_MIN is 0.2 s, and interoperates so everywhere.
MIN_RTO = 0.2
MAX_RTO = 120.0


class RoundTrip:
    """Smoothed RTT and its variation, in seconds; `srtt` 0 means nothing was measured yet."""

    __slots__ = ("backoff", "minimum", "rttvar", "srtt")

    def __init__(self) -> None:
        self.srtt = 0.0
        self.rttvar = 0.0
        self.minimum = float("inf")
        self.backoff = 0

    def sample(self, rtt: float) -> None:
        """A measurement on a segment that was not ambiguous (Karn); ends the backoff."""
        rtt = max(rtt, 0.0)
        if self.srtt == 0.0:
            self.srtt = max(rtt, 1e-6)
            self.rttvar = rtt / 2
        else:
            self.rttvar += (abs(self.srtt - rtt) - self.rttvar) / 4
            self.srtt += (rtt - self.srtt) / 8
        self.minimum = min(self.minimum, rtt)
        self.backoff = 0

    @property
    def rto(self) -> float:
        """The timeout with backoff (5.5), between its bounds."""
        # As Linux: the variation's share is never below the minimum, so that a steady path keeps a margin.
        base = self.srtt + max(MIN_RTO, 4 * self.rttvar) if self.srtt else INITIAL_RTO
        return min(MAX_RTO, base * (1 << min(self.backoff, 16)))
