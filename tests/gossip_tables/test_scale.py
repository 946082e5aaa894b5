"""Much to tell, many to tell it to, and long absences, on the clock that jumps."""

from __future__ import annotations

import asyncio

from gossip.tables.row import Change
from tests.gossip_tables.lan import Swarm, VirtualLoop, run
from tests.gossip_tables.test_repair import converse

MONTH = 30 * 86400.0


def test_a_thousand_changed_rows_reach_ten_nodes_within_three_seconds() -> None:
    async def main() -> None:
        swarm = Swarm()
        nodes = await swarm.up(10)
        heard = dict.fromkeys(range(10), 0)
        for number, node in enumerate(nodes):

            def count(change: Change, number: int = number) -> None:
                heard[number] += change.table == "endpoints"

            node.watch(count)
        for version in (1, 2):
            for index in range(1000):
                nodes[0].put("endpoints", f"e{index:03}", {"version": version})
            assert await swarm.until(lambda: min(heard.values()) == 1000 * version, 10) < 3  # noqa: B023
        assert all({row.value["version"] for row in node.rows("endpoints")} == {2} for node in nodes)
        await asyncio.sleep(15)  # a repair by everybody finds nothing to tell again
        assert set(heard.values()) == {2000}
        await swarm.down()

    run(main())


def test_ten_thousand_equal_rows_are_repaired_with_less_than_4_kb() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2 = await swarm.up(2)
        for index in range(10_000):
            h1.put("endpoints", f"e{index:05}", {"name": f"c{index}", "address": f"10.0.{index >> 8}.{index & 255}"})
        await swarm.until(lambda: len(h2.rows("endpoints")) == 10_000, 10)
        await h2.pull(5)
        size, questions = converse(h2._replica, h1._replica)
        assert size < 4096 and questions == 1
        await swarm.down()

    run(main())


def test_a_flood_neither_delays_the_others_nor_stays() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3, h4 = await swarm.up(4)
        for index in range(5000):
            h1.put("endpoints", f"e{index % 2500}", {"version": index, "filling": "x" * 100})
            if index == 2500:
                h2.put("endpoints", "quiet", {"version": 0})
        seen = lambda: all(n.row("endpoints", "quiet", h2.node_id) is not None for n in (h1, h3, h4))  # noqa: E731
        assert await swarm.until(seen, 3) < 0.010
        await swarm.until(lambda: all(len(node.rows("endpoints")) == 2501 for node in swarm.nodes.values()), 3)
        await asyncio.sleep(30)
        assert not any(len(node._replica.outbox) or node._replica.outbox.streaming for node in swarm.nodes.values())
        await swarm.down()

    run(main())


def test_a_node_that_was_away_for_a_month_resurrects_nothing() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        for id in ("kept", "gone"):
            h1.write("networks", id, {"v": 1})
            h1.put("endpoints", id, {"v": 1})
            h3.put("endpoints", f"{id} of h3", {"v": 1})
        h3.write("networks", "gone, h3's", {"v": 1})
        nodes = [h1, h2, h3]
        await swarm.until(lambda: all(len(n.rows("networks")) == 3 and len(n.rows("endpoints")) == 4 for n in nodes), 2)
        h3._replica.flush()
        await swarm.kill(3)
        await swarm.until(lambda: not h1.live_peers()[1:] and not h2.live_peers()[1:], 7)
        for id in ("gone", "gone, h3's"):
            h1.remove("networks", id)
        h1.write("networks", "kept", {"v": 2})
        h1.delete("endpoints", "gone")
        for index in range(300):  # so many that the deleted are forgotten
            h1.put("endpoints", f"e{index}", {})
            h1.delete("endpoints", f"e{index}")
        await asyncio.sleep(60)
        assert len(h2._replica.records()) < 20, "what was deleted is not even known any more"
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.now += MONTH
        await swarm.until(lambda: h1.live_peers() == [h2.node_id], 10)
        await swarm.kill(2)
        h2 = await swarm.boot(2)  # and a reboot in between, from the disk
        await h2.join([("192.0.2.1", 7946)])
        assert await h2.synced(5)
        changes: list[Change] = []
        for node in (h1, h2):
            node.watch(changes.append)
        h3 = await swarm.boot(3)
        assert len(h3.rows("networks")) == 3, "it starts with what it knew a month ago"
        h3.put("endpoints", "kept of h3", {"v": 1})
        await h3.join([("192.0.2.2", 7946)])
        assert await h3.synced(5)
        h3.snapshot_complete()
        nodes = [h1, h2, h3]

        def whole() -> bool:
            networks = [[(row.key, row.value) for row in node.rows("networks")] for node in nodes]
            endpoints = [sorted(row.key for row in node.all_rows("endpoints")) for node in nodes]
            return networks == [[("kept", {"v": 2})]] * 3 and endpoints == [["kept", "kept of h3"]] * 3

        await swarm.until(whole, 10)
        await asyncio.sleep(60)
        assert whole()
        assert {change.key for change in changes if change.table in ("networks", "endpoints")} == {"kept of h3"}
        await swarm.until(lambda: not any(node._replica._tombstones.held for node in nodes), 5)
        await swarm.down()

    run(main())


def test_rows_behind_a_cut_are_hidden_and_come_back_as_they_were() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        for key in ("a", "b"):
            h3.put("endpoints", key, {"v": 1})
        await swarm.until(lambda: len(h1.rows("endpoints")) == len(h2.rows("endpoints")) == 2, 1)
        shown = h1.rows("endpoints")
        changes: list[Change] = []
        h1.watch(changes.append)
        swarm.lan.partition(["192.0.2.1", "192.0.2.2"], ["192.0.2.3"])
        await swarm.until(lambda: h3.node_id not in h1.live_peers(), 7)
        assert not h1.rows("endpoints") and h1.all_rows("endpoints") == shown, "hidden at the very moment"
        swarm.lan.heal()
        await swarm.until(lambda: h3.node_id in h1.live_peers(), 3)
        assert h1.rows("endpoints") == shown, "and back at the very moment"
        told = [(c.key, c.before is None, c.after is None) for c in changes if c.table == "endpoints"]
        assert sorted(told[:2]) == [("a", False, True), ("b", False, True)]
        assert sorted(told[2:]) == [("a", True, False), ("b", True, False)]
        await swarm.down()

    run(main())
