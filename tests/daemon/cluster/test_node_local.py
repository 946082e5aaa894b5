"""Networks of swarm scope that each host makes of its own configuration: macvlan and bridge, `--config-from`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate

LAN = {"Subnet": "192.0.2.0/24", "Gateway": "192.0.2.254"}
SWARM = {"Scope": "swarm", "Attachable": True}


def tell(story: Callable[[SimulatedSwarm], Awaitable[None]], *, hosts: int = 3, seed: int = 11) -> None:
    async def main() -> None:
        async with SimulatedSwarm(seed, hosts) as swarm:
            await swarm.form()
            await story(swarm)

    simulate(main())


async def get(swarm: SimulatedSwarm, host: str, path: str) -> dict[str, Any]:
    found = await swarm.api(host, "GET", path)
    assert isinstance(found, dict)
    return found


async def configure(swarm: SimulatedSwarm, host: str, ip_range: str, name: str = "conf", parent: str = "eth0") -> None:
    ipam = {"Config": [{**LAN, "IPRange": ip_range}]}
    body = {"Name": name, "ConfigOnly": True, "IPAM": ipam, "Options": {"parent": parent}}
    await swarm.api(host, "POST", "/networks/create", body)


async def address(swarm: SimulatedSwarm, host: str, container: str, network: str) -> str:
    found = await get(swarm, host, f"/containers/{container}/json")
    return str(found["NetworkSettings"]["Networks"][network]["IPAddress"])


async def reaches(swarm: SimulatedSwarm, host: str, source: str, target: str) -> bool:
    code, _ = await swarm.exec(host, source, ["ping", "-c", "1", "-W", "1", target])
    return code == 0


async def refused(work: Awaitable[object]) -> tuple[int, str]:
    with pytest.raises(ApiRefused) as refusal:
        await work
    return refusal.value.status, refusal.value.message


def test_each_host_has_its_part_of_the_lan_and_all_know_all_names() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        for number, host in enumerate(("h1", "h2", "h3")):
            await configure(swarm, host, f"192.0.2.{64 + 16 * number}/28")
        macvlan = {"Name": "lan", "Driver": "macvlan", "ConfigFrom": {"Network": "conf"}, **SWARM}
        assert await refused(swarm.api("h2", "POST", "/networks/create", macvlan)) == (
            403,
            "Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
        )
        await swarm.api("h1", "POST", "/networks/create", macvlan)
        before = await get(swarm, "h1", "/networks/lan")
        assert (before["Driver"], before["Scope"], before["ConfigFrom"]) == ("macvlan", "swarm", {"Network": "conf"})
        assert before["IPAM"] == {"Driver": "", "Options": None, "Config": []}
        assert before["Containers"] is before["Options"] is before["Labels"] is None
        for host in ("h1", "h2", "h3"):
            await swarm.run(host, f"c{host}", ["sleep", "600"], network="lan")
        await asyncio.sleep(0.2)
        given = [await address(swarm, host, f"c{host}", "lan") for host in ("h1", "h2", "h3")]
        assert given == ["192.0.2.64", "192.0.2.80", "192.0.2.96"]
        for host, others in (("h1", ("ch2", "ch3")), ("h2", ("ch1", "ch3")), ("h3", ("ch1", "ch2"))):
            assert all([await reaches(swarm, host, f"c{host}", other) for other in others])
            assert not await reaches(swarm, host, f"c{host}", f"192.0.2.{host[1]}"), "a parent's host is out of reach"
        shown = await get(swarm, "h2", "/networks/lan")
        assert shown["IPAM"]["Config"] == [
            {"Subnet": "192.0.2.0/24", "IPRange": "192.0.2.80/28", "Gateway": "192.0.2.254"}
        ]
        assert shown["Options"] == {"parent": "eth0"} and list(shown["Containers"]) and len(shown["Peers"]) == 3
        status, text = await refused(swarm.api("h1", "DELETE", "/networks/lan"))
        assert status == 400 and " is in use by task " in text
        assert await refused(swarm.api("h2", "DELETE", "/networks/conf")) == (
            403, 'error while removing network: configuration network "conf" is in use',
        )  # fmt: skip
        await swarm.crash("h2")
        await swarm.boot("h2")
        await swarm.api("h2", "POST", "/containers/ch2/start")
        assert await address(swarm, "h2", "ch2", "lan") == "192.0.2.80"
        for host in ("h1", "h2", "h3"):
            await swarm.api(host, "DELETE", f"/containers/c{host}?force=1")
        assert (await get(swarm, "h1", "/networks/lan"))["IPAM"]["Config"] == []
        await swarm.until(lambda: not swarm.hosts["h1"].engine.cluster.gossip.all_rows("endpoints"), 20)  # type: ignore[union-attr]
        await swarm.api("h2", "DELETE", "/networks/conf")
        await swarm.api("h1", "DELETE", "/networks/lan")
        assert (await refused(swarm.api("h1", "GET", "/networks/lan")))[0] == 404

    tell(story)


def test_a_bridge_of_swarm_scope_ends_at_its_host_and_what_cannot_be_made_says_why() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/networks/create", {"Name": "br", "Driver": "bridge", **SWARM})
        for host, name in (("h1", "c1"), ("h1", "c2"), ("h2", "c3")):
            await swarm.run(host, name, ["sleep", "600"], network="br")
        await asyncio.sleep(0.2)
        assert await reaches(swarm, "h1", "c1", "c2")
        assert not await reaches(swarm, "h1", "c1", "c3")
        assert await address(swarm, "h1", "c1", "br") == await address(swarm, "h2", "c3", "br"), "each has its own"
        assert "Peers" not in await get(swarm, "h1", "/networks/br")
        lost = {"Name": "lost", "Driver": "macvlan", "ConfigFrom": {"Network": "nosuch"}, **SWARM}
        await swarm.api("h1", "POST", "/networks/create", lost)
        status, text = await refused(swarm.run("h1", "c4", ["sleep", "600"], network="lost"))
        assert (status, text.rpartition(": ")[2]) == (500, 'configuration network "nosuch" does not exist')
        assert text.startswith("attaching to network failed, make sure your network options are correct")
        closed = {"Name": "closed", "Driver": "bridge", "Scope": "swarm"}
        await swarm.api("h1", "POST", "/networks/create", closed)
        status, text = await refused(swarm.run("h1", "c5", ["sleep", "600"], network="closed"))
        assert text.endswith("network closed not manually attachable")
        overlay = {"Name": "ov", "Driver": "overlay", "Scope": "local"}
        assert await refused(swarm.api("h1", "POST", "/networks/create", overlay)) == (
            403, "cannot downgrade network scope for overlay networks",
        )  # fmt: skip
        await configure(swarm, "h1", "192.0.2.64/28")
        status, text = await refused(swarm.run("h1", "c6", ["sleep", "600"], network="conf"))
        assert (status, text) == (403, "cannot create endpoint on configuration-only network")
        assert (await get(swarm, "h1", "/networks/conf"))["Driver"] == "null"
        running = await get(swarm, "h1", "/containers/c1/json")
        assert running["NetworkSettings"]["Networks"]["br"]["IPAMConfig"] == {}
        again = swarm.api("h1", "POST", "/networks/br/connect", {"Container": "c1"})
        assert await refused(again) == (500, "c1 is already attached to network br")

    tell(story, hosts=2)
