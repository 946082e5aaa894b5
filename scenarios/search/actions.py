"""What a made scenario does: networks, containers and nodes come, change and go."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from scenarios.search.draft import LINES, SERVER, Container, Draft, Network, Step

KINDS = {
    "overlay": [], "overlay-encrypted": ["-o", "encrypted"], "overlay-internal": ["--internal"],
    "overlay-ipv6": ["--ipv6"], "overlay-vni": [], "overlay-small": [], "bridge": [], "bridge-internal": ["--internal"],
    "bridge-icc": ["-o", "com.docker.network.bridge.enable_icc=false"], "bridge-ipv6": ["--ipv6"],
    "macvlan": ["-o", "parent=eth0"], "ipvlan": ["-o", "parent=eth0"],
}  # fmt: skip
"""Kinds of networks, each with its flags of `docker network create`; what is drawn for each network comes on top."""


def make_network(draft: Draft, kind: str, name: str = "", manager: str = "") -> Network:
    """One overlay on a manager, or one of each of some hosts."""
    chance = draft.chance
    name = name or draft.fresh("net")
    number = draft.number("subnet")
    flags = list(KINDS[kind])
    driver = kind.partition("-")[0]
    network = Network(name, kind, [])
    if driver == "overlay":
        network.hosts = [manager or chance.choice(draft.managers)]
        flags.append("--attachable")
    elif driver in ("macvlan", "ipvlan"):
        network.hosts = sorted(chance.sample(draft.hosts, min(len(draft.hosts), 2)))
    else:
        network.hosts = [chance.choice(draft.hosts)]
    if kind == "overlay-small":
        network.subnet = f"10.20.{number}.0/{28 if draft.calm else chance.choice((28, 29))}"
    elif kind == "overlay-vni":
        flags += ["-o", f"com.docker.network.driver.overlay.vxlanid_list={5000 + number}"]
    elif driver in ("macvlan", "ipvlan"):
        network.subnet = f"10.30.{number}.0/24"
    elif chance.random() < 0.6 or "ipv6" in kind:
        network.subnet = f"10.2{1 if driver == 'overlay' else 2}.{number}.0/{chance.choice((24, 26))}"
    if "ipv6" in kind:
        flags += ["--subnet", f"fd00:{number}::/64"]
    if driver in ("overlay", "bridge") and chance.random() < 0.2:
        flags += ["-o", f"com.docker.network.driver.mtu={chance.choice((1200, 1300, 1400))}"]
    if network.subnet:
        flags += ["--subnet", network.subnet]
    for n, host in enumerate(network.hosts):
        own = list(flags)
        if driver in ("macvlan", "ipvlan"):
            own += ["--ip-range", f"10.30.{number}.{64 * (n + 1)}/26", "--gateway", f"10.30.{number}.{n + 1}"]
        draft.add(draft.docker(host, shlex.join(["network", "create", "-d", driver, *own, name])))
    if driver == "overlay":
        network.hosts = []
    draft.networks[name] = network
    return network


def remove_network(draft: Draft) -> None:
    """One that nobody is on, or (in the storm) any; now and then it is made again under its name."""
    free = [n for n in draft.networks.values() if not any(n.name in c.networks for c in draft.containers.values())]
    if not free:
        return
    network = draft.chance.choice(free)
    for host in network.hosts or [draft.chance.choice(draft.managers)]:
        draft.add(draft.docker(host, f"network rm {network.name}"))
    del draft.networks[network.name]
    if draft.chance.random() < 0.6:
        make_network(draft, network.kind, network.name)


def run(draft: Draft, host: str = "", networks: list[str] | None = None, **given: str) -> Container | None:
    """A container that serves its host name, with what the scenario's features allow."""
    chance = draft.chance
    host = host or chance.choice(draft.hosts)
    if networks is None:
        known = [n.name for n in draft.reachable_networks(host)]
        networks = [chance.choice(known)] if known and chance.random() < 0.93 else []
    name = given.get("name") or draft.fresh("k")
    if "name" not in given and draft.has("names") and draft.gone and chance.random() < 0.4:
        name = chance.choice(draft.gone)
    if name in draft.containers:
        return None
    words = ["run", "-d", "--name", name]
    for network in networks:
        words += ["--network", network]
    user_defined = bool(networks)
    if draft.has("aliases") and user_defined and chance.random() < 0.4:
        words += ["--network-alias", chance.choice(("web", "db", "cache"))]
    if "ip" in given:
        words += ["--ip", given["ip"]]
    elif draft.has("chosen") and user_defined and not draft.calm and chance.random() < 0.4:
        address = chosen_address(draft, networks[0])
        words += ["--ip", address] if address else []
    ports = []
    if draft.has("ports") and chance.random() < 0.4:
        ports = [8100 + draft.number("port") if draft.calm or chance.random() < 0.7 else 8000 + chance.randint(0, 2)]
        words += ["-p", f"{ports[0]}:80"]
    restart = "no"
    if draft.has("policies"):
        restart = chance.choice(("no", "always", "unless-stopped", "on-failure:3"))
        words += ["--restart", restart]
    if draft.has("hostnames") and chance.random() < 0.3:
        words += ["--hostname", f"host-{name}"]
    words += ["alpine", "sh", "-c", SERVER.format(lines=LINES)]
    draft.add(draft.docker(host, shlex.join(words)))
    draft.gone = [other for other in draft.gone if other != name]
    container = draft.containers[name] = Container(name, host, networks, ports=ports, restart=restart)
    return container


