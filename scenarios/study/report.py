"""The results of a study as Markdown tables and SVG charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean, median
from typing import TypeVar

from gossip.simulation.convergence import Churn, Healing
from gossip.simulation.growth import Growth
from gossip.simulation.lifeguard import Accuracy, total
from gossip.simulation.scaling import SWIM_PERIODS, Scaling, expected_notice
from gossip.simulation.stability import Stability
from scenarios.study.chart import Series, bars, lines
from scenarios.study.plan import PROFILES, Result, Task

Results = Sequence[tuple[Task, Result]]
Document = tuple[str, dict[str, str]]
"""Markdown, and charts by file name."""
R = TypeVar("R")


def documents(results: Results) -> dict[str, Document]:
    """By study; those of which there are results."""
    writers: dict[str, Callable[[Results], Document]] = {
        "scaling": _scaling,
        "growth": _growth,
        "lifeguard": _lifeguard,
        "stalls": _stalls,
        "stability": _stability,
        "churn": _churn,
        "healing": _healing,
    }
    studies = dict.fromkeys(task.study for task, _ in results)
    return {study: writers[study]([each for each in results if each[0].study == study]) for study in studies}


def _grouped(results: Results, kind: type[R]) -> dict[tuple[str, ...], list[R]]:
    groups: dict[tuple[str, ...], list[R]] = {}
    for task, result in results:
        assert isinstance(result, kind)
        groups.setdefault(task.key, []).append(result)
    return groups


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines_ = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines_ += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines_)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if value == value]


def _mean(values: Iterable[float]) -> float:
    finite = _finite(values)
    return mean(finite) if finite else float("nan")


# -- SWIM


def _scaling(results: Results) -> Document:
    groups = _grouped(results, Scaling)
    parts, charts = [], {}
    noticed, dead, quiet, busiest = [], [], [], []
    for profile in dict.fromkeys(key[0] for key in groups):
        rows = []
        for key, runs in groups.items():
            if key[0] == profile:
                rows.append(_scaling_row(runs))
        parts.append(f"**{profile}'s profile**\n\n" + _table(_SCALING_HEAD, rows))
        numbers = [[float(cell) if isinstance(cell, (int, float)) else 0.0 for cell in row] for row in rows]
        noticed.append(Series(profile, [(row[0], row[2]) for row in numbers]))
        dead.append(Series(f"{profile}: dead for all", [(row[0], row[5]) for row in numbers]))
        quiet.append(Series(profile, [(row[0], row[7]) for row in numbers]))
        busiest.append(Series(f"{profile}: busiest member", [(row[0], row[9]) for row in numbers]))
    sizes = sorted({int(key[1]) for key in groups})
    for profile in dict.fromkeys(key[0] for key in groups):
        if profile == "memberlist":
            expected = expected_notice(PROFILES[profile])
            noticed.append(Series("memberlist, expected", [(float(size), expected) for size in sizes], dashed=True))
    charts["detection.svg"] = lines(
        "A crash is first noticed after (mean)", noticed, x="members", y="seconds", log_x=True
    )
    charts["dead-for-all.svg"] = lines("A crashed member is dead for all after", dead, x="members", y="s", log_x=True)
    charts["load.svg"] = lines(
        "Packets a member sends in quiet times", quiet + busiest, x="members", y="packets a second", log_x=True
    )
    swim = f"SWIM 3.1: {SWIM_PERIODS:.2f} periods until the first probe of a given member, at any N."
    return "\n\n".join([*parts, swim]), charts


_SCALING_HEAD = (
    "N",
    "crashes",
    "noticed, mean s",
    "noticed, worst s",
    "dead for the first, s",
    "dead for all, s",
    "first to last, s",
    "packets/s, quiet",
    "bytes/s, quiet",
    "packets/s, busiest",
    "packets/s, telling",
    "not told",
)


def _scaling_row(runs: Sequence[Scaling]) -> list[object]:
    return [
        runs[0].members,
        sum(run.crashes for run in runs),
        _mean(run.noticed_mean for run in runs),
        max(_finite(run.noticed_p99 for run in runs), default=float("nan")),
        _mean(run.failed_first for run in runs),
        _mean(run.failed_everywhere for run in runs),
        _mean(run.spread for run in runs),
        _mean(run.idle_packets for run in runs),
        _mean(run.idle_octets for run in runs),
        max(run.busiest for run in runs),
        _mean(run.packets for run in runs),
        sum(run.missed for run in runs),
    ]


def _growth(results: Results) -> Document:
    groups = _grouped(results, Growth)
    head = (
        "profile",
        "N",
        "known to all, mean s",
        "known to all, p99 s",
        "all know all after, s",
        "packets/s",
        "missing",
    )
    rows = [
        [
            key[0],
            runs[0].members,
            _mean(run.known_to_all_mean for run in runs),
            max(run.known_to_all_p99 for run in runs),
            max(run.complete_after for run in runs),
            _mean(run.packets for run in runs),
            sum(run.missing for run in runs),
        ]
        for key, runs in groups.items()
    ]
    return _table(head, rows), {}


# -- Lifeguard


def _lifeguard(results: Results) -> Document:
    groups = _grouped(results, Accuracy)
    names = list(dict.fromkeys(key[0] for key in groups))
    sums = {name: total([run for key, runs in groups.items() if key[0] == name for run in runs]) for name in names}
    swim = sums["SWIM"]
    head = ("", "FP", "% of SWIM", "FP−", "% of SWIM", "suspected", "first, median s", "all, median s", "packets/s")
    rows = [
        [
            name,
            one.false_positives,
            _percent(one.false_positives, swim.false_positives),
            one.at_healthy,
            _percent(one.at_healthy, swim.at_healthy),
            one.suspicions,
            median(one.first) if one.first else float("nan"),
            median(one.everywhere) if one.everywhere else float("nan"),
            one.packets,
        ]
        for name, one in sums.items()
    ]
    cells = list(dict.fromkeys(key[1:] for key in groups))
    by_cell = _table(
        ("FP (FP−)", *(f"{slow} slow, {spell} s" for slow, spell in cells)),
        [[name, *(_pair(groups[(name, *cell)]) for cell in cells)] for name in names],
    )
    chart = bars(
        "False positives (FP), and those at healthy members (FP−)",
        names,
        [
            ("FP", [float(sums[name].false_positives) for name in names]),
            ("FP−", [float(sums[name].at_healthy) for name in names]),
        ],
        y="failure events",
    )
    runs = f"{swim.runs} runs each; all of them together, then by number of slow members and length of their spells."
    return "\n\n".join([runs, _table(head, rows), by_cell, _beside_the_paper(sums, groups)]), {"lifeguard.svg": chart}


def _beside_the_paper(sums: Mapping[str, Accuracy], groups: Mapping[tuple[str, ...], Sequence[Accuracy]]) -> str:
    """What could be read of Lifeguard's own figures (where: docs/gossip-simulation.md), beside those of this run."""
    swim, all_three = sums["SWIM"], sums["Lifeguard"]

    def against(name: str) -> str:
        one = sums[name]
        return f"{_times(swim.false_positives, one.false_positives)}, all know a failure {_sooner(swim, one)}"

    def cell(slow: str) -> str:
        pairs = [
            f"{_pair([run for key, runs in groups.items() if key[:2] == (name, slow) for run in runs])} with {name}"
            for name in ("SWIM", "Lifeguard")
        ]
        return "; ".join(pairs)

    slow = dict.fromkeys(key[1] for key in groups)
    tuned = [name for name in sums if name.startswith("Lifeguard, ")]
    rows = [
        (
            "all of Lifeguard against SWIM",
            'fewer "by a factor of between 50x and 100x" (section V); by "more than 50x" (abstract, v1)',
            f"{_times(swim.false_positives, all_three.false_positives)}; "
            f"FP− {all_three.at_healthy:,} for {swim.at_healthy:,}",
        )
    ]
    if "1" in slow:
        said = '"sufficient to cause some false positive failure detection events" in SWIM (section II; 100 machines)'
        rows.append(("one slow member", said, cell("1")))
    if "4" in slow:
        said = "hundreds of events at healthy members, with SWIM (section II, figure 1)"
        rows.append(("four slow members", said, cell("4")))
    if tuned:
        said = (
            'false positives and their detection time "can be reduced simultaneously" (abstract, v2); tuned, the '
            "median falls by 45 % with FP− still 3 × fewer (abstract, v1)"
        )
        here = "; ".join(f"{name.removeprefix('Lifeguard, ')}: {against(name)}" for name in tuned)
        rows.append(("true failures", said, here))
    said = '"modestly increasing" latency and message load (abstract, v1)'
    cost = f"untuned {_sooner(swim, all_three)}, {all_three.packets / swim.packets:.2f} × the packets"
    rows.append(("what it costs", said, cost))
    return _table(("beside the paper", "it says", "here (FP (FP−))"), rows)


