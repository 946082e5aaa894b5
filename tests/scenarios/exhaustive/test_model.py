"""The small model finds nothing wrong, and finds what is wrong when a rule is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gossip import gates
from gossip.numbers.allocator import Allocator, Donation
from gossip.numbers.inheritance import Inheritance
from gossip.numbers.ring import Ring
from gossip.tables import replica, tombstones
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from gossip.tables.tombstones import Tombstones
from scenarios.exhaustive.disk import Disk
from scenarios.exhaustive.model import Bounds, Model
from scenarios.exhaustive.searches import SEARCHES, Search, told


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.name)
def test_nothing_is_wrong_in_any_state(search: Search) -> None:
    result = search.run()
    assert not result.violation, (result.violation, result.path)
    assert result.complete == (search.most == 0) and result.states > 1_000
    assert str(result.states) in told(search, result)


NEWCOMER = Bounds(donations=0, numbers=0, removals=1, crashes=0, cuts=0, rows=1, late=True)


def no_agreement(patch: pytest.MonkeyPatch) -> None:
    """The heir asks nobody."""
    patch.setattr(Inheritance, "missing", lambda self, removed: [])


def same_version(patch: pytest.MonkeyPatch) -> None:
    """Who inherits does not raise the version of what it takes."""

    def inherit(self: Ring, removed: list[str], heir: str) -> Ring:
        return Ring(self.births, tuple(t._replace(owner=heir) if t.owner in removed else t for t in self.tokens))

    patch.setattr(Ring, "inherit", inherit)


def early_collection(patch: pytest.MonkeyPatch) -> None:
    """A tombstone is collected as soon as anybody but its writer has acknowledged it."""
    patch.setattr(Tombstones, "complete", lambda self, body: len(body.acks) > 1)


def nobody_goes_along(patch: pytest.MonkeyPatch) -> None:
    """Whom a removed node had admitted unheard stays."""
    patch.setattr(replica, "gone_with", lambda roster, changed: iter(()))


def not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A removal that counts somebody who is not known yet holds nothing up."""
    patch.setattr(tombstones, "unheard", lambda roster: False)


def taken_are_given_away(patch: pytest.MonkeyPatch) -> None:
    """A donor does not look at what it has given out of the range."""
    patch.setattr(Allocator, "_free_runs", lambda self, space, ranges: list(ranges))


def donors_write_nothing(patch: pytest.MonkeyPatch) -> None:
    """A donor answers before the smaller range is on its disk."""
    donate = Allocator.donate

    def forgetful(self: Allocator, space: str, to: str, *, wanted: int | None, share: bool) -> Donation:
        disk = self._storage
        assert isinstance(disk, Disk)
        kept = dict(disk.kept)
        given = donate(self, space, to, wanted=wanted, share=share)
        disk.kept = kept
        return given

    patch.setattr(Allocator, "donate", forgetful)


def answers_of_before_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Who is on an older disk does not wait until no answer of before is on its way."""
    patch.setattr(gates, "ON_ITS_WAY", 0.0)


def acknowledged_for_ever(patch: pytest.MonkeyPatch) -> None:
    """What was acknowledged before the disk was put back counts."""
    patch.setattr(Roster, "doubt", lambda self, boot: None)


def a_newcomer_takes_from_anybody(patch: pytest.MonkeyPatch) -> None:
    """It begins with nothing, and takes rows from whoever has them."""
    patch.setattr(Replica, "begin_as_newcomer", lambda self, roster: None)


@pytest.mark.parametrize(
    ("broken", "bounds", "told_as"),
    [
        (no_agreement, Bounds(donations=0, numbers=0, removals=1, crashes=0, cuts=0), "does not know of the removal"),
        (same_version, Bounds(donations=0, numbers=0, removals=1, crashes=0, cuts=0), "equal versions"),
        (early_collection, Bounds(donations=0, numbers=0, removals=0, crashes=0, cuts=0, rows=1), "still has the row"),
        (nobody_goes_along, NEWCOMER, "admitter was removed unheard"),
        (not_waited_for, NEWCOMER, "still has the row"),
        (taken_are_given_away, Bounds(donations=2, numbers=2, removals=0, crashes=0, cuts=0, size=2), "is given twice"),
        (donors_write_nothing, Bounds(donations=1, numbers=0, removals=0, crashes=1, cuts=0), "may both give"),
        (
            answers_of_before_are_forgotten,
            Bounds(donations=1, numbers=0, removals=0, crashes=0, cuts=0, olds=1),
            "may both give",
        ),
        (
            acknowledged_for_ever,
            Bounds(donations=0, numbers=0, removals=0, crashes=0, cuts=0, rows=1, olds=1),
            "still has the row",
        ),
        (a_newcomer_takes_from_anybody, replace(NEWCOMER, crashes=1), "still has the row"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_broken_rule_is_found(
    broken: Callable[[pytest.MonkeyPatch], None], bounds: Bounds, told_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    result = Model(bounds).explore(20_000)
    assert told_as in result.violation, result
    assert result.path
