"""Repair makes any two replicas equal, at a cost of what differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.tables.record import Record
from gossip.tables.repair import NotAdmitted, RepairError, answer, repair
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from scenarios.exhaustive.disk import Disk
from tests.gossip_tables.test_laws import replica, seen, some_records


def converse(asker: Replica, other: Replica) -> tuple[int, int]:
    """A whole repair; bytes both ways and questions."""
    size = questions = 0
    dialogue = repair(asker, other.node_id)
    request = next(dialogue)
    while True:
        reply = answer(other, asker.node_id, request)
        size, questions = size + len(request) + len(reply), questions + 1
        try:
            request = dialogue.send(reply)
        except StopIteration:
            return size, questions


@given(some_records(), some_records())
def test_two_replicas_are_equal_after_a_repair(left: list[Record], right: list[Record]) -> None:
    one, two = replica(), replica()
    one.merge(left)
    two.merge(right)
    for _ in range(2):  # what one side refuses for what it only now learns takes another turn
        converse(one, two)
    assert seen(one) == seen(two)
    assert converse(one, two)[1] == 1


def members() -> tuple[Replica, Replica, Replica]:
    one, two, three = (Replica(name, 1, Disk()) for name in ("one", "two", "three"))
    for name in ("one", "two", "three"):
        Roster(one).admit(name, name, "manager", "192.0.2.1")
    for other in (two, three):
        other.merge(one.records())
    return one, two, three


def test_the_cost_is_of_what_differs() -> None:
    one, two, writer = members()
    for number in range(10_000):
        writer.put("endpoints", f"e{number:05}", {"name": f"web{number}", "addresses": ["10.0.1.2/24"]})
    one.merge(writer.records())
    size, _ = converse(two, one)  # from nothing to all, in more than one chunk
    assert len(two.all_rows("endpoints")) == 10_000
    assert size < 2_000_000
    assert converse(two, one) == (converse(one, two)[0], 1)
    assert converse(two, one)[0] < 200
    writer.put("endpoints", "e00017", {"name": "changed"})
    one.merge(writer.records())
    assert converse(two, one)[0] < 6_000
    assert converse(two, one)[0] < 200


def test_a_stranger_is_told_nothing() -> None:
    one, _, _ = members()
    with pytest.raises(NotAdmitted):
        converse(Replica("stranger", 1, Disk()), one)


@given(st.binary(max_size=60))
def test_garbage_has_one_error(data: bytes) -> None:
    one, _, _ = members()
    with pytest.raises(RepairError):
        answer(one, "two", data)
    dialogue = repair(one)
    next(dialogue)
    with pytest.raises((RepairError, NotAdmitted)):
        dialogue.send(data)


def test_a_newcomer_takes_nothing_from_who_was_removed_before_it_came() -> None:
    """And has not heard of it; he has a row whose tombstone was collected without him (found by the exhaustive
    model)."""
    one, gone, new = Replica("one", 1, Disk()), Replica("gone", 1, Disk()), Replica("new", 1, Disk())
    for name in ("one", "gone"):
        Roster(one).admit(name, name, "manager", "192.0.2.1")
    one.write("networks", "n", {})
    gone.merge(one.records())
    one.remove("networks", "n")
    Roster(one).remove("gone")
    assert not one.held_tombstones(), "or nothing is staged"
    Roster(one).admit("new", "new", "worker", "192.0.2.3")
    one.write("networks", "m", {})
    new.begin_as_newcomer(Roster(one).packed())
    assert new.is_removed("gone") and not len(new.outbox)
    with pytest.raises(NotAdmitted):
        converse(gone, new)
    new.merge_packed([gone.packed(record.id) for record in gone.records()])
    assert not new.all_rows("networks")
    converse(new, one)
    assert [row.key for row in new.all_rows("networks")] == ["m"]
