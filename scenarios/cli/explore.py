"""`shoal explore`: scenarios at random against all invariants, and whether they find defects that were put in."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli.verdicts import judges
from scenarios.launch.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scenarios.mutations.catching import Caught
    from scenarios.search.generate import Bounds
    from scenarios.search.runs import Job

_KEEP = Path("shoal-failures")


@judges
def explore(
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="So many scenarios.")] = 100,
    first: Annotated[int, typer.Option("--seed", min=0, help="The first of them.")] = 1,
    hosts: Annotated[str, typer.Option("--hosts", metavar="A..B", help="How many hosts each has.")] = "2..5",
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.0, help="Begin no scenario after so many minutes.")
    ] = None,
    keep: Annotated[Path, typer.Option("--keep", metavar="DIR", help="Where those that fail go.")] = _KEEP,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="So many at once; as many as cores unless told.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="On the Dask cluster of this scheduler.")
    ] = None,
    limit: Annotated[float, typer.Option("--limit", min=0.1, help="Seconds of real time for one run.")] = 300.0,
    shrink_for: Annotated[
        float, typer.Option("--shrink-for", min=0, help="Seconds for shrinking the first that fails; 0: none.")
    ] = 60.0,
    show: Annotated[bool, typer.Option("--show", help="Print the first scenario, and run nothing.")] = False,
    mutation: Annotated[
        list[str] | None, typer.Option("--mutation", metavar="NAME", help="Put this defect into the daemons first.")
    ] = None,
    mutations: Annotated[
        bool, typer.Option("--mutations", help="Each defect of the catalogue in turn: how many seeds find it?")
    ] = False,
    automatic: Annotated[
        int | None, typer.Option("--automatic", min=1, metavar="N", help="N defects made by chance, alike.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", metavar="FILE", help="Write what became of the defects, as JSON, or go on from there."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.")] = False,
) -> None:  # fmt: skip
    """Make scenarios at random and run them in simulated time against all invariants. Exit status: 0 all held (of
    defects: all were found), 1 not, 2 some could not be run to their end."""
    bounds = _bounds(hosts)
    if show:
        from scenarios.search.generate import generate

        sys.stdout.write(generate(first, bounds))
        return
    if mutation or mutations or automatic is not None:
        names = _names(mutation or [], mutations, automatic, first)
        raise typer.Exit(_defects(names, first, seeds, jobs, table, quiet))
    raise typer.Exit(_explore(bounds, first, seeds, minutes, keep, jobs, dask, limit, shrink_for, quiet))


def _bounds(text: str) -> Bounds:
    from scenarios.search.generate import Bounds

    low, dots, high = text.partition("..")
    if not low.isdigit() or (dots and not high.isdigit()):
        raise LaunchError(f"--hosts: A..B expected, as in 2..7, not {text!r}")
    fewest, most = int(low), int(high or low)
    if not 2 <= fewest <= most <= 40:
        raise LaunchError(f"--hosts: 2 to 40 hosts expected, not {text!r}")
    return Bounds(hosts=(fewest, most))


def _explore(
    bounds: Bounds, first: int, seeds: int, minutes: float | None, keep: Path, jobs: int | None, dask: str | None,
    limit: float, shrink_for: float, quiet: bool,
) -> int:  # fmt: skip
    from scenarios.cli.sim import crew_of, sweep
    from scenarios.search.generate import source
    from scenarios.search.runs import Job
    from scenarios.search.sweeping import Swept

    crew = crew_of(jobs, dask)
    swept = Swept(seeds)
    end = None if minutes is None else time.monotonic() + 60 * minutes

    def made() -> Iterator[Job]:
        for seed in range(first, first + seeds):
            if end is not None and time.monotonic() >= end:
                return
            yield Job(source(seed, bounds), seed, limit)

    if not sweep("explore", made(), swept, crew, keep=keep, shrink_for=shrink_for, quiet=quiet):
        return 130
    return 0 if swept.passed == swept.done else 2 if swept.errors else 1


def _names(given: list[str], every: bool, automatic: int | None, seed: int) -> list[str]:
    import random

    from scenarios.mutations.catalogue import mutations, named
    from scenarios.mutations.mutation import DoesNotApply, of_core

    names = [*given, *(mutations() if every else ())]
    try:
        for name in names:
            named(name)
    except DoesNotApply as error:
        raise LaunchError(str(error)) from None
    if automatic is not None:
        made = of_core()
        names += [m.name for m in random.Random(f"mutants/{seed}").sample(made, min(automatic, len(made)))]
    return list(dict.fromkeys(names))


def _before(table: Path | None, broken: str, first: int) -> Sequence[Caught]:
    """What a table says already, for the hunt goes on from there. Raises LaunchError for one of other code or seeds."""
    from scenarios.mutations.catching import Hunt

    if table is None or not table.exists():
        return ()
    try:
        hunt = Hunt.read(table.read_text())
    except (OSError, ValueError) as error:
        raise LaunchError(f"{table}: {error}") from None
    if (hunt.commit, hunt.first) != (broken, first):
        told = f"commit {hunt.commit or 'unknown'} from {hunt.first}, and this is {broken or 'unknown'} from {first}"
        raise LaunchError(f"{table} is of {told}: name another file, or move that one away")
    return hunt.found


def _defects(names: list[str], first: int, seeds: int, jobs: int | None, table: Path | None, quiet: bool) -> int:
    from scenarios.cli.table import render
    from scenarios.mutations.catching import Hunt, catch_all, commit
    from scenarios.search.crew import cores

    def tell(caught: Caught) -> None:
        if not quiet:
            how = f"after {caught.seeds} by {caught.by}: {caught.text[:160]}" if caught.by else "by no seed"
            print(f"{caught.name}: found {how}", flush=True)

    broken = commit()
    known = {caught.name: caught for caught in _before(table, broken, first)}
    for caught in catch_all(names, first, seeds, jobs or cores(), tell, tuple(known.values())):
        known[caught.name] = caught
        if table is not None:  # at once: a hunt takes hours
            table.write_text(Hunt(broken, first, seeds, tuple(known.values())).written())
    found = [known[name] for name in names]
    print(render(["DEFECT", "SEEDS", "FOUND BY"],
                 [[caught.name, str(caught.seeds), caught.by or "nothing"] for caught in found]))  # fmt: skip
    missed = [caught for caught in found if caught.survived]
    print(f"{len(found) - len(missed)} of {len(found)} defects were found, each within {seeds} seeds")
    return 1 if missed else 0
