"""`shoal sim`: a scenario in simulated time, under one seed or thousands; failing seeds replayed and shrunk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli import scenario
from scenarios.cli.scenario import Output, Quiet, Set
from scenarios.cli.verdicts import judges
from scenarios.launch.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scenarios.language.reading import Source
    from scenarios.running.record import Event, RunRecord
    from scenarios.search.crew import Crew
    from scenarios.search.kept import Kept
    from scenarios.search.runs import Job
    from scenarios.search.sweeping import Swept

_KEEP = Path("shoal-failures")


@judges
def sim(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="A scenario's file, or a name from the library.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Instead of the file's; of --seeds, the first.")] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, metavar="N", help="Sweep over N seeds, on all cores.")
    ] = None,
    variables: Set = None,
    output: Output = None,
    quiet: Quiet = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="So many runs at once; as many as cores unless told.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="Sweep on the Dask cluster of this scheduler.")
    ] = None,
    keep: Annotated[Path, typer.Option("--keep", metavar="DIR", help="Where failing seeds of a sweep go.")] = _KEEP,
    limit: Annotated[float, typer.Option("--limit", min=0.1, help="Seconds of real time for one run.")] = 300.0,
    shrink_for: Annotated[
        float, typer.Option("--shrink-for", min=0, help="Seconds for shrinking a sweep's first failing seed; 0: none.")
    ] = 60.0,
    model: Annotated[
        str, typer.Option("--model", help="What runs below: shoal, or a model of something else.")
    ] = "shoal",
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="SEEDFILE", help="Make a kept run again, with its full report.")
    ] = None,
    shrink: Annotated[
        Path | None, typer.Option("--shrink", metavar="SEEDFILE", help="Find the shortest scenario that fails so.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Run it in real time too; what protocols set must take as long.")
    ] = False,
) -> None:  # fmt: skip
    """Run a scenario in simulated time: one seed is one run. Exit status: 0 passed, 1 something did not hold, 2 it
    could not be run to its end (of a sweep: some could not), 130 interrupted."""
    given = {"FILE": file, "--replay SEEDFILE": replay, "--shrink SEEDFILE": shrink}
    if len([name for name, value in given.items() if value is not None]) != 1:
        raise LaunchError(f"exactly one of {', '.join(given)} expected (`shoal sim --help`)")
    if replay is not None:
        raise typer.Exit(_replay(_kept(replay), replay, output, quiet))
    if shrink is not None:
        raise typer.Exit(_shrink_kept(_kept(shrink), shrink, jobs, quiet))
    assert file is not None
    if dask is not None and seeds is None:
        raise LaunchError("--dask is for a sweep: --seeds N says over how many seeds")
    if calibrate and seeds is not None:
        raise LaunchError("--calibrate is for one seed, and --seeds for many: one of them expected")
    sources = scenario.read_for(file, variables, "sim")
    first = sources[0].scenario.seed if seed is None else seed
    templates = [_checked(source, first, limit, model) for source in sources]
    if calibrate:
        raise typer.Exit(_calibrate(sources, seed, quiet))
    if seeds is not None:
        raise typer.Exit(_sweep(templates, range(first, first + seeds), crew_of(jobs, dask), keep, shrink_for, quiet))

    def one(source: Source, tell: Callable[[Event], None]) -> RunRecord:
        from scenarios.search.runs import Job, recorded

        return recorded(Job(source, first, limit, model), tell=tell)

    scenario.run_all(sources, output, quiet, one)


def _checked(source: Source, seed: int, limit: float, model: str) -> Job:
    from scenarios.search.runs import Job, NotRunnable, check

    job = Job(source, seed, limit, model)
    try:
        check(job)
    except NotRunnable as error:
        raise LaunchError(f"{source.file}: {error}") from None
    return job


def crew_of(jobs: int | None, dask: str | None) -> Crew:
    if dask is None:
        from scenarios.search.crew import LocalCrew

        return LocalCrew(jobs)
    from scenarios.search.dask import ClusterUnusable, DaskCrew

    try:
        return DaskCrew(dask)
    except ClusterUnusable as error:
        raise LaunchError(str(error)) from None


def _sweep(templates: list[Job], seeds: range, crew: Crew, keep: Path, shrink_for: float, quiet: bool) -> int:
    from scenarios.search.sweeping import Swept, jobs_of

    swept = Swept(len(templates) * len(seeds))
    jobs, name = jobs_of(templates, seeds), templates[0].source.name
    if not sweep(name, jobs, swept, crew, keep=keep, shrink_for=shrink_for, quiet=quiet):
        return 130
    return 0 if swept.passed == swept.total else 2 if swept.errors else 1


def sweep(
    name: str, jobs: Iterable[Job], swept: Swept, crew: Crew, *, keep: Path, shrink_for: float, quiet: bool
) -> bool:
    """Run them on the crew, which is closed then, and tell what came of it; the first that fails is shrunk. False when
    it was interrupted."""
    from scenarios.search import kept
    from scenarios.search.crew import CrewGone
    from scenarios.search.sweeping import follow

    try:
        if keep != _KEEP:  # else nobody asked for it, and a seed that cannot be kept is told all the same
            try:
                kept.usable(keep)
            except OSError as error:
                raise LaunchError(f"--keep {keep}: failing seeds cannot be kept there: {error.strerror}") from None
        follow(crew, jobs, swept.total, keep=keep, quiet=quiet, swept=swept)
        _tell_swept(f"{name}: ", swept)
        if shrink_for and (one := swept.worth_shrinking()) is not None and one.file is not None:
            shrink_one(one.job, one.file, crew, shrink_for, quiet)
    except KeyboardInterrupt:
        _tell_swept("interrupted: ", swept)
        return False
    except CrewGone as error:
        _tell_swept(f"{name}: ", swept)
        raise LaunchError(str(error)) from None
    finally:
        crew.close()
    return True


def _tell_swept(head: str, swept: Swept) -> None:
    print(f"{head}{swept.summary()}")
    for way, count in swept.ways.items():
        print(f"  {count} × {way}")
    if swept.unkept:
        print(f"  not all failing seeds were kept: {swept.unkept}")


def _kept(path: Path) -> Kept:
    from scenarios.search.kept import BadSeedFile, read

    try:
        return read(path)
    except BadSeedFile as error:
        raise LaunchError(str(error)) from None


def _replay(kept: Kept, path: Path, output: Path | None, quiet: bool) -> int:
    """With everything recorded; the report goes beside the file unless told."""
    from scenarios.search.runs import recorded

    record = recorded(kept.job, tell=(lambda event: None) if quiet else scenario.tell)
    scenario.print_verdict(record, quiet)
    print(f"report: {scenario.write_reports([record], output or path.with_suffix(''))}")
    if record.verdict.what.startswith("interrupted"):
        return 130
    if record.digest != kept.outcome.digest and record.digest and kept.outcome.digest:
        print(f"it is another run: its digest is {record.digest[:16]}, and {kept.outcome.digest[:16]} was kept; "
              "the code has changed since, or the time that it was given did")  # fmt: skip
    return {"passed": 0, "failed": 1, "error": 2}[record.verdict.outcome]


def _shrink_kept(kept: Kept, path: Path, jobs: int | None, quiet: bool) -> int:
    from scenarios.search.crew import LocalCrew

    with LocalCrew(jobs) as crew:
        return shrink_one(kept.job, path, crew, 600.0, quiet)


def shrink_one(job: Job, path: Path, crew: Crew, seconds: float, quiet: bool) -> int:
    """Writes the shortest scenario beside the seed's file. 0, or 2 when the seed does not fail; 130: interrupted, and
    the shortest until then is written."""
    from scenarios.search.shrink import NotFailing, shrink

    try:
        found = shrink(job, crew, seconds=seconds, tell=(lambda text: None) if quiet else print)
    except NotFailing as error:
        print(error)
        return 2
    target = path.with_suffix(".yaml")
    target.write_text(found.text)
    first = min(found.outcome.problems, key=lambda problem: problem.when)
    before, after = (f"{steps} steps and {faults} faults" for steps, faults in (found.before, found.after))
    print(f"{target}: {before} became {after}, in {found.tried} runs; "
          f"it fails at {first.when:.3f} s: {' '.join(first.text.split())[:300]}")  # fmt: skip
    return 130 if found.interrupted else 0


def _calibrate(sources: list[Source], seed: int | None, quiet: bool) -> int:
    from scenarios.cli.table import render
    from scenarios.running.run import run_real, run_simulated
    from scenarios.search.calibration import FACTOR, SEEDS, compare, worst

    status = 0
    for source in sources:
        if "real" not in source.scenario.modes:
            raise LaunchError(f"{source.file}: this scenario runs in simulated time only")
        simulated, real = run_simulated(source, seed=seed), run_real(source, seed=seed)
        first = simulated.seed
        others = [run_simulated(source, seed=first + n) for n in range(1, SEEDS)]
        for record in (simulated, real):
            scenario.print_verdict(record, quiet)
            status = max(status, {"passed": 0, "failed": 1, "error": 2}[record.verdict.outcome])
            if record.verdict.what.startswith("interrupted"):
                return 130
        figures = compare([simulated, *others], real)
        rows = [[f.name + ("" if f.judged else " (the machine's)"), f"{f.range} {f.unit}",
                 f"{f.real:.4g} {f.unit}", f"{f.factor:.2f}"] for f in figures]  # fmt: skip
        print(render(["FIGURE", "SIMULATED", "REAL", "FACTOR"], rows))
        factor = worst(figures)
        print(f"what protocols set differs by a factor of {factor:.2f} at most; {FACTOR:g} is allowed")
        status = max(status, int(factor > FACTOR))
    return status