def chosen_address(draft: Draft, network: str) -> str:
    """One of a few, so that addresses move between hosts."""
    subnet = draft.networks[network].subnet if network in draft.networks else ""
    if not subnet or draft.networks[network].kind in ("macvlan", "ipvlan"):
        return ""
    return subnet.rpartition(".")[0] + f".{draft.chance.randint(3, 6)}"


def crash_loop(draft: Draft) -> None:
    """A container whose program ends: its policy decides."""
    policy = draft.chance.choice(("no", "on-failure:2", "always", "unless-stopped"))
    status = draft.chance.choice((0, 1, 3))
    name = draft.fresh("x")
    host = draft.chance.choice(draft.hosts)
    program = f"echo begun; sleep 1; exit {status}"
    line = ["run", "-d", "--name", name, "--restart", policy, "alpine", "sh", "-c", program]
    draft.add(draft.docker(host, shlex.join(line)))
    if not draft.calm:
        return
    times = {"no": 1, "on-failure:2": 3 if status else 1}.get(policy, 4)
    format_ = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}"
    wanted = f"exited {status} {times - 1}" if times < 4 else ""
    expected: Step = {"docker": f"inspect -f '{format_}' {name}", "on": host, "within": "12s"}
    expected |= {"prints": wanted} if wanted else {"matches": r" [3-9]$"}
    draft.add({"expect": expected})
    draft.add({"expect": {"docker": f"logs {name}", "on": host, "prints": "begun\n" * (times if times < 4 else 3)}})
    draft.add(draft.docker(host, f"rm -f {name}"))


def replace(draft: Draft) -> None:
    """Ends a container and starts another with its name or address, often elsewhere: what answers must be the new."""
    if not draft.containers:
        return
    old = draft.chance.choice(list(draft.containers.values()))
    draft.add(draft.docker(old.host, f"rm -f {old.name}"))
    _forget(draft, old)
    if not old.networks or old.networks[0] not in draft.networks:
        return
    network = draft.networks[old.networks[0]]
    hosts = draft.members() if network.shared else network.hosts
    run(draft, draft.chance.choice(hosts), [network.name], name=old.name)


def move_address(draft: Draft) -> None:
    """An address that was chosen moves from one host to another."""
    shared = [n for n in draft.networks.values() if n.shared and n.subnet]
    if not shared or len(draft.members()) < 2:
        return
    network = draft.chance.choice(shared)
    address = network.subnet.rpartition(".")[0] + f".{draft.chance.randint(9, 12)}"
    first, second = draft.chance.sample(draft.members(), 2)
    old = run(draft, first, [network.name], ip=address)
    if old is None:
        return
    other = next((c for c in draft.on(network.name) if c is not old), None)
    if other is not None:
        draft.add({"exec": f"ping -c 1 -W 1 {address}", "on": other.place, "may_fail": True})
    draft.add(draft.docker(first, f"rm -f {old.name}"))
    _forget(draft, old)
    if draft.chance.random() < 0.5:
        draft.wait(draft.chance.uniform(0.0, 1.0))
    run(draft, second, [network.name], ip=address)


def end(draft: Draft) -> None:
    running = draft.running()
    if running:
        container = draft.chance.choice(running)
        verb = draft.chance.choice(("stop -t 0", "kill", "stop -t 1"))
        draft.add(draft.docker(container.host, f"{verb} {container.name}"))
        container.running = False


def begin(draft: Draft) -> None:
    stopped = [c for c in draft.containers.values() if not c.running]
    if stopped:
        container = draft.chance.choice(stopped)
        draft.add(draft.docker(container.host, f"start {container.name}"))
        container.running = True


def again(draft: Draft) -> None:
    if draft.containers:
        container = draft.chance.choice(list(draft.containers.values()))
        draft.add(draft.docker(container.host, f"restart -t 0 {container.name}"))
        container.running, container.paused = True, False


def remove(draft: Draft) -> None:
    if draft.containers:
        container = draft.chance.choice(list(draft.containers.values()))
        draft.add(draft.docker(container.host, f"rm -f {container.name}"))
        _forget(draft, container)


def _forget(draft: Draft, container: Container) -> None:
    del draft.containers[container.name]
    draft.gone.append(container.name)


def rename(draft: Draft) -> None:
    if draft.containers:
        container = draft.chance.choice(list(draft.containers.values()))
        name = draft.fresh("r")
        draft.add(draft.docker(container.host, f"rename {container.name} {name}"))
        draft.gone.append(container.name)
        del draft.containers[container.name]
        container.name = name
        draft.containers[name] = container


