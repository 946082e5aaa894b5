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
from scenarios.search import actions, drills, storm
from scenarios.search.draft import PROMPT, Draft, document
from scenarios.search.drills import presence, writes
from scenarios.search.drills.steps import AWAY, all_meet
from scenarios.search.promises import keep

_QUIET = 100.0
"""Seconds of nothing, in which what is old must be forgotten and nothing else."""

_DRILLED = 0.85
"""Of the scenarios, so many have a drill before the storm."""

_DRILLED_AFTER = 0.3
"""And so many another after it."""

_RARE = {"lost-disks": 0.4}
"""Features that take so much away that they are kept only so often."""

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
        if chance.random() < 0.55 * _RARE.get(feature, 1.0):
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
    if chance.random() < _DRILLED:
        drills.some_drill(draft)
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
    chosen = chance.sample(kinds, min(len(kinds), chance.randint(1, 3)))
    if "macvlan" in chosen and "ipvlan" in chosen:
        chosen.remove("ipvlan")  # a device is the parent of one or the other
    for kind in chosen:
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
            all_meet(draft, network.name, 6)
    if draft.has("policies"):
        actions.crash_loop(draft)
    keep(draft, 4)
    if chance.random() < 0.5:
        presence.one_goes(draft)


def _aftermath(draft: Draft) -> None:
    """All is as if nothing had been: a network comes, containers come and go on it, and the network goes."""
    first = draft.managers[0]
    if draft.left:  # whose ids are still counted on, by who doubts its disk too: those who are Down go, no others
        down = "node ls --format '{{if ne .Status \"Ready\"}}{{.ID}}{{end}}'"
        draft.add({"docker": down, "on": first, "capture": "nodes"})
        for verb in ("demote", "rm"):  # the demotion of a manager may have gone with its writer's power
            draft.add({"docker": f"node {verb} ${{nodes}} nobody", "on": first, "may_fail": True})
    kind = draft.chance.choice(("overlay", "overlay", "overlay-encrypted"))
    network = actions.make_network(draft, kind, "after", first)
    hosts = [host for host in draft.hosts if host not in draft.left]
    draft.containers.clear()
    draft.networks = {network.name: network}
    draft.outside = list(draft.left)
    draft.managers = [host for host in draft.managers if host in hosts]
    for host in hosts:
        actions.run(draft, host, [network.name], name=f"after-{host}")
    all_meet(draft, network.name, 8)
    for host in hosts:
        if host != first:  # what it is by now depends on what failed
            verb = "promote" if host in draft.managers else "demote"
            draft.add(draft.docker(first, f"node {verb} {host}"))
    for host in draft.managers:
        draft.add({"expect": {"docker": "node ls", "on": host, "within": AWAY}})
        # Who has not heard of a change yet writes over it (docs/state.md).
        for other in hosts:
            role = "manager" if other in draft.managers else "worker"
            line = f"node inspect -f '{{{{.Spec.Role}}}}' {other}"
            draft.add({"expect": {"docker": line, "on": host, "prints": role, "within": AWAY}})
    writes.labels(draft)
    if draft.chance.random() < _DRILLED_AFTER:
        drills.some_drill(draft)
    if len(hosts) > 1:
        presence.goes_from(draft, network.name)
    keep(draft, 1)
    there = draft.on(network.name)
    for container in there:
        draft.add(draft.docker(container.host, f"rm -f {container.name}"))
    for host in hosts:  # who left and came back has what its policy started again, on the network that it is on again
        if not any(container.name == f"after-{host}" for container in there):
            draft.add({"docker": f"rm -f after-{host}", "on": host, "may_fail": True})
    draft.add({"expect": {"docker": f"network rm {network.name}", "on": first, "within": PROMPT}})
    vni = f"-o com.docker.network.driver.overlay.vxlanid_list={_VNI}"
    for name in ("again-1", "again-2"):  # all have left the first, so its number is free
        draft.add({"expect": {"docker": f"network create -d overlay {vni} {name}", "on": first, "within": AWAY}})
        draft.add({"expect": {"docker": f"network rm {name}", "on": first, "within": PROMPT}})
        if draft.chance.random() < 0.3:
            draft.wait(1.0)
            draft.add({"restart": [first]})


def source(seed: int, bounds: Bounds | None = None) -> Source:
    """As read from its file."""
    return parse(generate(seed, bounds), file=f"explored-{seed}.yaml")[0]