def _times(many: int, few: int) -> str:
    return f"FP {few:,} for {many:,}" + (f", {many / few:.0f} × fewer" if few else "")


def _sooner(one: Accuracy, other: Accuracy) -> str:
    if not one.everywhere or not other.everywhere:
        return "at an unknown time"
    share = 1 - median(other.everywhere) / median(one.everywhere)
    return f"{abs(share) * 100:.0f} % {'sooner' if share > 0 else 'later'}"


def _stalls(results: Results) -> Document:
    groups = _grouped(results, Accuracy)
    head = ("", "FP", "FP−", "suspected", "first, median s", "all, median s", "packets/s")
    rows = []
    for name in dict.fromkeys(key[0] for key in groups):
        one = total([run for key, runs in groups.items() if key[0] == name for run in runs])
        first = median(one.first) if one.first else float("nan")
        everywhere = median(one.everywhere) if one.everywhere else float("nan")
        rows.append(
            [name, one.false_positives, one.at_healthy, one.suspicions, first, everywhere, one.packets],
        )
    return _table(head, rows), {}


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "–"


def _pair(runs: Sequence[Accuracy]) -> str:
    one = total(runs)
    return f"{one.false_positives:,} ({one.at_healthy:,})"


# -- Rapid


def _stability(results: Results) -> Document:
    groups = _grouped(results, Stability)
    head = (
        "faulty members",
        "profile",
        "innocent declared dead",
        "faulty: ever removed",
        "faulty: returns a pair",
        "faulty: time removed",
        "views differ",
        "packets/s",
    )
    faults = list(dict.fromkeys(key[0] for key in groups))
    rows = [
        [
            *key,
            sum(run.innocent_failures for run in runs),
            _share(_mean(run.removed for run in runs)),
            _mean(run.flips for run in runs),
            _share(_mean(run.absent for run in runs)),
            _share(_mean(run.disagreement for run in runs)),
            _mean(run.packets for run in runs),
        ]
        for key, runs in sorted(groups.items(), key=lambda item: faults.index(item[0][0]))
    ]
    charts = {}
    for fault, file in (("is heard by nobody, 20 s in 40", "flapping.svg"), ("receives nothing", "one-way.svg")):
        series = []
        for key, runs in groups.items():
            if key[0] == fault:
                all_of_them = max(high for _, _, _, high in runs[0].sizes)
                middles = [(at, all_of_them - middle) for at, _, middle, _ in runs[0].sizes]
                most = [(at, float(all_of_them - low)) for at, low, _, _ in runs[0].sizes]
                series += [Series(f"{key[1]}: median", middles), Series(f"{key[1]}: most", most, dashed=True)]
        if series:
            title = f"Held dead by a healthy member, while one {fault}"
            charts[file] = lines(title, series, x="seconds since the fault", y="members", marks=False)
    return _table(head, rows), charts


