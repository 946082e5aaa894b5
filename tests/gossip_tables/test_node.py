"""Nodes on a LAN in memory: rows spread, hide and return; numbers are given once, whatever is cut or killed."""

from __future__ import annotations

import asyncio

import msgpack
import pytest

from gossip.node import GossipNode
from gossip.numbers.errors import NumberTaken, OwnerUnreachable, SpaceExhausted
from gossip.tables.bounds import OWNER_BYTES
from gossip.tables.delta import encode_delta
from gossip.tables.record import RING, RecordId, decode_record
from gossip.tables.row import Change, RowRemoved
from tests.gossip_tables.lan import Swarm, run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_nodes_at_rest_open_no_streams_and_still_find_what_was_lost() -> None:
    """A digest in a packet now and then is enough. Before, each node opened one every ten seconds to compare."""

    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        await asyncio.sleep(60)
        before = len(swarm.lan.wires)
        await asyncio.sleep(60)
        assert len(swarm.lan.wires) - before <= 2 * 6, "two ends each: push/pulls and repairs every two minutes"
        swarm.lan.lose = lambda packet: True
        h1.put("endpoints", "e1", {"name": "web"})
        await asyncio.sleep(0.5)
        swarm.lan.lose = lambda packet: False
        assert await swarm.until(lambda: bool(h2.rows("endpoints") and h3.rows("endpoints")), 120) < 30
        await swarm.down()

    run(main())


def test_what_only_a_newer_version_knows_is_kept_and_passed_on() -> None:
    """A kind of record, and fields of kinds that there are: through this version they reach who knows them."""

    async def main() -> None:
        swarm = Swarm()
        nodes = await swarm.up(3)
        owner = nodes[0].node_id
        newer = [
            msgpack.packb(["future", "t", "k", owner, 7, {"a": [1, b"x"]}, 2.5]),
            msgpack.packb(["s", "networks", "n1", "", 5, owner, b"\x80", [], {"new": True}]),
        ]
        nodes[0]._spreading.receive(encode_delta(newer))
        ids = [decode_record(data).id for data in newer]

        def have(node: GossipNode) -> bool:
            return [node._replica.packed(id) for id in ids] == newer

        await swarm.until(lambda: all(map(have, nodes)), 1)
        assert nodes[2].row("networks", "n1") is not None
        late = await swarm.add(4)
        assert have(late), "by repair"
        await asyncio.sleep(1)
        await swarm.kill(2)
        again = await swarm.boot(2)
        assert have(again), "from its disk"
        replica = nodes[0]._replica
        room = 2 * OWNER_BYTES // 60_000
        replica.merge_packed(msgpack.packb(["future", "t", str(n), owner, 1, bytes(60_000)]) for n in range(room + 50))
        assert replica.counters["refused_too_much"] >= 40, "and bounded"
        await swarm.down()

    run(main())


def test_a_row_is_seen_by_all_within_milliseconds() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        heard: list[tuple[str, Change]] = []
        for name, node in (("h2", h2), ("h3", h3)):
            node.watch(lambda change, name=name: heard.append((name, change)))  # type: ignore[misc]
        h1.put("endpoints", "e1", {"name": "web", "addresses": ["10.0.1.2/24"], "unknown": {"x": b"\x00"}})
        took = await swarm.until(lambda: len(heard) == 2, 1)
        assert took < 0.010
        assert [row.value["name"] for row in h3.rows("endpoints")] == ["web"]
        row = h1.write("networks", "n1", {"name": "net"})
        assert await swarm.until(lambda: h3.row("networks", "n1") == row == h2.row("networks", "n1"), 1) < 0.010
        h1.delete("endpoints", "e1")
        await swarm.until(lambda: not h2.rows("endpoints") and not h3.rows("endpoints"), 1)
        h3.remove("networks", "n1")
        await swarm.until(lambda: all(node.row("networks", "n1") is None for node in (h1, h2)), 1)
        with pytest.raises(RowRemoved):
            h1.write("networks", "n1", {})
        # Each visible change once, no other.
        assert [(c.table, c.before is None, c.after is None) for who, c in heard if who == "h2"] == [
            ("endpoints", True, False),
            ("networks", True, False),
            ("endpoints", False, True),
            ("networks", False, True),
        ]
        await swarm.down()

    run(main())


