"""What one node can bring into the others' memory has an end, and who is beyond it harms nobody else's rows."""

from __future__ import annotations

import pytest

from gossip.tables import bounds
from gossip.tables.delta import DELTA, DeltaError, decode_delta
from gossip.tables.record import (
    EPOCH,
    OWNED,
    SHARED,
    EpochBody,
    OwnedBody,
    Record,
    RecordError,
    RecordId,
    SharedBody,
    decode_record,
    encode_record,
)
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from gossip.tables.row import MAX_VALUE, ValueRejected
from scenarios.exhaustive.disk import Disk


def reader() -> Replica:
    fresh = Replica("reader", 1, Disk())
    for node in ("reader", "flood", "quiet"):
        Roster(fresh).admit(node, node, "manager", "192.0.2.1")
    fresh.set_live(["flood", "quiet"])
    return fresh


def owned(owner: str, number: int, size: int = 1) -> Record:
    return Record(RecordId(OWNED, "t", f"k{number}", owner), OwnedBody(1, number + 1, 1, b"\x80" * size))


def test_rows_of_one_owner_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "OWNER_ROWS", 50)
    fresh = reader()
    fresh.merge(owned("flood", number) for number in range(1000))
    fresh.merge([owned("quiet", 0)])
    assert len(fresh.all_rows("t")) == 101 and fresh.counters["refused_too_much"] == 900
    last = Record(RecordId(OWNED, "t", "k3", "flood"), OwnedBody(1, 2000, 1, None))
    assert fresh.merge([last]) == [last.id], "what is there can still change"
    fresh.merge([Record(RecordId(EPOCH, "", "", "flood"), EpochBody(2, (2, 0)))])
    again = Record(owned("flood", 0).id, OwnedBody(2, 1, 1, b"\x80"))
    assert fresh.merge([again]), "and when it is gone there is room"
    with pytest.raises(ValueRejected):
        for number in range(51):
            fresh.put("t", str(number), {})
    assert len([row for row in fresh.all_rows("t") if row.owner == "reader"]) == 50
    fresh.put("t", "7", {"v": 1})
    fresh.put("t", "7", None)
    for number in range(200):
        fresh.merge([Record(RecordId(SHARED, "t", f"s{number}", ""), SharedBody(1, "flood", b"\x80"))])
    assert sum(record.id.kind == SHARED for record in fresh.records()) == 100
    tombstone = Record(RecordId(SHARED, "t", "s999", ""), SharedBody(1, "flood", None))
    assert fresh.merge([tombstone]) == [tombstone.id], "a removal is never refused"


def test_bytes_of_one_owner_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "OWNER_BYTES", 4 * MAX_VALUE)
    fresh = reader()
    fresh.merge(owned("flood", number, MAX_VALUE) for number in range(20))
    held = [record for record in fresh.records() if record.id.kind == OWNED]
    assert sum(len(encode_record(record)) for record in held) <= 9 * MAX_VALUE and len(held) >= 7
    with pytest.raises(ValueRejected):
        for number in range(20):
            fresh.put("t", str(number), {"data": b"x" * (MAX_VALUE - 100)})
    fresh.put("t", "0", {"data": b"x" * (MAX_VALUE - 200)})  # smaller than before


def test_owners_that_nobody_admitted_end() -> None:
    fresh = reader()
    for number in range(1000):
        fresh.merge([owned(f"stranger{number}", 0)])
        fresh.merge([Record(RecordId(EPOCH, "", "", f"other{number}"), EpochBody(1))])
    assert len(fresh.records()) <= 2 * (bounds.STRANGERS + 3) + 3
    assert fresh.merge([owned("quiet", 0)])


def test_a_record_has_no_fields_that_its_kind_does_not_use() -> None:
    """Else one row could be there twice, once under a name that is nobody's."""
    for id, body in (
        (RecordId(SHARED, "t", "k", "owner"), SharedBody(1, "w", b"\x80")),
        (RecordId(EPOCH, "t", "", "owner"), EpochBody(1)),
        (RecordId(EPOCH, "", "k", "owner"), EpochBody(1)),
    ):
        with pytest.raises(RecordError):
            decode_record(encode_record(Record(id, body)))


def test_a_delta_is_bounded() -> None:
    with pytest.raises(DeltaError):
        decode_delta(bytes([DELTA, 0xDD]) + (bounds.MAX_DELTA).to_bytes(4, "big") + b"\x01" * bounds.MAX_DELTA)
