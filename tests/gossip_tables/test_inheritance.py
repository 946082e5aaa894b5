"""Who agrees to an heir, and how long an agreement counts."""

from __future__ import annotations

import msgpack

from gossip.numbers.allocator import Allocator
from gossip.numbers.inheritance import Inheritance
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from scenarios.exhaustive.disk import Disk


class Host:
    def __init__(self, name: str) -> None:
        self.replica = Replica(name, 1, Disk())
        self.roster = Roster(self.replica)
        self.allocator = Allocator(self.replica, Disk())
        self.inheritance = Inheritance(self.allocator, self.replica, self.roster)


def swarm(*names: str) -> list[Host]:
    hosts = [Host(name) for name in names]
    for name in names:
        hosts[0].roster.admit(name, name, "manager", "192.0.2.1")
    for host in hosts[1:]:
        host.replica.merge(hosts[0].replica.records())
    return hosts


def agrees(host: Host, peer: str, question: bytes) -> bool:
    found = msgpack.unpackb(host.inheritance.answer(peer, question), raw=False)
    assert isinstance(found, dict)
    return found["agrees"] is True


def test_only_the_heir_is_agreed_to() -> None:
    one, two, three, _ = swarm("one", "two", "three", "four")
    one.roster.remove("four")
    asked = one.inheritance.question("four")
    assert agrees(two, "one", asked)
    assert not agrees(two, "three", asked), "the removal names another heir"
    assert not agrees(two, "stranger", asked)
    assert not agrees(two, "one", one.inheritance.question("three")), "that one was not removed"
    three.roster.remove("four")  # later than the removal that names one
    three.replica.merge(one.replica.records())
    assert not agrees(two, "three", three.inheritance.question("four"))
    one.roster.remove("one")
    assert not agrees(two, "one", one.inheritance.question("four")), "an heir that was removed inherits nothing"


def test_a_removal_makes_the_heir_ask_again() -> None:
    """What a member said before it knew of another removal may lack ranges that came to it by that removal."""
    one, two, _, _, _ = swarm("one", "two", "three", "four", "five")
    one.roster.remove("five")
    for node in ("two", "three", "four"):
        one.inheritance.receive("five", node, two.inheritance.answer("one", one.inheritance.question("five")))
    assert one.inheritance.missing("five") == []
    one.roster.remove("four")
    assert one.inheritance.missing("five") == ["three", "two"]
    assert not one.inheritance.take("five")
    # An answer that itself brings a removal: the agreements before it count no more, its own does.
    one.inheritance.receive("five", "three", two.inheritance.answer("one", one.inheritance.question("five")))
    assert one.inheritance.missing("five") == ["two"]
    two.roster.remove("three")
    one.inheritance.receive("five", "two", two.inheritance.answer("one", one.inheritance.question("five")))
    assert one.inheritance.missing("five") == []


def test_a_refusal_and_nonsense_are_no_agreement() -> None:
    one, _two = swarm("one", "two")
    one.roster.remove("gone")
    refusal = msgpack.packb({"agrees": False, "records": []})
    for answer in (b"", b"\xc1", msgpack.packb([True]), msgpack.packb({"agrees": True}), refusal):
        one.inheritance.receive("gone", "two", answer)
        assert one.inheritance.missing("gone") == ["two"]
