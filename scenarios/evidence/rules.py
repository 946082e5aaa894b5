"""The rules of docs/state.md and what checks each, read from rules.yaml; a name that is nowhere is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from scenarios.exhaustive.searches import NIGHTLY, SEARCHES
from scenarios.language.model import INVARIANTS
from scenarios.mutations.catalogue import mutations

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scenarios" / "library"
_JUDGES = [ROOT / "scenarios" / "crashes" / name for name in ("judge.py", "sweep.py")]


class NoSuchCheck(Exception):
    """A rule names something that is not there."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What checks it: scenarios of the library, invariants of all runs, laws (file::function under tests/), searches of
    the exhaustive model, words with which the judge of the crash sweep tells a violation, and mutations of the
    catalogue that break it."""

    rule: str
    scenarios: tuple[str, ...] = ()
    invariants: tuple[str, ...] = ()
    laws: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    mutations: tuple[str, ...] = ()


def rules() -> list[Rule]:
    """Raises NoSuchCheck."""
    read = yaml.safe_load(Path(__file__).with_name("rules.yaml").read_text())
    found = [Rule(entry["rule"], *(tuple(entry.get(kind, ())) for kind in Rule.__slots__[1:])) for entry in read]
    judge = "".join(path.read_text() for path in _JUDGES)
    searches = [search.name for search in SEARCHES + NIGHTLY]
    for rule in found:
        missing = [name for name in rule.scenarios if not (LIBRARY / f"{name}.yaml").exists()]
        missing += [name for name in rule.invariants if name not in INVARIANTS]
        missing += [law for law in rule.laws if not _is_law(law)]
        missing += [name for name in rule.model if name not in searches]
        missing += [words for words in rule.crashes if words not in judge]
        missing += [f"mutation {name}" for name in rule.mutations if name not in mutations()]
        if missing:
            raise NoSuchCheck(f"{rule.rule}: there is no {', '.join(missing)}")
        if not (rule.scenarios or rule.laws or rule.model or rule.crashes):
            raise NoSuchCheck(f"{rule.rule}: nothing checks it")
    return found


def _is_law(law: str) -> bool:
    path, _, function = law.partition("::")
    file = ROOT / "tests" / path
    return file.exists() and re.search(rf"^(async )?def {function}\(", file.read_text(), re.MULTILINE) is not None
