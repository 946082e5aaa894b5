"""A model of hosts that give numbers, donate, crash, are cut off and removed: no number is ever given twice.

Each rule is something that can happen at any time: a question that gets lost, an answer that gets lost, gossip of one
record from one to another, a crash back to the last commit. In the end, whole again, all that is free can be given.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gossip.numbers.allocator import Allocator, Donation
from gossip.numbers.errors import NumberTaken
from gossip.numbers.inheritance import Inheritance
from gossip.tables.record import RING, Record, RecordId
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from scenarios.exhaustive.disk import Disk

HOSTS = ["alpha", "bravo", "charlie", "delta"]
START, SIZE = 2, 40
RING_ID = RecordId(RING, "", "net", "")


@dataclass
class Host:
    name: str
    disk: Disk = field(default_factory=Disk)
    epoch: int = 0

    def boot(self) -> None:
        self.epoch += 1
        self.replica = Replica(self.name, self.epoch, self.disk)
        self.roster = Roster(self.replica)
        self.allocator = Allocator(self.replica, self.disk)
        self.inheritance = Inheritance(self.allocator, self.replica, self.roster)

    def hear(self, other: Host) -> None:
        self.replica.merge(other.replica.records())


pairs = st.tuples(st.sampled_from(range(4)), st.sampled_from(range(4))).filter(lambda pair: pair[0] != pair[1])
numbers = st.integers(START, START + SIZE - 1)


class Ring(RuleBasedStateMachine):
    """What the hosts' clients hold is kept outside of them."""

    @initialize(sharing=st.integers(1, 4))
    def make(self, sharing: int) -> None:
        self.hosts = [Host(name) for name in HOSTS]
        self.held: dict[int, str] = {}
        self.removed: list[Host] = []
        for host in self.hosts:
            host.boot()
        first = self.hosts[0]
        for host in self.hosts:
            first.roster.admit(host.name, host.name, "manager", "192.0.2.1")
        first.allocator.define("net", START, SIZE, HOSTS[:sharing])
        for host in self.hosts:
            host.hear(first)

    def pair(self, indices: tuple[int, int]) -> tuple[Host, Host] | None:
        one, two = (self.hosts[index % len(self.hosts)] for index in indices)
        return None if one is two else (one, two)

    def hold(self, host: Host, number: int | None) -> None:
        if number is not None:
            assert number not in self.held, f"{number} was given to {self.held[number]} and now by {host.name}"
            assert START <= number < START + SIZE
            self.held[number] = host.name

    @rule(index=st.integers(0, 3), count=st.integers(1, 6))
    def give(self, index: int, count: int) -> None:
        host = self.hosts[index % len(self.hosts)]
        for _ in range(count):
            self.hold(host, host.allocator.take("net", wanted=None, holder=""))

    @rule(index=st.integers(0, 3), wanted=numbers)
    def give_wanted(self, index: int, wanted: int) -> None:
        host = self.hosts[index % len(self.hosts)]
        try:
            self.hold(host, host.allocator.take("net", wanted=wanted, holder=""))
        except NumberTaken:
            assert wanted in self.held

    @rule(
        indices=pairs,
        wanted=st.none() | numbers,
        share=st.booleans(),
        lost=st.booleans(),
        crash=st.sampled_from(["", "donor", "asker"]),
    )
    def ask(self, indices: tuple[int, int], wanted: int | None, share: bool, lost: bool, crash: str) -> None:
        pair = self.pair(indices)
        if pair is None:
            return
        asker, donor = pair
        donation = donor.allocator.donate("net", asker.name, wanted=wanted, share=share)
        ring = donor.allocator.ring("net")
        assert ring is not None
        if crash == "donor":
            donor.boot()
        if crash == "asker":
            asker.boot()
        if not lost:
            asker.replica.merge([Record(RING_ID, ring)])
            if donation is Donation.GIVEN and not crash:
                self.hold(asker, asker.allocator.take("net", wanted=wanted, holder=""))

    @rule(indices=pairs)
    def gossip(self, indices: tuple[int, int]) -> None:
        pair = self.pair(indices)
        if pair is not None:
            pair[0].hear(pair[1])

    @rule(index=st.integers(0, 3))
    def crash(self, index: int) -> None:
        self.hosts[index % len(self.hosts)].boot()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        host = next(host for host in self.hosts if host.name == self.held[number])
        assert host.allocator.release("net", number)
        del self.held[number]

    @precondition(lambda self: len(self.hosts) > 2)
    @rule(indices=pairs, told=st.integers(0, 3))
    def remove(self, indices: tuple[int, int], told: int) -> None:
        """Two managers may remove one node, each with itself as the heir; its containers are gone."""
        pair = self.pair(indices)
        if pair is None:
            return
        gone, remover = pair
        other = self.hosts[told % len(self.hosts)]
        remover.roster.remove(gone.name)
        if other is not gone and other is not remover:
            other.roster.remove(gone.name)
        self.hosts.remove(gone)
        self.removed.append(gone)
        self.held = {number: name for number, name in self.held.items() if name != gone.name}

    @rule(index=st.integers(0, 3), lost=st.lists(st.booleans(), min_size=4, max_size=4))
    def inherit(self, index: int, lost: list[bool]) -> None:
        heir = self.hosts[index % len(self.hosts)]
        for removed in heir.inheritance.due():
            for host, silent in zip(self.hosts, lost, strict=False):
                if host is not heir and not silent:
                    heir.inheritance.receive(
                        removed, host.name, host.inheritance.answer(heir.name, heir.inheritance.question(removed))
                    )
            heir.inheritance.take(removed)

    @invariant()
    def no_range_has_two_owners(self) -> None:
        if not hasattr(self, "hosts"):
            return
        owned: dict[int, str] = {}
        for host in self.hosts:
            ring = host.allocator.ring("net")
            assert ring is None or not ring.conflict
            for low, high in ring.ranges(host.name) if ring else []:
                for number in range(low, high):
                    assert number not in owned, f"{number}: {owned[number]} and {host.name} both believe it theirs"
                    owned[number] = host.name

    def teardown(self) -> None:
        """Heal: whatever happened, every free number can be given, and no more."""
        if not hasattr(self, "hosts"):
            return
        for gone in self.removed:  # whoever knew of a removal may be gone too: the operator says it again
            self.hosts[0].roster.remove(gone.name)
        for _ in range(3):
            for one in self.hosts:
                for two in self.hosts:
                    one.hear(two)
            for index in range(len(self.hosts)):
                self.inherit(index, [False] * 4)
        assert len({str(host.allocator.ring("net")) for host in self.hosts}) == 1
        for host in self.hosts:
            self.give(self.hosts.index(host), SIZE)
        assert sorted(self.held) == list(range(START, START + SIZE))
        self.no_range_has_two_owners()


TestRing = Ring.TestCase
TestRing.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
