"""The laws that let records come in any order, twice, by any way: join is a least upper bound, and codecs are exact."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.numbers.ring import Birth, Ring, Token
from gossip.tables.record import (
    EPOCH,
    OWNED,
    RING,
    ROSTER,
    SHARED,
    Body,
    EpochBody,
    OpaqueBody,
    OwnedBody,
    Record,
    RecordError,
    RecordId,
    Removal,
    RosterBody,
    RosterMark,
    SharedBody,
    decode_record,
    encode_record,
)
from gossip.tables.replica import Replica
from scenarios.exhaustive.disk import Disk

UNKNOWN = "future"
"""A kind of record that only a newer version knows."""
NODES = ["alpha", "bravo", "charlie"]
nodes = st.sampled_from(NODES)
small = st.integers(0, 3)
values = st.none() | st.sampled_from([b"\x80", b"\x81\xa1a\x01"])
marks = st.builds(RosterMark, small, small)

extras = st.sampled_from([b"", b"\x91\x07", b"\x92\xa1a\xc0"])
"""Fields that a newer version has, packed: none, [7], ["a", None]."""

owned = st.builds(OwnedBody, small, small, small, values, st.sampled_from(["", "net"]), extras)
epochs = st.tuples(small, small, small, extras).map(lambda t: EpochBody(max(t[:2]), (t[0], t[2]), t[3]))
live = st.builds(SharedBody, small, nodes, st.sampled_from([b"\x80", b"\x81\xa1a\x01"]), st.just(()), extras)
opaque = st.builds(lambda version, text: OpaqueBody.decode([version, text, [b"1"]]), small, st.sampled_from("ab"))
dead = st.builds(
    SharedBody,
    small,
    nodes,
    st.none(),
    st.dictionaries(nodes, marks).map(lambda acks: tuple(sorted(acks.items()))),
    extras,
)
roster = st.builds(
    RosterBody, small, st.just("h"), st.sampled_from(["worker", "manager"]), st.just("192.0.2.1"), nodes,
    st.none() | st.builds(Removal, small, nodes), st.none() | st.sets(small).map(lambda s: tuple(sorted(s))), small,
    extras,
)  # fmt: skip
rings = st.builds(
    lambda births, tokens, extra: Ring(
        tuple(Birth(lamport, creator, 0, 16) for lamport, creator in sorted(births)),
        tuple(Token(position, owner, version) for position, (owner, version) in sorted(tokens.items())),
        extra,
    ),
    st.sets(st.tuples(small, nodes), min_size=1, max_size=2),
    st.dictionaries(st.integers(1, 15), st.tuples(nodes, small), max_size=4).map(lambda t: {0: ("alpha", 1), **t}),
    extras,
)
ID_OF = {
    OWNED: RecordId(OWNED, "t", "k", "alpha"),
    EPOCH: RecordId(EPOCH, "", "", "alpha"),
    SHARED: RecordId(SHARED, "t", "k", ""),
    ROSTER: RecordId(ROSTER, "", "alpha", ""),
    RING: RecordId(RING, "", "s", ""),
    UNKNOWN: RecordId(UNKNOWN, "t", "k", "alpha"),
}
KINDS = {OWNED: owned, EPOCH: epochs, SHARED: live | dead, ROSTER: roster, RING: rings, UNKNOWN: opaque}


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(data=st.data())
def test_join_is_a_least_upper_bound(kind: str, data: st.DataObject) -> None:
    a, b, c = (data.draw(KINDS[kind]) for _ in range(3))
    join = lambda x, y: x.join(y)  # noqa: E731
    assert join(a, a) == a
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(join(a, b), b) == join(a, b)


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(data=st.data())
def test_a_record_is_its_bytes(kind: str, data: st.DataObject) -> None:
    record = Record(ID_OF[kind], data.draw(KINDS[kind]))
    packed = encode_record(record)
    assert decode_record(packed) == record
    assert encode_record(decode_record(packed)) == packed


@given(st.binary(max_size=200) | st.builds(lambda at, with_, base: base[:at] + with_ + base[at + 1 :],
       st.integers(0, 60), st.binary(max_size=2),
       st.sampled_from(sorted(KINDS)).flatmap(lambda kind: KINDS[kind].map(
           lambda body: encode_record(Record(ID_OF[kind], body))))))  # fmt: skip
def test_garbage_is_refused_with_one_error(data: bytes) -> None:
    try:
        record = decode_record(data)
    except RecordError:
        return
    assert decode_record(encode_record(record)) == record


def some_records() -> st.SearchStrategy[list[Record]]:
    ids = {
        OWNED: st.builds(lambda key, owner: RecordId(OWNED, "t", key, owner), st.sampled_from("xy"), nodes),
        EPOCH: nodes.map(lambda owner: RecordId(EPOCH, "", "", owner)),
        SHARED: st.sampled_from("xy").map(lambda key: RecordId(SHARED, "t", key, "")),
        ROSTER: nodes.map(lambda node: RecordId(ROSTER, "", node, "")),
        RING: st.just(RecordId(RING, "", "s", "")),
        UNKNOWN: st.sampled_from("xy").map(lambda key: RecordId(UNKNOWN, "t", key, "alpha")),
    }
    one = st.sampled_from(sorted(KINDS)).flatmap(lambda kind: st.builds(Record, ids[kind], KINDS[kind]))
    return st.builds(admitted_once, st.lists(one, max_size=12), st.fixed_dictionaries({node: nodes for node in NODES}))


def admitted_once(records: list[Record], by: dict[str, str]) -> list[Record]:
    """The manager that admits a node makes its id, so all versions of one name the same admitter."""
    return [Record(r.id, replace(r.body, by=by[r.id.key])) if isinstance(r.body, RosterBody) else r for r in records]


def replica(*, live: bool = True) -> Replica:
    """Of a node that is not in its roster, so that it acknowledges (and collects) nothing."""
    fresh = Replica("reader", 1, Disk())
    if live:
        fresh.set_live(NODES)
    return fresh


def seen(reader: Replica) -> object:
    return (
        reader.records(),
        reader.view.rows("t"),
        reader.all_rows("t"),
        reader.view.rows("roster"),
        reader.digests.tables(),
    )


@settings(max_examples=300)
@given(some_records().flatmap(lambda r: st.tuples(st.just(r), st.permutations(r), st.lists(st.integers(1, 4)))))
def test_replicas_agree_whatever_the_order(case: tuple[list[Record], list[Record], list[int]]) -> None:
    records, shuffled, cuts = case
    one, other = replica(), replica()
    one.merge(records)
    for record in records:
        one.merge([record])
    for cut in cuts:
        other.merge(shuffled[:cut])
        shuffled = shuffled[cut:]
    other.merge(shuffled)
    assert seen(one) == seen(other)


@settings(max_examples=300)
@given(st.lists(some_records() | st.sets(nodes).map(sorted), max_size=6))
def test_changes_replayed_give_what_is_visible(steps: list[list[Record] | list[str]]) -> None:
    reader = replica(live=False)
    mirror: dict[tuple[str, str, str], object] = {}

    def follow(change: object) -> None:
        from gossip.tables.row import Change

        assert isinstance(change, Change)
        key = (change.table, change.key, change.owner)
        assert mirror.get(key) == change.before
        assert change.before != change.after
        if change.after is None:
            del mirror[key]
        else:
            mirror[key] = change.after

    reader.view.watch(follow)
    for step in steps:
        if step and isinstance(step[0], Record):
            reader.merge([record for record in step if isinstance(record, Record)])
        else:
            reader.set_live([node for node in step if isinstance(node, str)])
        shown = {(row.table, row.key, row.owner): row for table in ("t", "roster") for row in reader.view.rows(table)}
        assert mirror == shown
        assert not reader.counters["watcher_errors"], "follow() saw a change that does not follow"
        assert all(reader.in_roster(owner) and reader.is_live(owner) for _, _, owner in shown if owner)
        # Law: what is kept up step by step is what a host sees that learns all of it at once.
        fresh = replica(live=False)
        fresh.set_live([node for node in NODES if reader.is_live(node)])
        fresh.merge(reader.records())
        assert {(r.table, r.key, r.owner): r for t in ("t", "roster") for r in fresh.view.rows(t)} == shown


@given(st.lists(owned, min_size=1, max_size=5))
def test_the_newest_of_an_owner_is_what_all_joins_end_at(bodies: list[OwnedBody]) -> None:
    joined = reduce(lambda a, b: a.join(b), bodies)
    assert (joined.epoch, joined.sequence) == max((body.epoch, body.sequence) for body in bodies)


def test_a_tombstone_beats_any_later_write() -> None:
    tombstone: Body = SharedBody(1, "alpha", None)
    assert SharedBody(99, "bravo", b"\x80").join(SharedBody(1, "alpha", None)) == tombstone
