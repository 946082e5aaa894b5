"""Evidence as a page of Markdown. Every number in it was measured by the run that wrote it."""

from __future__ import annotations

from collections.abc import Iterable

from scenarios.evidence.gathering import Evidence
from scenarios.evidence.rules import Rule
from scenarios.exhaustive.searches import told
from scenarios.mutations.catalogue import mutations
from scenarios.search.calibration import FACTOR, SEEDS, worst


def page(found: Evidence) -> str:
    parts = [_head(found), _rules(found), _scenarios(found), _model(found), _crashes(found), _calibration(found)]
    return "\n\n".join([*parts, _mutations(found)]) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _head(found: Evidence) -> str:
    command = "make evidence" + (" ARGS=--nightly" if found.size.name == "nightly" else "")
    wrong = found.wrong
    verdict = "All of it held." if not wrong else "What did not hold:\n\n" + "\n".join(f"- {text}" for text in wrong)
    return (
        "# Evidence\n\n"
        f"Written by `{command}` ({found.size.name} size) at commit `{found.commit or 'unknown'}`, on {found.machine}. "
        "Each number was measured by that one run; run it again and it is written again.\n\n"
        f"{verdict}\n\n"
        "`make exhaustive`, `make crashes` and `shoal sim FILE --seeds N` are its parts; seeds count from 1."
    )


def _rules(found: Evidence) -> str:
    rows = [
        (rule.rule, _checks(rule), _seeds(found, rule), _states(found, rule), _points(found, rule),
         _caught(found, rule))
        for rule in found.rules
    ]  # fmt: skip
    whole = [rule.rule for rule in found.rules if not rule.mutations]
    return (
        "## The rules of docs/state.md\n\n"
        "What checks each: scenarios of the library (their runs with all invariants on, passed of run), laws "
        "(`tests/`), states of the exhaustive model, points of the crash sweep after which it was judged, mutations of "
        "the daemons that break it.\n\n"
        + f"No mutation of the catalogue breaks: {'; '.join(whole) or 'none of them'}.\n\n"
        + _table(["rule", "checked by", "runs", "states", "crash points", "mutations caught"], rows)
    )


def _checks(rule: Rule) -> str:
    parts = []
    if rule.scenarios:
        parts.append("scenarios " + ", ".join(rule.scenarios))
    if rule.invariants:
        parts.append("invariants " + ", ".join(rule.invariants))
    parts += [f"`{law}`" for law in rule.laws]
    return "; ".join(parts) or "model and crash sweep"


def _seeds(found: Evidence, rule: Rule) -> str:
    """An invariant is judged in every run; a rule without one in those of its scenarios."""
    ran = [run for name, run in found.scenarios.items() if rule.invariants or name in rule.scenarios]
    return f"{sum(r.passed for r in ran)} of {sum(r.runs for r in ran)}" if ran else ""


def _states(found: Evidence, rule: Rule) -> str:
    states = sum(result.states for search, result in found.searches if search.name in rule.model)
    return str(states) if states else ""


def _points(found: Evidence, rule: Rule) -> str:
    return str(sum(sweep.total for sweep in found.sweeps)) if rule.crashes and found.sweeps else ""


def _scenarios(found: Evidence) -> str:
    rows = [
        (name, ran.runs, ran.passed, f"{ran.simulated:.0f} s", f"{ran.took:.0f} s",
         ", ".join(map(str, ran.failing[:5])))
        for name, ran in sorted(found.scenarios.items())
    ]  # fmt: skip
    total = sum(ran.simulated for ran in found.scenarios.values())
    return (
        f"## Scenarios\n\n{sum(r.runs for r in found.scenarios.values())} runs, {total / 3600:.1f} simulated hours.\n\n"
        + _table(["scenario", "runs", "passed", "simulated", "real", "seeds that failed"], rows)
    )


def _model(found: Evidence) -> str:
    lines = [f"- {told(search, result)}{_wrong(result.violation)}" for search, result in found.searches]
    return (
        "## The exhaustive model\n\n"
        "Three hosts made of the daemon's own objects; every order of messages, losses, crashes, a cut and its end, "
        "breadth first.\n\n" + "\n".join(lines)
    )


