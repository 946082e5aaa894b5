"""What a daemon takes from outside: wall clock, chance and entropy.

The monotonic clock is the event loop's (`asyncio.get_running_loop().time()`), so a simulation replaces it with
the loop. Nothing below may import `time`, `os.urandom` or the module-level `random` itself: one seed must give one run.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

# swarmkit's identifiers: 25 characters of base 36.
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class World:
    """wall: seconds since the epoch, for display and certificates, never for order. random: decisions.
    entropy: secrets, nonces and identifiers (n -> n bytes); seeded only in a simulation."""

    wall: Callable[[], float]
    random: random.Random
    entropy: Callable[[int], bytes]

    def hex_id(self) -> str:
        """A container's, network's or exec's id: 64 hexadecimal digits."""
        return self.entropy(32).hex()

    def swarm_id(self) -> str:
        """A swarm object's id: 25 characters of base 36, as swarmkit's."""
        n = int.from_bytes(self.entropy(17), "big")
        digits = []
        for _ in range(25):
            n, d = divmod(n, 36)
            digits.append(_BASE36[d])
        return "".join(digits)


class WallClock:
    """The machine's wall clock, which a fault may set off. Whoever needs an order or a duration asks another clock."""

    def __init__(self) -> None:
        self._jump = self._skew = self._since = 0.0

    def __call__(self) -> float:
        now = time.time()
        return now + self._jump + self._skew * (now - self._since)

    def set_off(self, jump: float, skew: float) -> None:
        """Wrong by `jump` seconds from now on, and by `skew` more each second."""
        self._jump, self._skew, self._since = jump, skew, time.time()


def real_world() -> World:
    """The machine's own clock and entropy."""
    return World(wall=WallClock(), random=random.Random(os.urandom(16)), entropy=os.urandom)
