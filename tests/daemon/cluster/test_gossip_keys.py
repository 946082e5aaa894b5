"""A new gossip key at `node rm`: for all who stay, in steps that lose nothing, and not for the one that goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gossip.wire.errors import WireError
from scenarios.sim.swarm import SimulatedSwarm, simulate

OVERLAY = {"Driver": "overlay", "Attachable": True}


def tell(story: Callable[[SimulatedSwarm], Awaitable[None]], *, hosts: int, seed: int = 7) -> None:
    async def main() -> None:
        async with SimulatedSwarm(seed, hosts) as swarm:
            await swarm.form()
            await story(swarm)

    simulate(main())


def keys(swarm: SimulatedSwarm, host: str) -> tuple[bytes, ...]:
    membership = swarm.hosts[host].engine.cluster.membership
    return membership.gossip_keys if membership is not None else ()


def unopened(swarm: SimulatedSwarm, *hosts: str) -> int:
    return sum(swarm.hosts[host].engine.cluster.gossip_counters().get("dropped.unauthenticated", 0) for host in hosts)


def agreed(swarm: SimulatedSwarm, hosts: list[str], old: tuple[bytes, ...]) -> bool:
    rings = [keys(swarm, host) for host in hosts]
    return all(len(ring) == 1 and ring == rings[0] != old for ring in rings)


def test_all_who_stay_get_a_new_key_and_lose_no_message() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        stay = ["h1", "h2", "h3"]
        old = keys(swarm, "h1")
        gone = swarm.hosts["h4"].engine.cluster
        ring = gone.gossip.members.keyring  # type: ignore[union-attr]
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", "Options": {"encrypted": ""}, **OVERLAY})
        for host in ("h2", "h3"):
            await swarm.run(host, f"c{host}", ["sleep", "600"], network="ov")
        await asyncio.sleep(0.2)
        await swarm.api("h1", "DELETE", "/nodes/h4?force=1")
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not agreed(swarm, stay, old):
            code, output = await swarm.exec("h2", "ch2", ["ping", "-c", "1", "-W", "1", "ch3"])
            assert code == 0, output
            assert loop.time() < began + 20
            assert all(sorted(swarm.alive(host)) == stay for host in stay if loop.time() > began + 1)
        assert unopened(swarm, *stay) == 0, "each could open all that it heard"
        (new,) = keys(swarm, "h1")
        sealed = swarm.hosts["h1"].engine.cluster.gossip.members.keyring.seal(b"secret", b"")  # type: ignore[union-attr]
        try:
            ring.open(sealed, b"")
        except WireError:
            pass
        else:
            raise AssertionError("the removed node reads on")
        assert new not in ring.keys()  # noqa: SIM118 - not a dict
        await swarm.crash("h3")
        await swarm.boot("h3")
        await swarm.until(lambda: all(sorted(swarm.alive(host)) == stay for host in stay), 10)
        assert keys(swarm, "h3") == (new,), "the key is on its disk"

    tell(story, hosts=4)


def test_who_was_cut_off_meanwhile_asks_a_manager_when_it_is_back() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        old = keys(swarm, "h1")
        swarm.partition(["h1", "h2", "h4"], ["h3", "h5"])
        await swarm.until(lambda: sorted(swarm.alive("h1")) == ["h1", "h2", "h4"], 20)
        await swarm.crash("h4")
        await swarm.until(lambda: sorted(swarm.alive("h1")) == ["h1", "h2"], 20)
        await swarm.api("h1", "DELETE", "/nodes/h4")
        await swarm.until(lambda: agreed(swarm, ["h1", "h2"], old), 20)
        assert keys(swarm, "h3") == keys(swarm, "h5") == old
        swarm.heal()
        stay = ["h1", "h2", "h3", "h5"]
        took = await swarm.until(lambda: all(sorted(swarm.alive(host)) == stay for host in stay), 20)
        assert took < 8
        await swarm.until(lambda: agreed(swarm, stay, old), 20)

    tell(story, hosts=5)


def test_both_sides_of_a_cut_may_change_the_key() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        old = keys(swarm, "h1")
        version = (await swarm.api("h1", "GET", "/nodes/h3"))["Version"]["Index"]  # type: ignore[index]
        body = {"Role": "manager", "Availability": "active", "Labels": {}}
        await swarm.api("h1", "POST", f"/nodes/h3/update?version={version}", body)
        await swarm.until(lambda: swarm.hosts["h3"].engine.cluster.is_manager, 10)
        swarm.partition(["h1", "h2"], ["h3", "h4"])
        for host, near, gone in (("h1", "h2", "h4"), ("h3", "h4", "h2")):
            await swarm.until(lambda host=host: len(swarm.alive(host)) == 2, 20)  # type: ignore[misc]
            await swarm.api(host, "DELETE", f"/nodes/{gone}")
            await swarm.until(lambda host=host, near=near: agreed(swarm, [host, near], old), 20)  # type: ignore[misc]
        assert keys(swarm, "h1") != keys(swarm, "h3")
        swarm.heal()
        await swarm.until(lambda: all(sorted(swarm.alive(host)) == ["h1", "h3"] for host in ("h1", "h3")), 20)
        await swarm.until(lambda: agreed(swarm, ["h1", "h3"], old), 20)

    tell(story, hosts=4)


def test_vxlan_of_a_removed_node_is_dropped_and_counted() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY})
        for host in ("h1", "h3"):
            await swarm.run(host, f"c{host}", ["sleep", "600"], network="ov")
        await asyncio.sleep(0.2)
        found: Any = await swarm.api("h1", "GET", "/networks/ov")
        vni = int(found["Options"]["com.docker.network.driver.overlay.vxlanid_list"])
        found = await swarm.api("h1", "GET", "/containers/ch1/json")
        mac = bytes.fromhex(found["NetworkSettings"]["Networks"]["ov"]["MacAddress"].replace(":", ""))
        datagram = b"\x08\0\0\0" + vni.to_bytes(3, "big") + b"\0" + mac + b"\x02" + bytes(5) + b"\x08\0" + bytes(46)
        counters = swarm.hosts["h1"].engine.host_network.counters
        sender = await swarm.hosts["h3"].underlay.datagrams(50000, lambda data, source: None)

        async def unknown() -> int:
            before = counters["vxlan_dropped_unknown_vtep"]
            sender.send(datagram, ("192.0.2.1", 4789))
            await asyncio.sleep(0.05)
            return counters["vxlan_dropped_unknown_vtep"] - before

        assert await unknown() == 0
        await swarm.api("h1", "DELETE", "/nodes/h3?force=1")
        await asyncio.sleep(0.05)
        assert await unknown() == 1
        third = swarm.hosts["h3"].engine.cluster
        await swarm.until(lambda: not third.active, 20)
        assert third.info()["LocalNodeState"] == "error", "it has learned of it, and its overlays are gone"
        sender.close()

    tell(story, hosts=3)
