"""Watchers that begin, end and write while changes are told: each change once, none twice, in one order for all."""

from __future__ import annotations

from collections.abc import Callable

from gossip.tables.record import OWNED, EpochBody, OwnedBody, Record, RecordId
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from gossip.tables.row import Change, Row, encode_value
from scenarios.exhaustive.disk import Disk


def test_a_watcher_that_begins_amid_changes_hears_none_that_it_can_already_see() -> None:
    reader = Replica("reader", 1, Disk())
    Roster(reader).admit("writer", "writer", "worker", "192.0.2.2")
    reader.set_live(["writer"])
    first: list[str] = []
    late: dict[str, Row] = {}
    ended: list[str] = []
    end: list[Callable[[], None]] = []

    def follow(change: Change) -> None:
        assert late.get(change.key) == change.before
        if change.after is None:
            del late[change.key]
        else:
            late[change.key] = change.after

    def begin(change: Change) -> None:
        first.append(change.key)
        if len(first) == 1:
            late.update({row.key: row for row in reader.view.rows("t")})
            reader.view.watch(follow)
            end[0]()
            reader.put("t", "own", {"v": 1})  # from within: told after what is under way
            assert reader.view.row("t", "own", "reader") is not None

    reader.view.watch(begin)
    end.append(reader.view.watch(lambda change: ended.append(change.key)))
    rows = [
        Record(RecordId(OWNED, "t", f"k{number}", "writer"), OwnedBody(1, number + 1, 1, encode_value({"v": number})))
        for number in range(3)
    ]
    reader.merge(rows)
    assert first == ["k0", "k1", "k2", "own"] and ended == []
    assert late == {row.key: row for row in reader.view.rows("t")}
    assert not reader.counters["watcher_errors"], "follow() saw a change that does not follow"
    reader.merge(rows)
    reader.merge([Record(RecordId("e", "", "", "writer"), EpochBody(1))])  # nothing that can be seen
    assert len(first) == 4
    reader.set_live([])
    reader.set_live(["writer"])
    assert first[4:] == ["k0", "k1", "k2"] * 2, "hidden and shown; its own row stays"
    assert late == {row.key: row for row in reader.view.rows("t")}
    assert not reader.counters["watcher_errors"]
