"""Drills of shared rows: what managers write over one another's, keys, a name given twice, rows without end."""

from __future__ import annotations

from scenarios.search import actions
from scenarios.search.draft import Draft, Network
from scenarios.search.drills.steps import (
    AWAY,
    SLOWLY,
    all_meet,
    bare,
    begin_again,
    overlays,
    refused,
    status,
    take_away,
    told,
)


def labels(draft: Draft) -> bool:
    """What one manager writes over another's, all have; and none undoes it."""
    chance = draft.chance
    of = chance.choice(draft.members())
    for writer in chance.sample(draft.managers, len(draft.managers)):
        value = f"v{draft.number('label')}"
        draft.add(draft.docker(writer, f"node update --label-add turn={value} {of}"))
        for reader in draft.managers:
            told(draft, reader, f"node inspect -f '{{{{.Spec.Labels.turn}}}}' {of}", prints=value)
    return True


def keys_change(draft: Draft) -> bool:
    """The root CA is replaced, and every node has a certificate of the new one; managers are locked and unlocked."""
    chance = draft.chance
    manager = chance.choice(draft.managers)
    if chance.random() < 0.5 and not draft.left:  # whose old disk trusts a root that is no more must join again
        draft.add({"docker": "swarm ca", "on": manager, "capture": "root"})
        late = [h for h in draft.members() if h not in draft.managers]
        down = chance.choice(late) if late and chance.random() < 0.5 else ""
        dead = draft.fresh("dead")
        if down:
            draft.add({"fault": {"kill": [down], "id": dead}})
        draft.add(draft.docker(manager, "swarm ca --rotate --detach"))
        if down:
            draft.wait(4.0)
            told(draft, manager, "swarm ca", prints="${root}")  # it waits for all
            draft.add({"heal": dead})
            begin_again(draft, [down])
        for each in draft.managers:
            told(draft, each, "swarm ca", within=SLOWLY, lacks="${root}", exit=0)
        draft.add({"docker": "swarm ca", "on": manager, "capture": "root"})
        for host in draft.members():
            shown = f"node inspect -f '{{{{.Description.TLSInfo.TrustRoot}}}}' {host}"
            told(draft, manager, shown, within=AWAY, prints="${root}")
        if draft.has("membership"):
            draft.add({"docker": "swarm join-token -q worker", "on": manager, "capture": "token"})
        return True
    locked = chance.choice(draft.managers)
    draft.add(draft.docker(manager, "swarm update --autolock"))
    draft.add({"docker": "swarm unlock-key -q", "on": manager, "capture": "key"})
    draft.wait(2.0)
    draft.add({"restart": [locked]})
    told(draft, locked, "info", prints="Swarm: locked")
    draft.add({"docker": "swarm unlock", "on": locked, "stdin": "${key}"})
    for host in draft.members():
        if host != locked:
            status(draft, locked, "Ready", host)
    told(draft, locked, "info", prints="Swarm: active")
    draft.add(draft.docker(chance.choice(draft.managers), "swarm update --no-autolock"))
    draft.wait(2.0)
    draft.add({"restart": [locked]})
    told(draft, locked, "info", prints="Swarm: active")
    begin_again(draft, [locked])
    return True


def twins(draft: Draft) -> bool:
    """Two sides of a cut make networks of one name: after it the first (by Lamport time) has it, everywhere."""
    chance, members = draft.chance, draft.members()
    if len(draft.managers) < 2:
        return False
    first, second = chance.sample(draft.managers, 2)
    rest = [h for h in draft.hosts if h not in (first, second)]
    here = sorted([first, *chance.sample(rest, len(rest) // 2)])
    name, cut = draft.fresh("twin"), draft.fresh("cut")
    draft.wait(6.0)  # in which both get subnets and VNIs of their own
    draft.add({"fault": {"partition": [here, [h for h in draft.hosts if h not in here]], "id": cut}})
    line = f"network create -d overlay --attachable {name}"
    draft.add({"docker": line, "on": first, "capture": "elder"})
    for n in range(8):
        # Each is a write: the second's Lamport time is later than the first's, if it was not before.
        draft.add(draft.docker(second, f"node update --label-add side={n} {second}"))
    draft.add({"docker": line, "on": second, "capture": "younger"})
    draft.wait(chance.choice((0.0, 8.0)))
    draft.add({"heal": cut})
    for manager in draft.managers:
        told(draft, manager, f"network inspect -f '{{{{.Id}}}}' {name}", within=SLOWLY, prints="${elder}")
        told(draft, manager, "network inspect -f '{{.Name}}' ${younger}", within=SLOWLY, prints=name)
    draft.networks[name] = Network(name, "overlay", [])
    made = [bare(draft, host, name) for host in chance.sample(members, min(3, len(members)))]
    all_meet(draft, name, 2)
    refused(draft, chance.choice(draft.managers), "${younger}", "has lost its name")
    for container in made:
        take_away(draft, container)
    draft.wait(1.0)
    draft.add(draft.docker(first, "network rm ${younger}"))
    draft.add(draft.docker(second, "network rm ${elder}"))
    del draft.networks[name]
    return True


def long_life(draft: Draft) -> bool:
    """So much comes and goes on one host that its rows are said anew; those that live stay."""
    there = [c for c in draft.running() if c.host in draft.members() and c.networks]
    if not there:
        return False
    container = draft.chance.choice(there)
    network = actions.make_network(draft, "overlay").name
    draft.add({"repeat": {"times": 260, "steps": [
        {"docker": f"network connect {network} {container.name}", "on": container.host},
        {"docker": f"network disconnect {network} {container.name}", "on": container.host},
    ]}})  # fmt: skip
    draft.wait(40.0)
    for shared in overlays(draft):
        all_meet(draft, shared.name, 6)
    return True
