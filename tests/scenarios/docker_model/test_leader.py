"""The leader's allocator: what a restart gives twice, and what it does not."""

from __future__ import annotations

import asyncio

import pytest

from daemon.engine.network import Network
from overlay.spec import Pool
from scenarios.docker_model.leader import Leader
from scenarios.exhaustive.disk import Disk

NETWORK = Network("net", "ov1", 0.0, "overlay", pools=(Pool("10.0.1.0/29", "10.0.1.1"),))


def leader(store: Disk, ids: str) -> Leader:
    left = iter(ids)
    found = Leader(store, lambda: next(left), lambda id: NETWORK if id == "net" else None)
    found.restore()
    return found


async def fill(allocator: Leader, count: int) -> list[str]:
    return [await allocator.attach("net", "n", f"h{n}", 4, "", 1.0) for n in range(count)]


async def _waits(allocator: Leader) -> None:
    with pytest.raises(TimeoutError):
        await allocator.attach("net", "n", "late", 4, "", 0.01)


def test_addresses_are_given_once_and_again_when_they_are_free() -> None:
    async def story() -> None:
        allocator = leader(Disk(), "abcdefgh")
        given = await fill(allocator, 5)
        assert given == [f"10.0.1.{n}/29" for n in range(2, 7)]
        await _waits(allocator)
        allocator.release("n", "h1", given[1])
        assert await allocator.attach("net", "n", "late", 4, "", 1.0) == given[1]
        assert allocator.in_use("net")

    asyncio.run(story())


@pytest.mark.parametrize(("late", "twice"), [("A", True), ("z", False)])
def test_a_task_that_waits_gets_at_a_restart_what_another_has(late: str, twice: bool) -> None:
    """swarmkit 2237: it depends on whose id comes first."""

    async def story() -> None:
        store = Disk()
        allocator = leader(store, "abcde" + late)
        given = await fill(allocator, 5)
        await _waits(allocator)
        again = leader(store, "")
        if not twice:
            await _waits(again)
            return
        address = await again.attach("net", "n", "late", 4, "", 0.5)
        assert address in given

    asyncio.run(story())


def test_a_restart_without_anybody_waiting_keeps_what_there_is() -> None:
    async def story() -> None:
        store = Disk()
        given = await fill(leader(store, "abc"), 3)
        again = leader(store, "de")
        assert await again.attach("net", "m", "other", 4, "", 0.5) not in given
        again.keep_only("n", ["h0"])
        assert await again.attach("net", "m", "third", 4, given[1].partition("/")[0], 0.5) == given[1]

    asyncio.run(story())
