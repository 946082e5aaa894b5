"""An owner of tasks: at most so many at a time, all of them cancelled and awaited when the owner closes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Nursery:
    """Tasks of one owner. A task's own OSError, EOFError or TimeoutError is the end of its work, not a fault."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._closed = False
        self.refused = 0

    def spawn(self, work: Coroutine[None, None, None]) -> bool:
        """Start a task; False (and counted) if there are too many already or the owner has closed."""
        if self._closed or len(self._tasks) >= self._limit:
            self.refused += 1
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(_quiet(work))
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._ended(done, work))
        return True

    def _ended(self, task: asyncio.Task[None], work: Coroutine[None, None, None]) -> None:
        self._tasks.pop(task, None)
        work.close()  # of a task that was cancelled before its first step

    def __len__(self) -> int:
        return len(self._tasks)

    def cancel(self) -> None:
        """Ask all tasks to end, without waiting; nothing is started afterwards."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()

    async def close(self) -> None:
        """End all tasks and wait for them."""
        self.cancel()
        await asyncio.gather(*list(self._tasks), return_exceptions=True)


async def _quiet(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except (OSError, EOFError):  # TimeoutError is an OSError
        return
