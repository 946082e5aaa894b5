"""Background work of one owner: everything started here is cancelled and awaited when the owner stops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger("tasks")

_RETRY = 1.0  # seconds between attempts to write what the disk refused


class TaskOwner:
    """A bag of tasks that cannot leak."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: dict[asyncio.Task[Any], None] = {}  # a dict keeps the order; a set would not

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run `work` in the background. An exception that nobody awaits is logged."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}: {name}")
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    async def finish(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Run `work` to its end although the caller may be cancelled (a client that hangs up in the middle)."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}: {name}")
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def insist(self, work: Callable[[], None], what: str) -> None:
        """Do what a disk that is full refuses now or, when it does, as soon as it takes it: what ends must end.

        `work` may be called long after; it must see for itself whether it is still wanted.
        """
        try:
            work()
        except OSError as error:
            log.warning("not written yet", what=what, error=str(error))
            self.spawn(self._until_written(work), what)

    @staticmethod
    async def _until_written(work: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(_RETRY)
            with contextlib.suppress(OSError):
                work()
                return

    async def stop(self) -> None:
        """Cancel all and wait until they are gone."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in tasks:
                self._tasks.pop(task, None)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # retrieved: the caller may be gone

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background task failed", task=task.get_name(), error=repr(error), exc_info=error)
