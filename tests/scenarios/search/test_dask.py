"""`shoal sim --dask`: a sweep on a Dask cluster of real processes, which lose a worker, their scheduler, or the way."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.scenarios.search.stories import SMALL
from tests.scenarios.shoal import ROOT, shoal

pytest.importorskip("distributed", reason="needs distributed: make venv")

SEEDS = 16


class Cluster:
    """`dask scheduler` and `dask worker` as a user starts them, each a process of its own."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.address = self._told(self.scheduler, r"Scheduler at:\s+(tcp://\S+)")

    def worker(self, **environment: str) -> subprocess.Popen[str]:
        """Registered already. A process alone, with no nanny that would start it again."""
        started = self._start(
            "worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--no-nanny",
            **environment,
        )  # fmt: skip
        self._told(started, r"Registered to:\s+(tcp://\S+)")
        return started

    def _start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([*environment.get("PYTHONPATH", "").split(), str(ROOT)])
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **environment, "PYTHONPATH": path}, start_new_session=True, cwd="/",
        )  # fmt: skip
        self._processes.append(process)
        return process

    @staticmethod
    def _told(process: subprocess.Popen[str], pattern: str) -> str:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(pattern, line):
                _drain(process.stderr)
                return found[1]
        raise AssertionError(said)

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def _drain(pipe: IO[str]) -> None:
    """Reads on, so that nobody waits for room in the pipe."""
    import threading

    threading.Thread(target=pipe.read, daemon=True).start()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.end()


@pytest.fixture
def story(tmp_path: Path) -> Path:
    """Seed by seed it passes or fails, and is told of when it fails."""
    file = tmp_path / "small.yaml"
    loss = "  - fault: {loss: 20%, traffic: vxlan, for: run}\n  - {exec: ping -c 1 -W 1 bb, on: h1/aa}\n"
    file.write_text(SMALL + loss)
    return file


def _sweep(story: Path, seeds: int, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scenarios.cli", "sim", str(story), "--seeds", str(seeds), "--shrink-for", "0",
         "--keep", str(story.parent / "kept"), *more],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_cluster_that_loses_a_worker_makes_all_runs_and_they_are_the_same(cluster: Cluster, story: Path) -> None:
    workers = [cluster.worker(), cluster.worker()]
    sweep = _sweep(story, SEEDS, "--dask", cluster.address)
    assert sweep.stdout is not None
    first = sweep.stdout.readline()  # of a seed that failed: the sweep is under way
    os.kill(workers[0].pid, signal.SIGKILL)
    rest = sweep.stdout.read()
    assert sweep.wait() == 1, first + rest
    assert "seed " in first
    there = re.search(rf"small: {SEEDS} runs: (\d+) passed, (\d+) failed; .*digest of all (\w+)", rest)
    assert there, first + rest
    line = ("sim", str(story), "--seeds", str(SEEDS), "--shrink-for", "0", "--keep", str(story.parent / "here"))
    here = shoal(*line, timeout=600)
    found = re.search(rf"small: {SEEDS} runs: (\d+) passed, (\d+) failed; .*digest of all (\w+)", here.stdout)
    assert found and found.groups() == there.groups(), here.stdout + rest


def test_a_scheduler_that_dies_and_a_worker_of_another_shoal_are_one_message(
    cluster: Cluster, story: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "shoal-9.9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: shoal\nVersion: 9.9.9\n")
    wrong = cluster.worker(PYTHONPATH=str(other.parent))
    told = shoal("sim", str(story), "--seeds", "3", "--dask", cluster.address, timeout=600)
    assert told.returncode == 2 and told.stdout == "", told
    assert re.fullmatch(r"shoal: the worker tcp://\S+ has shoal 9\.9\.9, .*, and this is shoal .*\n", told.stderr)
    wrong.kill()
    wrong.wait()
    cluster.worker()
    sweep = _sweep(story, 100_000, "--dask", cluster.address)
    assert sweep.stdout is not None
    assert "seed " in sweep.stdout.readline()
    os.kill(cluster.scheduler.pid, signal.SIGKILL)
    rest = sweep.stdout.read()
    assert sweep.wait() == 2, rest
    assert re.search(r"^small: \d+ of 100000 runs: ", rest, re.M), rest
    assert f"shoal: the Dask scheduler at {cluster.address} is gone: " in rest and "Traceback" not in rest, rest


def test_no_cluster_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    from scenarios.search import dask

    monkeypatch.setattr(dask, "_CONNECT", 0.5)
    with pytest.raises(dask.ClusterUnusable, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        dask.DaskCrew("tcp://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as mute:  # it listens, and says nothing
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(dask.ClusterUnusable, match=f"no Dask scheduler answers at {address}: no answer"):
            dask.DaskCrew(address)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None, host="127.0.0.1") as cluster,
        pytest.raises(dask.ClusterUnusable, match="has no worker"),
    ):
        dask.DaskCrew(cluster.scheduler_address)
