"""In a cluster of many, rows of a scope go at once to those who are attached to it, and by repair to the others."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip import anti_entropy
from gossip.node import GossipNode
from gossip.tables.outbox import Outbox
from gossip.tables.record import OWNED, OwnedBody, Record, RecordId
from gossip.tables.replica import Replica
from scenarios.exhaustive.disk import Disk
from tests.gossip_tables.lan import Swarm, run


def test_who_is_not_attached_passes_nothing_on() -> None:
    reader = Replica("reader", 1, Disk())
    reader.narrow = True
    bodies = [OwnedBody(1, 1, 1, b"\x80", scope) for scope in ("net", "other", "")]
    rows = [Record(RecordId(OWNED, "t", f"k{number}", "writer"), body) for number, body in enumerate(bodies)]
    reader.put("attachments", "other", {})
    reader.outbox = Outbox()
    reader.merge(rows)
    packets, streams = reader.outbox.next(("192.0.2.9", 7946), 9), reader.outbox.take_stream()
    assert rows[2].id in packets and rows[0].id not in packets + streams and streams == [rows[1].id]
    reader.put("t", "own", {}, scope="net")
    assert reader.outbox.take_stream() == [RecordId(OWNED, "t", "own", "reader")]


@given(st.sets(st.sampled_from("abcdefgh"), min_size=2), st.integers(0, 99))
def test_streams_reach_all_whatever_chance_says(nodes: set[str], seed: int) -> None:
    names, random = sorted(nodes), Random(seed)
    reached, new = {names[0]: None}, [names[0]]
    while new:
        me = new.pop()
        chosen = anti_entropy.stream_peers(me, [name for name in names if name != me], random)
        assert len(set(chosen)) == len(chosen) <= anti_entropy.FANOUT and me not in chosen
        assert names[(names.index(me) + 1) % len(names)] in chosen
        new += [name for name in chosen if name not in reached]
        reached.update(dict.fromkeys(chosen))
    assert sorted(reached) == names


SOME = [2, 3, 5, 7, 8]


def test_only_the_attached_receive_a_networks_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anti_entropy, "REPAIR_INTERVAL", 20.0)

    async def main() -> None:
        swarm = Swarm(everybody=8)
        nodes = await swarm.up(8)
        nodes[0].put("endpoints", "early", {"v": 0}, scope="net")
        await swarm.until(lambda: all(len(node.rows("endpoints")) == 1 for node in nodes), 1)  # few: all have all
        nodes += [await swarm.add(n) for n in (9, 10)]
        await swarm.until(lambda: all(len(node.live_peers()) == 9 for node in nodes), 5)
        attached = [swarm.nodes[n] for n in SOME]
        for node in attached:
            await node.attach("net", 1)
        await swarm.until(lambda: all(len(node.rows("attachments")) == len(SOME) for node in nodes), 2)
        await asyncio.sleep(0.5)
        writer = swarm.nodes[3]

        def have(key: str, value: int) -> list[int]:
            def has(node: GossipNode) -> bool:
                row = node.row("endpoints", key, writer.node_id)
                return row is not None and row.value == {"v": value}

            return [n for n in sorted(swarm.nodes) if has(swarm.nodes[n])]

        writer.put("endpoints", "all", {"v": 1})
        writer.put("endpoints", "e", {"v": 1}, scope="net")
        await swarm.until(lambda: have("e", 1) == SOME and len(have("all", 1)) == 10, 0.1)
        writer.put("endpoints", "e", {"v": 2}, scope="net")
        for index in range(300):  # a backlog goes the same ways
            writer.put("endpoints", f"e{index}", {"v": 1}, scope="net")
        await swarm.until(lambda: have("e", 2) == SOME == have("e299", 1), 1)
        await asyncio.sleep(0.5)
        assert have("e", 2) == SOME == have("e", 2) and have("e299", 1) == SOME
        # Who attaches has the rows when it is told so, and hears what comes.
        await swarm.nodes[9].attach("net", 2)
        assert len(swarm.nodes[9].rows("endpoints")) == 303
        await swarm.until(lambda: all(len(node.rows("attachments")) == len(SOME) + 1 for node in nodes), 1)
        writer.delete("endpoints", "e299")
        writer.put("endpoints", "e", {"v": 3}, scope="net")
        await swarm.until(lambda: have("e", 3) == [*SOME, 9], 0.1)
        await swarm.until(lambda: have("e299", 1) == [], 0.1)
        # Who detaches hears no more at once; repair brings everybody all in the end.
        swarm.nodes[2].delete("attachments", "net")
        await swarm.until(lambda: all(len(node.rows("attachments")) == len(SOME) for node in nodes), 1)
        writer.put("endpoints", "e", {"v": 4}, scope="net")
        await swarm.until(lambda: have("e", 4) == [3, 5, 7, 8, 9], 0.1)
        await swarm.until(lambda: len(have("e", 4)) == 10, 120)
        assert all(len(node.rows("endpoints")) == 302 for node in nodes)
        await swarm.down()

    run(main())


def test_where_rows_are_held_by_interest_repair_brings_no_others() -> None:
    """The setting `interest_only`: at any size, and for good."""

    async def main() -> None:
        swarm = Swarm(interest_only=True)
        nodes = await swarm.up(6)
        one, two, three, four, five, six = nodes

        def holders(key: str) -> list[int]:
            held = {n: [row.key for row in node.all_rows("endpoints")] for n, node in swarm.nodes.items()}
            return [n for n in sorted(held) if key in held[n]]

        for node in (two, three, four):
            await node.attach("net", 1)
        await five.attach("other", 1)
        await swarm.until(lambda: all(len(node.rows("attachments")) == 4 for node in nodes), 2)
        two.put("endpoints", "pushed", {"v": 1}, scope="net")
        one.put("endpoints", "from outside", {"v": 1}, scope="net")
        one.put("endpoints", "of all", {"v": 1})
        await swarm.until(lambda: holders("pushed") == [2, 3, 4] and len(holders("of all")) == 6, 1)
        swarm.lan.partition(["192.0.2.4"], [f"192.0.2.{n}" for n in (1, 2, 3, 5, 6)])
        three.put("endpoints", "missed", {"v": 1}, scope="net")
        await asyncio.sleep(1)
        assert holders("missed") == [2, 3]
        swarm.lan.heal()
        await swarm.until(lambda: holders("missed") == [2, 3, 4], 60)
        await asyncio.sleep(120)  # a dozen repairs of each with anybody
        assert holders("pushed") == holders("missed") == [2, 3, 4]
        assert holders("from outside") == [1, 2, 3, 4], "its writer, and who takes it"
        assert not any(node.counters["bad_repairs"] for node in nodes)
        # Who attaches has all when it is told so; who detaches keeps nothing that it would hear no more of.
        await six.attach("net", 2)
        assert holders("pushed") == [2, 3, 4, 6] and holders("from outside") == [1, 2, 3, 4, 6]
        two.delete("attachments", "net")
        assert holders("pushed") == [2, 3, 4, 6] and holders("missed") == [3, 4, 6], "its own it goes on holding"
        three.delete("endpoints", "missed")
        await swarm.until(lambda: not any(node.rows("endpoints") and node.row("endpoints", "missed", three.node_id)
                                          for node in nodes), 1)  # fmt: skip
        await asyncio.sleep(60)
        assert holders("missed") == []
        await swarm.down()

    run(main())
