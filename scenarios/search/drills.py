"""Short stories in which everything must go exactly as it should: what a swarm promises beside running containers.

A drill is for when nothing else is broken. It says what must be so, everywhere and by when; it leaves the draft as
the storm may find it. Each gives False, and adds nothing, where the scenario has not what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scenarios.search import actions
from scenarios.search.draft import PROMPT, Container, Draft, Network, Step

AWAY = "15s"
"""Within this a host that is silent is Down everywhere, or one that is back is Ready."""

_SLOWLY = "30s"
"""Within this a root CA is replaced everywhere, or what two sides of a cut made is one."""

_FLICKER = "for i in $(seq 1 100); do nslookup -type=a {name} | grep -q ^Name: && echo FLICKER; sleep 0.02; done"


def all_meet(draft: Draft, network: str, most: int) -> None:
    """Those on a network know one another at once, and talk."""
    on = draft.on(network)
    pairs = [(a, b) for a in on for b in on if a is not b]
    for asker, asked in draft.chance.sample(pairs, min(most, len(pairs))):
        _meet(draft, asker, asked, PROMPT)


def _meet(draft: Draft, asker: Container, asked: Container, within: str) -> None:
    draft.add({"expect": {"resolves": f"{asker.place} -> {asked.name}", "to": [asked.place], "within": within}})
    draft.add({"expect": {"reachable": f"{asker.place} -> {asked.name}:80", "within": within}})


def _told(draft: Draft, host: str, line: str, within: str = PROMPT, **what: object) -> None:
    draft.add({"expect": {"docker": line, "on": host, **what, "within": within}})


def _status(draft: Draft, host: str, is_: str, on: str, **more: object) -> None:
    draft.add({"expect": {"node": host, "on": on, "is": is_, "within": AWAY, **more}})


def _shared(draft: Draft) -> list[Network]:
    """Overlays whose resolvers say that there is no such name."""
    return [n for n in draft.networks.values() if n.shared and "internal" not in n.kind]


def _roomy(draft: Draft, host: str) -> Network:
    """An overlay in which each host has addresses of its own, with containers that are on it alone, here and there."""
    for network in _shared(draft):
        there = [c.host for c in draft.on(network.name) if c.networks == [network.name]]
        if network.subnet and network.kind != "overlay-small" and host in there and len(dict.fromkeys(there)) > 1:
            return network
    network = Network(draft.fresh("roomy"), "overlay", [], f"10.24.{draft.number('roomy-net')}.0/24")
    draft.networks[network.name] = network
    line = f"network create -d overlay --attachable --subnet {network.subnet} {network.name}"
    draft.add(draft.docker(draft.chance.choice(draft.managers), line))
    for place in [host, host, draft.chance.choice([h for h in draft.members() if h != host])]:
        _bare(draft, place, network.name)
    return network


def _removed(draft: Draft, container: Container) -> None:
    draft.add(draft.docker(container.host, f"rm -f {container.name}"))
    del draft.containers[container.name]
    draft.gone.append(container.name)


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
    _removed(draft, goes)
    if "internal" in draft.networks[network].kind:
        return  # there nobody says that there is no such name: the question goes to a resolver that cannot be reached
    for other in stay[:3]:
        draft.add({"expect": {"unresolved": f"{other.place} -> {goes.name}", "within": PROMPT}})


def one_is_away(draft: Draft) -> bool:
    """A host is not heard of: its names go, everywhere, and stay away; it comes back, and so do they."""
    chance = draft.chance
    pairs = [
        (a, b) for n in _shared(draft) for a in draft.on(n.name) for b in draft.on(n.name)
        if a.host != b.host and len(a.networks) == len(b.networks) == 1
    ]  # fmt: skip
    if not pairs:
        if len(draft.members()) < 2:
            return False
        network = _roomy(draft, chance.choice(draft.members())).name
        pairs = [(a, b) for a in draft.on(network) for b in draft.on(network) if a.host != b.host]
    asker, asked = chance.choice(pairs)
    killed, away, still = chance.random() < 0.6, draft.fresh("away"), draft.fresh("still")
    stopped = [h for h in draft.members() if h not in (asker.host, asked.host)][:1] if killed else []
    if stopped:  # who goes on later has not heard of what was, and tells what is no more
        draft.add({"fault": {"pause": stopped, "id": still}})
    draft.add({"fault": {**({"kill": [asked.host]} if killed else {"islands": [asked.host]}), "id": away}})
    _status(draft, asked.host, "Down", asker.host)
    draft.add({"expect": {"unresolved": f"{asker.place} -> {asked.name}", "within": PROMPT}})
    if not killed:
        draft.add({"heal": away})
        _status(draft, asked.host, "Ready", asker.host)
        _meet(draft, asker, asked, AWAY)
        return True
    if stopped:
        draft.add({"heal": still})
    draft.add({"expect": {"node": asked.host, "on": asker.host, "is": "Down", "for": "3s"}})
    _status(draft, asked.host, "Down", stopped[0] if stopped else asker.host)
    back: Step = {"heal": away}
    if asked.restart == "no":
        # It does not run after the boot, so its name must not come back with its host, not even for a moment.
        if chance.random() < 0.7:
            draft.add({"fault": {"loss": "50%", "from": [asked.host], "traffic": "gossip", "for": "2s"}})
        line = ["sh", "-c", _FLICKER.format(name=asked.name)]
        draft.add({"parallel": [back, {"exec": line, "on": asker.place, "never": "FLICKER"}]})
    else:
        draft.add(back)
    _status(draft, asked.host, "Ready", asker.host)
    _begin_again(draft, [asked.host])
    draft.add({"expect": {"reachable": f"{asker.place} -> {asked.name}:80", "within": AWAY}})
    return True


def _begin_again(draft: Draft, hosts: list[str], must: Sequence[Container] = ()) -> None:
    """What its policy does not bring back is started by hand. must: those that nothing can keep from it."""
    for container in draft.containers.values():
        if container.host in hosts:
            more: Step = {} if any(container is one for one in must) else {"may_fail": True}
            draft.add({"docker": f"start {container.name}", "on": container.host, "within": "25s", **more})
            container.running, container.paused = True, False


def boots_alone(draft: Draft) -> bool:
    """A host that starts where nobody hears it has what it needs on its own disk."""
    if len(draft.members()) < 2:
        return False
    host = draft.chance.choice(draft.members())
    network = _roomy(draft, host)
    others = [h for h in draft.members() if h != host]
    dead, alone = draft.fresh("dead"), draft.fresh("alone")
    draft.wait(6.0)  # in which it gets addresses of its own
    draft.add({"fault": {"kill": [host], "id": dead}})
    _status(draft, host, "Down", draft.chance.choice(others))
    draft.add({"fault": {"islands": [host], "id": alone}})
    draft.add({"heal": dead})
    if host in draft.managers:
        for shared in _shared(draft):
            _told(draft, host, "network ls", prints=shared.name)
    _begin_again(draft, [host], [c for c in draft.containers.values() if c.networks == [network.name]])
    new = actions.run(draft, host, [network.name])
    if new is not None:
        for old in [c for c in draft.on(network.name) if c.host == host and c is not new][:2]:
            _meet(draft, new, old, PROMPT)
    draft.add({"heal": alone})
    _status(draft, host, "Ready", draft.chance.choice(others))
    elsewhere = [c for c in draft.on(network.name) if c.host != host and c.networks == [network.name]]
    if new is not None and elsewhere:
        _meet(draft, draft.chance.choice(elsewhere), new, AWAY)
    return True


def all_die(draft: Draft) -> bool:
    """Every daemon ends and starts: all is on their disks."""
    chance = draft.chance
    shared = _shared(draft)
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
        _status(draft, host, "Ready", draft.managers[0])
    for manager in draft.managers:
        for network in shared:
            _told(draft, manager, "network ls", prints=network.name)
    labels(draft)
    network = chance.choice(shared)
    _begin_again(draft, draft.hosts, draft.on(network.name))
    all_meet(draft, network.name, 6)
    return True


def is_removed(draft: Draft) -> bool:
    """`node rm`: the node learns of it, its names go, its addresses are somebody else's; it joins again."""
    chance = draft.chance
    workers = [h for h in draft.members() if h not in draft.managers]
    if not workers:
        return False
    host = chance.choice(workers)
    network = _roomy(draft, host)
    others = [c for c in draft.on(network.name) if c.host != host and c.networks == [network.name]]
    goes = actions.run(draft, host, [network.name])
    if goes is None:
        return False
    other, manager = chance.choice(others), chance.choice(draft.managers)
    _meet(draft, other, goes, PROMPT)
    template = f"{{{{.NetworkSettings.Networks.{network.name}.IPAddress}}}}"
    draft.add({"docker": f"inspect -f '{template}' {goes.name}", "on": host, "capture": "held"})
    how, away = chance.choice(("well", "dead", "cut")), draft.fresh("away")
    if how != "well":
        draft.add({"fault": {"kill" if how == "dead" else "islands": [host], "id": away}})
        _status(draft, host, "Down", manager)
    draft.add(draft.docker(manager, f"node rm -f {host}"))
    for each in draft.managers:
        _told(draft, each, "node ls --format '{{.Hostname}},'", lacks=f"{host},")
    draft.add({"expect": {"unresolved": f"{other.place} -> {goes.name}", "within": PROMPT}})
    if how != "well":
        draft.add({"heal": away})
    _told(draft, host, "info", lacks="Swarm: active", within=PROMPT if how == "well" else AWAY)
    if chance.random() < 0.3:
        draft.add({"restart": [host]})
        draft.add({"expect": {"docker": "info", "on": host, "lacks": "Swarm: active", "for": "1s"}})
        # Their policies would start them once the host has those networks again.
        waiting = [c for c in draft.containers.values() if c.host == host and c.restart != "no"]
        for container in waiting:
            if any(draft.networks[n].shared for n in container.networks if n in draft.networks):
                _removed(draft, container)
    heir = chance.choice([h for h in draft.members() if h != host])
    name = draft.fresh("heir")
    draft.add(draft.docker(heir, f"create --name {name} --network {network.name} --ip ${{held}} alpine sleep 1000"))
    _told(draft, heir, f"start {name}", within=_SLOWLY, prints=name)
    draft.add({"exec": "ping -c 2 -W 1 ${held}", "on": other.place})
    draft.add(draft.docker(heir, f"rm -f {name}"))
    _off_the_swarm(draft, host)
    _join(draft, host, manager)
    again = actions.run(draft, host, [network.name])
    if again is not None:
        _meet(draft, other, again, PROMPT)
    return True


