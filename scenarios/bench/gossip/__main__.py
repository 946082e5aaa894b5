"""``make bench-gossip``: serf and ours in turn, both figures and their ratio; exit status 1 when a goal is missed.

Takes about a quarter of an hour; ``ARGS="--sizes 3 --runs 1"`` two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
from dataclasses import dataclass
from random import Random

from scenarios.bench.figures import Figure, Goal, Judge
from scenarios.bench.gossip import serf, trial
from scenarios.bench.gossip.ours import OurMember
from scenarios.bench.gossip.serf import SerfAgent
from scenarios.bench.gossip.traffic import enter_namespace
from scenarios.bench.gossip.trial import Figures, Trial
from scenarios.cli.table import render
from scenarios.launch.block import claim

SIZES = (3, 10, 25)


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured, its unit and its goal; ``sizes``: where the goal binds (everywhere when empty)."""

    name: str
    unit: str
    limit: float | None
    sizes: tuple[int, ...] = ()
    judge: Judge = Judge.MEDIAN


ROWS = (
    Row(trial.JOIN, "s", 1.0),
    Row(trial.REFUSED, "s", 2.0),
    Row(trial.SILENT, "s", 6.0),
    Row(trial.FALSE_DEATHS, "wrong", 0, judge=Judge.WORST),
    Row(trial.UPDATE, "s", 0.25),
    Row(trial.PACKETS, "/s", 2.9),
    Row(trial.BYTES, "B/s", 365),
    Row(trial.CPU, "ms/s", None),
    Row(trial.MEMORY, "MB", None),
)
LEGEND = """\
join          all members but one join it at the same moment: until all see all
refused       a member is killed (SIGKILL): until every other one says failed
silent        a member is stopped (SIGSTOP): until every other one says failed
stopped 3 s   how many say of anybody that he failed when one member is stopped for 3 s
update        a member changes its metadata: until all see it
idle          per node; bytes of IP packets, UDP and TCP, headers included
Times are medians over the runs; serf's agents are asked every 10 ms, ours tell at once."""


def measure(which: str, size: int, *, runs: int, idle: float, seed: int) -> Figures:
    """One cluster on a block of loopback addresses of its own."""
    make = SerfAgent if which == "serf" else OurMember
    with claim(size) as block:
        there = Trial(
            make,
            block=block.where,
            size=size,
            random=Random(f"{seed} {size}"),
            say=lambda what: _progress(f"{which}, {size} nodes: {what}"),
        )
        return asyncio.run(there.run(runs, idle))


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return "never" if math.isinf(value) else f"{value:.3g}"


def report(results: dict[tuple[str, int], Figures], sizes: list[int]) -> tuple[str, list[str]]:
    """The table, and which goals ours missed."""
    lines: list[list[str]] = []
    missed: list[str] = []
    for row in ROWS:
        for size in sizes:
            theirs, ours = (results.get((which, size), {}).get(row.name) for which in ("serf", "ours"))
            judge = row.judge
            goal = Goal(f"{row.name} at {size}", row.limit if row.limit is not None else math.inf, row.unit, judge)
            reference = Figure(goal, tuple(theirs)) if theirs else None
            figure = Figure(goal, tuple(ours)) if ours else None
            known = reference.median if reference is not None else None
            value = (max(figure.runs) if judge is Judge.WORST else figure.median) if figure is not None else None
            if known is not None and reference is not None and judge is Judge.WORST:
                known = max(reference.runs)
            ratio = f"{value / known:.2f}" if value is not None and known and not math.isinf(known) else "-"
            met = figure is not None and figure.met
            unknown = figure is None and row.name in (trial.PACKETS, trial.BYTES)
            if row.limit is not None and not met and not unknown:
                missed.append(f"{row.name} at N = {size}")
            verdict = "" if row.limit is None else "unknown" if unknown else "ok" if met else "MISSED"
            limit = "-" if row.limit is None else str(goal)
            worst = f"{max(figure.runs):.3g}" if figure is not None and len(figure.runs) > 1 else "-"
            lines.append([row.name, str(size), _shown(known), _shown(value), worst, row.unit, ratio, limit, verdict])
    return render(["FIGURE", "N", "SERF", "OURS", "WORST", "UNIT", "RATIO", "GOAL", ""], lines), missed


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench-gossip", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each figure; the median is judged (default 3)")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="members (default 3,10,25)")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds of idling that are measured (default 30)")
    parser.add_argument("--only", choices=("serf", "ours"), help="one of the two, without a ratio")
    parser.add_argument("--seed", type=int, default=1, help="chooses who is killed")
    parser.add_argument("--json", action="store_true", help="for machines")
    options = parser.parse_args(argv)
    sizes = [int(size) for size in options.sizes.split(",")]
    if any(not 2 <= size <= 100 for size in sizes) or options.runs < 1:
        parser.error("2 to 100 members, at least one run")
    enter_namespace("scenarios.bench.gossip", sys.argv[1:] if argv is None else argv)
    which = [options.only] if options.only else ["serf", "ours"]
    if "serf" in which and not serf.found():
        print("no serf here (make tools installs it for root): ours is measured alone", file=sys.stderr)
        which.remove("serf")
    results: dict[tuple[str, int], Figures] = {}
    for size in sizes:
        for one in which:
            results[one, size] = measure(one, size, runs=options.runs, idle=options.idle, seed=options.seed)
    _progress("")
    if options.json:
        print(json.dumps([{"who": who, "n": n, **figures} for (who, n), figures in results.items()], indent=1))
    table, missed = report(results, sizes)
    if not options.json:
        print(LEGEND + "\n\n" + table)
        print(f"\nmissed: {'; '.join(missed)}" if missed else "\nall goals met")
        if "ours" in which and not any(trial.PACKETS in figures for figures in results.values()):
            print("idle traffic was not measured: it needs a packet socket (root, or a user namespace)")
        print(f"load of this machine meanwhile: {os.getloadavg()[1]:.1f} on {os.cpu_count()} processors")
    return 1 if missed and "ours" in which else 0


if __name__ == "__main__":
    sys.exit(main())
