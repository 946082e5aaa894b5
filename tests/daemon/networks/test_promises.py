"""What the documentation of container networking promises (docs/promises.md), as a container sees it, by number.

Published ports (P17–P22) and what is outside (P1, P3) have real sockets: tests/scenarios/outside.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate

Story = Callable[[SimulatedSwarm], Awaitable[None]]
SLEEP = ["sleep", "600"]


def tell(story: Story, *, hosts: int = 1, formed: bool = False) -> None:
    async def main() -> None:
        async with SimulatedSwarm(11, hosts) as swarm:
            if formed:
                await swarm.form()
            await story(swarm)

    simulate(main())


async def network(swarm: SimulatedSwarm, name: str, *, host: str = "h1", subnet: str = "", **more: object) -> None:
    body: dict[str, object] = {"Name": name, **more}
    if subnet:
        body["IPAM"] = {"Config": [{"Subnet": subnet}]}
    await swarm.api(host, "POST", "/networks/create", body)


async def start(
    swarm: SimulatedSwarm, host: str, name: str, *, on: str = "", config: dict[str, object] | None = None,
    endpoint: Mapping[str, object] | None = None, command: Sequence[str] = SLEEP,
) -> str:  # fmt: skip
    """Create and start; the container's id."""
    body: dict[str, object] = {"Image": "alpine", "Cmd": list(command), **(config or {})}
    if on:
        body["HostConfig"] = {"NetworkMode": on}
    if endpoint is not None:
        body["NetworkingConfig"] = {"EndpointsConfig": {on: endpoint}}
    made: Any = await swarm.api(host, "POST", f"/containers/create?name={name}", body)
    await swarm.api(host, "POST", f"/containers/{name}/start")
    return str(made["Id"])


async def says(swarm: SimulatedSwarm, host: str, container: str, *command: str) -> str:
    code, text = await swarm.exec(host, container, command)
    assert code == 0, f"{command}: {text}"
    return text


async def reaches(swarm: SimulatedSwarm, host: str, source: str, target: str) -> bool:
    code, _ = await swarm.exec(host, source, ["ping", "-c", "1", "-W", "1", target])
    return code == 0


async def endpoints(swarm: SimulatedSwarm, host: str, container: str) -> Any:
    found: Any = await swarm.api(host, "GET", f"/containers/{container}/json")
    return found["NetworkSettings"]["Networks"]


def interfaces(addresses: str) -> list[str]:
    return re.findall(r"^\d+: ([a-z0-9]+)", addresses, re.M)


def test_P2_a_container_cannot_tell_whether_its_peer_is_one() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await start(swarm, "h1", "asker")
        await start(swarm, "h2", "plain", on="host", config={"Image": "nginx", "Cmd": None})
        body = {"Image": "nginx", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}}
        await swarm.api("h2", "POST", "/containers/create?name=web", body)
        await swarm.api("h2", "POST", "/containers/web/start")
        seen = [
            await says(swarm, "h1", "asker", "curl", "-sv", "-o", "/dev/null", f"http://192.0.2.2:{port}/")
            for port in (80, 8080)
        ]
        heads = [re.findall(r"^< (HTTP/1.1 200 OK|Server: .*|Content-Length: .*)", text, re.M) for text in seen]
        assert heads[0] == heads[1] and len(heads[0]) == 3
        assert (await swarm.exec("h1", "asker", ["ls", "/var/run/docker.sock"]))[0] != 0

    tell(story, hosts=2)


def test_P4_P11_bridge_is_the_default_and_joins_containers_of_one_host() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await start(swarm, "h1", "aa")
        await start(swarm, "h1", "bb")
        assert list(await endpoints(swarm, "h1", "aa")) == ["bridge"]
        address = (await endpoints(swarm, "h1", "bb"))["bridge"]["IPAddress"]
        assert await reaches(swarm, "h1", "aa", address)
        await network(swarm, "mine")
        found: Any = await swarm.api("h1", "GET", "/networks/mine")
        assert (found["Driver"], found["Scope"]) == ("bridge", "local")
        await start(swarm, "h1", "cc", on="mine")
        await start(swarm, "h1", "dd", on="mine")
        assert await reaches(swarm, "h1", "cc", "dd"), "by name on a network of one's own"
        assert not await reaches(swarm, "h1", "aa", "bb"), "the default one has no names"
        assert not await reaches(swarm, "h1", "cc", address), "networks are isolated"

    tell(story)


