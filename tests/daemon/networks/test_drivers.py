"""macvlan, ipvlan and the options of overlays through the API of whole daemons in simulated time (P6, P7, P8, P16)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate

Story = Callable[[SimulatedSwarm], Awaitable[None]]
VNIS = "com.docker.network.driver.overlay.vxlanid_list"
MTU = "com.docker.network.driver.mtu"


def tell(story: Story, *, hosts: int = 2, formed: bool = False) -> None:
    async def main() -> None:
        async with SimulatedSwarm(1, hosts) as swarm:
            if formed:
                await swarm.form()
            await story(swarm)

    simulate(main())


async def create(
    swarm: SimulatedSwarm, host: str, name: str, driver: str, *subnets: str, **options: str
) -> dict[str, Any]:
    body = {
        "Name": name,
        "Driver": driver,
        "Attachable": True,
        "IPAM": {"Config": [{"Subnet": subnet} for subnet in subnets]},
        "Options": options,
    }
    made: Any = await swarm.api(host, "POST", "/networks/create", body)
    found: Any = await swarm.api(host, "GET", f"/networks/{made['Id']}")
    return dict(found)


async def refusal(swarm: SimulatedSwarm, name: str, driver: str, *subnets: str, **options: str) -> tuple[int, str]:
    with pytest.raises(ApiRefused) as refused:
        await create(swarm, "h1", name, driver, *subnets, **options)
    return refused.value.status, refused.value.message


async def settings(swarm: SimulatedSwarm, host: str, container: str) -> dict[str, Any]:
    found: Any = await swarm.api(host, "GET", f"/containers/{container}/json")
    return dict(found["NetworkSettings"])


async def shows(swarm: SimulatedSwarm, host: str, container: str, *command: str) -> str:
    return (await swarm.exec(host, container, command))[1]


async def reaches(swarm: SimulatedSwarm, host: str, source: str, target: str) -> bool:
    return (await swarm.exec(host, source, ["ping", "-c", "1", "-W", "1", target]))[0] == 0


def test_a_macvlan_s_life_on_a_vlan() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        found = await create(swarm, "h1", "v50", "macvlan", "10.50.0.0/24", parent="eth0.50")
        assert (found["Driver"], found["Options"], found["Internal"]) == ("macvlan", {"parent": "eth0.50"}, False)
        assert found["IPAM"]["Config"] == [{"Subnet": "10.50.0.0/24"}]
        await create(swarm, "h2", "v50", "macvlan", "10.50.0.0/24", parent="eth0.50")
        await create(swarm, "h2", "v60", "macvlan", "10.60.0.0/24", parent="eth0.60")
        body = {
            "Image": "nginx",
            "HostConfig": {"NetworkMode": "v50", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}},
        }
        await swarm.api("h1", "POST", "/containers/create?name=web", body)
        await swarm.api("h1", "POST", "/containers/web/start")
        shown = await settings(swarm, "h1", "web")
        assert shown["Ports"] == {} and shown["Networks"]["v50"]["MacAddress"] == "02:42:0a:32:00:02"
        assert shown["Networks"]["v50"]["Gateway"] == "10.50.0.1"
        await swarm.api("h1", "POST", "/containers/web/restart?t=0")
        assert (await settings(swarm, "h1", "web"))["Networks"]["v50"]["MacAddress"] == "02:42:0a:32:00:02"

        body = {
            "Image": "alpine",
            "Cmd": ["sleep", "600"],
            "HostConfig": {"NetworkMode": "v50"},
            "NetworkingConfig": {"EndpointsConfig": {"v50": {"IPAMConfig": {"IPv4Address": "10.50.0.9"}}}},
        }
        await swarm.api("h2", "POST", "/containers/create?name=cl", body)
        await swarm.api("h2", "POST", "/containers/cl/start")
        assert "nginx" in await shows(swarm, "h2", "cl", "wget", "-q", "-O", "-", "http://10.50.0.2/")
        await swarm.run("h2", "other", ["sleep", "600"], network="v60")
        assert not await reaches(swarm, "h2", "other", "10.50.0.2")
        await swarm.run("h2", "onhost", ["sleep", "600"], network="host")
        on_host = await shows(swarm, "h2", "onhost", "ip", "link")
        number = next(line for line in on_host.splitlines() if "eth0.50@eth0:" in line).split(":")[0]
        assert f"eth0@if{number}:" in await shows(swarm, "h2", "cl", "ip", "link")
        assert ": eth0: " in on_host and ": docker0: " in on_host, "a NIC and a bridge stand on nothing"
        assert (await shows(swarm, "h2", "cl", "ip", "route")).splitlines()[
            0
        ].strip() == "default via 10.50.0.1 dev eth0"
        assert "nameserver 127.0.0.11" in await shows(swarm, "h2", "cl", "cat", "/etc/resolv.conf")
        assert "10.50.0.9" in await shows(swarm, "h2", "cl", "nslookup", "cl")

        await swarm.crash("h1")
        await swarm.boot("h1")
        await swarm.api("h1", "POST", "/containers/web/start")
        assert await reaches(swarm, "h2", "cl", "10.50.0.2")

    tell(story)


def test_a_network_whose_parent_is_gone_says_so_and_comes_back_with_it() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        bridge = {"com.docker.network.bridge.name": "br-below"}
        await create(swarm, "h1", "below", "bridge", "10.70.0.0/24", **bridge)
        await create(swarm, "h1", "above", "macvlan", "10.71.0.0/24", parent="br-below")
        await swarm.api("h1", "DELETE", "/networks/below")
        await swarm.crash("h1")
        await swarm.boot("h1")
        with pytest.raises(ApiRefused, match="invalid subinterface vlan name br-below"):
            await swarm.run("h1", "early", ["sleep", "600"], network="above")
        await create(swarm, "h1", "below", "bridge", "10.70.0.0/24", **bridge)
        await swarm.run("h1", "late", ["sleep", "600"], network="above")
        assert (await settings(swarm, "h1", "late"))["Networks"]["above"]["IPAddress"] == "10.71.0.2"

    tell(story, hosts=1)


def test_ipvlan_has_no_mac_of_its_own_and_in_l3_no_gateway() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await create(swarm, "h1", "l3", "ipvlan", "10.1.0.0/24", "10.2.0.0/24", parent="eth0", ipvlan_mode="l3")
        await swarm.run("h1", "aa", ["sleep", "600"], network="l3")
        body = {
            "Image": "alpine",
            "Cmd": ["sleep", "600"],
            "HostConfig": {"NetworkMode": "l3"},
            "NetworkingConfig": {"EndpointsConfig": {"l3": {"IPAMConfig": {"IPv4Address": "10.2.0.7"}}}},
        }
        await swarm.api("h1", "POST", "/containers/create?name=bb", body)
        await swarm.api("h1", "POST", "/containers/bb/start")
        place = (await settings(swarm, "h1", "bb"))["Networks"]["l3"]
        assert (place["IPAddress"], place["Gateway"], place["MacAddress"]) == ("10.2.0.7", "", "")
        routes = (await shows(swarm, "h1", "aa", "ip", "route")).splitlines()
        assert [line.strip() for line in routes] == [
            "default dev eth0 scope link",
            "10.1.0.0/24 dev eth0 scope link  src 10.1.0.2",
        ]
        assert "NOARP" in await shows(swarm, "h1", "aa", "ip", "link")
        assert await reaches(swarm, "h1", "aa", "bb")
        host = await shows(swarm, "h1", "aa", "cat", "/sys/class/net/eth0/address")
        assert host.strip() == "02:42:c0:00:02:01"

    tell(story)


def test_the_drivers_refusals_have_docker_s_statuses() -> None:
    """As recorded: the pool is looked at before the driver's options, and a driver's refusal is a server error."""

    async def story(swarm: SimulatedSwarm) -> None:
        first = await create(swarm, "h1", "mv1", "macvlan", "192.0.2.0/24", parent="eth0")
        overlap = (403, "Pool overlaps with other one on this address space")
        assert await refusal(swarm, "mv2", "macvlan", "192.0.2.0/24", parent="eth0") == overlap
        assert await refusal(swarm, "iv2", "ipvlan", "192.0.2.0/24", parent="eth0", ipvlan_mode="l9") == overlap
        in_use = f"network dm-{first['Id'][:12]} is already using parent interface eth0"
        assert await refusal(swarm, "mv3", "macvlan", "198.51.100.0/24", parent="eth0") == (500, in_use)
        mode = "requested ipvlan mode 'l9' is not valid, 'l2' mode is the ipvlan driver default"
        assert await refusal(swarm, "iv3", "ipvlan", "198.51.100.0/24", parent="eth0.9", ipvlan_mode="l9") == (
            500,
            mode,
        )
        # What was refused took nothing: the pool and the parent are still to be had.
        await create(swarm, "h1", "iv4", "ipvlan", "198.51.100.0/24", parent="eth0.9")

    tell(story, hosts=1)


def test_overlays_take_their_vnis_and_mtu_from_options() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        found = await create(swarm, "h1", "two", "overlay", "10.8.0.0/24", "10.9.0.0/24", **{VNIS: "257"})
        assert found["Options"] == {VNIS: "257,4097"}
        taken = "failed to allocate vxlan id {}: it is in use or out of range"
        assert await refusal(swarm, "dup", "overlay", **{VNIS: "257"}) == (403, taken.format(257))
        assert await refusal(swarm, "dup", "overlay", **{VNIS: "4097"}) == (403, taken.format(4097))
        assert (await refusal(swarm, "dup", "overlay", **{VNIS: "257x"}))[0] == 400
        sealed = await create(swarm, "h1", "sealed", "overlay", **{"encrypted": "", MTU: "1400"})
        assert sealed["Options"] == {"encrypted": "", MTU: "1400", VNIS: "4098"}
        for host in ("h1", "h2"):
            await swarm.run(host, f"s{host}", ["sleep", "600"], network="sealed")
            await swarm.run(host, f"t{host}", ["sleep", "600"], network="two")
        assert await shows(swarm, "h1", "sh1", "cat", "/sys/class/net/eth0/mtu") == "1324\n"
        directory = swarm.hosts["h1"].engine.host_network.directory
        await swarm.until(lambda: bool(directory.lookup(sealed["Id"], "sh2")), 2.0)
        assert await reaches(swarm, "h1", "sh1", "sh2") and await reaches(swarm, "h2", "th2", "th1")
        counters = swarm.hosts["h2"].engine.host_network.counters
        assert not [name for name in counters if name.startswith("vxlan_dropped_seal")]

    tell(story, formed=True)