def _small(draft: Draft, hosts: int) -> tuple[Network, int]:
    """A network that is soon full, and how many containers so many hosts can have on it: each host that is on it has
    an address for its balancer too."""
    bits, room = next((b, size - hosts) for b, size in ((29, 5), (28, 13), (27, 29), (26, 61))
                      if size - hosts >= max(2, hosts))  # fmt: skip
    network = Network(draft.fresh("small"), "overlay-small", [], f"10.23.{draft.number('small-net')}.0/{bits}")
    draft.networks[network.name] = network
    line = f"network create -d overlay --attachable --subnet {network.subnet} {network.name}"
    draft.add(draft.docker(draft.chance.choice(draft.managers), line))
    return network, room


def _ended(draft: Draft, network: Network) -> None:
    """A network of a drill goes, with all that is on it."""
    for container in [c for c in draft.containers.values() if network.name in c.networks]:
        _removed(draft, container)
    draft.wait(1.0)
    draft.add(draft.docker(draft.managers[0], f"network rm {network.name}"))
    del draft.networks[network.name]


def _fill(draft: Draft, network: Network, hosts: list[str], room: int) -> None:
    for host in [*hosts, *(draft.chance.choice(hosts) for _ in range(room - len(hosts)))]:
        _bare(draft, host, network.name)


