"""Drills of numbers: a small network gives all that it has, once, on both sides of a cut."""

from __future__ import annotations

from scenarios.search.draft import Draft
from scenarios.search.drills.steps import (
    AWAY,
    all_meet,
    bare,
    begin_again,
    ended,
    fill,
    join,
    off_the_swarm,
    refused,
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
