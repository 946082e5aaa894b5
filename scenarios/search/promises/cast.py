"""Who takes part when a promise is tried: a network of the scenario or one made for it, and containers on it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from scenarios.search import actions
from scenarios.search.draft import LINES, PROMPT, Container, Draft, Network

SINK = 7000
"""The UDP port whose datagrams a server writes to /udp, and whose they were to /who."""

_SERVER = (
    "hostname > /index.html; nc.openbsd -v -k -u -l {sink} > /udp 2> /who & seq 1 {lines} > /bulk; "
    "exec httpd -f -p 80 -h /"
)
IDLE = "sleep 100000"
_CROWDED = ("overlay-small", "bridge-icc")
"""Kinds where a guest more may find no address, or may not be talked to."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A network with names, and two hosts that can be on it; one host if it is that host's own."""

    network: Network
    here: str
    there: str


def meeting(draft: Draft, *, apart: bool = False, closed: bool = False) -> Meeting:
    """`apart`: on two hosts. `closed`: an internal network will do."""
    chance = draft.chance
    found = [
        network for network in draft.networks.values()
        if network.kind.startswith(("overlay", "bridge")) and network.kind not in _CROWDED
        and (closed or "internal" not in network.kind) and (network.shared or not apart)
    ]  # fmt: skip
    if not found or chance.random() < 0.2:
        kinds = ["overlay", "overlay-encrypted", "overlay-ipv6"] + ([] if apart else ["bridge", "bridge-ipv6"])
        found = [actions.make_network(draft, chance.choice(kinds), draft.fresh("p"))]
    network = chance.choice(found)
    members = draft.members()
    if network.shared and len(members) > 1:
        return Meeting(network, *chance.sample(members, 2))
    host = chance.choice(members if network.shared else network.hosts)
    return Meeting(network, host, host)


def guest(draft: Draft, host: str, network: str, *flags: str, program: str = IDLE, name: str = "") -> Container:
    """`docker run -d`; on no network of its own it is on the default bridge."""
    container = Container(name or draft.fresh("g"), host, [network] if network else [])
    place = ["--network", network] if network else []
    words = ["run", "-d", "--name", container.name, *place, *flags, "alpine", "sh", "-c", program]
    draft.add(draft.docker(host, shlex.join(words)))
    return container


def server(draft: Draft, host: str, network: str, *flags: str, lines: int = LINES, name: str = "") -> Container:
    """A guest that serves its own name and /bulk at port 80, and writes down what comes to the UDP port SINK."""
    name = name or draft.fresh("g")
    program = _SERVER.format(sink=SINK, lines=lines)
    return guest(draft, host, network, "--hostname", name, *flags, program=program, name=name)


def leave(draft: Draft, *containers: Container) -> None:
    """They are not needed any more."""
    for container in containers:
        draft.add(draft.docker(container.host, f"rm -f {container.name}"))


def stay(draft: Draft, container: Container) -> None:
    """From now on it takes part in whatever comes, or it goes."""
    if draft.chance.random() < 0.4:
        draft.containers[container.name] = container
    else:
        leave(draft, container)


def known(draft: Draft, asker: Container, asked: Container) -> None:
    """The one finds the other."""
    draft.expect(resolves=f"{asker.place} -> {asked.name}", to=[asked.place], within=PROMPT)


def served(draft: Draft, asker: Container, asked: Container, target: str = "", *, within: str = PROMPT) -> None:
    """The one gets the other's page; at `target` (an address, a port), else by its name."""
    line = f"wget -q -T 2 -O - http://{target or asked.name}/"
    draft.expect(exec=line, on=asker.place, prints=f"{asked.name}\n", within=within)


def state(draft: Draft, container: Container, wanted: str, **more: object) -> None:
    """`wanted`: status and exit status, as in "exited 137"."""
    line = f"inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' {container.name}"
    draft.expect(docker=line, on=container.host, matches=f"^{wanted}$", **more)