def fills_up(draft: Draft) -> bool:
    """A small network gives out all that it has, to whichever hosts ask; what is given back is given again."""
    chance, members = draft.chance, draft.members()
    network, room = _small(draft, len(members))
    _fill(draft, network, members, room)
    draft.wait(1.0)
    _refused(draft, chance.choice(members), network.name, "no available IPv4 addresses")
    all_meet(draft, network.name, 2)
    if len(members) > 1 and chance.random() < 0.5:
        host = chance.choice(members)
        draft.add({"restart": [host]})
        _status(draft, host, "Ready", chance.choice([h for h in members if h != host]))
        _begin_again(draft, [host])
    for container in draft.on(network.name):
        _removed(draft, container)
    draft.wait(1.0)
    _fill(draft, network, members, room)
    _ended(draft, network)
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
    network, room = _small(draft, len(stay))
    draft.wait(6.0)  # in which it gets numbers of its own
    _bare(draft, host, network.name)
    draft.add(draft.docker(host, "swarm leave"))
    _off_the_swarm(draft, host)
    draft.wait(1.0)
    _fill(draft, network, stay, room)
    _ended(draft, network)
    # Nobody waits for who has left.
    vni = f"-o com.docker.network.driver.overlay.vxlanid_list={6000 + draft.number('left-vni')}"
    for name in ("left-1", "left-2"):
        _told(draft, manager, f"network create -d overlay {vni} {name}", within=AWAY)
        _told(draft, manager, f"network rm {name}")
    if chance.random() < 0.5:
        draft.add({"restart": [host]})
    draft.add({"expect": {"docker": "info", "on": host, "prints": "Swarm: inactive", "for": "1s"}})
    _told(draft, manager, "node ls --format '{{.Hostname}} {{.Status}},'", prints=f"{host} Down,", within=AWAY)
    draft.add(draft.docker(manager, f"node rm {host}"))
    _join(draft, host, manager)
    return True