def _wrong(violation: str) -> str:
    return f"; **wrong: {violation}**" if violation else ""


def _crashes(found: Evidence) -> str:
    rows = [
        (sweep.seed, sweep.steps, sweep.commits, sweep.total, ", ".join(f"{n} {how}" for how, n in sweep.tried.items()),
         len(sweep.wrong), f"{sweep.seconds:.0f} s")
        for sweep in found.sweeps
    ]  # fmt: skip
    return (
        "## Crashes between persisted steps\n\n"
        "One story of four hosts (init, joins, networks, containers, ranges given away, roles, removals, a new key). "
        "At a commit of a host it dies just before or just after, loses power with what was not synced, or finds its "
        "disk full; in the end all is judged.\n\n"
        + _table(["seed", "operations", "commits", "points tried", "of these", "wrong", "real"], rows)
    )


def _calibration(found: Evidence) -> str:
    if not found.figures:
        return "## Simulated against real time\n\nNot measured in this run."
    rows = [
        (seed, figure.name + ("" if figure.judged else " (the machine's)"), f"{figure.range} s",
         f"{figure.real:.3f} s", f"{figure.factor:.2f}")
        for seed, figures in found.figures for figure in figures
    ]  # fmt: skip
    factor = worst([figure for _, figures in found.figures for figure in figures])
    return (
        "## Simulated against real time\n\n"
        f"One file (`scenarios/evidence/calibration.yaml`) on processes, and with {SEEDS} seeds in simulated time: the "
        "least and the most of these, for there is chance in them. Figures below what "
        f"measures them count as equal. What protocols set is within a factor of {FACTOR:g}; the worst here is "
        f"{factor:.2f}. What the machine sets is only shown: processors take no time in a simulation.\n\n"
        + _table(["run", "figure", "simulated", "real", "factor"], rows)
    )


def _mutations(found: Evidence) -> str:
    hunt = found.hunt
    if hunt is None:
        return (
            "## Mutations\n\nNot hunted in this run: `--nightly` does, or `--mutants FILE` takes the table of a hunt "
            "(`shoal explore --mutations --seeds 1000 --table FILE`)."
        )
    rows = [
        (caught.name, caught.seeds, f"{caught.by}: {_cell(caught.text)}" if caught.by else "**survived**",
         f"{caught.seconds:.0f} s")
        for caught in hunt.found
    ]  # fmt: skip
    number = sum(1 for caught in hunt.found if not caught.survived)
    hunted = {caught.name: None for caught in hunt.found}
    left = [name for name in mutations() if name not in hunted]
    notes = []
    if hunt.commit != found.commit or not hunt.commit:
        notes.append(f"**Of other code**: hunted at commit `{hunt.commit or 'unknown'}`, not at this page's.")
    if left:
        notes.append(f"Not hunted: {', '.join(left)}.")
    last = hunt.first + hunt.seeds - 1
    return "\n\n".join(
        [
            f"## Mutations\n\n{number} of {len(hunt.found)} broken daemons were caught by random scenarios, in seeds "
            f"{hunt.first} to {last} of `shoal explore`.",
            *notes,
            _table(["mutation", "seeds until caught", "by", "real"], rows),
        ]
    )


def _cell(text: str) -> str:
    """What fits into a cell of a table."""
    return text.replace("|", "/").replace("\n", " ")[:100]


def _caught(found: Evidence, rule: Rule) -> str:
    """Of a rule's mutations: how many were caught of those that were hunted, and within how many seeds."""
    hunted = [caught for caught in found.hunt.found if caught.name in rule.mutations] if found.hunt is not None else []
    if not hunted:
        return f"0 of {len(rule.mutations)} hunted" if rule.mutations else ""
    caught = [each for each in hunted if not each.survived]
    within = f", within {max(each.seeds for each in caught)} seeds" if caught else ""
    return f"{len(caught)} of {len(hunted)}{within}"