def connect(draft: Draft) -> None:
    chance = draft.chance
    choices = [
        (c, n.name) for c in draft.containers.values() for n in draft.reachable_networks(c.host)
        if n.name not in c.networks and c.networks
    ]  # fmt: skip
    if choices:
        container, network = chance.choice(choices)
        alias = f"--alias {chance.choice(('web', 'db'))} " if draft.has("aliases") and chance.random() < 0.5 else ""
        draft.add(draft.docker(container.host, f"network connect {alias}{network} {container.name}"))
        container.networks.append(network)


def disconnect(draft: Draft) -> None:
    choices = [(c, n) for c in draft.containers.values() for n in c.networks]
    if choices:
        container, network = draft.chance.choice(choices)
        draft.add(draft.docker(container.host, f"network disconnect {network} {container.name}"))
        container.networks.remove(network)


def pause(draft: Draft) -> None:
    for container in draft.containers.values():
        if container.paused:
            draft.add(draft.docker(container.host, f"unpause {container.name}"))
            container.paused = False
            return
    running = draft.running()
    if running:
        container = draft.chance.choice(running)
        draft.add(draft.docker(container.host, f"pause {container.name}"))
        container.paused = True


def transfer(draft: Draft) -> None:
    """A page of some length: it comes whole or not at all."""
    pairs = [(a, b, n) for n in draft.networks for a in draft.on(n) for b in draft.on(n) if a is not b]
    if pairs:
        a, b, _ = draft.chance.choice(pairs)
        line = (f"timeout 3 wget -q -O /tmp/got http://{b.name}/bulk || exit 0; "
                f"seq 1 {LINES} | cmp - /tmp/got || echo DAMAGED")  # fmt: skip
        draft.add({"exec": ["sh", "-c", line], "on": a.place, "may_fail": True, "never": "DAMAGED", "within": "8s"})


def swarm_again(draft: Draft) -> None:
    """A node leaves or is removed, and comes back under another id."""
    chance = draft.chance
    others = [h for h in draft.hosts if h not in draft.managers]
    if not others:
        return
    host = chance.choice(others)
    if host in draft.outside:
        manager = f"192.0.2.{draft.hosts.index(draft.managers[0]) + 1}:2377"
        draft.add(draft.docker(host, "swarm join --token ${token} " + manager))
        draft.outside.remove(host)
        return
    if chance.random() < 0.5:
        draft.add(draft.docker(host, "swarm leave"))
    else:
        draft.add(draft.docker(chance.choice(draft.managers), f"node rm -f {host}"))
    draft.outside.append(host)
    draft.left[host] = None
    for container in draft.containers.values():
        if container.host == host:
            container.networks = [n for n in container.networks if n in draft.networks and not draft.networks[n].shared]


def change_role(draft: Draft) -> None:
    """Never of the first manager; by any of them. Nor of who has more than one id: a dead manager's id stays."""
    chance = draft.chance
    others = [h for h in draft.members() if h != draft.managers[0] and h not in draft.left]
    if others:
        host = chance.choice(others)
        verb = "demote" if host in draft.managers else "promote"
        draft.ruled[host] = None
        draft.add(draft.docker(chance.choice([h for h in draft.managers if h != host]), f"node {verb} {host}"))
        draft.managers = [h for h in draft.managers if h != host] if verb == "demote" else [*draft.managers, host]


def settings(draft: Draft) -> None:
    """What is written about the swarm: labels of nodes, now and then another root CA."""
    chance = draft.chance
    line = f"node update --label-add storm={draft.number('storm')} {chance.choice(draft.hosts)}"
    if chance.random() < 0.25:
        line = "swarm ca --rotate --detach"
    draft.add(draft.docker(chance.choice(draft.managers), line))


def together(draft: Draft) -> None:
    """Some actions at one time, each on another host, for of two on one host nobody knows which was first."""
    before = draft.steps
    draft.steps = []
    for _ in range(draft.chance.randint(2, 4)):
        draft.chance.choice((run, run, remove, rename, begin, end))(draft)
    inner = [step for step in draft.steps if "docker" in step]
    draft.steps = before
    while inner:
        at_once = list({step["on"]: step for step in reversed(inner)}.values())[::-1]
        draft.add({"parallel": at_once} if len(at_once) > 1 else at_once[0])
        inner = [step for step in inner if not any(step is other for other in at_once)]


def new_network(draft: Draft) -> None:
    kinds = [kind for kind in KINDS if draft.has(kind)]
    if kinds and len(draft.networks) < 7:
        make_network(draft, draft.chance.choice(kinds))


ACTIONS: dict[str, tuple[int, Callable[[Draft], object]]] = {
    "run": (6, run), "replace": (4, replace), "move": (2, move_address), "end": (3, end), "begin": (3, begin),
    "again": (2, again), "remove": (3, remove), "rename": (2, rename), "connect": (3, connect),
    "disconnect": (3, disconnect), "pausing": (2, pause), "transfer": (3, transfer), "together": (2, together),
    "new-network": (2, new_network), "remove-network": (3, remove_network), "membership": (2, swarm_again),
    "roles": (2, change_role), "settings": (2, settings),
}  # fmt: skip
"""With how often each is chosen, where it is a feature of the scenario at all."""
