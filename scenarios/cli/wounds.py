"""`shoal wounds`: in how many seeds each wound of Docker's overlay shows, on a model of it and on shoal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli.verdicts import judges
from scenarios.launch.errors import LaunchError

if TYPE_CHECKING:
    from scenarios.search.crew import LocalCrew
    from scenarios.wounds.keeping import Real
    from scenarios.wounds.wounds import Wound

_CHUNK = 25
"""Seeds of one wound on one model before the next one's turn, so that a sweep that is ended early has some of all."""


@judges
def wounds(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Wounds, by their scenarios; all without one.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="Seeds for each.")] = 10,
    first: Annotated[int, typer.Option("--seed", "--first", help="The first seed.")] = 1,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="So many runs at once.")] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FILE", help="Add to the counts of this file, and go on from them.")
    ] = None,
    real: Annotated[
        Path | None, typer.Option("--real", metavar="FILE", help="What `python -m scenarios.wounds.real -o FILE` saw.")
    ] = None,
    readme: Annotated[
        Path | None, typer.Option("--readme", metavar="FILE", help="Write the table between this file's markers.")
    ] = None,
    calmed: Annotated[
        bool, typer.Option("--calm", help="Without the faults: then nothing may fail, on the model neither.")
    ] = False,
) -> None:  # fmt: skip
    """Stage the wounds that Docker's overlay has for its users, on a model of Docker and on shoal; print the table.
    Exit status 1: one showed on shoal, or a run on shoal failed by something else; the model's other failures are told
    in the table and not counted. 130: interrupted."""
    from scenarios.search.crew import LocalCrew
    from scenarios.wounds.keeping import Results, load, save
    from scenarios.wounds.sweep import MODELS, jobs_of
    from scenarios.wounds.table import inserted, render
    from scenarios.wounds.wounds import WOUNDS, named

    chosen = []
    for name in names or [wound.name for wound in WOUNDS]:
        wound = named(name)
        if wound is None:
            raise LaunchError(f"no wound {name!r}; there are {', '.join(wound.name for wound in WOUNDS)}")
        if wound.file.exists():
            chosen.append(wound)
    try:
        results = load(keep) if keep is not None else Results()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LaunchError(f"{keep}: not the counts of `shoal wounds`: {error!r}") from None
    if real is not None:
        results.real.update(_real(real))
    turns = [(wound, model) for wound in chosen for model in MODELS if model == "shoal" or wound.modelled]
    if calmed:
        with LocalCrew(jobs) as crew:
            raise typer.Exit(_calm(turns, range(first, first + seeds), crew))
    with LocalCrew(jobs) as crew:
        while turns:
            for wound, model in list(turns):
                count = results.count(wound.name, model, first)
                limit = min(seeds, wound.most)
                missing = range(first + count.seeds, first + min(limit, count.seeds + _CHUNK))
                # All of a chunk or none: the counts go on from the seed after the last.
                for _, outcome in list(crew.outcomes(jobs_of(wound, model, missing))):
                    count.add(wound, outcome)
                if count.seeds >= limit:
                    turns.remove((wound, model))
                if missing:
                    others = f" ({len(count.other)} failed otherwise)" if count.other else ""
                    print(f"{wound.name} on {model}: {len(count.showed)} of {count.seeds}{others}", flush=True)
                if keep is not None:
                    save(results, keep)
    table = render(results)
    print(table)
    if readme is not None:
        try:
            readme.write_text(inserted(readme.read_text(), table))
        except (OSError, ValueError) as error:
            raise LaunchError(f"{readme}: {error}") from None
    bad = [count for models in results.counts.values() for model, count in models.items()
           if model == "shoal" and (count.other or count.showed)]  # fmt: skip
    raise typer.Exit(1 if bad else 0)


def _calm(turns: list[tuple[Wound, str]], seeds: range, crew: LocalCrew) -> int:
    """0 when nothing failed."""
    from scenarios.search.sweeping import told
    from scenarios.wounds.sweep import jobs_of

    failed = 0
    for wound, model in turns:
        made = list(crew.outcomes(jobs_of(wound, model, seeds[: wound.most], calmed=True)))
        wrong = [(job, outcome) for job, outcome in made if not outcome.passed]
        print(f"{wound.name} without its fault, on {model}: {len(wrong)} of {len(made)} failed", flush=True)
        for job, outcome in wrong:
            print(f"  {told(job, outcome)}")
        failed += len(wrong)
    return 1 if failed else 0


def _real(path: Path) -> dict[str, Real]:
    import json

    from scenarios.wounds.keeping import judged

    try:
        found = json.loads(path.read_text())
        return {name: judged(entry["engine"], entry["tries"]) for name, entry in found.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LaunchError(f"{path}: not what real engines did: {error!r}") from None