def _off_the_swarm(draft: Draft, host: str) -> None:
    """Its containers have lost the swarm's networks."""
    for container in draft.containers.values():
        if container.host == host:
            local = [n for n in container.networks if n in draft.networks and not draft.networks[n].shared]
            container.networks = local


def _join(draft: Draft, host: str, manager: str) -> None:
    draft.add({"docker": "swarm join-token -q worker", "on": manager, "capture": "fresh"})
    address = f"192.0.2.{draft.hosts.index(manager) + 1}:2377"
    draft.add(draft.docker(host, f"swarm join --token ${{fresh}} {address}"))
    _status(draft, host, "Ready", manager)


def splits(draft: Draft) -> bool:
    """Both sides of a cut take of a small network what they can, and one removes a node of the other: no address is
    anybody's twice, and in the end everybody meets."""
    chance, members = draft.chance, draft.members()
    if len(members) < 3:
        return False
    network, room = _small(draft, len(members))
    cut = draft.fresh("cut")
    _fill(draft, network, members, len(members))
    draft.wait(chance.choice((0.5, 6.0)))
    first = draft.managers[0]
    others = [h for h in members if h != first]
    away = sorted(chance.sample(others, chance.randint(1, len(others) - 1)))
    draft.add({"fault": {"partition": [away, [h for h in draft.hosts if h not in away]], "id": cut}})
    removed = next((h for h in away if h not in draft.managers), "") if chance.random() < 0.5 else ""
    _status(draft, away[0], "Down", first)
    if removed:
        draft.add(draft.docker(first, f"node rm -f {removed}"))
    draft.calm = False
    for _ in range(room + 2):
        host = chance.choice(members)
        _bare(draft, host, network.name)
        old = chance.choice(list(draft.on(network.name)))
        if chance.random() < 0.4:
            _removed(draft, old)
    draft.calm = True
    draft.add({"heal": cut})
    if removed:
        _told(draft, removed, "info", lacks="Swarm: active", within=AWAY)
    for host in others:
        if host != removed:
            _status(draft, host, "Ready", first)
    draft.wait(6.0)
    for _ in range(2):
        draft.add({"docker": f"run -d --name {draft.fresh('last')} --network {network.name} alpine sleep 1000",
                   "on": chance.choice([h for h in members if h != removed]), "may_fail": True})  # fmt: skip
    draft.wait(2.0)
    if removed:
        _off_the_swarm(draft, removed)
        _join(draft, removed, first)
    del draft.networks[network.name]
    for container in [c for c in draft.containers.values() if network.name in c.networks]:
        del draft.containers[container.name]
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


def _refused(draft: Draft, host: str, network: str, why: str) -> None:
    """A container cannot be on a network."""
    name = draft.fresh("refused")
    draft.add(draft.docker(host, f"create --name {name} --network {network} alpine sleep 1000"))
    draft.add({"docker": f"start {name}", "on": host, "fails": why})
    draft.add(draft.docker(host, f"rm -f {name}"))


def _bare(draft: Draft, host: str, network: str) -> Container:
    """A container with nothing but a name."""
    features, draft.features = draft.features, {}
    made = actions.run(draft, host, [network])
    draft.features = features
    assert made is not None
    return made


def roles_change(draft: Draft) -> bool:
    """A worker becomes a manager, acts as one, and becomes a worker again."""
    chance = draft.chance
    workers = [h for h in draft.members() if h not in draft.managers]
    if not workers:
        return False
    host, manager = chance.choice(workers), chance.choice(draft.managers)
    draft.add(draft.docker(manager, f"node promote {host}"))
    _told(draft, host, "node ls --format '{{.Hostname}},'", within=AWAY, prints=f"{manager},")
    if chance.random() < 0.5:
        draft.add({"restart": [host]})
        _told(draft, host, "node ls --format '{{.Hostname}},'", within=AWAY, prints=f"{manager},")
        _begin_again(draft, [host])
    draft.managers.append(host)
    labels(draft)
    draft.managers.remove(host)
    draft.add(draft.docker(manager, f"node demote {host}"))
    _told(draft, host, "node ls", within=AWAY, exit=1)
    return True


