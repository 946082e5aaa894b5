"""IPv6 through the API (recorded rows of a real engine: group ipv6): pools, addresses, what inspect shows, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate
from tests.daemon.networks.test_networks import create, get, place, tell

NO_POOL = "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network"


async def run(swarm: SimulatedSwarm, name: str, network: str, host: str = "h1", **ipam: Any) -> Any:
    body = {
        "Image": "alpine",
        "Cmd": ["sleep", "600"],
        "HostConfig": {"NetworkMode": network},
        "NetworkingConfig": {"EndpointsConfig": {network: {"IPAMConfig": ipam}}},
    }
    await swarm.api(host, "POST", f"/containers/create?name={name}", body)
    await swarm.api(host, "POST", f"/containers/{name}/start")
    shown: Any = await swarm.api(host, "GET", f"/containers/{name}/json")
    return shown["NetworkSettings"]["Networks"][network]


async def refusal(swarm: SimulatedSwarm, name: str, network: str, **ipam: Any) -> tuple[int, str]:
    with pytest.raises(ApiRefused) as caught:
        await run(swarm, name, network, **ipam)
    return caught.value.status, caught.value.message


def test_addresses_of_both_families_in_dockers_order_and_given_back() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await create(swarm, "v6", {"Subnet": "10.50.0.0/24"}, {"Subnet": "fd00:2::/64"}, EnableIPv6=True)
        first = await run(swarm, "ca", "v6")
        assert (first["IPAddress"], first["MacAddress"]) == ("10.50.0.2", "02:42:0a:32:00:02")
        assert (first["GlobalIPv6Address"], first["GlobalIPv6PrefixLen"]) == ("fd00:2::2", 64)
        assert first["IPv6Gateway"] == "fd00:2::1"
        chosen = await run(swarm, "cb", "v6", IPv6Address="fd00:2::42")
        assert (chosen["IPAddress"], chosen["GlobalIPv6Address"]) == ("10.50.0.3", "fd00:2::42")
        assert await refusal(swarm, "cc", "v6", IPv6Address="fd00:2::42") == (403, "Address already in use")
        assert await refusal(swarm, "cd", "v6", IPv6Address="fd00:9::1") == (
            500,
            "Invalid address fd00:9::1: It does not belong to any of this network's subnets",
        )
        held = (await get(swarm, "/networks/v6"))["Containers"].values()
        assert sorted(c["IPv6Address"] for c in held) == ["fd00:2::2/64", "fd00:2::42/64"]
        await swarm.api("h1", "POST", "/containers/ca/stop?t=0")
        assert (await place(swarm, "ca", "v6"))["GlobalIPv6Address"] == ""
        again = await run(swarm, "ce", "v6")
        assert (again["IPAddress"], again["GlobalIPv6Address"]) == ("10.50.0.2", "fd00:2::2")

    tell(story)


def test_pools_of_ipv6_have_no_defaults_and_no_overlaps() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        with pytest.raises(ApiRefused) as none:
            await create(swarm, "a", EnableIPv6=True)
        assert (none.value.status, none.value.message) == (404, NO_POOL)
        await create(swarm, "b", {"Subnet": "fd00:1::/64"}, EnableIPv6=True)
        assert (await get(swarm, "/networks/b"))["IPAM"]["Config"] == [
            {"Subnet": "172.19.0.0/16", "Gateway": "172.19.0.1"},
            {"Subnet": "fd00:1::/64"},
        ]
        with pytest.raises(ApiRefused) as twice:
            await create(swarm, "c", {"Subnet": "fd00:1::/80"}, EnableIPv6=True)
        assert twice.value.message == "Pool overlaps with other one on this address space"
        # Without --ipv6 the subnet is noted and no more.
        await create(swarm, "d", {"Subnet": "fd00:1::/64"})
        assert (await run(swarm, "cd", "d"))["GlobalIPv6Address"] == ""
        await create(swarm, "e", {"Subnet": "fd00:4::/64", "Gateway": "fd00:4::ffff"}, EnableIPv6=True)
        placed = await run(swarm, "ce", "e")
        assert (placed["GlobalIPv6Address"], placed["IPv6Gateway"]) == ("fd00:4::1", "fd00:4::ffff")
        await swarm.api("h1", "DELETE", "/networks/b")
        await create(swarm, "f", {"Subnet": "fd00:1::/80"}, EnableIPv6=True)

    tell(story)


def test_an_address_is_chosen_only_where_the_user_chose_the_subnet_of_that_family() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await create(swarm, "v6", {"Subnet": "fd00:1::/64"}, EnableIPv6=True)
        text = "user specified IP address is supported only when connecting to networks with user configured subnets"
        assert await refusal(swarm, "ca", "v6", IPv4Address="172.18.0.9") == (400, text)
        assert (await run(swarm, "cb", "v6", IPv6Address="fd00:1::9"))["GlobalIPv6Address"] == "fd00:1::9"

    tell(story)


def test_an_overlay_gives_addresses_of_both_families_on_every_host_and_takes_them_back() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        body = {
            "Name": "ov",
            "Driver": "overlay",
            "Attachable": True,
            "EnableIPv6": True,
            "IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}, {"Subnet": "fd00:77::/64"}]},
        }
        await swarm.api("h1", "POST", "/networks/create", body)
        first = await run(swarm, "ca", "ov")
        other = await run(swarm, "cb", "ov", host="h2")
        assert first["GlobalIPv6Address"].startswith("fd00:77::") and other["GlobalIPv6Address"].startswith("fd00:77::")
        assert first["GlobalIPv6Address"] != other["GlobalIPv6Address"]
        assert first["IPv6Gateway"] == other["IPv6Gateway"] == ""
        chosen = await run(swarm, "cc", "ov", host="h2", IPv6Address="fd00:77::aaaa:0:0:1")
        assert chosen["GlobalIPv6Address"] == "fd00:77::aaaa:0:0:1"
        assert await refusal(swarm, "cd", "ov", IPv6Address="fd00:77::aaaa:0:0:1") == (403, "Address already in use")
        await swarm.api("h2", "DELETE", "/containers/cc?force=1")
        again = await run(swarm, "ce", "ov", host="h2", IPv6Address="fd00:77::aaaa:0:0:1")
        assert again["GlobalIPv6Address"] == "fd00:77::aaaa:0:0:1"

    async def main() -> None:
        async with SimulatedSwarm(1, 2) as swarm:
            await swarm.form()
            await story(swarm)

    simulate(main())


def test_pools_survive_a_restart() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await create(swarm, "v6", {"Subnet": "fd00:2::/64", "Gateway": "fd00:2::ffff"}, EnableIPv6=True)
        await swarm.crash("h1")
        await swarm.boot("h1")
        with pytest.raises(ApiRefused):
            await create(swarm, "twice", {"Subnet": "fd00:2::/80"}, EnableIPv6=True)
        placed = await run(swarm, "ca", "v6")
        assert (placed["GlobalIPv6Address"], placed["IPv6Gateway"]) == ("fd00:2::1", "fd00:2::ffff")
        assert await refusal(swarm, "cb", "v6", IPv6Address="fd00:2::ffff") == (403, "Address already in use")

    tell(story)
