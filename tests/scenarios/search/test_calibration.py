"""Simulated against real time: what is compared, and how; and that a run on processes gives figures to compare."""

from __future__ import annotations

import re
from pathlib import Path

from scenarios.running.record import Event, RunRecord, Series
from scenarios.search.calibration import Figure, compare, worst
from tests.scenarios.search.stories import SMALL
from tests.scenarios.shoal import shoal


def record(took: float, seen: float, healed: float, pings: list[float | None]) -> RunRecord:
    """A run with an expectation, a fault of 10 s that is noticed and heals, and a load."""
    return RunRecord(
        "x", "x", "", "sim", 1, 0.0, duration=60.0,
        events=[
            Event(1.0, "expectation", "reachable a", ok=True, line=3, details={"took": took}),
            Event(2.0, "expectation", "reachable b", ok=False, line=4, details={"took": 9.0}),
            Event(10.0, "fault", "cut", until=20.0, line=5),
            Event(9.0, "member", "sees h2 failed"),
            Event(10.0 + seen, "member", "sees h2 failed"),
            Event(10.0 + seen + 1, "member", "sees h3 failed"),
            Event(20.1, "member", "sees h3 alive"),
            Event(20.0 + healed, "member", "sees h2 alive"),
        ],
        series=[Series("ping", "s", points=[(float(n), value) for n, value in enumerate(pings)])],
    )  # fmt: skip


def test_the_same_figures_of_both_are_compared_and_fine_ones_are_equal() -> None:
    one = record(1.0, 4.0, 2.0, [0.0, None, 0.00002])
    other = record(1.8, 3.2, 2.1, [0.004, 0.005, 0.006])
    figures = {figure.name: figure for figure in compare([one], other)}
    assert list(figures) == [
        "line 3: until reachable a", "line 5: cut, noticed first after", "line 5: cut, healed for all after",
        "ping, median",
    ]  # fmt: skip
    assert [round(figure.factor, 3) for figure in figures.values()] == [1.8, 1.25, 1.05, 5.0]
    assert [figure.judged for figure in figures.values()] == [True, True, True, False]
    assert worst(list(figures.values())) == 1.8, "the machine's figures are not judged"
    assert worst([]) == 1.0
    assert compare([one], record(0.0, 0.0, 0.0, [])) != [], "a figure of one alone is left out, the others stay"
    assert Figure("x", "s", (0.0, 0.0), 0.14, 0.15).factor == 1.0, "finer than what measures it"
    assert Figure("x", "s", (0.0, 0.0), 0.3, 0.15).factor == 2.0


def test_a_real_run_is_compared_with_all_simulated_ones() -> None:
    several = [record(took, 4.0, 2.0, []) for took in (1.0, 3.0, 2.0)]
    for took, factor in ((0.5, 2.0), (1.0, 1.0), (2.5, 1.0), (6.0, 2.0)):
        figure = compare(several, record(took, 4.0, 2.0, []))[0]
        assert (figure.range, figure.factor) == ("1.000 to 3.000", factor)


def test_a_scenario_runs_in_both_modes_and_its_figures_stand_side_by_side(tmp_path: Path) -> None:
    """Judged for its form alone: how long a loaded machine takes is its own affair."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.replace("within: 5s", "within: 60s"))
    done = shoal("sim", str(file), "--calibrate", "-q", timeout=600)
    told = done.stdout
    assert re.search(r"^small: PASSED \(sim, seed 1, ", told) and "(real, seed 1, " in told, told
    assert re.search(r"^line 6: until reachable h1/aa -> bb +\S+( to \S+)? s +\S+ s +\d+\.\d\d$", told, re.M), told
    found = re.search(r"^what protocols set differs by a factor of (\S+) at most; 2 is allowed$", told, re.M)
    assert found and done.returncode in (0, 1), told
