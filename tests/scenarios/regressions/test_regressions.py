"""What the search found once: each file is the shortest scenario that showed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.language.reading import read
from scenarios.search.runs import run_seed


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_it_does_not_come_back(path: Path) -> None:
    (source,) = read(path)
    outcome = run_seed(source, source.scenario.seed)
    assert outcome.passed, outcome.problems
