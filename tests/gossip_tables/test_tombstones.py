"""A model of writes, removals, partial gossip, crashes and admissions: what was removed never comes back.

Gossip here brings any part of what one host holds to another, in any order; a crash loses what was not committed; a
joiner is admitted by anybody at any time. A host that once knew of a removal never shows the row again, and when all
have heard of each other no tombstone is held by anybody.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gossip.tables.record import ROSTER, SHARED, RecordId
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from scenarios.exhaustive.disk import Disk

HERE = ("192.0.2.9", 7946)

KEYS = ["a", "b"]
index = st.integers(0, 3)


class Host:
    def __init__(self, name: str) -> None:
        self.name = name
        self.disk = Disk()
        self.knew_removed: list[str] = []
        self.boot()

    def boot(self) -> None:
        self.replica = Replica(self.name, 1, self.disk)
        self.roster = Roster(self.replica)


class Rows(RuleBasedStateMachine):
    @initialize()
    def make(self) -> None:
        self.hosts = [Host("h0"), Host("h1")]
        for host in self.hosts:
            self.hosts[0].roster.admit(host.name, host.name, "manager", "192.0.2.1")
        self.hosts[1].replica.merge(self.hosts[0].replica.records())

    def at(self, number: int) -> Host:
        return self.hosts[number % len(self.hosts)]

    @rule(who=index, key=st.sampled_from(KEYS))
    def write(self, who: int, key: str) -> None:
        host = self.at(who)
        if not host.replica.has_tombstone(RecordId(SHARED, "t", key, "")) and key not in host.knew_removed:
            host.replica.write("t", key, {"by": host.name})

    @rule(who=index, key=st.sampled_from(KEYS))
    def remove(self, who: int, key: str) -> None:
        if key not in self.at(who).knew_removed:
            self.at(who).replica.remove("t", key)

    @rule(who=index, to=index, keys=st.sampled_from([[*KEYS, "roster"], KEYS, ["a"], ["roster"]]))
    def gossip(self, who: int, to: int, keys: list[str]) -> None:
        sender, receiver = self.at(who), self.at(to)
        if sender is receiver:
            return
        records = [r for r in sender.replica.records() if ("roster" if r.id.kind == ROSTER else r.id.key) in keys]
        if not sender.roster.contains(receiver.name):
            return
        if not receiver.roster.contains(receiver.name):  # as Spreading: its first rows come by a whole repair
            if "roster" in keys:
                receiver.replica.merge(sender.replica.records())
            return
        receiver.replica.merge(records)

    @rule(who=index)
    def crash(self, who: int) -> None:
        self.at(who).boot()

    @rule(who=index)
    def admit(self, who: int) -> None:
        if len(self.hosts) < 4:
            admitter, joiner = self.at(who), Host(f"h{len(self.hosts)}")
            if admitter.roster.contains(admitter.name):
                admitter.roster.admit(joiner.name, joiner.name, "worker", "192.0.2.9")
                self.hosts.append(joiner)

    @invariant()
    def the_removed_stay_away(self) -> None:
        for host in getattr(self, "hosts", []):
            for key in KEYS:
                if host.replica.has_tombstone(RecordId(SHARED, "t", key, "")) and key not in host.knew_removed:
                    host.knew_removed.append(key)
            shown = [row.key for row in host.replica.view.rows("t")]
            assert not [key for key in shown if key in host.knew_removed], f"{host.name} shows {shown}"

    def teardown(self) -> None:
        hosts = getattr(self, "hosts", [])
        for _ in range(6):
            for sender in hosts:
                for receiver in hosts:
                    if sender.roster.contains(receiver.name):
                        receiver.replica.merge(sender.replica.records())
                    # what is queued, collected tombstones among it
                    packed = [sender.replica.packed(id) for id in sender.replica.outbox.next(HERE, 9)]
                    if receiver.roster.contains(receiver.name):
                        receiver.replica.merge_packed([data for data in packed if data is not None])
            self.the_removed_stay_away()
        gone = [key for host in hosts for key in host.knew_removed]
        for host in hosts:
            held = [r.id.key for r in host.replica.records() if r.id.kind == SHARED]
            assert not [key for key in held if key in gone], f"{host.name} holds {held}, gone are {gone}"
        assert len({str(host.replica.digests.tables()) for host in hosts}) <= 1


def hosts_with_a_row(*names: str) -> list[Host]:
    hosts = [Host(name) for name in names]
    for host in hosts:
        hosts[0].roster.admit(host.name, host.name, "manager", "192.0.2.1")
    hosts[0].replica.write("t", "a", {})
    for host in hosts:
        host.replica.merge(hosts[0].replica.records())
        host.replica.flush()
    return hosts


def test_an_acknowledgement_survives_a_crash() -> None:
    one, two = hosts_with_a_row("one", "two")
    one.replica.remove("t", "a")
    two.replica.merge(one.replica.records())
    two.boot()
    assert two.replica.view.rows("t") == []
    two.replica.merge(one.replica.records())  # what it had said was lost with it
    one.replica.merge_packed([two.replica.packed(RecordId(SHARED, "t", "a", ""))])
    assert [record for record in one.replica.records() if record.id.kind == SHARED] == []


def test_an_acknowledgement_under_another_roster_collects_nothing() -> None:
    """The one who admitted a third host acknowledges; who does not know the third yet must keep the tombstone."""
    one, two = hosts_with_a_row("one", "two")
    three = Host("three")
    two.roster.admit("three", "three", "worker", "192.0.2.3")
    three.replica.merge(two.replica.records())
    one.replica.remove("t", "a")
    row = RecordId(SHARED, "t", "a", "")
    two.replica.merge_packed([one.replica.packed(row)])
    one.replica.merge_packed([two.replica.packed(row)])
    one.boot()
    one.replica.merge(three.replica.records())
    assert one.replica.view.rows("t") == []


TestRows = Rows.TestCase
TestRows.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
