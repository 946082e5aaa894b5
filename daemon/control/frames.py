"""What containers' interfaces really see, for judges of packets: below encryption and behind every switch.

All of it would be a copy of all traffic. A judge of isolation needs each source MAC now and then; one of delivery needs
packets that can be told apart: ICMP echoes have numbers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from overlay.capture import Captured
from overlay.host import HostNetwork
from overlay.spec import NetworkSpec

_AGAIN = 1.0
"""Seconds after which a MAC that still sends is told again."""
_LENGTH = 128
_WAITING = 4096
_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame's first bytes at an interface of a container on a network; when: seconds of the loop's clock."""

    when: float
    container: str
    network: str
    outgoing: bool
    data: bytes


class FrameWatch:
    """Watches one host until `end`. What nobody took is bounded: the newest are dropped, and counted."""

    def __init__(self, network: HostNetwork, see: Callable[[Seen], None] | None = None) -> None:
        self.dropped = 0
        self._see = see or self._keep
        self._last: dict[tuple[str, str, bytes], float] = {}
        self._waiting: deque[Seen] = deque()
        self._ready = asyncio.Event()
        self.end = network.watch_frames(self._frame)

    def _frame(self, container: str, network: NetworkSpec, captured: Captured) -> None:
        frame = captured.frame
        if len(frame) < 14:
            return
        if not is_echo(frame):
            if captured.outgoing:
                return
            key = (container, network.id, frame[6:12])
            if captured.when - self._last.get(key, -_AGAIN) < _AGAIN:
                return
            if len(self._last) >= _KNOWN:
                self._last.clear()
            self._last[key] = captured.when
        self._see(Seen(captured.when, container, network.id, captured.outgoing, bytes(frame[:_LENGTH])))

    def _keep(self, seen: Seen) -> None:
        if len(self._waiting) >= _WAITING:
            self.dropped += 1
            return
        self._waiting.append(seen)
        self._ready.set()

    async def next(self) -> Seen:
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popleft()


def is_echo(frame: bytes) -> bool:
    """An ICMP echo request or reply over IPv4 without options, not a fragment."""
    return (
        len(frame) >= 42
        and frame[12:15] == b"\x08\x00\x45"
        and not (frame[20] & 0x3F or frame[21])
        and frame[23] == 1
        and frame[34] in (0, 8)
    )
