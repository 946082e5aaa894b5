"""Pieces of drills: who meets whom, what is told of whom, networks and containers made for it, and what goes."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.search import actions
from scenarios.search.draft import PROMPT, Container, Draft, Network, Step

AWAY = "15s"
"""Within this a host that is silent is Down everywhere, or one that is back is Ready."""
SLOWLY = "30s"
"""Within this a root CA is replaced everywhere, or what two sides of a cut made is one."""


def all_meet(draft: Draft, network: str, most: int) -> None:
    """Those on a network know one another at once, and talk."""
    on = draft.on(network)
    pairs = [(a, b) for a in on for b in on if a is not b]
    for asker, asked in draft.chance.sample(pairs, min(most, len(pairs))):
        meet(draft, asker, asked, PROMPT)


def meet(draft: Draft, asker: Container, asked: Container, within: str) -> None:
    draft.add({"expect": {"resolves": f"{asker.place} -> {asked.name}", "to": [asked.place], "within": within}})
    draft.add({"expect": {"reachable": f"{asker.place} -> {asked.name}:80", "within": within}})


def told(draft: Draft, host: str, line: str, within: str = PROMPT, **what: object) -> None:
    draft.add({"expect": {"docker": line, "on": host, **what, "within": within}})


def status(draft: Draft, host: str, is_: str, on: str, **more: object) -> None:
    draft.add({"expect": {"node": host, "on": on, "is": is_, "within": AWAY, **more}})


def overlays(draft: Draft) -> list[Network]:
    """Overlays whose resolvers say that there is no such name."""
    return [n for n in draft.networks.values() if n.shared and "internal" not in n.kind]


def bare(draft: Draft, host: str, network: str) -> Container:
    """A container with nothing but a name."""
    features, draft.features = draft.features, {}
    made = actions.run(draft, host, [network])
    draft.features = features
    assert made is not None
    return made


def roomy(draft: Draft, host: str) -> Network:
    """An overlay in which each host has addresses of its own, with containers that are on it alone, here and there."""
    for network in overlays(draft):
        there = [c.host for c in draft.on(network.name) if c.networks == [network.name]]
        if network.subnet and network.kind != "overlay-small" and host in there and len(dict.fromkeys(there)) > 1:
            return network
    network = Network(draft.fresh("roomy"), "overlay", [], f"10.24.{draft.number('roomy-net')}.0/24")
    draft.networks[network.name] = network
    line = f"network create -d overlay --attachable --subnet {network.subnet} {network.name}"
    draft.add(draft.docker(draft.chance.choice(draft.managers), line))
    for place in [host, host, draft.chance.choice([h for h in draft.members() if h != host])]:
        bare(draft, place, network.name)
    return network


def small(draft: Draft, hosts: int) -> tuple[Network, int]:
    """A network that is soon full, and how many containers so many hosts can have on it: each host that is on it has
    an address for its balancer too."""
    bits, room = next((b, size - hosts) for b, size in ((29, 5), (28, 13), (27, 29), (26, 61))
                      if size - hosts >= max(2, hosts))  # fmt: skip
    network = Network(draft.fresh("small"), "overlay-small", [], f"10.23.{draft.number('small-net')}.0/{bits}")
    draft.networks[network.name] = network
    line = f"network create -d overlay --attachable --subnet {network.subnet} {network.name}"
    draft.add(draft.docker(draft.chance.choice(draft.managers), line))
    return network, room


def fill(draft: Draft, network: Network, hosts: list[str], room: int) -> None:
    for host in [*hosts, *(draft.chance.choice(hosts) for _ in range(room - len(hosts)))]:
        bare(draft, host, network.name)


def refused(draft: Draft, host: str, network: str, why: str) -> None:
    """A container cannot be on a network."""
    name = draft.fresh("refused")
    draft.add(draft.docker(host, f"create --name {name} --network {network} alpine sleep 1000"))
    draft.add({"docker": f"start {name}", "on": host, "fails": why})
    draft.add(draft.docker(host, f"rm -f {name}"))


def take_away(draft: Draft, container: Container) -> None:
    draft.add(draft.docker(container.host, f"rm -f {container.name}"))
    del draft.containers[container.name]
    draft.gone.append(container.name)


def ended(draft: Draft, network: Network) -> None:
    """A network of a drill goes, with all that is on it."""
    for container in [c for c in draft.containers.values() if network.name in c.networks]:
        take_away(draft, container)
    draft.wait(1.0)
    draft.add(draft.docker(draft.managers[0], f"network rm {network.name}"))
    del draft.networks[network.name]


def begin_again(draft: Draft, hosts: list[str], must: Sequence[Container] = ()) -> None:
    """What its policy does not bring back is started by hand. must: those that nothing can keep from it."""
    for container in draft.containers.values():
        if container.host in hosts:
            more: Step = {} if any(container is one for one in must) else {"may_fail": True}
            draft.add({"docker": f"start {container.name}", "on": container.host, "within": "25s", **more})
            container.running, container.paused = True, False


def off_the_swarm(draft: Draft, host: str) -> None:
    """Its containers have lost the swarm's networks."""
    for container in draft.containers.values():
        if container.host == host:
            local = [n for n in container.networks if n in draft.networks and not draft.networks[n].shared]
            container.networks = local


def join(draft: Draft, host: str, manager: str) -> None:
    draft.add({"docker": "swarm join-token -q worker", "on": manager, "capture": "fresh"})
    address = f"192.0.2.{draft.hosts.index(manager) + 1}:2377"
    draft.add(draft.docker(host, f"swarm join --token ${{fresh}} {address}"))
    status(draft, host, "Ready", manager)
