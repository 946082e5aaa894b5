"""Where a swarm of the Python API runs, seen from a caller that has a loop of its own, or none.

Processes are spoken to from a loop in a thread of its own, so that one swarm serves blocking tests, and coroutines of
any number of loops after one another (pytest-asyncio makes one a test). In simulated time there is one loop, the
virtual one, and the caller's coroutines run on it: it stands still in between.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from scenarios.sim.loop import SimulatedLoop

T = TypeVar("T")


class Ground(Protocol):
    def block(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs what speaks to the swarm, from outside of all loops."""
        ...

    async def join(self, work: Coroutine[Any, Any, T]) -> T:
        """The same from a coroutine of the caller's."""
        ...

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Runs a caller's own coroutine to its end, from outside of all loops."""
        ...

    def close(self) -> None: ...


class RealTime:
    """A loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="shoal", daemon=True)
        self._thread.start()

    def block(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C, a test's timeout
            raise

    async def join(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(story)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        _end(self._loop)


class VirtualTime:
    """A simulated loop that runs while somebody waits for it."""

    def __init__(self) -> None:
        self._loop = SimulatedLoop()

    def block(self, work: Coroutine[Any, Any, T]) -> T:
        return self.run(work)

    async def join(self, work: Coroutine[Any, Any, T]) -> T:
        if asyncio.get_running_loop() is not self._loop:
            work.close()
            raise RuntimeError("a simulated swarm lives in simulated time: run the coroutine with swarm.run(…)")
        return await work

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(story)

    def close(self) -> None:
        _end(self._loop)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    leftover = list(asyncio.all_tasks(loop))
    for task in leftover:
        task.cancel()
    if leftover:
        loop.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
