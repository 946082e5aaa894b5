"""Random histories with cuts and crashes: no address is given twice; once whole again every host tells the truth."""

from __future__ import annotations

import asyncio
import random

import pytest

from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate

NETWORKS = ("ov0", "ov1")
HOSTS = ("h1", "h2", "h3")
ACTIONS = ("run", "run", "run", "remove", "connect", "disconnect", "rename", "cut", "heal", "crash", "wait")


def endpoints(swarm: SimulatedSwarm) -> dict[tuple[str, str], list[str]]:
    """(network id, name) -> addresses, as the engines that own the containers know them."""
    found: dict[tuple[str, str], list[str]] = {}
    for host in swarm.hosts.values():
        for network in host.engine.networks.all():
            for endpoint in network.endpoints.values():
                if network.name in NETWORKS and endpoint.container_id:
                    for name in endpoint.names:
                        found.setdefault((network.id, name), []).append(endpoint.address.partition("/")[0])
    return {key: sorted(addresses) for key, addresses in found.items()}


def told(swarm: SimulatedSwarm, host: str, names: list[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    directory = swarm.hosts[host].engine.host_network.directory
    found = {(network, name): sorted(directory.lookup(network, name)) for network, name in names}
    return {key: addresses for key, addresses in found.items() if addresses}


def names_known(swarm: SimulatedSwarm, host: str) -> set[tuple[str, str]]:
    """Only compared, never iterated over."""
    facts = swarm.hosts[host].engine.host_network.directory.facts()
    return {(fact.network_id, name) for fact in facts for name in fact.names}


def no_address_twice(swarm: SimulatedSwarm) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name, host in swarm.hosts.items():
        for network in host.engine.networks.all():
            for endpoint in network.endpoints.values():
                if network.scope == "swarm" and endpoint.address:
                    other = seen.setdefault((network.id, endpoint.address), endpoint.id)
                    assert other == endpoint.id, f"{endpoint.address} of {network.name} twice, once on {name}"


async def history(swarm: SimulatedSwarm, dice: random.Random, steps: int) -> None:
    made = 0
    for _ in range(steps):
        host = dice.choice(HOSTS)
        containers = swarm.hosts[host].engine.containers.all()
        action = dice.choice(ACTIONS)
        try:
            if action == "run":
                made += 1
                await swarm.run(host, f"c{made}", ["sleep", "600"], network=dice.choice(NETWORKS))
            elif action == "remove" and containers:
                await swarm.api(host, "DELETE", f"/containers/{dice.choice(containers).id}?force=1")
            elif action in ("connect", "disconnect") and containers:
                path = f"/networks/{dice.choice(NETWORKS)}/{action}"
                body: dict[str, object] = {"Container": dice.choice(containers).id}
                if action == "connect":
                    body["EndpointConfig"] = {"Aliases": ["shared"]}
                await swarm.api(host, "POST", path, body)
            elif action == "rename" and containers:
                made += 1
                await swarm.api(host, "POST", f"/containers/{dice.choice(containers).id}/rename?name=c{made}")
            elif action == "cut":
                alone = dice.choice(HOSTS)
                swarm.partition([h for h in HOSTS if h != alone], [alone])
            elif action == "heal":
                swarm.heal()
            elif action == "crash":
                await swarm.crash(host)
                await asyncio.sleep(dice.uniform(0, 3))
                await swarm.boot(host)
            else:
                await asyncio.sleep(dice.uniform(0, 5))
        except ApiRefused as refusal:
            assert "internal error" not in refusal.message, refusal.message
        no_address_twice(swarm)


@pytest.mark.parametrize("seed", range(8))
def test_after_any_history_every_host_tells_the_truth(seed: int) -> None:
    async def main() -> None:
        async with SimulatedSwarm(seed, 3) as swarm:
            await swarm.form()
            for name in NETWORKS:
                body = {"Name": name, "Driver": "overlay", "Attachable": True}
                await swarm.api("h1", "POST", "/networks/create", body)
            await history(swarm, random.Random(seed), 40)
            swarm.heal()
            await swarm.until(lambda: all(len(swarm.alive(h)) == 3 for h in HOSTS), 30)
            truth = endpoints(swarm)
            names = list(truth)
            for host in HOSTS:
                await swarm.until(lambda host=host: told(swarm, host, names) == truth, 15)  # type: ignore[misc]
                await swarm.until(lambda host=host: names_known(swarm, host) <= set(truth), 15)  # type: ignore[misc]

    simulate(main())
