"""Whose disk is an older one has forgotten what it acknowledged and what it answered: neither counts any more."""

from __future__ import annotations

import msgpack
import pytest

from gossip.gates import ON_ITS_WAY, Gates
from gossip.numbers import inheritance, numbers
from gossip.tables.record import RecordId
from gossip.tables.repair import answer, repair
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from scenarios.exhaustive.disk import Disk

ROW = RecordId("s", "networks", "n", "")


class Host:
    def __init__(self, name: str, boot: int = 1, disk: Disk | None = None) -> None:
        self.name = name
        self.disk = disk or Disk()
        self.replica = Replica(name, boot, self.disk)
        self.replica.bounded = True
        self.roster = Roster(self.replica)
        if self.disk.doubtful:
            self.roster.doubt(boot)

    def hear(self, other: Host) -> None:
        """All that packets may tell, tombstones that were collected too."""
        ids = [record.id for record in other.replica.records() if not other.replica.is_unproven(record.id)]
        ids += [ROW] if ROW not in ids and other.replica.has_tombstone(ROW) else []
        self.replica.merge_packed([packed for id in ids if (packed := other.replica.packed(id)) is not None])

    def repair_with(self, other: Host) -> None:
        dialogue = repair(self.replica)
        try:
            request = next(dialogue)
            while True:
                request = dialogue.send(answer(other.replica, self.name, request))
        except StopIteration:
            pass


def put_back() -> tuple[Host, Host, Host]:
    """bravo removes a row, alpha acknowledges that, charlie has not heard of it; then alpha's disk is one of before."""
    alpha, bravo, charlie = (Host(name) for name in ("alpha", "bravo", "charlie"))
    for name in ("alpha", "bravo", "charlie"):
        alpha.roster.admit(name, name, "manager", "192.0.2.1")
    alpha.replica.write("networks", "n", {})
    bravo.hear(alpha)
    charlie.hear(alpha)
    old = Disk()
    old.kept, old.doubtful = dict(alpha.disk.kept), True
    bravo.replica.remove("networks", "n")
    alpha.hear(bravo)
    bravo.hear(alpha)
    return Host("alpha", 2, old), bravo, charlie


def test_what_was_acknowledged_before_counts_no_more() -> None:
    alpha, bravo, charlie = put_back()
    alpha.repair_with(charlie)  # who holds the row, and is not wrong to
    assert alpha.replica.view.row("networks", "n", "") is not None and not alpha.replica.unproven()
    for host in (charlie, bravo, charlie):
        host.hear(bravo if host is charlie else charlie)
    for host in (bravo, charlie):
        assert host.replica.held_tombstones() == [ROW], f"{host.name} has forgotten what alpha does not know"
    for _ in range(2):
        for host, other in ((alpha, bravo), (bravo, charlie), (charlie, alpha)):
            host.hear(other)
            other.hear(host)
    for host in (alpha, bravo, charlie):
        assert host.replica.view.row("networks", "n", "") is None and not host.replica.held_tombstones()


def test_what_was_collected_is_acknowledged_again_for_an_old_disk_that_still_holds_it() -> None:
    alpha, bravo, charlie = (Host(name) for name in ("alpha", "bravo", "charlie"))
    hosts = [alpha, bravo, charlie]
    for host in hosts:
        alpha.roster.admit(host.name, host.name, "manager", "192.0.2.1")
    alpha.replica.write("networks", "n", {})
    bravo.hear(alpha)
    charlie.hear(alpha)
    alpha.replica.remove("networks", "n")
    old = Disk()
    old.kept, old.doubtful = dict(alpha.disk.kept), True  # of before the others' acknowledgements
    for host in (bravo, charlie, alpha, bravo, charlie):
        for other in hosts:
            host.hear(other)
    assert not any(host.replica.held_tombstones() for host in hosts), "all have collected it"
    hosts[0] = Host("alpha", 2, old)
    assert hosts[0].replica.held_tombstones() == [ROW]
    for _ in range(3):
        for host, other in ((hosts[0], bravo), (bravo, charlie), (charlie, hosts[0])):
            host.repair_with(other)
            host.hear(other)
    for host in hosts:
        assert not host.replica.held_tombstones(), f"{host.name} waits for ever"


