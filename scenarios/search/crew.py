"""Many runs at once on the cores of this machine. Whatever becomes of one of them, the others go on."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from types import TracebackType
from typing import Protocol

from scenarios.search.runs import Job, Outcome
from scenarios.search.worker import Worker

_AHEAD = 2
"""Runs handed out for each worker: one that is made and one that waits."""


class CrewGone(Exception):
    """Whoever made the runs is gone, and no more will be made; the text says who."""


class Crew(Protocol):
    """Who makes runs. size: how many at once, now."""

    @property
    def size(self) -> int: ...

    def outcomes(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Each job with its outcome, as they come; jobs are taken as they are needed, so there may be any number.
        Raises CrewGone."""
        ...

    def close(self) -> None:
        """Ends everything at once, in the middle of a run too."""
        ...


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalCrew:
    """Worker processes of this machine, started when they are needed and used again and again."""

    def __init__(self, workers: int | None = None) -> None:
        self.size = workers or cores()
        self._workers = [Worker() for _ in range(self.size)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="worker")

    def __enter__(self) -> LocalCrew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, job: Job) -> Future[Outcome]:
        """A run of its own."""
        return self._threads.submit(self._run, job)

    def outcomes(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """See Crew. Leaving the iterator early lets the runs that were begun end by themselves."""
        waiting = iter(jobs)
        begun = {self.submit(job): job for job in islice(waiting, self.size * _AHEAD)}
        try:
            while begun:
                done, _ = wait(begun, return_when=FIRST_COMPLETED)
                for future in list(begun):
                    if future in done:
                        job = begun.pop(future)
                        for following in islice(waiting, 1):
                            begun[self.submit(following)] = following
                        yield job, future.result()
        finally:
            for future in begun:
                future.cancel()

    def pids(self) -> list[int]:
        """Of the workers that run now."""
        return [pid for worker in self._workers if (pid := worker.pid) is not None]

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.end()

    def _run(self, job: Job) -> Outcome:
        worker = self._idle.get()
        try:
            return worker.run(job)
        finally:
            self._idle.put(worker)
