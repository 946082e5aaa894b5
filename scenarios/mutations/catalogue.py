"""The mutations that are kept: `catalogue.yaml` beside this file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from scenarios.mutations.mutation import ROOT, DoesNotApply, Mutation, automatic

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
WITHIN = 1000
"""Seeds within which each must be caught."""


@cache
def mutations() -> dict[str, Mutation]:
    """By name."""
    found = [Mutation(**entry) for entry in yaml.safe_load(CATALOGUE.read_text())]
    return {mutation.name: mutation for mutation in found}


def named(name: str) -> Mutation:
    """Of the catalogue, or auto:FILE:LINE:WHAT[:N], the Nth of that kind in that line. Raises DoesNotApply."""
    if (kept := mutations().get(name)) is not None:
        return kept
    kind, _, place = name.partition(":")
    file = place.partition(":")[0]
    if kind == "auto" and (ROOT / file).is_file():
        for mutation in automatic(file, (ROOT / file).read_text()):
            if mutation.name == name:
                return mutation
    raise DoesNotApply(f"no mutation {name!r}; known: {', '.join(mutations())}, or auto:FILE:LINE:WHAT")
