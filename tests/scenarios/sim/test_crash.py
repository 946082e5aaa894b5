"""A daemon dies without a word and comes back on its disk: the same node, and no address of its is given away."""

from __future__ import annotations

import asyncio

from scenarios.sim.swarm import SimulatedSwarm, simulate


async def _address(swarm: SimulatedSwarm, host: str, name: str) -> str:
    found = await swarm.api(host, "GET", f"/containers/{name}/json")
    assert isinstance(found, dict)
    return str(found["NetworkSettings"]["Networks"]["ov"]["IPAddress"])


async def _until_answered(swarm: SimulatedSwarm, name: str, answer: str | None, deadline: float) -> float:
    """Simulated seconds until h1's container looks the name up as `answer` (None: not at all)."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    while True:
        _, said = await swarm.exec("h1", "c1", ["nslookup", "-type=a", name])
        if (answer is None and "Address: 10." not in said) or (answer is not None and f"Address: {answer}" in said):
            return loop.time() - start
        assert loop.time() - start < deadline, said
        await asyncio.sleep(0.02)


def test_crash_and_return() -> None:
    async def story() -> None:
        async with SimulatedSwarm(11, 3) as swarm:
            await swarm.form()
            await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", "Driver": "overlay", "Attachable": True})
            await swarm.run("h1", "c1", ["sleep", "3600"], network="ov")
            body = {
                "Image": "alpine",
                "Cmd": ["sleep", "3600"],
                "HostConfig": {"NetworkMode": "ov", "RestartPolicy": {"Name": "always"}},
            }
            await swarm.api("h3", "POST", "/containers/create?name=c3", body)
            await swarm.api("h3", "POST", "/containers/c3/start")
            before = await _address(swarm, "h3", "c3")
            node = swarm.hosts["h3"].engine.cluster.node_id
            await _until_answered(swarm, "c3", before, 1)

            await swarm.crash("h3")
            assert await _until_answered(swarm, "c3", None, 8) <= 7
            given = {before}
            for n in range(5):
                await swarm.run("h1", f"extra{n}", ["sleep", "3600"], network="ov")
                given.add(await _address(swarm, "h1", f"extra{n}"))
            assert len(given) == 6

            await swarm.boot("h3")
            assert swarm.hosts["h3"].engine.cluster.node_id == node
            await swarm.until(lambda: len(swarm.alive("h1")) == 3 and len(swarm.alive("h3")) == 3, 3)
            after = await _address(swarm, "h3", "c3")
            assert after not in given - {before}
            await _until_answered(swarm, "c3", after, 3)
            assert (await swarm.exec("h1", "c1", ["ping", "-c", "1", "-W", "2", "c3"]))[0] == 0

    simulate(story())


def test_all_crash_and_return() -> None:
    async def story() -> None:
        async with SimulatedSwarm(12, 3) as swarm:
            await swarm.form()
            await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", "Driver": "overlay", "Attachable": True})
            for host in ("h1", "h2", "h3"):
                await swarm.run(host, f"c{host[1:]}", ["sleep", "3600"], network="ov")
            for host in ("h1", "h2", "h3"):
                await swarm.crash(host)
            for host in ("h3", "h2", "h1"):
                await swarm.boot(host)
            await swarm.until(lambda: all(len(swarm.alive(h)) == 3 for h in swarm.addresses), 10)
            addresses = set()
            for host in ("h1", "h2", "h3"):
                await swarm.api(host, "POST", f"/containers/c{host[1:]}/start")
                addresses.add(await _address(swarm, host, f"c{host[1:]}"))
            assert len(addresses) == 3
            await _until_answered(swarm, "c3", await _address(swarm, "h3", "c3"), 3)
            assert (await swarm.exec("h1", "c1", ["ping", "-c", "1", "-W", "2", "c3"]))[0] == 0

    simulate(story())