def test_chance_leaves_nobody_out() -> None:
    async def main() -> None:
        swarm = Swarm()
        nodes = await swarm.up(9)
        await asyncio.sleep(1)
        for number in range(120):
            nodes[number % 9].put("endpoints", f"e{number}", {"name": "web"})
            await asyncio.sleep(0.6)
            assert [len(node.rows("endpoints")) for node in nodes] == [number + 1] * 9
        await swarm.down()

    run(main())


def test_a_thousand_rows_go_by_stream_and_a_late_joiner_has_all() -> None:
    async def main() -> None:
        swarm = Swarm()
        nodes = await swarm.up(5)
        for index in range(1000):
            nodes[0].put("endpoints", f"e{index}", {"name": f"c{index}", "address": f"10.0.{index >> 8}.{index & 255}"})
        nodes[1].put("endpoints", "large", {"data": b"x" * 50_000})
        assert await swarm.until(lambda: all(len(node.rows("endpoints")) == 1001 for node in nodes), 5) < 3
        late = await swarm.add(6, via=3)
        assert len(late.rows("endpoints")) == 1001
        await swarm.down()

    run(main())


def test_a_dead_owner_hides_its_rows_and_brings_them_back() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        h3.put("endpoints", "kept", {"v": 1})
        h3.put("endpoints", "gone", {"v": 1})
        await swarm.until(lambda: len(h1.rows("endpoints")) == 2, 1)
        changes: list[Change] = []
        h1.watch(changes.append)
        await swarm.kill(3)
        await swarm.until(lambda: not h1.rows("endpoints") and not h2.rows("endpoints"), 7)
        assert [row.key for row in h1.all_rows("endpoints")] == ["gone", "kept"]
        h3 = await swarm.boot(3)
        await h3.join([("192.0.2.1", 7946)])
        h3.put("endpoints", "kept", {"v": 2})
        h3.snapshot_complete()
        await swarm.until(lambda: [row.key for row in h1.all_rows("endpoints")] == ["kept"], 3)
        await swarm.until(lambda: [row.value for row in h2.rows("endpoints")] == [{"v": 2}], 3)
        assert [(c.key, c.after and c.after.value) for c in changes if c.table == "endpoints"] == [
            ("gone", None),
            ("kept", None),
            ("kept", {"v": 2}),
        ]
        await swarm.down()

    run(main())


def test_deleted_rows_are_forgotten_unseen() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, _h3 = await swarm.up(3)
        h1.put("endpoints", "lives", {"v": 1})
        for index in range(300):
            h1.put("endpoints", f"e{index}", {"v": index})
            h1.delete("endpoints", f"e{index}")
        h1.put("endpoints", "last", {"v": 2})
        await swarm.until(lambda: len(h2.rows("endpoints")) == 2, 3)
        changes: list[Change] = []
        h2.watch(changes.append)
        held = [node._replica.records() for node in swarm.nodes.values()]
        assert len(held[1]) > 300
        await swarm.until(lambda: all(len(node._replica.records()) < 20 for node in swarm.nodes.values()), 60)
        assert not changes and [row.key for row in h2.rows("endpoints")] == ["last", "lives"]
        h1.put("endpoints", "e1", {"v": 3})
        await swarm.until(lambda: len(h2.rows("endpoints")) == 3, 1)
        await swarm.down()

    run(main())


