"""Drills of numbers: a small network gives all that it has, once, on both sides of a cut."""

from __future__ import annotations

from scenarios.search.draft import Draft, Network
from scenarios.search.drills.steps import (
    AWAY,
    SLOWLY,
    all_meet,
    bare,
    begin_again,
    ended,
    fill,
    join,
    off_the_swarm,
    refused,
    roomy,
    small,
    status,
    take_away,
    told,
)


def fills_up(draft: Draft) -> bool:
    """A small network gives out all that it has, to whichever hosts ask; what is given back is given again."""
    chance, members = draft.chance, draft.members()
    network, room = small(draft, len(members))
    fill(draft, network, members, room)
    draft.wait(1.0)
    refused(draft, chance.choice(members), network.name, "no available IPv4 addresses")
    all_meet(draft, network.name, 2)
    if len(members) > 1 and chance.random() < 0.5:
        host = chance.choice(members)
        draft.add({"restart": [host]})
        status(draft, host, "Ready", chance.choice([h for h in members if h != host]))
        begin_again(draft, [host])
    for container in draft.on(network.name):
        take_away(draft, container)
    draft.wait(1.0)
    fill(draft, network, members, room)
    ended(draft, network)
    return True


def splits(draft: Draft) -> bool:
    """Both sides of a cut take of a small network what they can, and one removes a node of the other: no address is
    anybody's twice, and in the end everybody meets."""
    chance, members = draft.chance, draft.members()
    if len(members) < 3:
        return False
    network, room = small(draft, len(members))
    cut = draft.fresh("cut")
    fill(draft, network, members, len(members))
    draft.wait(chance.choice((0.5, 6.0)))
    first = draft.managers[0]
    others = [h for h in members if h != first]
    away = sorted(chance.sample(others, chance.randint(1, len(others) - 1)))
    draft.add({"fault": {"partition": [away, [h for h in draft.hosts if h not in away]], "id": cut}})
    removed = next((h for h in away if h not in draft.managers), "") if chance.random() < 0.5 else ""
    status(draft, away[0], "Down", first)
    if removed:
        draft.add(draft.docker(first, f"node rm -f {removed}"))
    draft.calm = False
    for _ in range(room + 2):
        host = chance.choice(members)
        bare(draft, host, network.name)
        old = chance.choice(list(draft.on(network.name)))
        if chance.random() < 0.4:
            take_away(draft, old)
    draft.calm = True
    draft.add({"heal": cut})
    if removed:
        told(draft, removed, "info", lacks="Swarm: active", within=AWAY)
    for host in others:
        if host != removed:
            status(draft, host, "Ready", first)
    draft.wait(6.0)
    for _ in range(2):
        draft.add({"docker": f"run -d --name {draft.fresh('last')} --network {network.name} alpine sleep 1000",
                   "on": chance.choice([h for h in members if h != removed]), "may_fail": True})  # fmt: skip
    draft.wait(2.0)
    if removed:
        off_the_swarm(draft, removed)
        join(draft, removed, first)
    del draft.networks[network.name]
    for container in [c for c in draft.containers.values() if network.name in c.networks]:
        del draft.containers[container.name]
    return True


def moves(draft: Draft) -> bool:
    """An address goes from host to host, its MAC with it, while one that talks to it is cut off: afterwards that one
    hears in any order that it is gone from here and come there."""
    chance, members = draft.chance, draft.members()
    if len(members) < 3:
        return False
    network = roomy(draft, chance.choice(members))
    other = chance.choice([c for c in draft.on(network.name) if c.networks == [network.name]])
    hosts = [h for h in members if h != other.host]
    address = network.subnet.rpartition(".")[0] + ".62"
    known = f"--network {network.name} --ip {address} --mac-address 02:42:0a:18:00:62"
    draft.wait(6.0)  # in which each has addresses of its own
    name = before = ""
    for n in range(5):
        host, cut = hosts[n % len(hosts)], draft.fresh("cut")
        if before:
            draft.add({"fault": {"islands": [other.host], "id": cut}})
            draft.add(draft.docker(before, f"rm -f {name}"))
        name, before = draft.fresh("mover"), host
        draft.add(draft.docker(host, f"create --name {name} {known} alpine sleep 1000"))
        if n:
            draft.wait(0.5)
            draft.add({"docker": f"start {name}", "on": host, "may_fail": True})
            draft.wait(chance.choice((0.0, 1.0)))
            draft.add({"heal": cut})
        told(draft, host, f"start {name}", within=SLOWLY, prints=name)
        draft.add({"expect": {"resolves": f"{other.place} -> {name}", "to": [f"{host}/{name}"], "within": AWAY}})
        draft.add({"expect": {"reachable": f"{other.place} -> {name}", "within": AWAY}})
    draft.add(draft.docker(before, f"rm -f {name}"))
    draft.wait(12.0)  # a cut that nobody noticed: what was said meanwhile is found by digests, every 10 s
    return True


def removed_in_a_cut(draft: Draft) -> bool:
    """A network is removed while a host that is cut off has somebody on it, unknown to all others: after the cut he is
    off it, and its VNI is another's, on that host too."""
    chance, members = draft.chance, draft.members()
    away = [h for h in members if h not in draft.managers]
    if not away:
        return False
    host, manager = chance.choice(away), chance.choice(draft.managers)
    vni, cut = 6500 + draft.number("cut-vni"), draft.fresh("cut")
    brief, again = draft.fresh("brief"), draft.fresh("brief")
    create = f"network create -d overlay --attachable -o com.docker.network.driver.overlay.vxlanid_list={vni}"
    draft.add(draft.docker(manager, f"{create} {brief}"))
    draft.networks[brief] = Network(brief, "overlay", [])
    first = bare(draft, host, brief)
    draft.wait(6.0)  # in which it gets addresses of its own
    take_away(draft, first)
    draft.wait(1.0)
    draft.add({"fault": {"islands": [host], "id": cut}})
    status(draft, host, "Down", manager)
    stays = bare(draft, host, brief)
    draft.add(draft.docker(manager, f"network rm {brief}"))
    draft.add({"heal": cut})
    status(draft, host, "Ready", manager)
    told(draft, host, f"inspect -f '{{{{json .NetworkSettings.Networks}}}}' {stays.name}", within=AWAY, lacks=brief)
    told(draft, host, "network ls", within=AWAY, lacks=brief)
    take_away(draft, stays)
    draft.wait(2.0)  # the manager sees it; it may not see the manager yet
    del draft.networks[brief]
    told(draft, manager, f"{create} {again}", within=AWAY)
    draft.networks[again] = Network(again, "overlay", [])
    for each in (host, chance.choice([h for h in members if h != host])):
        bare(draft, each, again)
    all_meet(draft, again, 2)
    ended(draft, draft.networks[again])
    return True
