"""``python -m scenarios.study``: run a study of gossip at scale and print, or write down, its tables and plots."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from scenarios.study.plan import FULL, QUICK, Result, Task, tasks
from scenarios.study.report import Document, documents

DOCUMENT = "gossip-simulation.md"
IMAGES = "img"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make sim-gossip ARGS=…", description="gossip at scale, in simulated time")
    parser.add_argument("--full", action="store_true", help="up to 10,000 members: many minutes (else under one)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="one seed is one run, the same everywhere")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--only", nargs="+", help="scaling growth lifeguard stalls stability churn healing")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help=f"put the results into DIR/{DOCUMENT} and DIR/{IMAGES}"
    )
    arguments = parser.parse_args()
    chosen = [
        task
        for task in tasks(FULL if arguments.full else QUICK, arguments.seeds)
        if arguments.only is None or task.study in arguments.only
    ]
    began = time.monotonic()
    # The long ones first, so that no process is left alone with one at the end.
    order = sorted(range(len(chosen)), key=lambda place: -chosen[place].cost)
    results: list[tuple[Task, Result] | None] = [None] * len(chosen)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for place, result in zip(order, pool.map(_run, [chosen[place] for place in order]), strict=True):
            results[place] = (chosen[place], result)
            if sys.stderr.isatty():
                print(f"\r{sum(each is not None for each in results)} of {len(chosen)} ", end="", file=sys.stderr)
    print(f"{len(chosen)} runs in {time.monotonic() - began:.0f} s with {arguments.jobs} processes", file=sys.stderr)
    found = documents([each for each in results if each is not None])
    if arguments.write is None:
        for study, (text, _) in found.items():
            print(f"\n## {study}\n\n{text}")
    else:
        write(arguments.write, found)
    return 0


def _run(task: Task) -> Result:
    gc.disable()
    result = task.run()
    gc.collect()
    return result


def write(directory: Path, found: dict[str, Document]) -> None:
    """Replace what stands between the marks of each study; charts go to files of their own."""
    path = directory / DOCUMENT
    text = path.read_text(encoding="utf-8")
    images = directory / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for study, (table, charts) in found.items():
        begin, end = f"<!-- begin {study} -->", f"<!-- end {study} -->"
        if begin not in text or end not in text:
            raise SystemExit(f"{path} has no place for {study}")
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        plots = "".join(f"\n\n![{file}]({IMAGES}/{file})" for file in charts)
        text = f"{before}{begin}\n\n{table}{plots}\n\n{end}{after}"
        for file, svg in charts.items():
            (images / file).write_text(svg, encoding="utf-8")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
