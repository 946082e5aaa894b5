"""Whole nodes through random cuts, kills, restarts and loss, by seed: no number twice, all equal in the end."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from gossip.numbers.errors import NumbersError
from tests.gossip_tables.lan import Swarm, run

HOSTS = [1, 2, 3, 4]
IDS = [f"n{number}" for number in range(8)]


async def storm(seed: int) -> None:
    chance = Random(seed)
    swarm = Swarm()
    await swarm.up(4)
    swarm.nodes[1].numbers.define("net", 0, 128)
    held: dict[int, int] = {}
    removed: list[str] = []
    losing = Random(seed + 1)

    async def take(n: int, wanted: int | None) -> None:
        node = swarm.nodes[n]
        try:
            number = await node.numbers.allocate("net", wanted=wanted, holder=f"{n}", deadline=3)
        except NumbersError:
            return
        if held.get(number) == n and wanted is not None:
            return  # the same holder got its own number again
        assert number not in held, f"{number}: host {held[number]} has it, host {n} got it"
        held[number] = n

    for step in range(40):
        up = [n for n in HOSTS if n in swarm.nodes]
        n = chance.choice(up)
        node = swarm.nodes[n]
        what = chance.choices(
            ["take", "want", "release", "put", "write", "remove", "cut", "heal", "kill", "boot", "wait", "loss"],
            [8, 4, 4, 4, 4, 2, 2, 2, 2, 4, 4, 1],
        )[0]
        if what == "take":
            await asyncio.gather(*(take(chance.choice(up), None) for _ in range(5)))
        elif what == "want":
            await asyncio.gather(*(take(chance.choice(up), chance.randrange(128)) for _ in range(3)))
        elif what == "release":
            for number in [number for number, host in held.items() if host == n][:3]:
                node.numbers.release("net", number)
                del held[number]
        elif what == "put":
            node.put("endpoints", f"e{chance.randrange(5)}", {"step": step})
        elif what == "write":
            id = chance.choice([id for id in IDS if id not in removed] or ["other"])  # ids are never used again
            node.write("networks", id, {"step": step})
        elif what == "remove":
            removed.append(chance.choice(IDS))
            node.remove("networks", removed[-1])
        elif what == "cut":
            side = [f"192.0.2.{host}" for host in HOSTS if chance.random() < 0.5]
            swarm.lan.partition(side, [f"192.0.2.{host}" for host in HOSTS if f"192.0.2.{host}" not in side])
        elif what == "heal":
            swarm.lan.heal()
        elif what == "kill" and len(up) > 2:
            await swarm.kill(n)
        elif what == "boot":
            for down in [host for host in HOSTS if host not in swarm.nodes][:1]:
                await swarm.boot(down)
                await swarm.nodes[down].join([(f"192.0.2.{host}", 7946) for host in HOSTS if host != down])
        elif what == "loss":
            swarm.lan.lose = (lambda data: losing.random() < 0.2) if chance.random() < 0.5 else (lambda data: False)
        await asyncio.sleep(chance.choice([0, 0.01, 0.3, 2, 8]))
    swarm.lan.heal()
    swarm.lan.lose = lambda data: False
    for host in HOSTS:
        if host not in swarm.nodes:
            node = await swarm.boot(host)
            await node.join([(f"192.0.2.{other}", 7946) for other in HOSTS if other != host])
    nodes = [swarm.nodes[host] for host in HOSTS]
    await swarm.until(lambda: all(len(node.live_peers()) == 3 for node in nodes), 30)

    def alike() -> bool:
        seen = [[node.rows(table) for table in ("networks", "endpoints", "roster", "spaces")] for node in nodes]
        rings = [node.numbers.ranges("net") for node in nodes]
        return all(view == seen[0] for view in seen) and all(ring == rings[0] for ring in rings)

    await swarm.until(alike, 30)
    assert not [row for row in nodes[0].rows("networks") if row.key in removed]
    assert not any(node.numbers.disputed() for node in nodes)
    assert {n: int(holder) for node in nodes for n, holder in node.numbers.holders("net").items()} == held
    left = 128 - len(held)
    for _ in range(left):  # whatever is free can be had by anybody, and nothing more
        await take(chance.choice(HOSTS), None)
    assert len(held) == 128
    with pytest.raises(NumbersError):
        await nodes[0].numbers.allocate("net", holder="x")
    await swarm.down()


@pytest.mark.parametrize("seed", range(6))
def test_a_storm_leaves_one_truth(seed: int) -> None:
    run(storm(seed))
