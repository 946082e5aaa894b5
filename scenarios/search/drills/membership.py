"""Drills of membership: who is removed, who leaves, who becomes a manager and a worker again."""

from __future__ import annotations

from scenarios.search import actions
from scenarios.search.draft import PROMPT, Container, Draft
from scenarios.search.drills.steps import (
    AWAY,
    SLOWLY,
    bare,
    begin_again,
    ended,
    fill,
    join,
    meet,
    off_the_swarm,
    roomy,
    small,
    status,
    take_away,
    told,
)
from scenarios.search.drills.writes import labels
from scenarios.search.promises.cast import guest, leave, served, server


def is_removed(draft: Draft) -> bool:
    """`node rm`: the node learns of it, its names go, its addresses are somebody else's; it joins again."""
    chance = draft.chance
    workers = [h for h in draft.members() if h not in draft.managers]
    if not workers:
        return False
    host = chance.choice(workers)
    network = roomy(draft, host)
    others = [c for c in draft.on(network.name) if c.host != host and c.networks == [network.name]]
    goes = actions.run(draft, host, [network.name])
    if goes is None:
        return False
    other, manager = chance.choice(others), chance.choice(draft.managers)
    meet(draft, other, goes, PROMPT)
    template = f"{{{{.NetworkSettings.Networks.{network.name}.IPAddress}}}}"
    draft.add({"docker": f"inspect -f '{template}' {goes.name}", "on": host, "capture": "held"})
    how, away = chance.choice(("well", "dead", "cut")), draft.fresh("away")
    if how != "well":
        draft.add({"fault": {"kill" if how == "dead" else "islands": [host], "id": away}})
        status(draft, host, "Down", manager)
    draft.add(draft.docker(manager, f"node rm -f {host}"))
    for each in draft.managers:
        told(draft, each, "node ls --format '{{.Hostname}},'", lacks=f"{host},")
    draft.add({"expect": {"unresolved": f"{other.place} -> {goes.name}", "within": PROMPT}})
    if how != "well":
        draft.add({"heal": away})
    told(draft, host, "info", lacks="Swarm: active", within=PROMPT if how == "well" else AWAY)
    if chance.random() < 0.3:
        draft.add({"restart": [host]})
        draft.add({"expect": {"docker": "info", "on": host, "lacks": "Swarm: active", "for": "1s"}})
        # Their policies would start them once the host has those networks again.
        waiting = [c for c in draft.containers.values() if c.host == host and c.restart != "no"]
        for container in waiting:
            if any(draft.networks[n].shared for n in container.networks if n in draft.networks):
                take_away(draft, container)
    heir = chance.choice([h for h in draft.members() if h != host])
    name = draft.fresh("heir")
    draft.add(draft.docker(heir, f"create --name {name} --network {network.name} --ip ${{held}} alpine sleep 1000"))
    told(draft, heir, f"start {name}", within=SLOWLY, prints=name)
    draft.add({"exec": "ping -c 2 -W 1 ${held}", "on": other.place})
    draft.add(draft.docker(heir, f"rm -f {name}"))
    off_the_swarm(draft, host)
    join(draft, host, manager)
    again = actions.run(draft, host, [network.name])
    if again is not None:
        meet(draft, other, again, PROMPT)
    return True


def leaves(draft: Draft) -> bool:
    """Who leaves is out for good, and what it had is the others'; it comes again as somebody else."""
    chance = draft.chance
    workers = [h for h in draft.members() if h not in draft.managers]
    if not workers:
        return False
    host = chance.choice(workers)
    stay = [h for h in draft.members() if h != host]
    manager = chance.choice(draft.managers)
    network, room = small(draft, len(stay))
    draft.wait(6.0)  # in which it gets numbers of its own
    bare(draft, host, network.name)
    draft.add(draft.docker(host, "swarm leave"))
    off_the_swarm(draft, host)
    draft.wait(1.0)
    fill(draft, network, stay, room)
    ended(draft, network)
    # Nobody waits for who has left.
    vni = f"-o com.docker.network.driver.overlay.vxlanid_list={6000 + draft.number('left-vni')}"
    for name in ("left-1", "left-2"):
        told(draft, manager, f"network create -d overlay {vni} {name}", within=AWAY)
        told(draft, manager, f"network rm {name}")
    if chance.random() < 0.5:
        draft.add({"restart": [host]})
    draft.add({"expect": {"docker": "info", "on": host, "prints": "Swarm: inactive", "for": "1s"}})
    told(draft, manager, "node ls --format '{{.Hostname}} {{.Status}},'", prints=f"{host} Down,", within=AWAY)
    draft.add(draft.docker(manager, f"node rm {host}"))
    join(draft, host, manager)
    return True


def own_swarm(draft: Draft) -> bool:
    """Who leaves and begins a swarm of its own has nothing in common with the other one: no member, no name, no packet,
    though a network may be called alike there and have the same subnet. Then it comes back as somebody new."""
    workers = [h for h in draft.members() if h not in draft.managers]
    if not workers:
        return False
    host, manager = draft.chance.choice(workers), draft.chance.choice(draft.managers)
    name, subnet = draft.fresh("alike"), f"10.22.{draft.number('alike-net')}.0/26"
    create = f"network create -d overlay --attachable --subnet {subnet} {name}"
    draft.add(draft.docker(host, "swarm leave"))
    off_the_swarm(draft, host)
    told(draft, manager, "node ls --format '{{.Hostname}} {{.Status}},'", prints=f"{host} Down,", within=AWAY)
    draft.add(draft.docker(manager, f"node rm {host}"))
    draft.add(draft.docker(host, f"swarm init --advertise-addr 192.0.2.{draft.hosts.index(host) + 1}"))
    asked: dict[str, Container] = {}
    for each in (manager, host):
        draft.add(draft.docker(each, create))
        asked[each] = server(draft, each, name)
    for each, other in ((manager, host), (host, manager)):
        asker = guest(draft, each, name)
        served(draft, asker, asked[each])
        draft.expect(unresolved=f"{asker.place} -> {asked[other].name}")
        leave(draft, asker)
    line = "node ls --format '{{.Hostname}},'"
    for each, other in ((manager, host), (host, manager)):
        draft.add({"expect": {"docker": line, "on": each, "lacks": f"{other},", "for": "2s"}})
    for each in (manager, host):
        leave(draft, asked[each])
        told(draft, each, f"network rm {name}")
    draft.add(draft.docker(host, "swarm leave --force"))
    join(draft, host, manager)
    return True


def roles_change(draft: Draft) -> bool:
    """A worker becomes a manager, acts as one, and becomes a worker again."""
    chance = draft.chance
    workers = [h for h in draft.members() if h not in draft.managers]
    if not workers:
        return False
    host, manager = chance.choice(workers), chance.choice(draft.managers)
    draft.add(draft.docker(manager, f"node promote {host}"))
    told(draft, host, "node ls --format '{{.Hostname}},'", within=AWAY, prints=f"{manager},")
    if chance.random() < 0.5:
        draft.add({"restart": [host]})
        told(draft, host, "node ls --format '{{.Hostname}},'", within=AWAY, prints=f"{manager},")
        begin_again(draft, [host])
    draft.managers.append(host)
    labels(draft)
    draft.managers.remove(host)
    draft.add(draft.docker(manager, f"node demote {host}"))
    told(draft, host, "node ls", within=AWAY, exit=1)
    return True