def test_both_sides_of_a_cut_give_numbers_and_none_is_given_twice() -> None:
    async def main() -> None:
        swarm = Swarm()
        nodes = await swarm.up(3)
        h1, _h2, h3 = nodes
        h1.numbers.define("net", 2, 253)
        await swarm.until(lambda: h3.numbers.spaces() == ["net"], 1)
        assert [await h1.numbers.allocate("net", holder="a") for _ in range(2)] == [2, 3]
        given = [2, 3]
        swarm.lan.partition(["192.0.2.1", "192.0.2.2"], ["192.0.2.3"])
        for node in nodes:
            given += [await node.numbers.allocate("net", holder="b") for _ in range(5)]
        await swarm.until(lambda: not h3.live_peers() and len(h1.live_peers()) == 1, 10)
        for node in nodes:
            given += [await node.numbers.allocate("net", holder="c") for _ in range(5)]
            node.put("endpoints", node.node_id, {"v": 1})
        h1.write("networks", "from h1", {})
        h3.write("networks", "from h3", {})
        with pytest.raises(OwnerUnreachable) as unreachable:
            await h3.numbers.allocate("net", wanted=4, holder="d")
        assert unreachable.value.hostname == "h1"
        with pytest.raises(OwnerUnreachable):
            for _ in range(100):
                given.append(await h3.numbers.allocate("net", holder="d"))
        swarm.lan.heal()
        tables = ("networks", "endpoints", "roster", "spaces")
        assert await swarm.until(lambda: len(h1.rows("endpoints")) == 3, 10) < 3
        await swarm.until(lambda: swarm.tables(*tables)[0] == swarm.tables(*tables)[1] == swarm.tables(*tables)[2], 3)
        for node in nodes:
            with pytest.raises(SpaceExhausted):
                for _ in range(300):
                    given.append(await node.numbers.allocate("net", holder="e"))
        assert sorted(given) == list(range(2, 255))
        await swarm.down()

    run(main())


def test_numbers_survive_kill_9() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        h1.numbers.define("net", 2, 90)
        mine = [await h1.numbers.allocate("net", holder="c1") for _ in range(3)]
        theirs = await h1.numbers.allocate("net", wanted=80, holder="c2")  # h3's, given by h3's leave
        await swarm.kill(1)
        h1 = await swarm.boot(1)
        assert h1.numbers.allocate_now("net", holder="early") is None, "before a sync nothing is given"
        await h1.join([("192.0.2.2", 7946)])
        assert await h1.synced(5)
        assert h1.numbers.holders("net") == {2: "c1", 3: "c1", 4: "c1", 80: "c2"}
        assert await h1.numbers.allocate("net", holder="c3") == 5
        assert await h1.numbers.allocate("net", wanted=mine[0], holder="c1") == mine[0]
        for node, number in ((h1, theirs), (h2, theirs), (h3, 3), (h2, 5)):
            with pytest.raises(NumberTaken):
                await node.numbers.allocate("net", wanted=number, holder="x")
        h1.numbers.release("net", 80)
        assert await h3.numbers.allocate("net", wanted=80, holder="x") == 80
        await swarm.down()

    run(main())


def test_what_a_row_names_is_taken_also_if_its_owner_is_dead() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, _h3 = await swarm.up(3)
        for node in swarm.nodes.values():

            def named(space: str, node: GossipNode = node) -> list[int]:
                return [n for row in node.all_rows("endpoints") if isinstance(n := row.value["n"], int)]

            node.numbers.taken_by_rows(named)
        h1.numbers.define("net", 0, 64)
        h2.put("endpoints", "e", {"n": 0})
        await swarm.until(lambda: len(h1.rows("endpoints")) == 1, 1)
        await swarm.kill(2)
        await swarm.until(lambda: not h1.rows("endpoints"), 7)
        assert await h1.numbers.allocate("net", holder="x") == 1
        assert h1.numbers.in_use("net") == [0, 1]
        with pytest.raises(NumberTaken):
            await h1.numbers.allocate("net", wanted=0, holder="x")
        await swarm.down()

    run(main())


