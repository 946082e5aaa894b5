"""BBR, version 1 (draft-cardwell-iccrg-bbr-congestion-control-00), which is what Linux calls bbr.

A model of the path instead of a window that losses halve: the most that it delivers (over ten rounds) and the least
time that it takes (over ten seconds). Sending goes at that rate, spaced; what is out is bounded by twice their product.
So a path that loses packets by itself is used as well as one that does not.

Left out: the policer detector, which Linux has and the draft has not.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from random import Random

from overlay.stack.tcp.delivery import Delivery
from overlay.stack.tcp.limits import INITIAL_SEGMENTS

HIGH_GAIN = 2.885
"""2 / ln 2: the smallest gain by which what is delivered doubles each round."""
CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
WINDOW_GAIN = 2.0
RATE_ROUNDS = 10
RTT_SECONDS = 10.0
PROBE_RTT_SECONDS = 0.2
FULL_GROWTH, FULL_ROUNDS = 1.25, 3
MARGIN = 0.99
"""Of the rate: a little less than the path delivers, so that a queue drains."""
FEWEST_SEGMENTS = 4
QUANTUM_SECONDS, LARGEST_QUANTUM = 0.001, 65536
AGGREGATION_SECONDS, AGGREGATION_ROUNDS = 0.1, 5
UNKNOWN_RTT = 0.001


class Phase(Enum):
    """What the pacing is for at the moment."""

    STARTUP = "startup"
    DRAIN = "drain"
    PROBE_BANDWIDTH = "probe-bandwidth"
    PROBE_RTT = "probe-rtt"


class Maximum:
    """The greatest value of the last rounds: a queue of falling ones."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: deque[tuple[int, float]] = deque()

    @property
    def value(self) -> float:
        return self._kept[0][1] if self._kept else 0.0

    def add(self, number: int, value: float, rounds: int) -> None:
        """`value` was seen in round `number`; what is `rounds` old is forgotten."""
        kept = self._kept
        while kept and kept[-1][1] <= value:
            kept.pop()
        kept.append((number, value))
        while kept[0][0] <= number - rounds:
            kept.popleft()