def labels(draft: Draft) -> bool:
    """What one manager writes over another's, all have; and none undoes it."""
    chance = draft.chance
    of = chance.choice(draft.members())
    for writer in chance.sample(draft.managers, len(draft.managers)):
        value = f"v{draft.number('label')}"
        draft.add(draft.docker(writer, f"node update --label-add turn={value} {of}"))
        for reader in draft.managers:
            _told(draft, reader, f"node inspect -f '{{{{.Spec.Labels.turn}}}}' {of}", prints=value)
    return True


def keys_change(draft: Draft) -> bool:
    """The root CA is replaced, and every node has a certificate of the new one; managers are locked and unlocked."""
    chance = draft.chance
    manager = chance.choice(draft.managers)
    if chance.random() < 0.5:
        draft.add({"docker": "swarm ca", "on": manager, "capture": "root"})
        late = [h for h in draft.members() if h not in draft.managers]
        down = chance.choice(late) if late and chance.random() < 0.5 else ""
        dead = draft.fresh("dead")
        if down:
            draft.add({"fault": {"kill": [down], "id": dead}})
        draft.add(draft.docker(manager, "swarm ca --rotate --detach"))
        if down:
            draft.wait(4.0)
            _told(draft, manager, "swarm ca", prints="${root}")  # it waits for all
            draft.add({"heal": dead})
            _begin_again(draft, [down])
        for each in draft.managers:
            _told(draft, each, "swarm ca", within=_SLOWLY, lacks="${root}", exit=0)
        draft.add({"docker": "swarm ca", "on": manager, "capture": "root"})
        for host in draft.members():
            shown = f"node inspect -f '{{{{.Description.TLSInfo.TrustRoot}}}}' {host}"
            _told(draft, manager, shown, within=AWAY, prints="${root}")
        if draft.has("membership"):
            draft.add({"docker": "swarm join-token -q worker", "on": manager, "capture": "token"})
        return True
    locked = chance.choice(draft.managers)
    draft.add(draft.docker(manager, "swarm update --autolock"))
    draft.add({"docker": "swarm unlock-key -q", "on": manager, "capture": "key"})
    draft.wait(2.0)
    draft.add({"restart": [locked]})
    _told(draft, locked, "info", prints="Swarm: locked")
    draft.add({"docker": "swarm unlock", "on": locked, "stdin": "${key}"})
    for host in draft.members():
        if host != locked:
            _status(draft, locked, "Ready", host)
    _told(draft, locked, "info", prints="Swarm: active")
    draft.add(draft.docker(chance.choice(draft.managers), "swarm update --no-autolock"))
    draft.wait(2.0)
    draft.add({"restart": [locked]})
    _told(draft, locked, "info", prints="Swarm: active")
    _begin_again(draft, [locked])
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
        _told(draft, manager, f"network inspect -f '{{{{.Id}}}}' {name}", within=_SLOWLY, prints="${elder}")
        _told(draft, manager, "network inspect -f '{{.Name}}' ${younger}", within=_SLOWLY, prints=name)
    draft.networks[name] = Network(name, "overlay", [])
    made = [_bare(draft, host, name) for host in chance.sample(members, min(3, len(members)))]
    all_meet(draft, name, 2)
    _refused(draft, chance.choice(draft.managers), "${younger}", "has lost its name")
    for container in made:
        _removed(draft, container)
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
    for shared in _shared(draft):
        all_meet(draft, shared.name, 6)
    return True


DRILLS: dict[str, tuple[int, Callable[[Draft], bool]]] = {
    "one-is-away": (6, one_is_away), "boots-alone": (3, boots_alone),
    "all-die": (3, all_die), "is-removed": (4, is_removed), "fills-up": (2, fills_up),
    "roles-change": (2, roles_change), "labels": (2, labels), "keys-change": (2, keys_change), "twins": (2, twins),
    "long-life": (1, long_life), "leaves": (3, leaves), "splits": (3, splits), "hiccup": (2, hiccup),
}  # fmt: skip
"""With how often each is chosen."""


def some_drill(draft: Draft) -> None:
    """One that the scenario has what it needs for, if any."""
    left = {name: weight for name, (weight, _) in DRILLS.items()}
    while left:
        name = draft.chance.choices(list(left), list(left.values()))[0]
        del left[name]
        if DRILLS[name][1](draft):
            return
