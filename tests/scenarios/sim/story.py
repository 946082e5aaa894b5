"""One story on three simulated daemons, run by the tests and, under other hash seeds, by processes of their own."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field

from scenarios.sim.network import LinkQuality
from scenarios.sim.swarm import SimulatedSwarm, simulate


@dataclass(slots=True)
class Told:
    """What came of it. Times in simulated seconds."""

    digest: str = ""
    packets: int = 0
    addresses: dict[str, str] = field(default_factory=dict)
    pings: dict[str, tuple[int, str]] = field(default_factory=dict)
    name_known: float = 0.0
    noticed_cut: float = 0.0
    noticed_heal: float = 0.0
    lasted: float = 0.0


async def _address(swarm: SimulatedSwarm, host: str, name: str) -> str:
    found = await swarm.api(host, "GET", f"/containers/{name}/json")
    assert isinstance(found, dict)
    return str(found["NetworkSettings"]["Networks"]["ov"]["IPAddress"])


async def _until_known(swarm: SimulatedSwarm, host: str, container: str, name: str) -> float:
    """Seconds from now until a container can look a name up."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    while (await swarm.exec(host, container, ["nslookup", "-type=a", name]))[0] != 0:
        if loop.time() - start > 5:
            return float("inf")
        await asyncio.sleep(0.001)
    return loop.time() - start


async def _story(seed: int, loss: float) -> Told:
    told = Told()
    async with SimulatedSwarm(seed, 3, quality=LinkQuality(loss=loss)) as swarm:
        await swarm.form()
        await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", "Driver": "overlay", "Attachable": True})
        for host in swarm.addresses:
            await swarm.run(host, f"c{host[1:]}", ["sleep", "3600"], network="ov")
            told.addresses[f"c{host[1:]}"] = await _address(swarm, host, f"c{host[1:]}")
        told.name_known = await _until_known(swarm, "h1", "c1", "c3")
        ping = ["ping", "-c", "2", "-W", "2"]
        told.pings["whole"] = await swarm.exec("h1", "c1", [*ping, "c3"])
        swarm.partition(["h1", "h2"], ["h3"])
        told.pings["same side"] = await swarm.exec("h1", "c1", [*ping, "c2"])
        told.pings["other side"] = await swarm.exec("h1", "c1", [*ping, told.addresses["c3"]])
        told.noticed_cut = await swarm.until(lambda: len(swarm.alive("h1")) == 2 and len(swarm.alive("h3")) == 1, 30)
        told.pings["gone name"] = await swarm.exec("h1", "c1", [*ping, "c3"])
        for host, name in (("h1", "left"), ("h3", "right")):
            await swarm.run(host, name, ["sleep", "3600"], network="ov")
            told.addresses[name] = await _address(swarm, host, name)
        swarm.heal()
        told.noticed_heal = await swarm.until(lambda: all(len(swarm.alive(h)) == 3 for h in swarm.addresses), 30)
        await asyncio.sleep(1)
        told.pings["healed"] = await swarm.exec("h1", "left", [*ping, "right"])
        told.lasted = asyncio.get_running_loop().time()
        told.digest, told.packets = swarm.network.digest(), swarm.network.packets
    return told


def tell(seed: int, loss: float = 0.0) -> Told:
    return simulate(_story(seed, loss))


if __name__ == "__main__":
    print(tell(int(sys.argv[1])).digest)
