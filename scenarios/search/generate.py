"""Scenarios at random: each seed one, always the same, always valid (Jepsen's nemesis, FoundationDB's simulator).

Swarm testing (Groce et al., ISSTA 2012): each seed draws which features it has at all, so that some scenarios do one
thing over and over and others a little of everything. Four parts: a calm one in which every command must succeed and
be known everywhere at once; the storm; a pause in which all must mend; and the aftermath, in which everything must go
as at first. What the storm left is judged by the invariants, of which `model` knows what every client was told.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import yaml

from scenarios.language.reading import Source, parse
from scenarios.search import actions, storm
from scenarios.search.draft import PROMPT, Draft, document
from scenarios.search.promises import keep

AWAY = "15s"
"""Within this a host that is silent is Down everywhere, or one that is back is Ready."""

_QUIET = 100.0
"""Seconds of nothing, in which what is old must be forgotten and nothing else."""

_VNI = 7001

_COMMON = ("aliases", "chosen", "ports", "policies", "hostnames", "names")


@dataclass(frozen=True, slots=True)
class Bounds:
    """hosts: fewest and most. settle: simulated seconds after the last fault within which all must be as it should."""

    hosts: tuple[int, int] = (2, 5)
    actions: tuple[int, int] = (8, 26)
    settle: float = 20.0


def generate(seed: int, bounds: Bounds | None = None) -> str:
    """The text of a scenario's file."""
    bounds = bounds or Bounds()
    chance = random.Random(f"explore/{seed}")
    count = chance.randint(*bounds.hosts)
    hosts = [f"h{n}" for n in range(1, count + 1)]
    managers = hosts[: min(count, chance.choice((1, 1, 2, 3)))]
    draft = Draft(chance, hosts, managers)
    first = managers[0]
    for feature in [*_COMMON, *actions.KINDS, *actions.ACTIONS, *storm.FAULTS]:
        if chance.random() < 0.55:
            draft.features[feature] = None
    for feature in ("overlay", "run", "replace"):
        if chance.random() < 0.8:
            draft.features[feature] = None
    if draft.has("macvlan") and draft.has("ipvlan"):
        del draft.features[chance.choice(("macvlan", "ipvlan"))]  # a parent has ports of one kind only, as with Linux
    kinds = [kind for kind in actions.KINDS if draft.has(kind)] or ["overlay"]
    faults = [kind for kind in storm.FAULTS if draft.has(kind)]
    todo = {name: weight for name, (weight, _) in actions.ACTIONS.items() if draft.has(name)} or {"run": 1}
    links = []
    if chance.random() < 0.25 and count > 1:
        links.append({"between": [hosts[:1], hosts[1:]], "latency": f"{chance.choice((2, 20, 60))}ms", "jitter": "2ms"})
    if draft.has("membership"):
        draft.add({"docker": "swarm join-token -q worker", "on": first, "capture": "token"})
    _calm(draft, kinds)
    if chance.random() < 0.5:
        _one_is_away(draft)
    draft.calm = False
    for _ in range(chance.randint(*bounds.actions)):
        if chance.random() < 0.3:
            storm.strike(draft, faults)
        if chance.random() < 0.5:
            draft.wait(chance.choice((0.05, 0.4, 1.5, 4.0)))
        name = chance.choices(list(todo), list(todo.values()))[0]
        actions.ACTIONS[name][1](draft)
    draft.wait(max(0.5, draft.ended - draft.now))
    draft.add({"heal": "all"})
    draft.add({"wait": f"{bounds.settle + (_QUIET if chance.random() < 0.25 else 0.0):g}s"})
    draft.calm = True
    _aftermath(draft)
    roles = {host: {"role": "manager"} if host in managers else {} for host in hosts}
    story = f"Made by shoal explore from seed {seed}.\nFeatures: {', '.join(draft.features)}."
    return yaml.safe_dump(
        document(draft, name=f"explored-{seed}", story=story, seed=seed, hosts=roles, settle=bounds.settle,
                 invariants={}, links=links),
        sort_keys=False, width=110, allow_unicode=True,
    )  # fmt: skip


def _calm(draft: Draft, kinds: list[str]) -> None:
    chance = draft.chance
    for kind in chance.sample(kinds, min(len(kinds), chance.randint(1, 3))):
        actions.make_network(draft, kind)
    for host in draft.hosts:
        for _ in range(chance.choice((1, 1, 2))):
            actions.run(draft, host)
    for network in draft.networks.values():
        if not network.shared:
            for _ in range(2):
                actions.run(draft, network.hosts[0], [network.name])
    for network in draft.networks.values():
        if network.shared:
            _all_meet(draft, network.name, 6)
    if draft.has("policies"):
        actions.crash_loop(draft)
    keep(draft, 4)
    there = [n for n in draft.networks.values() if n.shared and len(draft.on(n.name)) > 2]
    if there and chance.random() < 0.6:
        _one_goes(draft, chance.choice(there).name)