class Bbr:
    """`bandwidth` in bytes per second and `rtt` in seconds are the model (0 and infinite: nothing known yet)."""

    __slots__ = (
        "_aggregated",
        "_aggregating_since",
        "_conserving",
        "_cycle",
        "_cycle_at",
        "_extra",
        "_filled",
        "_full_bandwidth",
        "_full_rounds",
        "_held",
        "_idle",
        "_in_recovery",
        "_next_round",
        "_prior_window",
        "_probe_until",
        "_random",
        "_rates",
        "_round",
        "_round_began",
        "_rtt_at",
        "_rtt_known",
        "_whole",
        "mss",
        "pacing_rate",
        "phase",
        "rtt",
        "window",
    )

    name = "bbr"

    def __init__(self, mss: int, random: Random) -> None:
        self.mss = mss
        self._whole = 0
        self.window = INITIAL_SEGMENTS * mss
        self.phase = Phase.STARTUP
        self.rtt = float("inf")
        self._random = random
        self._rates = Maximum()
        self._rtt_at = 0.0
        self._rtt_known = False
        self._probe_until: float | None = None
        self._round = 0
        self._next_round = 0
        self._round_began = False
        self._filled = False
        self._full_bandwidth = 0.0
        self._full_rounds = 0
        self._cycle = 0
        self._cycle_at = 0.0
        self._idle = False
        self._in_recovery = False
        self._conserving = self._held = False
        self._prior_window = 0
        self._extra = Maximum()
        self._aggregated = 0
        self._aggregating_since = 0.0
        self.pacing_rate = HIGH_GAIN * self.window / UNKNOWN_RTT

    # ------------------------------------------------------------------ the model as numbers

    @property
    def bandwidth(self) -> float:
        """The most that the path delivered lately, in bytes per second."""
        return self._rates.value

    @property
    def quantum(self) -> int:
        """A millisecond's worth, in whole segments, two at least; not less than what costs no more than a segment."""
        size = int(min(self.pacing_rate * QUANTUM_SECONDS, LARGEST_QUANTUM))
        return max(size - size % self.mss, 2 * self.mss, self._whole)

    @property
    def _pacing_gain(self) -> float:
        if self.phase is Phase.STARTUP:
            return HIGH_GAIN
        if self.phase is Phase.DRAIN:
            return 1 / HIGH_GAIN
        return CYCLE[self._cycle] if self.phase is Phase.PROBE_BANDWIDTH else 1.0

    @property
    def _window_gain(self) -> float:
        if self.phase in (Phase.STARTUP, Phase.DRAIN):
            return HIGH_GAIN
        return WINDOW_GAIN if self.phase is Phase.PROBE_BANDWIDTH else 1.0

    def _target(self, gain: float) -> int:
        """Bytes in the network that fill the path `gain` times, with room for pieces on their way in both hosts."""
        if self.rtt == float("inf"):
            return INITIAL_SEGMENTS * self.mss
        probing = self.phase is Phase.PROBE_BANDWIDTH and self._cycle == 0
        return int(gain * self.bandwidth * self.rtt) + 3 * self.quantum + (2 * self.mss if probing else 0)

    # ------------------------------------------------------------------ what the connection says

    def set_mss(self, mss: int, whole: int) -> None:
        """Before anything was learned the initial window follows."""
        self._whole = whole
        if mss == self.mss:
            return
        if self.window == INITIAL_SEGMENTS * self.mss:
            self.window = INITIAL_SEGMENTS * mss
            self._set_initial_rate()
        self.mss = mss
        self.window = max(self.window, mss)

    def established(self, rtt: float, *, resent: bool) -> None:
        """The handshake's RTT is what the first rate is made of."""
        if rtt > 0:
            self.rtt = rtt
            self._rtt_known = True
        self._set_initial_rate()

    def _set_initial_rate(self) -> None:
        self.pacing_rate = HIGH_GAIN * self.window / (self.rtt if self._rtt_known else UNKNOWN_RTT)

    def acknowledged(self, sample: Delivery, growth: int, pipe: int, now: float) -> None:
        """Update the model, then the state, then what follows from both."""
        self._count_round(sample)
        if sample.rate > 0 and (not sample.limited or sample.rate >= self.bandwidth):
            self._rates.add(self._round, sample.rate, RATE_ROUNDS)
        self._count_aggregation(sample, now)
        self._turn_cycle(sample, now)
        self._look_whether_filled(sample)
        self._look_whether_drained(pipe, now)
        self._update_rtt(sample, pipe, now)
        self._pace()
        self._resize(sample, pipe)

    def enter_recovery(self, in_flight: int, sample: Delivery) -> None:
        """For a round only as much is sent as arrives; then the model rules again."""
        self._save_window()
        self._in_recovery = self._conserving = True
        self._next_round = sample.delivered
        self.window = max(in_flight, self.mss)

    def leave_recovery(self) -> None:
        """Back to what it was."""
        self._in_recovery = self._conserving = False
        self.window = max(self.window, self._prior_window)

    def timed_out(self, in_flight: int, *, first: bool) -> None:
        """One segment, and what has been known of the path in the startup is in doubt."""
        self._save_window()
        self._in_recovery, self._conserving = True, False
        self._full_bandwidth, self._full_rounds = 0.0, 0
        self.window = self.mss

    def undo(self) -> None:
        """It was no loss."""
        self._full_bandwidth, self._full_rounds = 0.0, 0
        self.leave_recovery()

    def resume(self, idle: float, rto: float, sample: Delivery, now: float) -> None:
        """After a pause of the program's the path is known: go on at its rate, without a probe."""
        if not sample.idle_until:
            return
        self._idle = True
        self._aggregated, self._aggregating_since = 0, now
        if self.phase is Phase.PROBE_BANDWIDTH:
            self.pacing_rate = max(MARGIN * self.bandwidth, 1.0)
        elif self.phase is Phase.PROBE_RTT:
            self._look_whether_probed(now)

    # ------------------------------------------------------------------ steps of an acknowledgement

    def _count_round(self, sample: Delivery) -> None:
        """A round is over when something is acknowledged that was sent after the last one was."""
        self._round_began = sample.prior >= self._next_round
        if self._round_began:
            self._next_round = sample.delivered
            self._round += 1
            self._held, self._conserving = self._conserving, False

    def _count_aggregation(self, sample: Delivery, now: float) -> None:
        """What comes above the rate in one go: acknowledgements of a receiver that answers bursts."""
        expected = self.bandwidth * (now - self._aggregating_since)
        if self._aggregated <= expected or self._aggregated + sample.news >= 1 << 26:
            self._aggregated, self._aggregating_since, expected = 0, now, 0.0
        self._aggregated += sample.news
        extra = min(self._aggregated - expected, self.window)
        self._extra.add(self._round, extra, AGGREGATION_ROUNDS)

    def _turn_cycle(self, sample: Delivery, now: float) -> None:
        if self.phase is not Phase.PROBE_BANDWIDTH:
            return
        gain = CYCLE[self._cycle]
        over = now - self._cycle_at > self.rtt
        if gain > 1:
            # Until as much is out as it takes to see whether there is more, or something was lost by trying.
            over = over and (sample.losses > 0 or sample.flying >= self._target(gain))
        elif gain < 1:
            over = over or sample.flying <= self._target(1.0)
        if over:
            self._cycle = (self._cycle + 1) % len(CYCLE)
            self._cycle_at = now

    def _look_whether_filled(self, sample: Delivery) -> None:
        # A round in which recovery held the window says nothing about the path.
        if self._filled or not self._round_began or sample.limited or self._held:
            return
        if self.bandwidth >= self._full_bandwidth * FULL_GROWTH:
            self._full_bandwidth, self._full_rounds = self.bandwidth, 0
            return
        self._full_rounds += 1
        self._filled = self._full_rounds >= FULL_ROUNDS

    def _look_whether_drained(self, pipe: int, now: float) -> None:
        if self.phase is Phase.STARTUP and self._filled:
            self.phase = Phase.DRAIN
        if self.phase is Phase.DRAIN and pipe <= self._target(1.0):
            self._probe_bandwidth(now)

    def _probe_bandwidth(self, now: float) -> None:
        self.phase = Phase.PROBE_BANDWIDTH
        # Anywhere but in the draining step, so that flows of one path do not probe together.
        self._cycle = (self._random.randrange(len(CYCLE) - 1) + 2) % len(CYCLE)
        self._cycle_at = now

    def _update_rtt(self, sample: Delivery, pipe: int, now: float) -> None:
        old = now - self._rtt_at > RTT_SECONDS
        if sample.rtt is not None and (sample.rtt <= self.rtt or old):
            self.rtt = max(sample.rtt, 1e-6)
            self._rtt_at = now
            if not self._rtt_known:
                self._rtt_known = True
                self._set_initial_rate()
        if old and not self._idle and self.phase is not Phase.PROBE_RTT:
            self._save_window()
            self.phase = Phase.PROBE_RTT
            self._probe_until = None
        if self.phase is Phase.PROBE_RTT:
            sample.program_idle(pipe)  # what is measured now says nothing about the rate
            if self._probe_until is None and pipe <= FEWEST_SEGMENTS * self.mss:
                self._probe_until = now + max(PROBE_RTT_SECONDS, self.rtt)
            elif self._probe_until is not None:
                self._look_whether_probed(now)
        self._idle = False

    def _look_whether_probed(self, now: float) -> None:
        if self._probe_until is None or now < self._probe_until:
            return
        self._rtt_at = now
        self._probe_until = None
        self.window = max(self.window, self._prior_window)
        if self._filled:
            self._probe_bandwidth(now)
        else:
            self.phase = Phase.STARTUP

    def _pace(self) -> None:
        rate = self._pacing_gain * MARGIN * self.bandwidth
        if rate > 0 and (self._filled or rate > self.pacing_rate):
            self.pacing_rate = rate

    def _save_window(self) -> None:
        if self._in_recovery or self.phase is Phase.PROBE_RTT:
            self._prior_window = max(self._prior_window, self.window)
        else:
            self._prior_window = self.window

    def _resize(self, sample: Delivery, pipe: int) -> None:
        least = FEWEST_SEGMENTS * self.mss
        window = self.window
        if sample.losses:
            window = max(window - sample.losses, self.mss)
        if self._conserving:
            window = max(window, pipe + sample.news)
        elif sample.news:
            target = self._target(self._window_gain)
            if self._filled:
                room = int(min(self._extra.value, self.bandwidth * AGGREGATION_SECONDS))
                window = min(window + sample.news, target + room)
            elif window < target or sample.delivered < INITIAL_SEGMENTS * self.mss:
                window += sample.news
        window = max(window, least)
        self.window = min(window, least) if self.phase is Phase.PROBE_RTT else window
