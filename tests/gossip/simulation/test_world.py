"""The simulation simulates the protocol and not something else: shortcuts change nothing, one seed is one run."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.simulation.agenda import TICK, Agenda
from gossip.simulation.baseline import Baseline, LiveNames, SparseTable, name_of
from gossip.simulation.member import SimulatedMember
from gossip.simulation.network import Delay, Network, between, flapping, one_way
from gossip.simulation.reference import NotEquivalent, Passed, ReferenceCodec
from gossip.simulation.world import World
from gossip.swim.member import EventKind, MemberEvent, MemberState
from gossip.swim.profile import LAN, SHOAL
from gossip.swim.shuffle import lazily_shuffled
from gossip.swim.table import MemberTable
from gossip.wire.messages import Ping, Suspect


def eventful(size: int, seed: int, **options: bool) -> tuple[str, list[tuple[float, int, str, str]]]:
    """A run with everything in it: loss, a crash, a kill, a stopped member, a partition that heals, a newcomer."""
    world = World.converged(size, seed, network=Network(loss=0.02), profile=SHOAL, digest=True, **options)
    seen: list[tuple[float, int, str, str]] = []
    world.on_event = lambda member, event: seen.append((world.now, member.number, event.kind, event.member.name))
    world.run(2.0)
    world.crash(world.members[1])
    world.kill(world.members[2])
    world.stop(world.members[3])
    world.run(2.0)
    world.resume(world.members[3])
    world.network.cut("halves", between([range(size // 8), range(size // 8, size + 1)]))
    world.join(world.add(), world.members[size - 1])
    world.run(8.0)
    world.network.heal("halves")
    world.run(4.0)
    return world.digest(), seen


@pytest.mark.parametrize("size", [24, 120])
def test_packets_by_reference_are_the_same_run_as_encoded_ones(size: int) -> None:
    assert eventful(size, 5) == eventful(size, 5, encoded=True)


def test_equivalent_at_500_members() -> None:
    def run(encoded: bool) -> str:
        world = World.converged(500, 3, profile=LAN, network=Network(loss=0.01), digest=True, encoded=encoded)
        world.run(1.0)
        world.crash(world.members[77])
        world.run(4.0)
        return world.digest()

    assert run(False) == run(True)


def test_sparse_tables_are_the_same_run_as_whole_ones() -> None:
    """When push/pulls carry everything; else they draw other random numbers for fewer rows."""
    assert eventful(40, 6, tell_all=True) == eventful(40, 6, sparse=False)


def test_sampled_packets_are_checked() -> None:
    codec = ReferenceCodec(sample=1)
    packet = codec.encode([Ping(1, "a").encode(), Suspect(1, "a", "b").encode()], crc=True)
    assert codec.checked == 1
    assert isinstance(packet, Passed)
    codec._known[packet.parts[1]] = Ping(2, "c")
    with pytest.raises(NotEquivalent):
        codec.encode(packet.parts, crc=True)


_RUN = "from tests.gossip.simulation.test_world import eventful; print(eventful(30, 9)[0])"


def test_one_seed_is_one_run_whatever_the_hash_seed() -> None:
    def run(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run([sys.executable, "-c", _RUN], env=environment, check=True, capture_output=True).stdout

    assert run("1") == run("4242")
    assert eventful(30, 9)[0] != eventful(30, 10)[0]


@given(st.data())
def test_live_names_are_the_sorted_list_without_the_holes(data: st.DataObject) -> None:
    names = [name_of(number) for number in range(12)]
    holes = sorted(data.draw(st.sets(st.integers(0, 11))))
    new = sorted(data.draw(st.sets(st.sampled_from(["a", "m00000x", "m00003x", "m00003y", "z"]))))
    expected = sorted([name for number, name in enumerate(names) if number not in holes] + new)
    live = LiveNames(names, holes, new)
    assert list(live) == expected
    assert live[1:3] == expected[1:3]
    assert len(live) == len(expected)


@given(st.lists(st.tuples(st.sampled_from(["m00000", "m00002", "m00004", "x"]), st.sampled_from(MemberState))))
def test_a_sparse_table_answers_as_a_whole_one(changes: list[tuple[str, MemberState]]) -> None:
    baseline = Baseline(5, b"")
    whole, sparse = baseline.table("m00002"), SparseTable(baseline, "m00002", tell_all=True)
    stranger = Baseline(6, b"").records[5]
    for name, state in changes:
        for table in (whole, sparse):
            if state is MemberState.LEFT and name != "m00002":
                table.forget(name)
                continue
            record = table.get(name) or (stranger if name == "x" else baseline.records[baseline.numbers[name]])
            member = type(record.member)(name, *record.member.endpoint, b"", state, 2, 1.0, True)
            table.put(type(record)(member, record.wire_meta, record.versions))
        assert view(whole) == view(sparse)


def view(table: MemberTable) -> tuple[object, ...]:
    records = sorted(table, key=lambda record: record.member.name)
    return (
        records,
        list(table.live),
        sorted(table.gone),
        table.size,
        table.successor(),
        table.successors(),
        [table.at(record.member.endpoint) == record for record in records],
        sorted(table.to_tell(), key=lambda record: record.member.name),
    )


def test_lazily_shuffled_is_a_shuffle() -> None:
    orders = {tuple(lazily_shuffled(range(4), Random(seed))) for seed in range(400)}
    assert len(orders) == 24, "every order comes up"
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)


def test_agenda_keeps_order_and_never_goes_back() -> None:
    agenda = Agenda()
    happened: list[tuple[str, float]] = []

    def note(what: str) -> None:
        happened.append((what, round(agenda.now, 6)))
        if what == "first":
            agenda.at(0.0, note, "late")

    agenda.at(0.5, note, "second")
    agenda.at(0.25, note, "first")
    agenda.at(0.5, note, "third")
    agenda.run_until(0.4)
    assert agenda.now == 0.4
    agenda.run_until(1.0)
    assert happened == [("first", 0.25), ("late", 0.25 + TICK), ("second", 0.5), ("third", 0.5)]


def test_network_faults() -> None:
    network = Network(delay=Delay(0.01, 0.0))
    random = Random(1)
    assert network.fate(0, 1, 0.0, random) == pytest.approx(0.01)
    network.cut("deaf", flapping(one_way(range(1), ingress=True), began=0.0, bad=2.0, good=3.0))
    assert network.fate(1, 0, 1.0, random) is None
    assert network.fate(0, 1, 1.0, random) is not None
    assert network.stream_delay(0, 1, 1.0, random, 2) is None, "a stream needs both ways"
    assert network.fate(1, 0, 2.5, random) is not None
    network.heal("deaf")
    network.lose(4, sent=1.0, received=0.0)
    assert network.fate(4, 1, 0.0, random) is None
    assert network.fate(1, 4, 0.0, random) is not None


def test_crashed_are_found_by_all_and_nobody_else_is() -> None:
    world = World.converged(60, 2, profile=LAN)
    failed: list[tuple[int, str]] = []

    def note(member: SimulatedMember, event: MemberEvent) -> None:
        if event.kind is EventKind.FAILED:
            failed.append((member.number, event.member.name))

    world.on_event = note
    world.crash(world.members[7])
    world.run(30.0)
    assert sorted(failed) == [(number, name_of(7)) for number in range(60) if number != 7]