def test_late_hosts_get_a_share_and_a_dropped_space_ends() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1 = await swarm.add(1)
        h1.numbers.define("net", 0, 64)
        h1.numbers.define("other", 0, 64)
        for n in (2, 3):
            node = await swarm.add(n)
            await swarm.until(lambda node=node: len(node.numbers.ranges("net").get(node.node_id, [])) == 1, 2)  # type: ignore[misc]
            assert node.numbers.allocate_now("other", holder="x") is not None
        h1.numbers.drop("net")
        await swarm.until(lambda: all(node.numbers.spaces() == ["other"] for node in swarm.nodes.values()), 1)
        with pytest.raises(RowRemoved):
            h1.numbers.define("net", 0, 64)
        await swarm.down()

    run(main())


def test_the_removed_are_inherited_once_all_agree_and_their_rows_go() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        h1.numbers.define("net", 0, 60)
        h3.put("endpoints", "e", {"v": 1})
        await swarm.until(lambda: len(h2.rows("endpoints")) == 1, 1)
        await swarm.kill(3)
        await swarm.until(lambda: not h1.rows("endpoints"), 7)
        h1.remove("networks", "x")  # a tombstone that the dead h3 holds up
        assert h1.rows("roster")[2].value["hostname"] == "h3"
        h1.roster.remove(h3.node_id)
        await swarm.until(lambda: h3.node_id not in h2.numbers.ranges("net"), 8)
        assert not h1.all_rows("endpoints") and not h2.all_rows("endpoints")
        assert await h2.numbers.allocate("net", wanted=59, holder="x") == 59
        # The removed one comes back: nobody listens.
        h3 = await swarm.boot(3)
        await h3.join([("192.0.2.1", 7946)])
        h3.put("endpoints", "e", {"v": 2})
        await asyncio.sleep(5)
        assert h1.live_peers() == [h2.node_id] and not h1.all_rows("endpoints") and not h2.all_rows("endpoints")
        await swarm.down()

    run(main())


def test_a_name_claimed_on_both_sides_of_a_cut_has_one_holder() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        swarm.lan.partition(["192.0.2.1"], ["192.0.2.2", "192.0.2.3"])
        assert h1.claim("network", "net", "id-b")
        assert h2.claim("network", "net", "id-a")
        assert not h2.claim("network", "net", "id-c")
        await swarm.until(lambda: len(h1.live_peers()) == 0, 10)
        swarm.lan.heal()
        await swarm.until(lambda: len({n.holder("network", "net") for n in (h1, h2, h3)}) == 1, 10)
        loser = ({"id-a", "id-b"} - {h1.holder("network", "net")}).pop()
        h1.give_up("network", "net", str(h1.holder("network", "net")))
        await swarm.until(lambda: all(n.holder("network", "net") == loser for n in (h1, h2, h3)), 2)
        await swarm.down()

    run(main())


def test_repair_finds_what_gossip_lost() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        await asyncio.sleep(1)  # in which the repairs that a join brings with it come to their end
        swarm.lan.lose = lambda packet: len(packet) > 200  # deltas ride on larger packets
        h1.put("endpoints", "e", {"data": b"x" * 200})
        await asyncio.sleep(2)
        assert not h2.rows("endpoints")
        await h2.pull(2)
        await h3.pull(2)
        await swarm.until(lambda: len(h2.rows("endpoints")) == len(h3.rows("endpoints")) == 1, 15)
        await swarm.down()

    run(main())


def test_a_ring_that_is_on_its_way_is_waited_for() -> None:
    """In a large cluster it is too large for packets: the row of a space may be here before its ring is anywhere
    near."""

    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        h1.numbers.define("net", 2, 90)
        await swarm.until(lambda: all("net" in node.numbers.spaces() for node in (h1, h2, h3)), 5)
        h3._replica._drop(RecordId(RING, "", "net", ""))
        asked: list[float] = []
        pull = h3.pull

        async def pull_from_who_has_it_later(deadline: float, peer: str | None = None) -> None:
            asked.append(h3.now())
            if len(asked) > 2:
                await pull(deadline, peer)

        h3.pull = pull_from_who_has_it_later  # type: ignore[method-assign]
        assert await h3.numbers.allocate("net", holder="a") in range(2, 92)
        assert len(asked) == 3
        await swarm.down()

    run(main())
