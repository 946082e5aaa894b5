"""Whom a removed node had admitted unheard goes with it, on every host, in whatever order it hears of it."""

from __future__ import annotations

from itertools import permutations

from gossip.tables.record import Record, RosterBody
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from scenarios.exhaustive.disk import Disk


class Host:
    def __init__(self, name: str, disk: Disk | None = None) -> None:
        self.disk = disk or Disk()
        self.replica = Replica(name, 1, self.disk)
        self.roster = Roster(self.replica)

    def hear(self, *others: Host) -> None:
        for other in others:
            self.replica.merge(other.replica.records())


def swarm(*names: str) -> list[Host]:
    hosts = [Host(name) for name in names]
    for name in names:
        hosts[0].roster.admit(name, name, "manager", "192.0.2.1")
    for host in hosts:
        host.hear(hosts[0])
    return hosts


def roster_of(host: Host) -> dict[str, RosterBody]:
    return dict(host.replica.roster())


def test_all_hosts_come_to_the_same_whatever_they_hear_first() -> None:
    """bravo, cut off, admits late, who admits later; alpha removes bravo and knows neither; charlie knew late."""
    alpha, bravo, charlie = swarm("alpha", "bravo", "charlie")
    bravo.roster.admit("late", "late", "manager", "192.0.2.4")
    charlie.hear(bravo)
    charlie.roster.remove("bravo")
    alpha.roster.remove("bravo")
    late = Host("late")
    late.hear(bravo)
    late.roster.admit("later", "later", "worker", "192.0.2.5")
    said: list[Record] = [
        record
        for host in (alpha, charlie, late)
        for record in host.replica.records()
        if isinstance(record.body, RosterBody) and record.id.key in ("bravo", "late", "later")
    ]
    assert len(said) == 6
    found = []
    for order in permutations(said):
        host = Host("alpha")
        for record in order:
            host.replica.merge([record])
        found.append(roster_of(host))
    assert all(roster == found[0] for roster in found)
    removed = {node for node, body in found[0].items() if body.removal is not None}
    assert removed == {"bravo", "late", "later"}
    removals = [removal for host in (alpha, charlie) if (removal := roster_of(host)["bravo"].removal) is not None]
    assert {found[0][node].removal for node in removed} == {min(removals)}


def test_whom_the_remover_knew_stays_and_whom_others_admitted_too() -> None:
    alpha, bravo, charlie = swarm("alpha", "bravo", "charlie")
    bravo.roster.admit("late", "late", "worker", "192.0.2.4")
    charlie.roster.admit("other", "other", "worker", "192.0.2.5")
    alpha.hear(bravo)
    alpha.roster.remove("bravo")
    alpha.hear(charlie)
    charlie.hear(alpha)
    for host in (alpha, charlie):
        assert [entry.node_id for entry in host.roster.members()] == ["alpha", "charlie", "late", "other"]


def test_what_a_crash_left_undone_is_done_at_the_next_start() -> None:
    alpha, bravo, _ = swarm("alpha", "bravo", "charlie")
    bravo.roster.admit("late", "late", "worker", "192.0.2.4")
    remover = Host("alpha")
    remover.hear(alpha)
    remover.roster.remove("bravo")
    # The two records as they lie on a disk whose host died before it drew the conclusion.
    disk = Disk()
    for host, node in ((remover, "bravo"), (bravo, "late")):
        disk.kept |= {key: value for key, value in host.disk.kept.items() if node in key[1] and key[0] == "record"}
    for host in (alpha, bravo):
        host.replica.flush()
    assert len(disk.kept) == 2
    again = Host("alpha", disk)
    assert again.roster.removed("late")
    again.replica.flush()
    assert Host("alpha", disk).roster.removed("late")


def test_a_tombstone_waits_for_whom_a_removal_counts_and_nobody_here_knows() -> None:
    """charlie's removal of bravo counts late, whom alpha has not heard of: late may still have the row."""
    alpha, bravo, charlie = swarm("alpha", "bravo", "charlie")
    alpha.replica.write("networks", "n", {})
    bravo.hear(alpha)
    alpha.replica.remove("networks", "n")
    charlie.hear(alpha)
    alpha.hear(charlie)
    bravo.roster.admit("late", "late", "worker", "192.0.2.4")
    charlie.hear(bravo)
    charlie.roster.remove("bravo")
    removal = [record for record in charlie.replica.records() if record.id.key == "bravo"]
    alpha.replica.merge(removal)
    assert alpha.replica.held_tombstones(), "late has not acknowledged"
    late = Host("late")
    late.hear(bravo)
    assert late.replica.view.row("networks", "n", "") is not None
    for _ in range(3):
        late.hear(alpha, charlie)
        charlie.hear(late, alpha)
        alpha.hear(late, charlie)
    assert not alpha.replica.held_tombstones() and late.replica.view.row("networks", "n", "") is None


def test_who_left_is_waited_for_as_long_as_whom_it_admitted_is_unknown() -> None:
    alpha, bravo, _ = swarm("alpha", "bravo", "charlie")
    bravo.roster.admit("late", "late", "worker", "192.0.2.4")
    bravo.roster.depart()
    records = bravo.replica.records()
    alpha.replica.merge([record for record in records if record.id.key != "late"])
    assert not alpha.roster.departed("bravo")
    alpha.hear(bravo)
    assert alpha.roster.departed("bravo")
