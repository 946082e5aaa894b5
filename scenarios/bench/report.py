"""Runs the measurements on a swarm of its own and prints them beside their goals."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import tempfile
from pathlib import Path

from aiodocker.exceptions import DockerError

from scenarios.bench.figures import Figure, Goal, Judge
from scenarios.bench.measure import MEASUREMENTS, Bench
from scenarios.cli.table import render
from scenarios.client import HostClient, RunSpec
from scenarios.demo.stage import NETWORK, Stage
from scenarios.demo.view import PlainView
from scenarios.launch import launcher
from scenarios.launch.errors import LaunchError


def main(*, runs: int, only: str | None, as_json: bool) -> int:
    """Exit status: 0 when every goal was met, 1 when one was missed."""
    chosen = [name for name in MEASUREMENTS if only is None or only in name]
    if not chosen:
        raise LaunchError(f"--only {only}: there are {', '.join(MEASUREMENTS)}")
    directory = Path(tempfile.mkdtemp(prefix="shoal-bench-"))
    try:
        figures = asyncio.run(_measure(directory, chosen, runs, quiet=as_json))
    finally:
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
    if as_json:
        print(json.dumps([_document(figure) for figure in figures], indent=1))
    else:
        print("\n" + table(figures))
    missed = [figure.goal.name for figure in figures if not figure.met]
    if not as_json:
        print(f"\nmissed: {'; '.join(missed)}" if missed else f"\nall {len(figures)} goals met")
    return 1 if missed else 0


async def _measure(directory: Path, chosen: list[str], runs: int, *, quiet: bool) -> list[Figure]:
    stage = Stage(directory, False, PlainView(step=False))
    bench = Bench(stage, runs)
    figures: list[Figure] = []
    try:
        for name in chosen:
            if not quiet:
                print(f"measuring: {(MEASUREMENTS[name].__doc__ or name).strip()}", file=sys.stderr, flush=True)
            if name != "start" and stage.swarm is None:
                await _prepare(stage)
            try:
                async for figure in MEASUREMENTS[name](bench):
                    figures.append(figure)
            except DockerError as error:
                # One thing that does not work must not hide the figures of the rest.
                figures.append(Figure(Goal(f"{name}: could not be measured", 0, "", Judge.WORST), (math.inf,),
                                      error.message))  # fmt: skip
    finally:
        for client in stage.clients.values():
            await client.close()
        if stage.swarm is not None:
            await asyncio.shield(asyncio.to_thread(launcher.down, directory))
    return figures


async def _prepare(stage: Stage) -> None:
    """A swarm of three, an overlay, and one container on each host that comes back when its daemon does."""
    stage.swarm = await asyncio.to_thread(launcher.up, 3, directory=stage.directory, die_with=os.getpid())
    for host in stage.hosts:
        stage.clients[host.name] = HostClient(host.docker_api)
    await stage.clients["h1"].post("networks/create", {"Name": NETWORK, "Driver": "overlay", "Attachable": True})
    for number, host in enumerate(stage.hosts, 1):
        name = f"c{number}"
        await stage.clients[host.name].run(
            RunSpec("alpine", ("sleep", "86400"), name=name, network=NETWORK, restart="always")
        )
        stage.where[name] = host.name


def _shown(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.3g}"


def table(figures: list[Figure]) -> str:
    """A line a figure; the goal is compared with the median or, where it is a promise, with the worst run."""
    rows = [
        [
            "ok" if f.met else "MISSED", f.goal.name, str(f.goal), f"{_shown(f.median)} {f.goal.unit}".strip(),
            f"{_shown(f.p95)} {f.goal.unit}".strip(), str(len(f.runs)), f.goal.judge.value, f.goal.docker or "-",
            f.note,
        ]
        for f in figures
    ]  # fmt: skip
    return render(["", "FIGURE", "GOAL", "MEDIAN", "P95", "RUNS", "JUDGED BY", "DOCKER", "NOTE"], rows)


def _document(figure: Figure) -> dict[str, object]:
    return {
        "name": figure.goal.name,
        "unit": figure.goal.unit,
        "goal": figure.goal.limit,
        "at_least": figure.goal.at_least,
        "judged_by": figure.goal.judge.value,
        "runs": [None if math.isinf(run) else run for run in figure.runs],
        "median": None if math.isinf(figure.median) else figure.median,
        "p95": None if math.isinf(figure.p95) else figure.p95,
        "met": figure.met,
    }