def test_who_answers_knows_of_the_doubt_before_it_says_what_it_holds() -> None:
    alpha, _, charlie = put_back()
    answer(charlie.replica, "alpha", next(repair(alpha.replica)))
    assert charlie.replica.roster()["alpha"].doubted == 2


def test_a_packet_proves_nothing_and_brings_nothing_while_somebody_is_unheard() -> None:
    alpha, _, charlie = put_back()
    alpha.replica.awaits = lambda: True  # type: ignore[method-assign]
    charlie.replica.write("networks", "new", {})
    alpha.hear(charlie)
    assert alpha.replica.unproven() == [ROW]
    assert alpha.replica.view.row("networks", "new", "") is None
    alpha.repair_with(charlie)
    assert alpha.replica.view.row("networks", "new", "") is not None and not alpha.replica.unproven()


@pytest.mark.parametrize("asks", [False, True])
def test_what_was_told_to_one_in_doubt_is_not_taken_when_it_is_in_doubt_no_more(asks: bool) -> None:
    disk = put_back()[0].disk
    with_it, without = Disk(), Disk()
    with_it.kept, with_it.doubtful = dict(disk.kept), True
    without.kept = {key: value for key, value in disk.kept.items() if b"networks" not in value}
    without.doubtful = True
    other, alpha = Host("bravo", 2, with_it), Host("alpha", 3, without)
    assert other.replica.is_unproven(ROW) and alpha.replica.body(ROW) is None
    asker, asked = (alpha, other) if asks else (other, alpha)
    dialogue = repair(asker.replica)
    request = next(dialogue)
    told: list[object] = []
    try:
        while True:
            reply = answer(asked.replica, asker.name, request)
            told.append(msgpack.unpackb(request, strict_map_key=False)["op"])
            if told[-1] == "buckets":
                alpha.replica.end_doubt()  # by what it hears meanwhile of somebody else
            request = dialogue.send(reply)
    except StopIteration:
        pass
    assert "buckets" in told, "or nothing is staged"
    assert alpha.replica.body(ROW) is None, "a removed row is back, for good"


def test_who_was_corrected_takes_no_word_of_another_old_disk() -> None:
    alpha, bravo, charlie, delta = (Host(name) for name in ("alpha", "bravo", "charlie", "delta"))
    others = (bravo, charlie, delta)
    for host in (alpha, *others):
        alpha.roster.admit(host.name, host.name, "manager", "192.0.2.1")
    alpha.replica.write("networks", "n", {})
    for host in others:
        host.hear(alpha)
    disks = [Disk(), Disk()]
    for disk, host in zip(disks, (alpha, delta), strict=True):
        disk.kept, disk.doubtful = dict(host.disk.kept), True
    bravo.replica.remove("networks", "n")
    for host in (alpha, charlie, delta, bravo, alpha, charlie, delta):
        for other in (alpha, *others):
            host.hear(other)
    assert not bravo.replica.held_tombstones(), "all have acknowledged"
    alpha, delta = Host("alpha", 2, disks[0]), Host("delta", 2, disks[1])
    for other in (bravo, charlie, delta):
        alpha.repair_with(other)
    delta.repair_with(alpha)
    alpha.replica.end_doubt()  # all were heard
    charlie.hear(alpha)
    assert alpha.replica.view.row("networks", "n", "") is None is charlie.replica.view.row("networks", "n", "")
    delta.repair_with(charlie)
    assert delta.replica.view.row("networks", "n", "") is None


def test_who_may_still_get_an_answer_of_before_is_heard_again() -> None:
    alpha, _, _ = put_back()
    clock = [100.0]
    gates = Gates("alpha", alpha.roster, lambda: ["bravo", "charlie"], lambda: clock[0], alpha.disk)
    gates.start()
    for late in (0.1, ON_ITS_WAY - 0.1):
        clock[0] = 100 + late
        gates.sync("bravo")
        gates.sync("charlie")
        assert gates.unheard() == ["bravo", "charlie"] and not gates.may_give()
    clock[0] = 100 + ON_ITS_WAY
    gates.sync("bravo")
    assert gates.unheard() == ["charlie"] and not gates.may_give()
    gates.sync("charlie")
    assert gates.may_give()
    assert max(numbers.ASK_TIMEOUT, inheritance.ASK_TIMEOUT) < ON_ITS_WAY
