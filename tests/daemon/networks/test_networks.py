"""Networks of one host through the API: what inspect shows, which addresses come, what survives a restart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate

Story = Callable[[SimulatedSwarm], Awaitable[None]]


def tell(story: Story) -> None:
    async def main() -> None:
        async with SimulatedSwarm(1, 1) as swarm:
            await story(swarm)

    simulate(main())


async def get(swarm: SimulatedSwarm, path: str) -> Any:
    return await swarm.api("h1", "GET", path)


async def create(swarm: SimulatedSwarm, name: str, *config: dict[str, Any], **more: Any) -> str:
    body = {"Name": name, "IPAM": {"Config": list(config)}, **more}
    made: Any = await swarm.api("h1", "POST", "/networks/create", body)
    return str(made["Id"])


async def place(swarm: SimulatedSwarm, container: str, network: str) -> Any:
    return (await get(swarm, f"/containers/{container}/json"))["NetworkSettings"]["Networks"][network]


def test_default_pools_follow_one_another_and_one_given_back_is_the_last_to_come_again() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        async def subnet(name: str) -> str:
            await create(swarm, name)
            return str((await get(swarm, f"/networks/{name}"))["IPAM"]["Config"][0]["Subnet"])

        assert [await subnet(n) for n in ("a", "b")] == ["172.18.0.0/16", "172.19.0.0/16"]
        await swarm.api("h1", "DELETE", "/networks/a")
        assert [await subnet(n) for n in ("c", "d")] == ["172.20.0.0/16", "172.21.0.0/16"]

    tell(story)


def test_inspect_shows_what_was_asked_for_and_dockers_own_choice_only_where_nothing_was() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await create(swarm, "auto")
        await create(swarm, "sub", {"Subnet": "192.168.50.0/24"})
        await create(swarm, "all", {
            "Subnet": "192.168.55.0/24", "IPRange": "192.168.55.128/25", "Gateway": "192.168.55.254",
            "AuxiliaryAddresses": {"a": "192.168.55.2"},
        })  # fmt: skip
        await create(swarm, "hostbits", {"Subnet": "192.168.56.1/24"})
        seen = {n["Name"]: n["IPAM"]["Config"] for n in await get(swarm, "/networks")}
        assert seen["bridge"] == [{"Subnet": "172.17.0.0/16"}]
        assert seen["auto"] == [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]
        assert seen["sub"] == [{"Subnet": "192.168.50.0/24"}]
        assert seen["all"] == [{
            "Subnet": "192.168.55.0/24", "IPRange": "192.168.55.128/25", "Gateway": "192.168.55.254",
            "AuxiliaryAddresses": {"a": "192.168.55.2"},
        }]  # fmt: skip
        assert seen["hostbits"] == [{"Subnet": "192.168.56.1/24"}]

    tell(story)


def test_addresses_macs_aliases_and_a_stop_that_gives_them_back() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        network = await create(swarm, "n1", {"Subnet": "10.20.0.0/24"})
        first = await swarm.run("h1", "first", ["sleep", "600"], network="n1")
        await swarm.run("h1", "second", ["sleep", "600"], network="n1")
        settings = await place(swarm, "first", "n1")
        assert (settings["IPAddress"], settings["MacAddress"]) == ("10.20.0.2", "02:42:0a:14:00:02")
        assert (settings["Gateway"], settings["IPPrefixLen"], settings["NetworkID"]) == ("10.20.0.1", 24, network)
        assert settings["Aliases"] == [first[:12]]
        assert (await place(swarm, "second", "n1"))["IPAddress"] == "10.20.0.3"
        await swarm.api("h1", "POST", "/containers/first/stop?t=0")
        stopped = await place(swarm, "first", "n1")
        assert (stopped["IPAddress"], stopped["EndpointID"]) == ("", "")
        await swarm.run("h1", "third", ["sleep", "600"], network="n1")
        assert (await place(swarm, "third", "n1"))["IPAddress"] == "10.20.0.2"

    tell(story)


def test_a_start_that_fails_on_the_second_network_leaves_nothing_on_the_first() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await create(swarm, "n1", {"Subnet": "10.20.0.0/24"})
        await create(swarm, "n2", {"Subnet": "10.30.0.0/24"})
        body = {
            "Image": "alpine", "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "n1"},
            "NetworkingConfig": {"EndpointsConfig": {"n1": {}, "n2": {"IPAMConfig": {"IPv4Address": "10.30.0.1"}}}},
        }  # fmt: skip
        await swarm.api("h1", "POST", "/containers/create?name=cc", body)
        for _ in range(2):
            try:
                await swarm.api("h1", "POST", "/containers/cc/start")
            except ApiRefused as error:
                assert (error.status, error.message) == (403, "Address already in use")
            assert (await get(swarm, "/networks/n1"))["Containers"] == {}
        await swarm.run("h1", "dd", ["sleep", "600"], network="n1")
        assert (await place(swarm, "dd", "n1"))["IPAddress"] == "10.20.0.2"

    tell(story)


def test_published_ports_move_with_the_way_out_and_collide_with_dockers_text() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await create(swarm, "n1", {"Subnet": "10.20.0.0/24"})
        body: dict[str, Any] = {
            "Image": "alpine", "Cmd": ["sleep", "600"],
            "HostConfig": {"NetworkMode": "n1", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}},
        }  # fmt: skip
        await swarm.api("h1", "POST", "/containers/create?name=cc", body)
        await swarm.api("h1", "POST", "/containers/cc/start")
        both = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]
        await swarm.api("h1", "POST", "/networks/bridge/connect", {"Container": "cc"})
        await swarm.api("h1", "POST", "/networks/n1/disconnect", {"Container": "cc"})
        assert (await get(swarm, "/containers/cc/json"))["NetworkSettings"]["Ports"] == {"80/tcp": both}
        await swarm.api("h1", "POST", "/containers/create?name=dd", body)
        try:
            await swarm.api("h1", "POST", "/containers/dd/start")
        except ApiRefused as error:
            assert error.status == 500
            prefix, _, rest = error.message.partition(" (")
            assert prefix == "driver failed programming external connectivity on endpoint dd"
            assert rest.partition("): ")[2] == "Bind for 0.0.0.0:8080 failed: port is already allocated"
        else:
            raise AssertionError("two containers on one port")
        assert (await get(swarm, "/networks/n1"))["Containers"] == {}

    tell(story)


def test_networks_keep_ids_and_pools_over_a_crash() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await create(swarm, "auto", Labels={"k": "v"}, Options={"com.docker.network.driver.mtu": "1400"})
        await create(swarm, "sub", {"Subnet": "10.20.0.0/24", "AuxiliaryAddresses": {"a": "10.20.0.2"}})
        before = await get(swarm, "/networks")
        await swarm.crash("h1")
        await swarm.boot("h1")
        assert await get(swarm, "/networks") == before
        await swarm.run("h1", "cc", ["sleep", "600"], network="sub")
        assert (await place(swarm, "cc", "sub"))["IPAddress"] == "10.20.0.3"

    tell(story)


def test_config_only_networks_lend_their_configuration_and_are_in_use_meanwhile() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await create(swarm, "cfg", {"Subnet": "10.10.0.0/24"}, ConfigOnly=True)
        await create(swarm, "real", ConfigFrom={"Network": "cfg"})
        found = await get(swarm, "/networks/real")
        assert found["IPAM"]["Config"] == [{"Subnet": "10.10.0.0/24"}]
        assert found["ConfigFrom"] == {"Network": "cfg"}
        try:
            await swarm.api("h1", "DELETE", "/networks/cfg")
        except ApiRefused as error:
            assert error.message == 'error while removing network: configuration network "cfg" is in use'
        await swarm.api("h1", "DELETE", "/networks/real")
        await swarm.api("h1", "DELETE", "/networks/cfg")

    tell(story)
