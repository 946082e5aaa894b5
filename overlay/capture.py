"""What tcpdump reads: frames that pass a sandbox's interfaces, and pcap files of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from struct import Struct

_PCAP_HEADER = Struct("<IHHiIII")
_PCAP_RECORD = Struct("<IIII")
_LINKTYPE_ETHERNET = 1
_SNAPLEN = 262144


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame that passed an interface. `when` in seconds of the loop's clock; `outgoing` seen from the sandbox."""

    when: float
    interface: str
    frame: bytes
    outgoing: bool


class Capture:
    """An async iterator of `Captured`, newest dropped when nobody reads (`dropped`); `close()` ends the iteration."""

    def __init__(self, interface: str | None, limit: int, forget: Callable[[Capture], None]) -> None:
        self.dropped = 0
        self._interface = interface
        self._limit = limit
        self._forget = forget
        self._queue: deque[Captured] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._closed = False

    def offer(self, captured: Captured) -> None:
        """A frame passed."""
        if self._interface not in (None, captured.interface):
            return
        if len(self._queue) >= self._limit:
            self.dropped += 1
            return
        self._queue.append(captured)
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> AsyncIterator[Captured]:
        return self

    async def __anext__(self) -> Captured:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._queue.popleft()

    def close(self) -> None:
        """End it: what was captured can still be read, then the iteration stops."""
        if not self._closed:
            self._closed = True
            self._forget(self)
            self._wake()


class Watching:
    """Hands every frame on at once, instead of keeping it for a reader."""

    def __init__(self, see: Callable[[Captured], None]) -> None:
        self.offer = see

    def close(self) -> None:
        """The sandbox ended: nothing more comes."""


def pcap(frames: Iterable[tuple[float, bytes]]) -> bytes:
    """A pcap file (microseconds, Ethernet) of (seconds, frame)."""
    out = [_PCAP_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, _SNAPLEN, _LINKTYPE_ETHERNET)]
    for when, frame in frames:
        whole = int(when)
        out.append(_PCAP_RECORD.pack(whole, int((when - whole) * 1_000_000), len(frame), len(frame)))
        out.append(frame)
    return b"".join(out)
