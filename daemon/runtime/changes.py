"""Waiting for "something changed" without polling: whoever waits looks again himself."""

from __future__ import annotations

import asyncio


class Changes:
    """Wakes everybody who waits; one who comes later waits for the next change."""

    __slots__ = ("_wakers",)

    def __init__(self) -> None:
        self._wakers: list[asyncio.Future[None]] = []

    async def wait(self, seconds: float | None = None) -> None:
        """Until the next `tell`. TimeoutError after `seconds`."""
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wakers.append(waker)
        if seconds is None:
            await waker
            return
        try:
            async with asyncio.timeout(seconds):
                await waker
        finally:
            if waker in self._wakers:
                self._wakers.remove(waker)

    def tell(self) -> None:
        if self._wakers:
            wakers, self._wakers = self._wakers, []
            for waker in wakers:
                if not waker.done():
                    waker.set_result(None)
