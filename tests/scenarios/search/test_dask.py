"""The same sweep on a Dask cluster, of which a worker is killed in the middle."""

from __future__ import annotations

import os
import signal

import pytest

from scenarios.search.runs import Job, run_job
from tests.scenarios.search.stories import SMALL, one

distributed = pytest.importorskip("distributed", reason="needs distributed: make venv")


def test_a_cluster_that_loses_a_worker_still_makes_all_runs() -> None:
    from scenarios.search.dask import DaskCrew

    jobs = [Job(one(SMALL), seed) for seed in range(1, 25)]
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        crew = DaskCrew(cluster.scheduler_address)
        told = {}
        for job, outcome in crew.outcomes(jobs):
            told[job.seed] = outcome
            if len(told) == 2:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        crew.close()
    assert sorted(told) == [job.seed for job in jobs]
    assert all(outcome.passed for outcome in told.values()), told
    assert told[1].digest == run_job(jobs[0]).digest


def test_no_cluster_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from scenarios.search import dask

    monkeypatch.setattr(dask, "_CONNECT", 0.5)
    with pytest.raises(dask.ClusterUnusable, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        dask.DaskCrew("tcp://127.0.0.1:9")
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None, host="127.0.0.1") as cluster,
        pytest.raises(dask.ClusterUnusable, match="has no worker"),
    ):
        dask.DaskCrew(cluster.scheduler_address)
