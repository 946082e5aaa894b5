"""A host that dies between two commits does at its next start what followed from the first: nothing stays half done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gossip.tables.record import (
    OWNED,
    RING,
    ROSTER,
    SPACES_TABLE,
    EpochBody,
    OwnedBody,
    RecordId,
    RosterBody,
    SharedBody,
)
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from scenarios.exhaustive.disk import Disk


class Recorder(Disk):
    """Keeps every commit, to go back to any of them."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Sequence[tuple[str, str, bytes | None]]] = []

    def commit(self, changes: Sequence[tuple[str, str, bytes | None]]) -> None:
        super().commit(changes)
        self.log.append(list(changes))


def until(log: Sequence[Sequence[tuple[str, str, bytes | None]]]) -> Replica:
    disk = Disk()
    for changes in log:
        disk.commit(changes)
    return Replica("alpha", 2, disk)


def life() -> Recorder:
    """alpha hears rows of bravo's first boot, then of its second; a space ends; a row goes; bravo is removed."""
    from gossip.numbers.allocator import Allocator

    disk, other = Recorder(), Disk()
    alpha, bravo = Replica("alpha", 1, disk), Replica("bravo", 1, other)
    roster = Roster(alpha)
    for name in ("alpha", "bravo"):
        roster.admit(name, name, "manager", "192.0.2.1")
    bravo.merge(alpha.records())
    for key in ("one", "two"):
        bravo.put("endpoints", key, {"boot": 1})
    alpha.merge(bravo.records())
    alpha.flush()
    bravo.begin_epoch(2)
    bravo.put("endpoints", "two", {"boot": 2})
    bravo.complete_snapshot()
    alpha.merge(bravo.records())
    alpha.flush()
    Allocator(alpha, disk).define("net", 0, 16, ["alpha"])
    alpha.write("networks", "n", {})
    alpha.remove(SPACES_TABLE, "net")
    alpha.remove("networks", "n")
    bravo.merge(alpha.records())
    alpha.merge(bravo.records())
    roster.remove("bravo")
    alpha.flush()
    return disk


LOG = life().log


@pytest.mark.parametrize("commits", range(len(LOG) + 1))
def test_after_any_commit_nothing_stays_half_done(commits: int) -> None:
    replica = until(LOG[:commits])
    header = replica.body(RecordId("e", "", "", "bravo"))
    tombstoned = replica.has_tombstone(RecordId("s", SPACES_TABLE, "net", ""))
    for id, body in replica.records():
        if isinstance(body, OwnedBody):
            assert not replica.is_removed(id.owner), f"{id} is a removed node's"
            assert not (isinstance(header, EpochBody) and header.outdates(body)), f"{id} is of an earlier boot"
        if isinstance(body, SharedBody) and body.value is None and replica.in_roster("alpha"):
            assert "alpha" in dict(body.acks), f"the tombstone {id} is on disk and not acknowledged"
        assert not (id.kind == RING and tombstoned), "the ring of a space that has ended"


def test_the_whole_life_ends_with_nothing_left() -> None:
    replica = until(LOG)
    assert {id.kind for id, _ in replica.records()} == {ROSTER} and not replica.held_tombstones()
    assert all(isinstance(body, RosterBody) for _, body in replica.records())
    assert not [id for id, _ in replica.records() if id.kind == OWNED]
