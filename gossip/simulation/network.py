"""The virtual network: delay, loss, and links that are cut, one way or both, for a time or for good.

Loss and delay are drawn from the sender's own Random, always two draws a packet: a fault at one member moves nobody
else's luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from statistics import NormalDist

_QUANTILES = 1024


@dataclass(frozen=True, slots=True)
class Delay:
    """A log-normal delay one way: most packets take about ``median`` seconds, a few take several times that."""

    median: float = 0.0005
    sigma: float = 0.5
    """Standard deviation of the delay's natural logarithm; 0: every packet takes the median."""

    def quantiles(self) -> list[float]:
        """Equally likely delays, shortest first."""
        normal = NormalDist()
        middles = ((place + 0.5) / _QUANTILES for place in range(_QUANTILES))
        return [self.median * math.exp(self.sigma * normal.inv_cdf(middle)) for middle in middles]


Cut = Callable[[int, int, float], bool]
"""Whether nothing gets from a member (by number) to another at a time."""


class Network:
    """What happens to a packet between two members, given by their numbers."""

    def __init__(self, *, delay: Delay = Delay(), loss: float = 0.0) -> None:
        """``loss``: the probability that a packet vanishes, on any link."""
        self._delays = delay.quantiles()
        self._loss = loss
        self._cuts: dict[str, Cut] = {}
        self._lossy: dict[int, tuple[float, float]] = {}

    def cut(self, name: str, cut: Cut) -> None:
        """Add a fault, or replace the one of that name."""
        self._cuts[name] = cut

    def heal(self, name: str) -> None:
        """Remove a fault."""
        self._cuts.pop(name, None)

    def lose(self, number: int, *, sent: float, received: float) -> None:
        """Loss of one member's packets, out and in, besides that of every link."""
        self._lossy[number] = (sent, received)

    def is_cut(self, source: int, target: int, now: float) -> bool:
        """Whether nothing gets through now."""
        return any(cut(source, target, now) for cut in self._cuts.values())

    def loss_between(self, source: int, target: int) -> float:
        """The probability that a packet vanishes on the way."""
        if not self._lossy:
            return self._loss
        sent = self._lossy.get(source, (0.0, 0.0))[0]
        received = self._lossy.get(target, (0.0, 0.0))[1]
        return 1 - (1 - self._loss) * (1 - sent) * (1 - received)

    def fate(self, source: int, target: int, now: float, random: Random) -> float | None:
        """The delay of a packet, None when it is lost."""
        luck, place = random.random(), int(random.random() * _QUANTILES)
        if luck < (self._loss if not self._lossy else self.loss_between(source, target)):
            return None
        if self._cuts and self.is_cut(source, target, now):
            return None
        return self._delays[place]

    def stream_delay(self, source: int, target: int, now: float, random: Random, round_trips: int) -> float | None:
        """How long a stream takes for so many exchanges, lost segments sent again after 1, 2, 4 s (RFC 6298, without
        an estimate of the round trip); None when it is cut."""
        if self._cuts and (self.is_cut(source, target, now) or self.is_cut(target, source, now)):
            return None
        lost = 1 - (1 - self.loss_between(source, target)) * (1 - self.loss_between(target, source))
        total = 0.0
        for _ in range(round_trips):
            timeout = 1.0
            while random.random() < lost and timeout < 64:
                total += timeout
                timeout *= 2
            total += 2 * self._delays[int(random.random() * _QUANTILES)]
        return total


def between(groups: list[range]) -> Cut:
    """A partition: nothing passes from one group to another."""
    group_of = {number: place for place, group in enumerate(groups) for number in group}
    return lambda source, target, now: group_of.get(source) != group_of.get(target)


def one_way(members: range, *, ingress: bool) -> Cut:
    """These members receive nothing (``ingress``), or nobody receives anything of them."""
    if ingress:
        return lambda source, target, now: target in members
    return lambda source, target, now: source in members


def flapping(cut: Cut, *, began: float, bad: float, good: float) -> Cut:
    """A fault that comes for ``bad`` seconds and goes for ``good``, in turn."""
    return lambda source, target, now: (now - began) % (bad + good) < bad and cut(source, target, now)