def _share(value: float) -> str:
    return "–" if value != value else f"{100 * value:.0f} %"


# -- tables


def _churn(results: Results) -> Document:
    groups = _grouped(results, Churn)
    head = (
        "N",
        "rows",
        "writes",
        "seen, median ms",
        "seen, p99 ms",
        "seen, last s",
        "overtaken",
        "all equal after, s",
        "packets/s",
        "bytes/s",
        "repair bytes/s",
    )
    rows = [
        [
            runs[0].members,
            runs[0].rows,
            sum(run.writes for run in runs),
            f"{1000 * _mean(run.seen_median for run in runs):.0f}",
            f"{1000 * _mean(run.seen_p99 for run in runs):.0f}",
            max(run.seen_last for run in runs),
            sum(run.superseded for run in runs),
            _mean(run.equal_after for run in runs),
            _mean(run.packets for run in runs),
            _mean(run.octets for run in runs),
            _mean(run.repair_octets for run in runs),
        ]
        for runs in groups.values()
    ]
    return _table(head, rows), {}


def _healing(results: Results) -> Document:
    groups = _grouped(results, Healing)
    head = ("N", "rows", "written meanwhile", "all members back after, s", "all rows equal after, s", "stream bytes")
    rows = [
        [
            runs[0].members,
            runs[0].rows,
            runs[0].differing,
            _mean(run.whole_after for run in runs),
            _mean(run.equal_after for run in runs),
            round(_mean(float(run.repair_octets) for run in runs)),
        ]
        for runs in groups.values()
    ]
    return _table(head, rows), {}