def _all_meet(draft: Draft, network: str, most: int) -> None:
    """Those on a network know one another at once, and talk."""
    on = draft.on(network)
    pairs = [(a, b) for a in on for b in on if a is not b]
    for asker, asked in draft.chance.sample(pairs, min(most, len(pairs))):
        draft.add({"expect": {"resolves": f"{asker.place} -> {asked.name}", "to": [asked.place], "within": PROMPT}})
        draft.add({"expect": {"reachable": f"{asker.place} -> {asked.name}:80", "within": PROMPT}})


def _one_goes(draft: Draft, network: str) -> None:
    """What is removed is known nowhere any more, at once."""
    goes, *stay = draft.on(network)
    draft.add(draft.docker(goes.host, f"rm -f {goes.name}"))
    del draft.containers[goes.name]
    draft.gone.append(goes.name)
    if "internal" in draft.networks[network].kind:
        return  # there nobody says that there is no such name: the question goes to a resolver that cannot be reached
    for other in stay[:3]:
        draft.add({"expect": {"unresolved": f"{other.place} -> {goes.name}", "within": PROMPT}})


def _one_is_away(draft: Draft) -> None:
    """A host is not heard of: its names go, everywhere; it comes back, and so do they."""
    chance = draft.chance
    shared = [n for n in draft.networks.values() if n.shared and "internal" not in n.kind]
    pairs = [
        (a, b) for n in shared for a in draft.on(n.name) for b in draft.on(n.name)
        if a.host != b.host and len(a.networks) == len(b.networks) == 1
    ]  # fmt: skip
    if not pairs:
        return
    asker, asked = chance.choice(pairs)
    killed = chance.random() < 0.4
    draft.add({"fault": {**({"kill": [asked.host]} if killed else {"islands": [asked.host]}), "id": "away"}})
    draft.add({"expect": {"node": asked.host, "on": asker.host, "is": "Down", "within": AWAY}})
    draft.add({"expect": {"unresolved": f"{asker.place} -> {asked.name}", "within": PROMPT}})
    draft.add({"heal": "away"})
    draft.add({"expect": {"node": asked.host, "on": asker.host, "is": "Ready", "within": AWAY}})
    if not killed:
        draft.add({"expect": {"resolves": f"{asker.place} -> {asked.name}", "to": [asked.place], "within": AWAY}})
        draft.add({"expect": {"reachable": f"{asker.place} -> {asked.name}:80", "within": AWAY}})
        return
    for container in draft.containers.values():
        # What its policy does not bring back is started by hand.
        if container.host == asked.host:
            draft.add({"docker": f"start {container.name}", "on": container.host, "may_fail": True})
    draft.add({"expect": {"reachable": f"{asker.place} -> {asked.name}:80", "within": AWAY}})


def _aftermath(draft: Draft) -> None:
    """All is as if nothing had been: a network comes, containers come and go on it, and the network goes."""
    first = draft.managers[0]
    kind = draft.chance.choice(("overlay", "overlay", "overlay-encrypted"))
    network = actions.make_network(draft, kind, "after", first)
    hosts = [host for host in draft.hosts if host not in draft.left]
    draft.containers.clear()
    draft.networks = {network.name: network}
    for host in hosts:
        actions.run(draft, host, [network.name], name=f"after-{host}")
    _all_meet(draft, network.name, 8)
    if len(hosts) > 1:
        _one_goes(draft, network.name)
    draft.outside = list(draft.left)
    keep(draft, 1)
    for container in draft.on(network.name):
        draft.add(draft.docker(container.host, f"rm -f {container.name}"))
    draft.add({"expect": {"docker": f"network rm {network.name}", "on": first, "within": PROMPT}})
    if draft.left:
        return  # who left inside a cut may still be counted on, until `node rm`
    vni = f"-o com.docker.network.driver.overlay.vxlanid_list={_VNI}"
    for name in ("again-1", "again-2"):  # all have left the first, so its number is free
        draft.add({"expect": {"docker": f"network create -d overlay {vni} {name}", "on": first, "within": AWAY}})
        draft.add({"expect": {"docker": f"network rm {name}", "on": first, "within": PROMPT}})


def source(seed: int, bounds: Bounds | None = None) -> Source:
    """As read from its file."""
    return parse(generate(seed, bounds), file=f"explored-{seed}.yaml")[0]
