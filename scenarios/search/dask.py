"""Runs on a Dask cluster (`pip install shoal[dask]`).

Each thread of a Dask worker has a worker process of ours, for a simulation needs a process for itself; it ends with the
Dask worker, however that ends. A run that was lost with its Dask worker is made again elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from scenarios.search.runs import Job, Outcome, lost, this_version
from scenarios.search.worker import Worker

if TYPE_CHECKING:
    from distributed import Client

_AHEAD = 2
_CONNECT = 20.0
"""Seconds to wait for the scheduler, and for a first worker."""


class ClusterUnusable(Exception):
    """No cluster there, no worker in it, or one with another shoal; the text says which."""


_own = threading.local()


def make(job: Job) -> Outcome:
    """On a Dask worker: the run, in this thread's process of ours."""
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
        self._address = address
        try:
            self._client: Client = Client(address, timeout=_CONNECT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterUnusable(f"no Dask scheduler answers at {address}: {error}") from None
        try:
            self._check()
        except BaseException:
            self._client.close()
            raise

    def _check(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_CONNECT)
        except TimeoutError:
            raise ClusterUnusable(f"the Dask cluster at {self._address} has no worker") from None
        try:
            versions: dict[str, str] = self._client.run(this_version)
        except Exception as error:  # what a worker without shoal raises is its own
            raise ClusterUnusable(f"a worker of {self._address} cannot run shoal: {error}") from None
        for worker, version in sorted(versions.items()):
            if version != this_version():
                raise ClusterUnusable(f"the worker {worker} has {version}, and this is {this_version()}")

    @property
    def size(self) -> int:
        """Threads of all workers, now."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def outcomes(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """See Crew."""
        from distributed import CancelledError, KilledWorker, as_completed

        waiting = iter(jobs)
        begun: dict[Any, Job] = {}

        def begin(count: int) -> list[Any]:
            found = []
            for job in islice(waiting, count):
                future = self._client.submit(make, job, pure=False, retries=3)
                begun[future.key] = job
                found.append(future)
            return found

        running = as_completed(begin(self.size * _AHEAD), loop=self._client.loop)
        for future in running:
            job = begun.pop(future.key)
            try:
                outcome: Outcome = future.result()
            except (KilledWorker, CancelledError) as error:
                outcome = lost(job, f"the Dask workers that had it died: {error}", 0.0)
            except Exception as error:  # whatever else a cluster may answer
                outcome = lost(job, f"the Dask cluster failed: {type(error).__name__}: {error}", 0.0)
            running.update(begin(max(1, self.size * _AHEAD - len(begun))))
            yield job, outcome

    def close(self) -> None:
        self._client.close()
