"""Drills of who is there: a container goes, a host is away or slow, or starts where nobody hears it; all die."""

from __future__ import annotations

from scenarios.search import actions
from scenarios.search.draft import PROMPT, Draft, Step
from scenarios.search.drills.steps import AWAY, all_meet, begin_again, meet, overlays, roomy, status, take_away, told
from scenarios.search.drills.writes import labels

_FLICKER = "for i in $(seq 1 100); do nslookup -type=a {name} | grep -q ^Name: && echo FLICKER; sleep 0.02; done"


def one_goes(draft: Draft) -> bool:
    """What is removed is known nowhere any more, at once."""
    there = [n for n in draft.networks.values() if n.shared and len(draft.on(n.name)) > 2]
    if not there:
        return False
    goes_from(draft, draft.chance.choice(there).name)
    return True


def goes_from(draft: Draft, network: str) -> None:
    """The first on a network goes; nobody has its name a moment later."""
    goes, *stay = draft.on(network)
    take_away(draft, goes)
    if "internal" in draft.networks[network].kind:
        return  # there nobody says that there is no such name: the question goes to a resolver that cannot be reached
    for other in stay[:3]:
        draft.add({"expect": {"unresolved": f"{other.place} -> {goes.name}", "within": PROMPT}})


def one_is_away(draft: Draft) -> bool:
    """A host is not heard of: its names go, everywhere, and stay away; it comes back, and so do they."""
    chance = draft.chance
    pairs = [
        (a, b) for n in overlays(draft) for a in draft.on(n.name) for b in draft.on(n.name)
        if a.host != b.host and len(a.networks) == len(b.networks) == 1
    ]  # fmt: skip
    if not pairs:
        if len(draft.members()) < 2:
            return False
        network = roomy(draft, chance.choice(draft.members())).name
        pairs = [(a, b) for a in draft.on(network) for b in draft.on(network) if a.host != b.host]
    asker, asked = chance.choice(pairs)
    killed, away, still = chance.random() < 0.6, draft.fresh("away"), draft.fresh("still")
    stopped = [h for h in draft.members() if h not in (asker.host, asked.host)][:1] if killed else []
    if stopped:  # who goes on later has not heard of what was, and tells what is no more
        draft.add({"fault": {"pause": stopped, "id": still}})
    draft.add({"fault": {**({"kill": [asked.host]} if killed else {"islands": [asked.host]}), "id": away}})
    status(draft, asked.host, "Down", asker.host)
    draft.add({"expect": {"unresolved": f"{asker.place} -> {asked.name}", "within": PROMPT}})
    if not killed:
        draft.add({"heal": away})
        status(draft, asked.host, "Ready", asker.host)
        meet(draft, asker, asked, AWAY)
        return True
    if stopped:
        draft.add({"heal": still})
    draft.add({"expect": {"node": asked.host, "on": asker.host, "is": "Down", "for": "3s"}})
    status(draft, asked.host, "Down", stopped[0] if stopped else asker.host)
    back: Step = {"heal": away}
    if asked.restart == "no":
        # It does not run after the boot, so its name must not come back with its host, not even for a moment.
        if chance.random() < 0.7:
            draft.add({"fault": {"loss": "50%", "from": [asked.host], "traffic": "gossip", "for": "2s"}})
        line = ["sh", "-c", _FLICKER.format(name=asked.name)]
        draft.add({"parallel": [back, {"exec": line, "on": asker.place, "never": "FLICKER"}]})
    else:
        draft.add(back)
    status(draft, asked.host, "Ready", asker.host)
    begin_again(draft, [asked.host])
    draft.add({"expect": {"reachable": f"{asker.place} -> {asked.name}:80", "within": AWAY}})
    return True


def boots_alone(draft: Draft) -> bool:
    """A host that starts where nobody hears it has what it needs on its own disk."""
    if len(draft.members()) < 2:
        return False
    host = draft.chance.choice(draft.members())
    network = roomy(draft, host)
    others = [h for h in draft.members() if h != host]
    dead, alone = draft.fresh("dead"), draft.fresh("alone")
    draft.wait(6.0)  # in which it gets addresses of its own
    draft.add({"fault": {"kill": [host], "id": dead}})
    status(draft, host, "Down", draft.chance.choice(others))
    draft.add({"fault": {"islands": [host], "id": alone}})
    draft.add({"heal": dead})
    if host in draft.managers:
        for shared in overlays(draft):
            told(draft, host, "network ls", prints=shared.name)
    begin_again(draft, [host], [c for c in draft.containers.values() if c.networks == [network.name]])
    new = actions.run(draft, host, [network.name])
    if new is not None:
        for old in [c for c in draft.on(network.name) if c.host == host and c is not new][:2]:
            meet(draft, new, old, PROMPT)
    draft.add({"heal": alone})
    status(draft, host, "Ready", draft.chance.choice(others))
    elsewhere = [c for c in draft.on(network.name) if c.host != host and c.networks == [network.name]]
    if new is not None and elsewhere:
        meet(draft, draft.chance.choice(elsewhere), new, AWAY)
    return True


def all_die(draft: Draft) -> bool:
    """Every daemon ends and starts: all is on their disks."""
    chance = draft.chance
    shared = overlays(draft)
    if not shared:
        return False
    labels(draft)
    if chance.random() < 0.7:
        dark = draft.fresh("dark")
        draft.add({"fault": {"kill": list(draft.hosts), "id": dark}})
        draft.wait(chance.choice((0.5, 3.0)))
        draft.add({"heal": dark})
    else:
        draft.add({"stop": list(draft.hosts)})
        draft.add({"restart": chance.sample(draft.hosts, len(draft.hosts))})
    for host in draft.members():
        status(draft, host, "Ready", draft.managers[0])
    for manager in draft.managers:
        for network in shared:
            told(draft, manager, "network ls", prints=network.name)
    labels(draft)
    network = chance.choice(shared)
    begin_again(draft, draft.hosts, draft.on(network.name))
    all_meet(draft, network.name, 6)
    return True


def hiccup(draft: Draft) -> bool:
    """A daemon that is stopped for a moment, or a link that loses some, gets nobody thrown out."""
    chance, members = draft.chance, draft.members()
    if len(members) < 3:
        return False
    host = chance.choice(members)
    other = chance.choice([h for h in members if h != host])
    fault: Step = {"pause": [host]} if chance.random() < 0.5 else {"loss": "15%", "from": [host]}
    lasts = "2.5s" if "pause" in fault else "6s"
    draft.add({"fault": {**fault, "for": lasts}})
    draft.add({"expect": {"node": host, "on": other, "is": "Ready", "for": "7s"}})
    return True
