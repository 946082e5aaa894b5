"""Runs on a Dask cluster (`pip install shoal[dask]`).

Each thread of a Dask worker has a worker process of ours, for a simulation needs a process for itself; it ends with the
Dask worker, however that ends. A run that was lost with its Dask worker is made again elsewhere. A cluster that has no
worker for a while, or whose scheduler is gone, ends the sweep with a message.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from scenarios.search.crew import CrewGone
from scenarios.search.runs import Job, Outcome, lost, this_code, this_version
from scenarios.search.worker import Worker

if TYPE_CHECKING:
    from distributed import Client, Future

_AHEAD = 2
_CONNECT = 20.0
"""Seconds to wait for the scheduler, and for a first worker."""
_LOOK = 2.0
"""Seconds without an outcome after which the cluster is looked at."""
_DESERTED = 60.0
"""Seconds for which a cluster may have no worker."""


class ClusterUnusable(Exception):
    """No cluster there, no worker in it, or one with another shoal; the text says which."""


class OtherShoal(Exception):
    """A Dask worker has another shoal than who sent the run; the text says which."""


_own = threading.local()


def here() -> str:
    """Which shoal this process has."""
    return f"{this_version()}, code {this_code()}"


def make(job: Job, sender: str) -> Outcome:
    """On a Dask worker: the run, in this thread's process of ours. Raises OtherShoal."""
    if here() != sender:
        raise OtherShoal(f"it has {here()}, and this is {sender}")
    if not hasattr(_own, "worker"):
        _own.worker = Worker()
    outcome: Outcome = _own.worker.run(job)
    return outcome


class DaskCrew:
    """A Crew of whoever works for a scheduler. Raises ClusterUnusable."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ClusterUnusable("Dask's `distributed` is not installed: pip install 'shoal[dask]'") from None
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what matters of it, we say
        self._address = address
        try:
            asyncio.run(_greeted(address))
            self._client: Client = Client(address, timeout=_CONNECT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterUnusable(f"no Dask scheduler answers at {address}: {_why(error)}") from None
        try:
            self._check()
        except BaseException:
            self._client.close(_LOOK)
            raise

    def _check(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_CONNECT)
        except TimeoutError:
            raise ClusterUnusable(f"the Dask cluster at {self._address} has no worker") from None
        answers: dict[str, str | Exception] = self._client.run(here, on_error="return")
        for worker, version in sorted(answers.items()):
            if isinstance(version, OSError):
                continue  # it went away: whatever comes in its place is asked with each run
            if isinstance(version, Exception):  # what a worker without shoal raises is its own
                raise ClusterUnusable(f"the worker {worker} cannot run shoal: {version}")
            if version != here():
                raise ClusterUnusable(f"the worker {worker} has {version}, and this is {here()}")

    @property
    def size(self) -> int:
        """Threads of all workers, now. Raises CrewGone."""
        return max(1, self._threads())

    def _threads(self) -> int:
        try:
            threads: dict[str, int] = self._client.nthreads()
        except Exception as error:  # whatever Dask says where its scheduler does not answer
            raise CrewGone(f"the Dask scheduler at {self._address} is gone: {_why(error)}") from None
        return sum(threads.values())

    def outcomes(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """See Crew."""
        waiting = iter(jobs)
        begun: dict[object, tuple[Future[Outcome], Job]] = {}
        ended: queue.SimpleQueue[object] = queue.SimpleQueue()
        size = self.size

        def begin(count: int) -> None:
            for job in islice(waiting, count):
                future = self._client.submit(make, job, here(), pure=False, retries=3)
                watch(future, job)

        def watch(future: Future[Outcome], job: Job) -> None:
            begun[future.key] = future, job
            future.add_done_callback(lambda future: ended.put(future.key))

        begin(size * _AHEAD)
        deserted: float | None = None
        while begun:
            try:
                future, job = begun.pop(ended.get(timeout=_LOOK))
            except queue.Empty:
                threads = self._threads()
                size = max(1, threads)
                deserted = None if threads else deserted or time.monotonic()
                if deserted is not None and time.monotonic() - deserted >= _DESERTED:
                    text = f"the Dask cluster at {self._address} has had no worker for {_DESERTED:g} s"
                    raise CrewGone(text) from None
                continue
            if (outcome := self._outcome(future, job)) is None:
                watch(future, job)
                continue
            begin(max(1, size * _AHEAD - len(begun)))
            yield job, outcome

    def _outcome(self, future: Future[Outcome], job: Job) -> Outcome | None:
        """None: it was lost with its worker after all, and is made again."""
        from distributed import CancelledError, KilledWorker

        try:
            outcome: Outcome = future.result(timeout=_CONNECT)
        except TimeoutError:
            self._threads()
            return None
        except KilledWorker as error:
            return lost(job, f"the Dask workers that had it died: {error}", 0.0)
        except CancelledError:
            self._threads()  # the scheduler's end cancels all
            return lost(job, "the Dask cluster cancelled it", 0.0)
        except OtherShoal as error:
            return lost(job, f"a worker of {self._address} has another shoal: {error}", 0.0)
        except Exception as error:  # whatever else a cluster may answer
            self._threads()
            return lost(job, f"the Dask cluster failed: {type(error).__name__}: {error}", 0.0)
        return outcome

    def close(self) -> None:
        self._client.close(_LOOK)


async def _greeted(address: str) -> None:
    """Asks whoever listens there who it is: a Dask client itself waits for ever for one that says nothing. Raises
    OSError, TimeoutError, ValueError."""
    from distributed.core import rpc

    async with asyncio.timeout(_CONNECT), rpc(address, timeout=_CONNECT) as there:
        await there.identity()


def _why(error: BaseException) -> str:
    return str(error) or f"no answer within {_CONNECT:g} s"