def test_P5_P12_host_is_the_host_s_network_and_nothing_else_of_it() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        for name in ("aa", "bb"):
            await start(swarm, "h1", name, on="host")
        view = await says(swarm, "h1", "aa", "ip", "addr")
        assert "192.0.2.1/24" in view and "docker0" in interfaces(view)
        assert view == await says(swarm, "h1", "bb", "ip", "addr")
        assert (await says(swarm, "h1", "aa", "hostname")).strip() == "h1"
        await says(swarm, "h1", "aa", "touch", "/here")
        code, _ = await swarm.exec("h1", "bb", ["ls", "/here"])
        assert code != 0, "files are apart"
        assert (await says(swarm, "h1", "aa", "ps")).count("sleep") == 1, "and processes"
        await start(swarm, "h1", "web", on="host", config={"Image": "nginx", "Cmd": None})
        await start(swarm, "h2", "far")
        assert "nginx" in await says(swarm, "h2", "far", "wget", "-qO-", "http://192.0.2.1/"), "no port is published"

    tell(story, hosts=2)


def test_P6_P13_overlay_joins_containers_of_different_daemons_without_routes() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        for host in ("h1", "h2"):
            await start(swarm, host, f"host{host}", on="host")
        before = [await says(swarm, h, f"host{h}", "ip", "route") for h in ("h1", "h2")]
        await network(swarm, "ov", Driver="overlay", Attachable=True)
        for host in ("h1", "h2"):
            await start(swarm, host, f"c{host}", on="ov")
        await asyncio.sleep(0.2)
        assert await reaches(swarm, "h1", "ch1", "ch2") and await reaches(swarm, "h2", "ch2", "ch1")
        assert [await says(swarm, h, f"host{h}", "ip", "route") for h in ("h1", "h2")] == before

    tell(story, hosts=2, formed=True)


def test_P9_none_has_no_network() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await start(swarm, "h1", "alone", on="none")
        view = await says(swarm, "h1", "alone", "ip", "addr")
        assert interfaces(view) == ["lo"] and "127.0.0.1/8" in view
        assert await says(swarm, "h1", "alone", "ip", "route") == ""
        assert not await reaches(swarm, "h1", "alone", "192.0.2.1")
        await network(swarm, "mine")
        with pytest.raises(ApiRefused, match="none"):
            await swarm.api("h1", "POST", "/networks/mine/connect", {"Container": "alone"})

    tell(story)


VIEW = """ip addr show dev eth0; ip route; cat /etc/hosts /etc/hostname /etc/resolv.conf; ls -1 /sys/class/net
nslookup peer"""


async def seen_on(swarm: SimulatedSwarm, name: str) -> tuple[str, str]:
    """What a container sees on a network, and the same without what may differ (MTU, MAC, the extra gateway)."""
    for container, address in (("peer", "10.50.0.6"), ("same", "10.50.0.5")):
        await start(swarm, "h1", container, on=name, config={"Hostname": container},
                    endpoint={"IPAMConfig": {"IPv4Address": address}})  # fmt: skip
    await asyncio.sleep(0.2)
    assert await reaches(swarm, "h1", "same", "peer")
    text = await says(swarm, "h1", "same", "sh", "-c", VIEW)
    for container in ("same", "peer"):
        await swarm.api("h1", "DELETE", f"/containers/{container}?force=1")
    plain = re.sub(r"mtu \d+|link/ether \S+|^\d+: |@if\d+|inet6 fe80::\S+|fe80::\S+", "-", text, flags=re.M)
    plain = re.sub(r"^(default via|172\.\d+\.0\.0/16 dev eth1).*\n", "", plain, flags=re.M)
    plain = re.sub(r"^172\.\d+\.0\.\d+\tsame\n", "", plain, flags=re.M)
    return text, plain.replace("eth1\n", "")


def test_P16_a_container_cannot_tell_which_kind_of_network_it_is_on() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        views = {}
        for driver, options in (
            ("bridge", {}), ("macvlan", {"Options": {"parent": "eth0.50"}}), ("overlay", {"Attachable": True}),
        ):  # fmt: skip
            await network(swarm, "n", subnet="10.50.0.0/24", Driver=driver, **options)
            full, views[driver] = await seen_on(swarm, "n")
            assert "10.50.0.5/24" in full and "nameserver 127.0.0.11" in full and "default via" in full
            await swarm.api("h1", "DELETE", "/networks/n")
            await asyncio.sleep(2)
        assert views["bridge"] == views["macvlan"] == views["overlay"]

    tell(story, formed=True)


def test_P23_P25_an_address_of_each_network_s_pool_with_its_mask_and_gateway() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await network(swarm, "n1", subnet="10.1.0.0/24")
        await network(swarm, "n2")
        await start(swarm, "h1", "cc", on="n1")
        await swarm.api("h1", "POST", "/networks/n2/connect", {"Container": "cc"})
        found = await endpoints(swarm, "h1", "cc")
        assert (found["n1"]["IPAddress"], found["n1"]["IPPrefixLen"]) == ("10.1.0.2", 24)
        assert found["n1"]["Gateway"] == "10.1.0.1"
        assert re.fullmatch(r"172\.\d+\.0\.2", found["n2"]["IPAddress"]) and found["n2"]["IPPrefixLen"] == 16
        assert found["n2"]["Gateway"] == found["n2"]["IPAddress"][:-1] + "1"
        assert "default via 10.1.0.1 dev eth0" in await says(swarm, "h1", "cc", "ip", "route")

    tell(story)


