"""What was counted, kept beside the scenarios: the table is made of it, and a longer sweep goes on where it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scenarios.wounds.sweep import MODELS, Count

RESULTS = Path(__file__).with_name("results.json")


@dataclass(slots=True)
class Real:
    """Tries on real engines: how many showed the wound, of those that could be judged."""

    engine: str
    showed: int
    tries: int
    seen: list[str]


@dataclass(slots=True)
class Results:
    """Counts by wound and model, and what real engines did."""

    counts: dict[str, dict[str, Count]] = field(default_factory=dict)
    real: dict[str, Real] = field(default_factory=dict)

    def count(self, wound: str, model: str, first: int) -> Count:
        """The count that there is, or a new one; one that began at another seed is begun again."""
        known = self.counts.setdefault(wound, {}).get(model)
        if known is None or known.first != first:
            known = self.counts[wound][model] = Count(first)
        return known


def judged(engine: str, tries: Sequence[Mapping[str, object]]) -> Real:
    """Of what `scenarios.wounds.real` wrote."""
    seen = [(entry["showed"], str(entry["seen"])) for entry in tries if entry["showed"] is not None]
    return Real(engine, sum(showed is True for showed, _ in seen), len(seen), [text for _, text in seen])


def load(path: Path = RESULTS) -> Results:
    """Raises ValueError, KeyError or TypeError for what is none of ours; an absent file is empty."""
    if not path.exists():
        return Results()
    found = json.loads(path.read_text())
    if not isinstance(found, dict):
        raise TypeError("a mapping expected")
    counts = {
        wound: {
            model: Count(
                count["first"], count["seeds"], count["showed"],
                {int(seed): text for seed, text in count["other"].items()}, count["version"],
            )
            for model, count in models.items() if model in MODELS
        }
        for wound, models in found.get("counts", {}).items()
    }  # fmt: skip
    return Results(counts, {wound: Real(**real) for wound, real in found.get("real", {}).items()})


def save(results: Results, path: Path = RESULTS) -> None:
    document = {
        "counts": {
            wound: {model: asdict(count) for model, count in models.items()} for wound, models in results.counts.items()
        },
        "real": {wound: asdict(real) for wound, real in results.real.items()},
    }
    path.write_text(json.dumps(document) + "\n")
