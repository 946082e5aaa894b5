"""The page of evidence says what was run and nothing else; every rule of docs/state.md has something that checks it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from scenarios.crashes.sweep import Outcome, Point
from scenarios.crashes.sweeping import Sweep
from scenarios.evidence import rules as rules_module
from scenarios.evidence.gathering import CI, Evidence, Ran, gather
from scenarios.evidence.page import page
from scenarios.evidence.rules import ROOT, NoSuchCheck, rules
from scenarios.exhaustive.model import Result
from scenarios.exhaustive.searches import SEARCHES
from scenarios.mutations.catching import Caught, Hunt
from scenarios.search.calibration import Figure


def found() -> Evidence:
    return Evidence(
        CI,
        "abc1234",
        "2 cores",
        rules(),
        {"clock-jump": Ran(7, 7, 70.0, 3.0)},
        [(SEARCHES[0], Result(4321, 9999, 11, True, 96))],
        [Sweep(1, 300, 20, {"before": 5, "power": 6}, [], 12.0)],
        [("seed 1", [Figure("line 3: until x", "s", (1.0, 1.0), 1.5, 0.1),
                     Figure("dns, median", "s", (0.0, 0.0), 0.5, 0.001)])],
        Hunt("abc1234", 1, 50, (Caught("epoch-not-raised", 3, "durability", "a|b", 4.0),)),
    )


def test_every_check_of_every_rule_is_there() -> None:
    assert len(rules()) >= 25
    headings = [rule.rule for rule in rules()]
    assert len(dict.fromkeys(headings)) == len(headings)


def test_a_check_that_is_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_module, "_is_law", lambda law: "epoch" not in law and "boots_of_one" not in law)
    with pytest.raises(NoSuchCheck, match="two_boots_of_one_number"):
        rules()


def test_the_page_has_what_was_measured() -> None:
    text = page(found())
    for told in ("4321 states", "7 of 7", "abc1234", "2 cores", "5 before, 6 power", "1.50", "epoch-not-raised"):
        assert told in text, told
    assert "All of it held." in text
    assert not re.search(r"\b20[0-9]{2}-[0-9]{2}", text), "no dates"


def test_a_hunt_that_is_missing_or_of_other_code_is_told(tmp_path: Path) -> None:
    hunted = found()
    assert hunted.hunt is not None
    text = page(hunted)
    assert "1 of 1, within 3 seeds" in text and "seeds 1 to 50" in text and "Of other code" not in text
    assert "Not hunted: tombstone-forgotten-early" in text and "a/b" in text
    hunted.hunt = replace(hunted.hunt, commit="fedcba9")
    assert "**Of other code**: hunted at commit `fedcba9`" in page(hunted)
    hunted.hunt = None
    assert "Not hunted in this run" in page(hunted) and "0 of 1 hunted" in page(hunted)
    table = tmp_path / "table.json"
    for content in (None, "", "[]", '{"commit": 1, "first": 1, "seeds": 1, "found": []}', '{"found": [{"name": 1}]}'):
        if content is not None:
            table.write_text(content)
        with pytest.raises(NoSuchCheck, match=r"table\.json"):
            gather(CI, lambda text: None, table)


def test_what_did_not_hold_stands_on_top() -> None:
    bad = found()
    bad.scenarios["clock-jump"] = replace(bad.scenarios["clock-jump"], failing=[5])
    bad.sweeps[0].wrong.append(Outcome(Point("h1", 4, "power"), violations=["given twice: 10.0.0.2"]))
    bad.figures[0][1].append(Figure("line 9: until y", "s", (1.0, 1.0), 4.0, 0.1))
    assert len(bad.wrong) == 3
    top = page(bad).partition("##")[0]
    assert "clock-jump: seed 5" in top and "h1:4:power" in top and "line 9" in top


def test_the_page_of_this_checkout_is_one() -> None:
    text = (ROOT / "docs" / "evidence.md").read_text()
    for rule in rules():
        assert rule.rule in text, f"make evidence: {rule.rule!r} is new"
