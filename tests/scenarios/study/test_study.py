"""The studies run, their tables say what the protocol is for, and writing them twice changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gossip.simulation.convergence import Churn, Healing
from gossip.simulation.growth import Growth
from gossip.simulation.lifeguard import Accuracy
from gossip.simulation.scaling import Scaling
from gossip.simulation.stability import Stability
from scenarios.study.__main__ import DOCUMENT, IMAGES, write
from scenarios.study.chart import Series, bars, lines
from scenarios.study.plan import FULL, QUICK, Result, Size, Task, tasks
from scenarios.study.report import documents

SMALL = replace(
    QUICK,
    scaling=[(10, 1, 1), (40, 3, 1)],
    growth=[12],
    lifeguard=["SWIM", "Lifeguard"],
    faults=["receives nothing", "one link is cut"],
    stability_members=60,
    watched_for=40.0,
    tables=[8],
    churn_for=8.0,
    cut_for=12.0,
)


@pytest.fixture(scope="module")
def results() -> list[tuple[Task, Result]]:
    return [(task, task.run()) for task in tasks(SMALL, [3])]


def found(results: list[tuple[Task, Result]], study: str) -> dict[tuple[str, ...], Result]:
    return {task.key: result for task, result in results if task.study == study}


def test_every_crash_is_told_to_all(results: list[tuple[Task, Result]]) -> None:
    for result in found(results, "scaling").values():
        assert isinstance(result, Scaling)
        assert result.missed == 0
        assert 0 < result.noticed_mean <= result.noticed_p99 < result.failed_first <= result.failed_everywhere
        assert result.idle_packets == pytest.approx(2.0, abs=0.6), "a ping and an ack a period, whatever N"


def test_newcomers_come_to_be_known(results: list[tuple[Task, Result]]) -> None:
    for result in found(results, "growth").values():
        assert isinstance(result, Growth)
        assert result.missing == 0


def test_lifeguard_spares_the_healthy_and_still_finds_the_dead(results: list[tuple[Task, Result]]) -> None:
    """Many times fewer: so far from the bound that no change of chance brings it near."""
    by_name = {key[0]: result for key, result in found(results, "lifeguard").items()}
    swim, lifeguard = by_name["SWIM"], by_name["Lifeguard"]
    assert isinstance(swim, Accuracy)
    assert isinstance(lifeguard, Accuracy)
    assert swim.false_positives > 100
    assert lifeguard.false_positives * 5 < swim.false_positives
    assert swim.missed == lifeguard.missed == 0


def test_whoever_was_stopped_accuses_nobody(results: list[tuple[Task, Result]]) -> None:
    by_name = {key[0]: result for key, result in found(results, "stalls").items()}
    swim, ours = by_name["SWIM"], by_name["SWIM + stall rule"]
    assert isinstance(swim, Accuracy)
    assert isinstance(ours, Accuracy)
    assert ours.suspicions == ours.false_positives == 0 < swim.suspicions


def test_deaf_members_leave_and_a_cut_link_harms_nobody(results: list[tuple[Task, Result]]) -> None:
    for key, result in found(results, "stability").items():
        assert isinstance(result, Stability)
        assert result.innocent_failures == 0, key
        assert result.removed == (1.0 if key[0] == "receives nothing" else 0.0), key


def test_tables_become_equal(results: list[tuple[Task, Result]]) -> None:
    churn, healing = found(results, "churn")[("8",)], found(results, "healing")[("8",)]
    assert isinstance(churn, Churn)
    assert isinstance(healing, Healing)
    assert churn.seen_median < 0.1
    assert churn.equal_after < 30
    assert healing.whole_after <= healing.equal_after < 30


def test_tables_and_charts_are_written_between_their_marks(results: list[tuple[Task, Result]], tmp_path: Path) -> None:
    written = documents(results)
    path = tmp_path / DOCUMENT
    path.write_text(
        "# Title\n" + "".join(f"\n<!-- begin {s} -->\nPREVIOUS\n<!-- end {s} -->\nkept {s}\n" for s in written)
    )
    write(tmp_path, written)
    text = path.read_text()
    assert "PREVIOUS" not in text
    for study in written:
        assert f"kept {study}" in text
    for _, charts in written.values():
        for file in charts:
            assert f"]({IMAGES}/{file})" in text
            ElementTree.parse(tmp_path / IMAGES / file)
    write(tmp_path, written)
    assert path.read_text() == text


def test_charts_leave_out_what_is_not_a_number() -> None:
    drawn = lines("a < b", [Series("s", [(1, 2.0), (10, float("nan")), (100, 3.0)])], x="x", y="y", log_x=True)
    assert ElementTree.fromstring(drawn).findall(".//{*}circle")[1].get("r") == "3"
    assert "nan" not in drawn
    assert "a &lt; b" in drawn
    ElementTree.fromstring(bars("t", ["one two", "three"], [("A", [0, 7]), ("B", [1000, 2])], y="n"))


@pytest.mark.parametrize("size", [QUICK, FULL])
def test_every_configuration_named_is_one(size: Size) -> None:
    assert {task.study for task in tasks(size, [1])} == {
        "scaling",
        "growth",
        "lifeguard",
        "stalls",
        "stability",
        "churn",
        "healing",
    }