def test_P24_the_daemon_gives_addresses_out_as_a_dhcp_server_does() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await network(swarm, "n", subnet="10.2.0.0/29")
        for number in range(2, 7):
            await start(swarm, "h1", f"c{number}", on="n")
            assert (await endpoints(swarm, "h1", f"c{number}"))["n"]["IPAddress"] == f"10.2.0.{number}"
        with pytest.raises(ApiRefused, match="no available IPv4 addresses"):
            await start(swarm, "h1", "late", on="n")
        await swarm.api("h1", "DELETE", "/containers/c4?force=1")
        await start(swarm, "h1", "again", on="n")
        assert (await endpoints(swarm, "h1", "again"))["n"]["IPAddress"] == "10.2.0.4", "what came back is given again"

    tell(story)


def test_P26_P27_one_network_at_start_more_while_it_runs() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        for name in ("n1", "n2", "n3"):
            await network(swarm, name)
        await start(swarm, "h1", "one", on="n1")
        assert list(await endpoints(swarm, "h1", "one")) == ["n1"]
        await swarm.api("h1", "POST", "/networks/n2/connect", {"Container": "one"})
        assert interfaces(await says(swarm, "h1", "one", "ip", "addr")) == ["lo", "eth0", "eth1"]
        await swarm.api("h1", "POST", "/networks/n1/disconnect", {"Container": "one"})
        assert list(await endpoints(swarm, "h1", "one")) == ["n2"]
        several = {"Image": "alpine", "Cmd": SLEEP, "HostConfig": {"NetworkMode": "n1"},
                   "NetworkingConfig": {"EndpointsConfig": {"n1": {}, "n3": {}}}}  # fmt: skip
        await swarm.api("h1", "POST", "/containers/create?name=two", several)
        await swarm.api("h1", "POST", "/containers/two/start")
        assert sorted(await endpoints(swarm, "h1", "two")) == ["n1", "n3"], "several since API 1.44"

    tell(story)


def test_P28_P29_an_address_of_one_s_choice_at_start_and_at_connect() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        pools = {"Config": [{"Subnet": "10.3.0.0/24"}, {"Subnet": "fd00:3::/64"}]}
        await network(swarm, "n1", EnableIPv6=True, IPAM=pools)
        await network(swarm, "n2", subnet="10.4.0.0/24")
        chosen = {"IPAMConfig": {"IPv4Address": "10.3.0.77", "IPv6Address": "fd00:3::77"}}
        await start(swarm, "h1", "cc", on="n1", endpoint=chosen)
        found = (await endpoints(swarm, "h1", "cc"))["n1"]
        assert (found["IPAddress"], found["GlobalIPv6Address"]) == ("10.3.0.77", "fd00:3::77")
        connect = {"Container": "cc", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.4.0.88"}}}
        await swarm.api("h1", "POST", "/networks/n2/connect", connect)
        view = await says(swarm, "h1", "cc", "ip", "addr")
        assert all(text in view for text in ("10.3.0.77/24", "fd00:3::77/64", "10.4.0.88/24"))
        with pytest.raises(ApiRefused, match="Address already in use"):
            await start(swarm, "h1", "dd", on="n2", endpoint={"IPAMConfig": {"IPv4Address": "10.4.0.88"}})

    tell(story)


def test_P30_P31_the_hostname_is_the_id_unless_one_is_given() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        container = await start(swarm, "h1", "cc")
        assert (await says(swarm, "h1", "cc", "hostname")).strip() == container[:12]
        assert (await says(swarm, "h1", "cc", "cat", "/etc/hostname")).strip() == container[:12]
        await start(swarm, "h1", "named", config={"Hostname": "other"})
        assert (await says(swarm, "h1", "named", "hostname")).strip() == "other"
        assert "\tother\n" in await says(swarm, "h1", "named", "cat", "/etc/hosts")

    tell(story)


def test_P32_an_alias_is_another_name_on_that_network_alone() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await network(swarm, "n1")
        await network(swarm, "n2")
        await start(swarm, "h1", "cc", on="n1")
        for name in ("n1", "n2"):
            await start(swarm, "h1", f"asks-{name}", on=name)
        connect = {"Container": "cc", "EndpointConfig": {"Aliases": ["nick"]}}
        await swarm.api("h1", "POST", "/networks/n2/connect", connect)
        assert await reaches(swarm, "h1", "asks-n2", "nick") and await reaches(swarm, "h1", "asks-n2", "cc")
        assert not await reaches(swarm, "h1", "asks-n1", "nick") and await reaches(swarm, "h1", "asks-n1", "cc")

    tell(story)
