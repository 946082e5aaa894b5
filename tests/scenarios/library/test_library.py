"""Every scenario of the library does what its story says, in simulated time; a few on processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scenarios.language.reading import Source, read
from scenarios.running.record import RunRecord
from scenarios.running.run import run_real, run_simulated

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = sorted((ROOT / "scenarios" / "library").glob("*.yaml"))
REAL = (
    "first-overlay", "partition-and-heal", "all-killed", "which-driver-overlay", "which-driver-plugin",
    "mtu-black-hole",
)  # fmt: skip


def _judged(record: RunRecord) -> None:
    told = "\n".join(f"{failure.when} line {failure.line}: {failure.what}" for failure in record.failures)
    assert record.passed, told


def _source(name: str) -> Source:
    return read(ROOT / "scenarios" / "library" / f"{name}.yaml")[0]


def test_there_are_enough_and_each_has_a_story() -> None:
    assert len(LIBRARY) >= 20
    for path in LIBRARY:
        title, _, story = read(path)[0].scenario.story.strip().partition("\n")
        assert title.endswith(".") and len(title) <= 110, path.name
        assert len(story.split()) >= 15, f"{path.name}: a story says what happens and why"
    for number in range(11, 16):
        assert [p for p in LIBRARY if p.name.startswith("which-driver-") and f"(P{number})" in p.read_text()], number


@pytest.mark.parametrize("name", [path.stem for path in LIBRARY])
def test_it_holds_in_simulated_time(name: str) -> None:
    source = _source(name)
    _judged(run_simulated(source))


@pytest.mark.parametrize("name", REAL)
def test_it_holds_on_processes(name: str) -> None:
    _judged(run_real(_source(name)))


def test_a_rack_joins_at_once() -> None:
    """SHOAL_MASS=50 is the size in the story; that takes a minute here."""
    count = int(os.environ.get("SHOAL_MASS", "24"))
    [source] = read(ROOT / "scenarios" / "library" / "mass-join.yaml", variables={"count": count})
    _judged(run_simulated(source))
