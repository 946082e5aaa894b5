"""How soon the rows of a replicated table are the same everywhere: under churn, and after a partition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gossip.simulation.network import Network, between
from gossip.simulation.rows import TableNode, Tables
from gossip.simulation.witness import quantile
from gossip.simulation.world import World
from gossip.swim.profile import Profile
from gossip.tables.row import Change
from gossip.tables.spreading import Spreading

LIMIT = 120.0
"""Seconds after which an experiment stops to wait."""


@dataclass(frozen=True, slots=True)
class Churn:
    """Times in seconds from the writing of a row to its being seen at another member."""

    members: int
    rows: int
    writes: int
    seen_median: float
    seen_p99: float
    seen_last: float
    superseded: int
    """Pairs of write and live member at which a newer version, or none at all because the writer died, was seen."""
    equal_after: float
    """From the last write or crash until all replicas hold the same."""
    packets: float
    octets: float
    """UDP, a member and second."""
    repair_octets: float
    """Streams of the tables, a member and second."""


@dataclass(frozen=True, slots=True)
class Healing:
    """Seconds from the healing of a partition into halves; octets of the tables' streams for all of it."""

    members: int
    rows: int
    lasted: float
    differing: int
    """Rows written meanwhile, on both sides together."""
    whole_after: float
    """Until all members hold all alive."""
    equal_after: float
    repair_octets: int


@dataclass(slots=True)
class _Writes:
    """Who has seen which write."""

    at: dict[tuple[str, str, int], float] = field(default_factory=dict)
    """(key, owner, version) → when."""
    delays: list[float] = field(default_factory=list)
    seen: dict[tuple[str, str, str, int], None] = field(default_factory=dict)
    """(observer, key, owner, version): a row that was hidden and shown again is not news."""

    def watch(self, tables: Tables) -> None:
        def observe(node: TableNode, change: Change) -> None:
            row = change.after
            if row is None or row.owner == node.name:
                return
            version = row.value.get("version")
            assert isinstance(version, int)
            at = self.at.get((row.key, row.owner, version))
            seen = (node.name, row.key, row.owner, version)
            if at is not None and node.began < at and seen not in self.seen:
                self.seen[seen] = None
                self.delays.append(tables.world.now - at)

        tables.observe = observe


def _tables(size: int, rows: int, seed: int, profile: Profile, loss: float) -> Tables:
    def world(delegate: Callable[[int], Spreading]) -> World:
        return World.converged(size, seed, network=Network(loss=loss), profile=profile, delegate=delegate)

    return Tables(size, rows, world)


def churn(
    size: int, rows: int, seed: int, *, profile: Profile, seconds: float, loss: float = 0.01, every: float = 5.0
) -> Churn:
    """Ten rows a second change, and every so many seconds a member loses power and another one comes back."""
    tables = _tables(size, rows, seed, profile, loss)
    world = tables.world
    world.run(2.0)
    writes = _Writes()
    writes.watch(tables)
    began, version, next_crash = world.now, 0, world.now + every / 2
    sent, octets = _load(tables)
    expected = 0
    fallen: list[int] = []
    while world.now - began < seconds:
        world.run(0.1)
        running = tables.running()
        if world.now >= next_crash:
            next_crash += every
            if fallen:
                tables.restart(fallen.pop(0), 0)
            number = world.random.randrange(1, size)
            if tables.is_running(tables.nodes[number]):
                tables.crash(number)
                fallen.append(number)
            running = tables.running()
        writer = world.random.choice(running)
        version += 1
        key = f"{writer.name} {world.random.randrange(rows)}"
        writes.at[key, writer.name, version] = world.now
        expected += len(running) - 1
        writer.replica.put("endpoints", key, {"version": version})
    packets, more = _load(tables)
    repaired = sum(node.repair_octets for node in tables.nodes)
    took = world.now - began
    equal_after = _until(world, lambda: tables.equal() and tables.whole())
    return Churn(
        members=size,
        rows=size * rows,
        writes=version,
        seen_median=quantile(writes.delays, 0.5),
        seen_p99=quantile(writes.delays, 0.99),
        seen_last=max(writes.delays, default=float("nan")),
        superseded=expected - len(writes.delays),
        equal_after=equal_after,
        packets=(packets - sent) / size / took,
        octets=(more - octets) / size / took,
        repair_octets=repaired / size / took,
    )


def healing(size: int, rows: int, seed: int, *, profile: Profile, lasted: float, differing: int) -> Healing:
    """The members are cut into halves for so many seconds, ``differing`` rows are written meanwhile."""
    tables = _tables(size, rows, seed, profile, 0.0)
    world = tables.world
    world.run(2.0)
    world.network.cut("halves", between([range(size // 2), range(size // 2, size)]))
    written: dict[tuple[int, int], None] = {}
    while len(written) < differing:
        written[world.random.randrange(size), world.random.randrange(rows)] = None
    for step, (number, row) in enumerate(written):
        world.run(lasted / differing)
        node = tables.nodes[number]
        node.replica.put("endpoints", f"{node.name} {row}", {"version": step + 1})
    before = sum(node.repair_octets for node in tables.nodes)
    world.network.heal("halves")
    healed = world.now
    whole = _until(world, tables.whole)
    _until(world, lambda: tables.equal() and tables.whole())
    return Healing(
        members=size,
        rows=size * rows,
        lasted=lasted,
        differing=differing,
        whole_after=whole,
        equal_after=world.now - healed,
        repair_octets=sum(node.repair_octets for node in tables.nodes) - before,
    )


def _load(tables: Tables) -> tuple[int, int]:
    members = tables.world.members
    return sum(member.packets for member in members), sum(member.octets for member in members)


def _until(world: World, done: Callable[[], bool]) -> float:
    """Seconds until something is so, at most ``LIMIT``."""
    began = world.now
    while not done() and world.now - began < LIMIT:
        world.run(0.1)
    return world.now - began
