"""Whole daemons in simulated time: a swarm's life as its API shows it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gossip.tables.record import RING, Record, RecordId
from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate

Story = Callable[[SimulatedSwarm], Awaitable[None]]
OVERLAY = {"Driver": "overlay", "Attachable": True}


def tell(story: Story, *, hosts: int = 3, formed: bool = True, seed: int = 1) -> None:
    async def main() -> None:
        async with SimulatedSwarm(seed, hosts) as swarm:
            if formed:
                await swarm.form()
            await story(swarm)

    simulate(main())


async def get(swarm: SimulatedSwarm, host: str, path: str) -> dict[str, object]:
    found = await swarm.api(host, "GET", path)
    assert isinstance(found, dict)
    return found


async def names(swarm: SimulatedSwarm, host: str, path: str) -> list[str]:
    found = await swarm.api(host, "GET", path)
    assert isinstance(found, list)
    return [each.get("Name") or each["Description"]["Hostname"] for each in found]


async def address(swarm: SimulatedSwarm, host: str, container: str, network: str) -> str:
    found = await get(swarm, host, f"/containers/{container}/json")
    return str(found["NetworkSettings"]["Networks"][network]["IPAddress"])  # type: ignore[index]


async def refused(work: Awaitable[object]) -> tuple[int, str]:
    with pytest.raises(ApiRefused) as refusal:
        await work
    return refusal.value.status, refusal.value.message


async def reaches(swarm: SimulatedSwarm, host: str, source: str, target: str) -> bool:
    code, _ = await swarm.exec(host, source, ["ping", "-c", "1", "-W", "1", target])
    return code == 0


def test_containers_of_three_hosts_talk_by_name_and_see_only_their_own_host_in_inspect() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY})
        assert "ov" not in await names(swarm, "h2", "/networks")
        for n in (1, 2, 3):
            await swarm.run(f"h{n}", f"c{n}", ["sleep", "600"], network="ov")
        await asyncio.sleep(0.06)
        for n in (1, 2, 3):
            assert [await reaches(swarm, f"h{n}", f"c{n}", f"c{m}") for m in (1, 2, 3)] == [True] * 3
        assert "ov" in await names(swarm, "h2", "/networks")
        found = await get(swarm, "h2", "/networks/ov")
        assert sorted(e["Name"] for e in found["Containers"].values()) == ["c2", "ov-endpoint"]  # type: ignore[attr-defined]
        assert sorted(p["IP"] for p in found["Peers"]) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]  # type: ignore[attr-defined]
        status, text = await refused(swarm.api("h1", "DELETE", "/networks/ov"))
        assert status == 400
        assert re.fullmatch(
            r"rpc error: code = FailedPrecondition desc = network \w{25} is in use by task \w{25}", text
        )
        for n in (1, 2, 3):
            await swarm.api(f"h{n}", "DELETE", f"/containers/c{n}?force=1")
        await asyncio.sleep(0.5)
        assert "ov" not in await names(swarm, "h2", "/networks")
        await swarm.api("h1", "DELETE", "/networks/ov")
        assert "ov" not in await names(swarm, "h1", "/networks")

    tell(story)


def test_vnis_and_subnets_follow_one_another_and_a_subnet_of_ones_own_takes_none() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/networks/create", {"Name": "a", **OVERLAY})
        await swarm.api(
            "h1", "POST", "/networks/create", {"Name": "b", **OVERLAY, "IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}]}}
        )
        await swarm.api("h1", "POST", "/networks/create", {"Name": "c", **OVERLAY})
        seen = []
        for name in ("ingress", "a", "b", "c"):
            found = await get(swarm, "h1", f"/networks/{name}")
            options: dict[str, str] = found["Options"]  # type: ignore[assignment]
            ipam: dict[str, list[dict[str, str]]] = found["IPAM"]  # type: ignore[assignment]
            seen.append((options["com.docker.network.driver.overlay.vxlanid_list"], ipam["Config"][0]["Subnet"]))
        assert seen == [
            ("4096", "10.0.0.0/24"), ("4097", "10.0.1.0/24"), ("4098", "10.77.0.0/24"), ("4099", "10.0.2.0/24"),
        ]  # fmt: skip

    tell(story)


def test_roles_what_workers_may_not_and_promotion() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        worker = (
            "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run "
            "this command on a manager node or promote the current node to a manager."
        )
        assert await refused(swarm.api("h2", "GET", "/nodes")) == (503, worker)
        assert await refused(swarm.api("h2", "POST", "/networks/create", {"Name": "ov", **OVERLAY})) == (
            403,
            "Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
        )
        node = await get(swarm, "h1", "/nodes/h2")
        spec = {**node["Spec"], "Role": "manager"}  # type: ignore[dict-item]
        await swarm.api("h1", "POST", f"/nodes/{node['ID']}/update?version={node['Version']['Index']}", spec)  # type: ignore[index]
        await swarm.until(lambda: swarm.hosts["h2"].engine.cluster.is_manager, 5)
        assert await names(swarm, "h2", "/nodes") == ["h1", "h2", "h3"]
        tokens = [(await get(swarm, host, "/swarm"))["JoinTokens"] for host in ("h1", "h2")]
        assert tokens[0] == tokens[1]
        await swarm.api("h2", "POST", "/networks/create", {"Name": "ov", **OVERLAY})
        stale = await refused(
            swarm.api("h1", "POST", f"/nodes/{node['ID']}/update?version={node['Version']['Index']}", spec)  # type: ignore[index]
        )
        assert stale == (500, "rpc error: code = Unknown desc = update out of sequence")

    tell(story)


def test_leave_node_rm_and_join_as_somebody_new() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        before = (await get(swarm, "h1", "/nodes/h3"))["ID"]
        assert await refused(swarm.api("h1", "DELETE", "/nodes/h3")) == (
            400,
            f"rpc error: code = FailedPrecondition desc = node {before} is not down and can't be removed",
        )
        await swarm.api("h3", "POST", "/swarm/leave")
        assert (await get(swarm, "h1", "/nodes/h3"))["Status"]["State"] == "down"  # type: ignore[index]
        assert "ingress" not in await names(swarm, "h3", "/networks")
        await swarm.api("h1", "DELETE", "/nodes/h3")
        assert await names(swarm, "h1", "/nodes") == ["h1", "h2"]
        token = (await get(swarm, "h1", "/swarm"))["JoinTokens"]["Worker"]  # type: ignore[index]
        await swarm.api("h3", "POST", "/swarm/join", {"RemoteAddrs": ["192.0.2.1:2377"], "JoinToken": token})
        assert (await get(swarm, "h1", "/nodes/h3"))["ID"] != before
        status, text = await refused(swarm.api("h1", "POST", "/swarm/leave"))
        assert status == 503
        assert text.endswith("Use `--force` to ignore this message. ")

    tell(story)


@pytest.mark.parametrize(
    ("token", "remote", "status", "text"),
    [
        ("BAD", "192.0.2.1:2377", 500, "invalid join token"),
        ("SWMTKN-1-" + "a" * 50 + "-" + "b" * 25, "192.0.2.1:2377", 500, "remote CA does not match fingerprint"),
        ("SWMTKN-1-" + "a" * 50 + "-" + "b" * 25, "192.0.2.2:2377", 503, "connection refused"),
        ("SWMTKN-1-" + "a" * 50 + "-" + "b" * 25, "nonsense", 400, "an IPv4 address with an optional port expected"),
    ],
)
def test_a_join_that_cannot_be_leaves_the_host_as_it_was(token: str, remote: str, status: int, text: str) -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377"})
        code, message = await refused(
            swarm.api("h2", "POST", "/swarm/join", {"RemoteAddrs": [remote], "JoinToken": token})
        )
        assert code == status
        assert text in message
        assert swarm.hosts["h2"].engine.cluster.info()["LocalNodeState"] == "inactive"

    tell(story, hosts=2, formed=False)


def test_a_killed_host_comes_back_as_the_same_node_and_its_addresses_are_given_again_only_by_it() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY})
        for n in (1, 2, 3):
            await swarm.run(f"h{n}", f"c{n}", ["sleep", "600"], network="ov")
        await asyncio.sleep(0.1)
        node = swarm.hosts["h3"].engine.cluster.node_id
        await swarm.crash("h3")
        await swarm.until(lambda: "h3" not in swarm.alive("h1"), 10)
        code, _ = await swarm.exec("h1", "c1", ["ping", "-c", "1", "-W", "1", "c3"])
        assert code == 1
        await swarm.boot("h3")
        took = await swarm.until(lambda: all(len(swarm.alive(h)) == 3 for h in swarm.hosts), 10)
        assert took < 3
        assert swarm.hosts["h3"].engine.cluster.node_id == node
        await swarm.api("h3", "POST", "/containers/c3/start")
        await asyncio.sleep(0.1)
        assert await reaches(swarm, "h1", "c1", "c3")
        seen = [await address(swarm, f"h{n}", f"c{n}", "ov") for n in (1, 2, 3)]
        assert len(seen) == len(dict.fromkeys(seen))

    tell(story)


def test_both_sides_of_a_cut_give_addresses_and_never_the_same() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        config = [{"Subnet": "10.9.0.0/26"}]
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY, "IPAM": {"Config": config}})
        for n in (1, 2, 3):
            await swarm.run(f"h{n}", f"c{n}", ["sleep", "600"], network="ov")
        swarm.partition(["h1", "h2"], ["h3"])
        await swarm.until(lambda: len(swarm.alive("h3")) == 1 and len(swarm.alive("h1")) == 2, 30)
        started: dict[str, list[str]] = {"h1": [], "h3": []}
        failure = ""
        for host in ("h1", "h3"):
            for n in range(70):
                try:
                    await swarm.run(host, f"{host}x{n}", ["sleep", "600"], network="ov")
                except ApiRefused as error:
                    failure = error.message
                    break
                started[host].append(await address(swarm, host, f"{host}x{n}", "ov"))
        given = started["h1"] + started["h3"]
        assert len(started["h1"]) > 5
        assert len(started["h3"]) > 5
        assert len(given) == len(dict.fromkeys(given))
        assert re.search(r"host h[12], which has the free ones, cannot be reached", failure)
        swarm.heal()
        await swarm.until(lambda: all(len(swarm.alive(h)) == 3 for h in swarm.hosts), 30)
        await asyncio.sleep(1)
        assert await reaches(swarm, "h1", "h1x0", "h3x0")
        assert await reaches(swarm, "h3", "h3x1", "h1x1")

    tell(story)


def test_a_small_network_gives_every_address_once_and_again_when_it_comes_back() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        config = [{"Subnet": "10.9.0.0/28"}]
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY, "IPAM": {"Config": config}})
        given = []
        for n in range(20):
            host = f"h{n % 2 + 1}"
            try:
                await swarm.run(host, f"c{n}", ["sleep", "600"], network="ov")
            except ApiRefused as error:
                assert re.fullmatch(
                    r"no available IPv4 addresses on this network's address pools: ov \(\w{25}\)", error.message
                )
                break
            given.append(await address(swarm, host, f"c{n}", "ov"))
        # 14 hosts' addresses, less the gateway's and a load balancer's on each of the two hosts
        assert len(given) == len(dict.fromkeys(given)) == 11
        await swarm.api("h2", "DELETE", "/containers/c1?force=1")
        await swarm.run("h2", "again", ["sleep", "600"], network="ov")
        assert await address(swarm, "h2", "again", "ov") == given[1]

    tell(story, hosts=2)


def test_an_address_outside_the_range_is_given_only_to_who_asks_for_it() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        config = [{"Subnet": "10.5.0.0/16", "IPRange": "10.5.1.0/24", "Gateway": "10.5.0.9"}]
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY, "IPAM": {"Config": config}})

        async def started(host: str, name: str, wanted: str = "") -> str:
            endpoint = {"IPAMConfig": {"IPv4Address": wanted}} if wanted else {}
            body = {
                "Image": "alpine", "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "ov"},
                "NetworkingConfig": {"EndpointsConfig": {"ov": endpoint}},
            }  # fmt: skip
            await swarm.api(host, "POST", f"/containers/create?name={name}", body)
            await swarm.api(host, "POST", f"/containers/{name}/start")
            return await address(swarm, host, name, "ov")

        assert [(await started(h, f"any{h}")).rpartition(".")[0] for h in ("h1", "h2")] == ["10.5.1", "10.5.1"]
        assert await started("h2", "chosen", "10.5.7.7") == "10.5.7.7"
        assert await started("h1", "inside", "10.5.1.200") == "10.5.1.200"
        for n, wanted in enumerate(("10.5.7.7", "10.5.1.200", "10.5.0.9")):
            assert await refused(started("h1", f"late{n}", wanted)) == (403, "Address already in use")
        assert (await refused(started("h1", "far", "10.6.0.1")))[0] == 500
        await swarm.api("h2", "DELETE", "/containers/chosen?force=1")
        await asyncio.sleep(0.5)
        assert await started("h1", "again", "10.5.7.7") == "10.5.7.7"

    tell(story, hosts=2)


def test_a_node_that_has_left_does_not_hold_up_the_end_of_a_network() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY})
        await swarm.run("h3", "c3", ["sleep", "600"], network="ov")
        await swarm.api("h3", "POST", "/swarm/leave")
        assert (await get(swarm, "h1", "/nodes/h3"))["Status"]["State"] == "down"  # type: ignore[index]
        await swarm.api("h1", "DELETE", "/networks/ov")
        gossip = swarm.hosts["h1"].engine.cluster.gossip
        assert gossip is not None
        await swarm.until(lambda: len(gossip.rows("networks")) == 1, 5)

    tell(story)


def test_of_two_networks_that_took_one_name_during_a_cut_the_name_means_one_everywhere() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        node = await get(swarm, "h1", "/nodes/h3")
        spec = {**node["Spec"], "Role": "manager"}  # type: ignore[dict-item]
        await swarm.api("h1", "POST", f"/nodes/{node['ID']}/update?version={node['Version']['Index']}", spec)  # type: ignore[index]
        await swarm.until(lambda: swarm.hosts["h3"].engine.cluster.is_manager, 5)
        swarm.partition(["h1", "h2"], ["h3"])
        await swarm.until(lambda: len(swarm.alive("h3")) == 1, 30)
        ids = {}
        for host in ("h1", "h3"):
            made = await swarm.api(host, "POST", "/networks/create", {"Name": "ov", **OVERLAY})
            ids[host] = made["Id"]  # type: ignore[index]
            await swarm.run(host, f"c{host}", ["sleep", "600"], network="ov")
            await swarm.run(host, f"d{host}", ["sleep", "600"], network="ov")
        swarm.heal()
        await swarm.until(lambda: all(len(swarm.alive(h)) == 3 for h in swarm.hosts), 30)
        await asyncio.sleep(1)
        meant = [(await get(swarm, host, "/networks/ov"))["Id"] for host in ("h1", "h3")]
        assert meant[0] == meant[1]
        # both networks go on for the containers that they have
        assert await reaches(swarm, "h1", "ch1", "dh1")
        assert await reaches(swarm, "h3", "ch3", "dh3")
        assert not await reaches(swarm, "h3", "ch3", "ch1")
        lost = next(i for i in ids.values() if i != meant[0])
        status, text = await refused(swarm.run("h1", "late", ["sleep", "1"], network=str(lost)))
        assert status == 409
        assert "has lost its name" in text

    tell(story)


def test_a_network_removed_while_a_host_is_cut_off_is_in_quarantine_until_that_host_is_back() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY})
        await swarm.until(lambda: swarm.hosts["h3"].engine.cluster.overlays.lookup("ov") is not None, 5)
        swarm.partition(["h1", "h2"], ["h3"])
        await swarm.until(lambda: len(swarm.alive("h1")) == 2, 30)
        await swarm.run("h3", "c3", ["sleep", "600"], network="ov")
        await swarm.api("h1", "DELETE", "/networks/ov")
        assert "ov" not in await names(swarm, "h1", "/networks")
        first, third = (swarm.hosts[h].engine.cluster.gossip for h in ("h1", "h3"))
        assert first is not None
        assert third is not None
        assert [row.value.get("removing") for row in first.rows("networks")].count(True) == 1
        swarm.heal()
        await swarm.until(lambda: len(first.rows("networks")) == len(third.rows("networks")) == 1, 30)
        found = await get(swarm, "h3", "/containers/c3/json")
        assert found["NetworkSettings"]["Networks"] == {}  # type: ignore[index]
        assert found["State"]["Running"] is True  # type: ignore[index]

    tell(story)


def test_a_node_that_was_removed_while_it_ran_learns_of_it_and_loses_its_overlays() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY})
        await swarm.run("h1", "c1", ["sleep", "600"], network="ov")
        await swarm.run("h3", "c3", ["sleep", "600"], network="ov")
        await asyncio.sleep(0.2)
        await swarm.api("h1", "DELETE", "/nodes/h3?force=1")
        await asyncio.sleep(0.1)
        assert not await reaches(swarm, "h1", "c1", "c3")
        third = swarm.hosts["h3"].engine.cluster
        await swarm.until(lambda: not third.active, 20)
        assert third.info()["LocalNodeState"] == "error"
        assert "removed" in str(third.info()["Error"])
        found = await get(swarm, "h3", "/containers/c3/json")
        assert found["NetworkSettings"]["Networks"] == {}  # type: ignore[index]
        token = (await get(swarm, "h1", "/swarm"))["JoinTokens"]["Worker"]  # type: ignore[index]
        await swarm.api("h3", "POST", "/swarm/join", {"RemoteAddrs": ["192.0.2.1:2377"], "JoinToken": token})
        assert third.info()["LocalNodeState"] == "active"

    tell(story)


def test_whom_a_manager_admitted_that_was_removed_unheard_is_out_with_it_and_brings_nothing_back() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377"})
        tokens = (await get(swarm, "h1", "/swarm"))["JoinTokens"]
        for host, role in (("h2", "Manager"), ("h3", "Worker")):
            body = {"RemoteAddrs": ["192.0.2.1:2377"], "JoinToken": tokens[role]}  # type: ignore[index]
            await swarm.api(host, "POST", "/swarm/join", body)
        await swarm.api("h1", "POST", "/networks/create", {"Name": "gone", **OVERLAY})
        await swarm.api("h1", "POST", "/networks/create", {"Name": "kept", **OVERLAY})
        await asyncio.sleep(1)
        swarm.partition(["h1", "h3"], ["h2", "h4"])
        body = {"RemoteAddrs": ["192.0.2.2:2377"], "JoinToken": tokens["Worker"]}  # type: ignore[index]
        await swarm.api("h4", "POST", "/swarm/join", body)
        await swarm.run("h4", "c4", ["sleep", "600"], network="kept")
        node = await get(swarm, "h1", "/nodes/h2")
        update = f"/nodes/h2/update?version={node['Version']['Index']}"  # type: ignore[index]
        await swarm.api("h1", "POST", update, {**node["Spec"], "Role": "worker"})  # type: ignore[dict-item]
        await swarm.api("h1", "DELETE", "/nodes/h2?force=1")
        await swarm.api("h1", "DELETE", "/networks/gone")
        first, fourth = swarm.hosts["h1"].engine.cluster, swarm.hosts["h4"].engine.cluster
        assert first.gossip is not None
        await swarm.until(lambda: not first.gossip.unfinished_removals(), 60)  # type: ignore[union-attr]
        assert "gone" in await names(swarm, "h2", "/networks")
        swarm.heal()
        await swarm.until(lambda: not fourth.active and not swarm.hosts["h2"].engine.cluster.active, 120)
        assert "removed" in str(fourth.info()["Error"])
        assert not await names(swarm, "h4", "/networks?filters=%7B%22driver%22%3A%5B%22overlay%22%5D%7D")
        body = {"RemoteAddrs": ["192.0.2.1:2377"], "JoinToken": tokens["Worker"]}  # type: ignore[index]
        await swarm.api("h4", "POST", "/swarm/join", body)
        await asyncio.sleep(20)
        assert sorted(await names(swarm, "h1", "/nodes")) == ["h1", "h3", "h4"]
        assert sorted(row.value["name"] for row in first.gossip.rows("networks")) == ["ingress", "kept"]  # type: ignore[type-var]
        assert len(first.gossip.rows("nodespec")) == 3

    tell(story, hosts=4, formed=False)


def test_numbers_in_dispute_are_an_alarm_that_users_see() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        created = await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", **OVERLAY})
        await asyncio.sleep(1)
        assert not (await get(swarm, "h2", "/info"))["Swarm"]["Error"]  # type: ignore[index]
        gossip = swarm.hosts["h1"].engine.cluster.gossip
        assert gossip is not None
        [(space, ring)] = [each for each in gossip._replica.rings() if created["Id"] in each[0]]  # type: ignore[index]
        cloned = replace(ring, tokens=tuple(token._replace(owner="clone") for token in ring.tokens))
        gossip._replica.merge([Record(RecordId(RING, "", space, ""), cloned)])
        await asyncio.sleep(1)
        for host in ("h1", "h2", "h3"):
            assert "is in dispute" in (await get(swarm, host, "/info"))["Swarm"]["Error"]  # type: ignore[index]
        _, text = await refused(swarm.run("h2", "c2", ["sleep", "600"], network="ov"))
        assert "is in dispute" in text

    tell(story)


def test_a_rotated_token_lets_nobody_in_with_the_old_one() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        await swarm.api("h1", "POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377"})
        old = await get(swarm, "h1", "/swarm")
        path = f"/swarm/update?version={old['Version']['Index']}&rotateWorkerToken=true"  # type: ignore[index]
        await swarm.api("h1", "POST", path, old["Spec"])
        new = await get(swarm, "h1", "/swarm")
        assert old["JoinTokens"]["Worker"] != new["JoinTokens"]["Worker"]  # type: ignore[index]
        assert old["JoinTokens"]["Manager"] == new["JoinTokens"]["Manager"]  # type: ignore[index]
        body = {"RemoteAddrs": ["192.0.2.1"], "JoinToken": old["JoinTokens"]["Worker"]}  # type: ignore[index]
        status, text = await refused(swarm.api("h2", "POST", "/swarm/join", body))
        assert status == 500
        assert text.endswith("A valid join token is necessary to join this cluster")
        await swarm.api("h2", "POST", "/swarm/join", {**body, "JoinToken": new["JoinTokens"]["Worker"]})  # type: ignore[index]

    tell(story, hosts=2, formed=False)


def test_certificates_are_renewed_before_they_end() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        def certificates() -> list[bytes]:
            found = [swarm.hosts[host].engine.cluster.membership for host in ("h1", "h2")]
            return [each.certificate for each in found if each is not None]

        before = certificates()
        await asyncio.sleep(130)
        assert certificates() == before
        for host in ("h1", "h2"):
            swarm.set_clock(host, jump=80 * 86400.0)
        await swarm.until(lambda: all(a != b for a, b in zip(certificates(), before, strict=True)), 130)
        renewed = certificates()
        await asyncio.sleep(130)
        assert certificates() == renewed, "once is enough"
        assert sorted(swarm.alive("h1")) == ["h1", "h2"]
        shown = await get(swarm, "h1", "/swarm")
        spec, path = shown["Spec"], f"/swarm/update?version={shown['Version']['Index']}"  # type: ignore[index]
        hour = {**spec, "CAConfig": {"NodeCertExpiry": 3599 * 10**9}}  # type: ignore[dict-item]
        assert (await refused(swarm.api("h1", "POST", path, hour)))[1].endswith("expiry time is: 1h0m0s")

    tell(story, hosts=2)


def test_several_default_pools_are_used_one_after_the_other() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        pools = {"DefaultAddrPool": ["10.70.0.0/27", "10.80.0.0/27"], "SubnetSize": 28}
        overlapping = {"ListenAddr": "0.0.0.0:2377", "DefaultAddrPool": ["10.70.0.0/24", "10.70.0.0/27"]}
        assert (await refused(swarm.api("h1", "POST", "/swarm/init", overlapping)))[0] == 400
        await swarm.api("h1", "POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377", **pools})
        subnets = []
        for number in range(3):
            await swarm.api("h1", "POST", "/networks/create", {"Name": f"n{number}", **OVERLAY})
            found = await get(swarm, "h1", f"/networks/n{number}")
            subnets.append(found["IPAM"]["Config"][0]["Subnet"])  # type: ignore[index]
        assert subnets == ["10.70.0.16/28", "10.80.0.0/28", "10.80.0.16/28"], "ingress has the first"
        status, text = await refused(swarm.api("h1", "POST", "/networks/create", {"Name": "n3", **OVERLAY}))
        assert status == 500 and "could not find an available" in text
        await swarm.api("h1", "DELETE", "/networks/n1")
        await asyncio.sleep(1)
        await swarm.api("h1", "POST", "/networks/create", {"Name": "own", **OVERLAY,
                        "IPAM": {"Config": [{"Subnet": "10.80.0.0/28"}]}})  # fmt: skip
        assert (await refused(swarm.api("h1", "POST", "/networks/create", {"Name": "n4", **OVERLAY})))[0] == 500
        assert (await get(swarm, "h1", "/swarm"))["DefaultAddrPool"] == ["10.70.0.0/27", "10.80.0.0/27"]

    tell(story, hosts=1, formed=False)


def test_vxlan_has_its_own_port_and_no_other() -> None:
    async def story(swarm: SimulatedSwarm) -> None:
        for port, status in ((80, 400), (50000, 400), (4242, 501)):
            assert (await refused(swarm.api("h1", "POST", "/swarm/init", {"DataPathPort": port})))[0] == status
        await swarm.api("h1", "POST", "/swarm/init", {"DataPathPort": 4789})

    tell(story, hosts=1, formed=False)
