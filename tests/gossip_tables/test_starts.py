"""How a node begins and ends: what it may give before it knows the present, old disks, and leaving."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from gossip.node import NotManager
from gossip.numbers.errors import InDoubt, OwnerUnreachable
from scenarios.exhaustive.disk import Disk
from tests.gossip_tables.lan import Swarm, run


def test_a_restart_inside_a_cut_gives_only_after_a_lonely_while() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, _h2, _h3 = await swarm.up(3)
        h1.numbers.define("net", 0, 90)
        assert await h1.numbers.allocate("net", holder="a") == 0
        swarm.lan.partition(["192.0.2.1"], ["192.0.2.2", "192.0.2.3"])
        await swarm.kill(1)
        h1 = await swarm.boot(1)
        with pytest.raises(OwnerUnreachable):
            await h1.numbers.allocate("net", holder="b", deadline=2)
        began = asyncio.get_running_loop().time()
        assert await h1.numbers.allocate("net", holder="b", deadline=10) == 1
        assert 2 < asyncio.get_running_loop().time() - began < 4
        assert not await h1.synced(1)
        swarm.lan.heal()
        await h1.join([("192.0.2.2", 7946)])
        assert await h1.synced(5)
        await swarm.down()

    run(main())


def test_a_space_defined_before_the_sync_is_not_made_twice() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2 = await swarm.up(2)
        h1.numbers.define("subnets", 0, 256)
        await swarm.until(lambda: h2.numbers.spaces() == ["subnets"], 1)
        ranges = h1.numbers.ranges("subnets")
        await swarm.kill(2)
        swarm.disks[2] = Disk()  # and forgets all: whoever defines then must not begin a second ring
        h1.roster.remove(h2.node_id)
        h3 = await swarm.boot(3)
        h1.roster.admit(h3.node_id, "h3", "manager", "192.0.2.3")
        h3.numbers.define("subnets", 0, 256)
        h3.numbers.define("vnis", 4096, 4096)
        assert h3.numbers.spaces() == []
        await h3.join([("192.0.2.1", 7946)])
        await swarm.until(lambda: h3.numbers.spaces() == ["subnets", "vnis"], 5)
        assert not h3.numbers.disputed() and h3.numbers.ranges("subnets").keys() != ranges.keys()
        await swarm.until(lambda: h1.numbers.ranges("vnis") == h3.numbers.ranges("vnis"), 2)
        await swarm.until(lambda: set(h3.numbers.ranges("subnets")) == {h1.node_id, h3.node_id}, 10)
        await swarm.down()

    run(main())


def test_a_restored_disk_gives_nothing_twice_and_its_rows_are_seen() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2 = await swarm.up(2)
        h1.numbers.define("net", 0, 32)
        old = dict(swarm.disks[1].kept)
        given = [await h1.numbers.allocate("net", holder="a") for _ in range(16)]
        given.append(await h2.numbers.allocate("net", holder="a"))
        for _ in range(2):
            h1.put("endpoints", "e", {"boot": "new"})
            await swarm.kill(1)
            h1 = await swarm.boot(1)
            await h1.join([("192.0.2.2", 7946)])
            assert await h1.synced(5)
        for node in swarm.nodes.values():
            node.numbers.taken_by_rows(lambda space: given)
        await swarm.kill(1)
        swarm.disks[1].kept = old
        h1 = await swarm.boot(1)
        h1.put("endpoints", "e", {"boot": "restored"})
        h1.numbers.taken_by_rows(lambda space: given)
        await h1.join([("192.0.2.2", 7946)])
        assert await h1.synced(5)
        await swarm.until(lambda: [row.value for row in h2.rows("endpoints")] == [{"boot": "restored"}], 2)
        assert h1.counters["restored_storage"] == 1
        assert await h1.numbers.allocate("net", holder="b") not in given
        await swarm.down()

    run(main())


def test_who_is_in_doubt_gives_nothing_before_all_have_been_heard() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, _h2, h3 = await swarm.up(3)
        h1.numbers.define("net", 0, 16)
        await swarm.until(lambda: h3.numbers.spaces() == ["net"], 1)
        old = dict(swarm.disks[1].kept)
        mine = [await h1.numbers.allocate("net", holder="a") for _ in range(2)]
        swarm.lan.partition(["192.0.2.2"], ["192.0.2.1", "192.0.2.3"])
        theirs = [await h3.numbers.allocate("net", holder="b") for _ in range(3)]  # what h2 does not hear of
        await swarm.kill(1)
        swarm.lan.partition(["192.0.2.1", "192.0.2.2"], ["192.0.2.3"])
        swarm.disks[1].kept, swarm.disks[1].doubtful = old, True
        h1 = await swarm.boot(1)
        h1.numbers.taken_by_rows(lambda space: mine)
        await h1.join([("192.0.2.2", 7946)])
        assert await h1.synced(5)
        await asyncio.sleep(20)
        assert not h1.may_give() and h1.in_doubt, "h3 may own what h1's disk calls its own"
        swarm.lan.heal()
        await swarm.until(lambda: not h1.in_doubt, 30)
        assert h1.may_give() and not swarm.disks[1].doubtful
        again = [await h1.numbers.allocate("net", holder="c") for _ in range(2)]
        assert not {*again} & {*mine, *theirs}
        await swarm.down()

    run(main())


def test_who_left_for_good_is_not_waited_for_and_what_it_gave_on_is_known() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        h1.numbers.define("net", 0, 16)
        await swarm.until(lambda: h3.numbers.spaces() == ["net"], 1)
        old = dict(swarm.disks[1].kept)
        swarm.lan.partition(["192.0.2.2"], ["192.0.2.1", "192.0.2.3"])
        theirs = [await h3.numbers.allocate("net", holder="b") for _ in range(2)]  # h1 forgets that it gave
        await swarm.kill(1)
        swarm.lan.partition(["192.0.2.1"], ["192.0.2.2", "192.0.2.3"])
        await swarm.until(lambda: h3.live_peers() == [h2.node_id], 30)
        await h3.leave()
        await h3.stop()
        del swarm.nodes[3]
        swarm.disks[1].kept, swarm.disks[1].doubtful = old, True
        h1 = await swarm.boot(1)
        with pytest.raises(InDoubt) as doubt:
            await h1.numbers.allocate("net", holder="c", deadline=6)
        assert doubt.value.hostname == "h2"
        swarm.lan.heal()
        await h1.join([("192.0.2.2", 7946)])
        await swarm.until(lambda: not h1.in_doubt, 5)
        given = [await node.numbers.allocate("net", holder="c") for node in (h1, h2) for _ in range(2)]
        assert len({*given, *theirs}) == 6
        await swarm.down()

    run(main())


def test_an_old_disk_brings_nothing_back_that_was_removed_for_good() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        h1.write("networks", "gone", {})
        h1.write("networks", "kept", {})
        await swarm.until(lambda: len(h3.rows("networks")) == 2, 1)
        await asyncio.sleep(1)
        old = dict(swarm.disks[1].kept)
        h2.remove("networks", "gone")
        await swarm.until(lambda: not any(node.unfinished_removals() for node in swarm.nodes.values()), 20)
        await swarm.kill(1)
        for n in (2, 3):  # and forget what they collected
            await swarm.kill(n)
            await swarm.boot(n)
            await swarm.nodes[n].join([(f"192.0.2.{5 - n}", 7946)])
        await swarm.until(lambda: swarm.nodes[2].is_synced and swarm.nodes[3].is_synced, 10)
        swarm.disks[1].kept, swarm.disks[1].doubtful = old, True
        h1 = await swarm.boot(1)
        await h1.join([("192.0.2.2", 7946)])
        await swarm.until(lambda: not h1.in_doubt, 20)
        await asyncio.sleep(30)
        for node in swarm.nodes.values():
            assert [row.key for row in node.rows("networks")] == ["kept"]
        assert h1.counters["disproved"] == 1
        await swarm.down()

    run(main())


def test_two_old_disks_prove_nothing_to_one_another() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, _h2, h3 = await swarm.up(3)
        for key in ("gone", "kept"):
            h1.write("networks", key, {})
        await swarm.until(lambda: len(h3.rows("networks")) == 2, 1)
        await asyncio.sleep(1)
        old = {n: dict(swarm.disks[n].kept) for n in (1, 2)}
        h3.remove("networks", "gone")
        await swarm.until(lambda: not any(node.unfinished_removals() for node in swarm.nodes.values()), 20)
        for n in (1, 2):
            await swarm.kill(n)
            swarm.disks[n].kept, swarm.disks[n].doubtful = old[n], True
        del swarm.disks[1].kept["record", "\x1f".join(("s", "networks", "gone", ""))]  # it hears of it from h2
        swarm.lan.partition(["192.0.2.1", "192.0.2.2"], ["192.0.2.3"])
        for n in (2, 1):
            await swarm.boot(n)
        await swarm.nodes[1].join([("192.0.2.2", 7946)])
        await swarm.until(lambda: len(swarm.nodes[1].rows("networks")) == 2, 10)
        await asyncio.sleep(3)
        swarm.lan.heal()
        await swarm.nodes[2].join([("192.0.2.3", 7946)])
        await swarm.until(lambda: not any(node.in_doubt for node in swarm.nodes.values()), 60)
        for node in swarm.nodes.values():
            assert [row.key for row in node.rows("networks")] == ["kept"]
        await swarm.down()

    run(main())


def test_where_all_are_in_doubt_nothing_is_lost() -> None:
    async def main() -> None:
        swarm = Swarm()
        await swarm.up(3)
        for n, node in swarm.nodes.items():
            node.write("networks", f"of h{n}", {})
        await swarm.until(lambda: all(len(node.rows("networks")) == 3 for node in swarm.nodes.values()), 1)
        await asyncio.sleep(1)
        for n in (1, 2, 3):
            await swarm.kill(n)
            disk = swarm.disks[n]
            others = [f"of h{m}" for m in (1, 2, 3) if m != n]
            # Each has lost what the others wrote last.
            disk.kept = {key: value for key, value in disk.kept.items() if not any(name in key[1] for name in others)}
            disk.doubtful = True
        for n in (1, 2, 3):
            await swarm.boot(n)
        for node in swarm.nodes.values():
            await node.join([(f"192.0.2.{n}", 7946) for n in (1, 2, 3)])
        await swarm.until(lambda: not any(node.in_doubt for node in swarm.nodes.values()), 40)
        await swarm.until(lambda: all(len(node.rows("networks")) == 3 for node in swarm.nodes.values()), 20)
        await swarm.down()

    run(main())


def test_two_boots_of_one_number_are_told_apart() -> None:
    """A disk put back that nobody noticed: the epoch it begins is one that was published already."""

    async def main() -> None:
        swarm = Swarm()
        h1, h2 = await swarm.up(2)
        await swarm.kill(1)
        old = dict(swarm.disks[1].kept)
        for _ in range(2):
            h1 = await swarm.boot(1)
            await h1.join([("192.0.2.2", 7946)])
            assert await h1.synced(5)
            for step in range(5):
                h1.put("endpoints", "e", {"step": step})
            await swarm.until(lambda: [row.value for row in h2.rows("endpoints")] == [{"step": 4}], 2)
            await swarm.kill(1)
            swarm.disks[1].kept = dict(old)
        h1 = await swarm.boot(1)
        h1.put("endpoints", "e", {"step": "after"})
        await h1.join([("192.0.2.2", 7946)])
        await swarm.until(lambda: [row.value for row in h2.rows("endpoints")] == [{"step": "after"}], 15)
        await swarm.down()

    run(main())


def test_who_leaves_hands_over_what_is_free() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2, h3 = await swarm.up(3)
        h1.numbers.define("net", 0, 90)
        await swarm.until(lambda: h3.numbers.spaces() == ["net"], 1)
        kept = await h3.numbers.allocate("net", holder="kept")
        await h3.leave()
        await h3.stop()
        del swarm.nodes[3]
        given = []
        with pytest.raises(OwnerUnreachable):  # the one number that h3 kept is all that is left
            while True:
                given.append(await h2.numbers.allocate("net", holder="x"))
        assert sorted([*given, kept]) == list(range(90))
        await swarm.down()

    run(main())


def test_a_full_disk_acknowledges_nothing_and_gives_nothing() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2 = await swarm.up(2)
        h1.numbers.define("net", 0, 32)
        h1.write("networks", "n", {})
        await swarm.until(lambda: len(h2.rows("networks")) == 1 and h2.numbers.spaces() == ["net"], 1)
        await asyncio.sleep(1)
        swarm.disks[2].full = True
        with pytest.raises(OSError, match="no space"):
            await h2.numbers.allocate("net", holder="x")
        with pytest.raises(OSError, match="no space"):
            h2.write("networks", "other", {})
        assert h2.numbers.holders("net") == {} and len(h2.rows("networks")) == 1
        h1.remove("networks", "n")
        await asyncio.sleep(3)
        assert h2.counters["storage_errors"] and not h2.rows("networks")
        held = [record for record in h1._replica.records() if record.id.key == "n"]
        assert len(held) == 1, "h1 keeps the tombstone that h2 could not write down"
        swarm.disks[2].full = False
        await swarm.until(lambda: not [r for r in h1._replica.records() if r.id.key == "n"], 30)
        assert await h2.numbers.allocate("net", holder="x") == 16
        await swarm.down()

    run(main())


def test_a_worker_changes_nothing_that_is_shared() -> None:
    async def main() -> None:
        swarm = Swarm()
        (h1,) = await swarm.up(1)
        h1.role = "worker"
        with pytest.raises(NotManager):
            h1.write("networks", "n", {})
        with pytest.raises(NotManager):
            h1.remove("networks", "n")
        with pytest.raises(NotManager):
            h1.claim("network", "n", "id")
        h1.put("endpoints", "e", {})
        assert len(h1.rows("endpoints")) == 1
        await swarm.down()

    run(main())


def test_garbage_in_every_handler_is_counted_and_changes_nothing() -> None:
    async def main() -> None:
        swarm = Swarm()
        h1, h2 = await swarm.up(2)
        h1.numbers.define("net", 0, 32)
        await swarm.until(lambda: h2.numbers.spaces() == ["net"], 1)
        before = swarm.tables("roster", "spaces")
        for kind in ("repair", "delta", "numbers", "inherit"):
            for payload in (b"", b"\xa5", b"\xa5\x91\xc4\x02zz", b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa2op\xa3foo"):
                with pytest.raises(OSError) if kind != "delta" else nullcontext():
                    await h2.ask(h1.node_id, kind, payload, deadline=1)
        assert h1.counters["bad_deltas"] + h1.counters["bad_records"] >= 5
        assert swarm.tables("roster", "spaces") == before
        await swarm.down()

    run(main())
