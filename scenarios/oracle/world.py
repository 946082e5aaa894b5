"""What must be true, folded from what clients were told. A pure function of the history.

Where an answer is missing, or a failure leaves open what was done, the thing is marked unsure and nothing is asked of
it; everything else must be so, exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from scenarios.oracle import flags
from scenarios.oracle.ledger import Booted, Call, Died, Entry, Forgot

RUNNING, PAUSED, EXITED, CREATED = "running", "paused", "exited", "created"
UNSURE = "unsure"

_HEARD = 2.0
"""Seconds within which all hosts have heard of a removal, if nothing is broken."""


@dataclass(slots=True)
class Place:
    """A container's place on a network, as it was asked for. on: it must have it while it runs; None: unsure."""

    network: str
    aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    on: bool | None = True


@dataclass(slots=True)
class Box:
    """An acknowledged container. name: as asked for; that of one that is not `named` its host alone knows.
    state: one of the words above. ran: it ran when its daemon died. stopped: by hand. excused: its last start may have
    failed for want of another host."""

    id: str
    host: str
    name: str
    image: str
    argv: tuple[str, ...]
    state: str
    hostname: str = ""
    restart: str = "no"
    publish: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    places: dict[str, Place] = field(default_factory=dict)
    ran: bool = False
    stopped: bool = False
    excused: bool = False
    auto_remove: bool = False
    named: bool = True

    @property
    def endless(self) -> bool:
        """Does its program run until it is told to stop?"""
        text = " ".join(self.argv)
        return "sleep 1" in text or "httpd -f" in text or self.image.partition(":")[0] in ("nginx", "traefik/whoami")

    @property
    def serves(self) -> bool:
        """Does it tell its host name at port 80?"""
        return "hostname > /index.html" in " ".join(self.argv)


@dataclass(slots=True)
class Net:
    """An acknowledged network. host: whose it is; "" for the swarm's."""

    id: str
    name: str
    host: str
    driver: str
    internal: bool = False
    encrypted: bool = False
    ipv6: bool = False
    icc: bool = True
    subnets: tuple[str, ...] = ()
    maker: str = ""
    gone: bool | None = False
    remover: str = ""
    removed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Decided:
    """Which manager answered that a node has another role, and whether something was broken then."""

    host: str
    disturbed: bool


@dataclass(slots=True)
class World:
    """roles: by whom they were last changed. member: is the host in the swarm? None where that is unsure; not there: it
    never was asked."""

    boxes: dict[str, Box] = field(default_factory=dict)
    nets: dict[str, Net] = field(default_factory=dict)
    member: dict[str, bool | None] = field(default_factory=dict)
    manager: dict[str, bool | None] = field(default_factory=dict)
    roles: dict[str, Decided] = field(default_factory=dict)
    unsure_names: dict[tuple[str, str], None] = field(default_factory=dict)
    unsure_networks: dict[str, None] = field(default_factory=dict)
    former_names: dict[str, None] = field(default_factory=dict)
    vague: dict[str, None] = field(default_factory=dict)

    def box(self, host: str, ref: str) -> Box | None:
        """By name, id or a prefix of the id."""
        for box in self.boxes.values():
            if box.host == host and (box.name == ref or box.id == ref or (len(ref) > 3 and box.id.startswith(ref))):
                return box
        return None

    def net(self, host: str, ref: str) -> Net | None:
        """The one that is there, by name or id; the newest where several were."""
        found = [n for n in self.nets.values() if n.host in ("", host) and (n.name == ref or n.id == ref)]
        there = [n for n in found if n.gone is not True]
        return there[-1] if there else found[-1] if found else None

    def named(self, ref: str, host: str) -> list[Net]:
        return [n for n in self.nets.values() if n.host in ("", host) and n.name == ref and n.gone is not True]


def believed(history: Iterable[Entry], members: Sequence[str], managers: Sequence[str] = ()) -> World:
    """`members`: the hosts that are in the swarm at the start."""
    world = World(member={host: True for host in members}, manager={host: True for host in managers})
    for entry in history:
        if isinstance(entry, Died):
            _died(world, entry.host)
        elif isinstance(entry, Booted):
            _booted(world, entry)
        elif isinstance(entry, Forgot):
            _forgot(world, entry)
        else:
            _called(world, entry)
    return world


def _forgot(world: World, lost: Forgot) -> None:
    host = lost.host
    world.vague[host] = None
    if not lost.power:
        world.member[host] = None
    for ref, decided in world.roles.items():
        if decided.host == host or not lost.power:
            world.manager[ref] = None
    if not lost.power:
        world.manager[host] = None
    for net in world.nets.values():
        if net.host == host or net.maker == host:
            net.gone = net.gone or None
        if net.remover == host and net.gone:
            net.gone = None  # it may have told nobody before it forgot


def _died(world: World, host: str) -> None:
    for box in world.boxes.values():
        if box.host == host and box.state in (RUNNING, PAUSED):
            box.ran, box.state = True, EXITED


def _booted(world: World, boot: Booted) -> None:
    for box in list(world.boxes.values()):
        if box.host != boot.host or box.state == UNSURE:
            continue
        policy = box.restart.partition(":")[0]
        if box.ran and box.auto_remove:
            del world.boxes[box.id]
            continue
        again = (
            (policy == "always" and (box.ran or box.stopped))
            or (policy == "unless-stopped" and box.ran and not box.stopped)
            or (policy == "on-failure" and box.ran and not box.stopped)
        )  # fmt: skip
        box.ran = False
        if again:
            _starts(world, box)
            # A manager that doubts its disk gives no addresses until it has heard all: tries that are counted run out.
            counted = policy == "on-failure" and ":" in box.restart and bool(world.vague)
            box.excused = boot.disturbed or counted or _lacks(world, box)
        if policy == "on-failure" and box.ran and box.stopped:
            box.state = UNSURE  # its exit status decides


def _lacks(world: World, box: Box) -> bool:
    """Has its host lost a network of it, so that the start may fail with "network n not found"? (Docker's words: what
    the policy starts asks for its networks again, those too that it was taken off.)"""
    nets = [net for name in box.places if (net := world.net(box.host, name)) is not None]
    return any(net.gone is not False or (not net.host and not world.member.get(box.host)) for net in nets)


def _starts(world: World, box: Box) -> None:
    box.state, box.stopped, box.excused = RUNNING if box.endless else UNSURE, False, False
    for place in box.places.values():
        net = world.net(box.host, place.network)
        if place.on is False and net is not None and net.host == "":
            place.on = None  # it lost the network in between; whether the start brings it back is not promised
        _not_sure_outside(world, box, place)


def _not_sure_outside(world: World, box: Box, place: Place) -> None:
    """A host that is out of the swarm has the swarm's networks only as long as it does not know."""
    net = world.net(box.host, place.network)
    shared = place.network not in ("bridge", "host", "none") and (net is None or net.host == "")
    if shared and world.member.get(box.host) is not True:
        place.on = None


def _called(world: World, call: Call) -> None:
    words = call.words
    if words[:1] == ("container",) and len(words) > 1 and words[1] not in ("ls", "prune"):
        call = dataclasses.replace(call, words=words[1:])  # the same verbs under their older names
        words = call.words
    match words[0]:
        case "run" | "create":
            _made(world, call)
        case "start" | "stop" | "restart" | "kill" | "pause" | "unpause" | "rm":
            _state(world, call)
        case "rename":
            _renamed(world, call)
        case "update":
            _updated(world, call)
        case "network":
            _network(world, call)
        case "swarm" | "node":
            _swarm(world, call)
        case "container" | "system" | "compose":
            if len(words) > 1 and words[1] not in ("ls", "inspect", "df"):
                world.vague[call.host] = None
        case _:
            pass


def _made(world: World, call: Call) -> None:
    asked = flags.read(call.words[1:], interspersed=False)
    name = asked.one("--name")
    networks = asked.all("--network")
    for published in asked.all("--publish"):
        if call.code != 0:
            world.unsure_names[(call.host, f"port {published}")] = None
    if call.words[0] == "run" and not asked.has("--detach"):
        world.vague[call.host] = None  # whether it still runs is not known
    lines = call.output.split()
    if call.code != 0 or not lines or len(lines[-1]) != 64:
        world.unsure_names[(call.host, name)] = None
        return
    for former in [box for box in world.boxes.values() if box.host == call.host and box.name == name]:
        del world.boxes[former.id]  # the name was free: with --rm it went by itself, or by a command without an answer
    running = call.words[0] == "run"
    image, argv = asked.rest[0] if asked.rest else "", tuple(asked.rest[1:])
    box = Box(lines[-1], call.host, name or lines[-1][:12], image, argv, CREATED, asked.one("--hostname"),
              asked.one("--restart", "no"), tuple(asked.all("--publish")), tuple(asked.all("--volume")),
              auto_remove=asked.has("--rm"), named=bool(name))  # fmt: skip
    for n, network in enumerate(networks or ["bridge"]):
        first = n == 0
        box.places[network] = place = Place(
            network, tuple(asked.all("--network-alias")) if first else (),
            asked.one("--ip") if first else "", asked.one("--ip6") if first else "",
        )  # fmt: skip
        if any(_just_removed(former, network, call) for former in world.nets.values()):
            place.on = None  # which of the two its host meant, it alone knows
    if any("=" in network or network.startswith("container:") for network in networks):
        world.vague[call.host] = None
    if asked.all("--link") or asked.has("--entrypoint"):
        box.state = UNSURE
    world.boxes[box.id] = box
    if running:
        _starts(world, box)


def _just_removed(net: Net, name: str, call: Call) -> bool:
    """By another host, so that this one may not have heard of it."""
    shared = net.host == "" and net.name == name and net.gone is True
    return shared and net.remover != call.host and (call.disturbed or call.began - net.removed_at < _HEARD)


def _state(world: World, call: Call) -> None:
    words = ["--volumes" if word == "-v" else word for word in call.words[1:]]
    asked = flags.read(words, times=True)
    for ref in asked.rest:
        box = world.box(call.host, ref)
        done = call.code == 0 or ref in call.output.split()
        if box is None:
            if done and call.words[0] == "rm":
                world.unsure_names.pop((call.host, ref), None)  # whatever had it is gone
            continue
        if not done:
            if call.words[0] == "rm" and call.refused and not asked.has("--force"):
                continue  # with force it may have been killed
            box.state = UNSURE
            continue
        match call.words[0]:
            case "start":
                _starts(world, box)
            case "restart":
                _starts(world, box)
            case "stop":
                box.state, box.stopped = EXITED, True
            case "kill":
                if asked.one("--signal", asked.one("-s", "KILL")).removeprefix("SIG") in ("KILL", "9"):
                    box.state, box.stopped = EXITED, True
                else:
                    box.state = UNSURE
            case "pause":
                box.state = PAUSED
            case "unpause":
                box.state = RUNNING
            case _:
                world.former_names[box.name] = None
                del world.boxes[box.id]


def _updated(world: World, call: Call) -> None:
    asked = flags.read(call.words[1:])
    for ref in asked.rest:
        box = world.box(call.host, ref)
        if box is None:
            continue
        if call.code == 0 or ref in call.output.split():
            box.restart = asked.one("--restart", box.restart)
        elif not call.refused:
            world.vague[call.host] = None  # which policy it has is not known


def _renamed(world: World, call: Call) -> None:
    box = world.box(call.host, call.words[1])
    if box is None or len(call.words) < 3:
        return
    if call.code == 0:
        world.former_names[box.name] = None
        box.name, box.named = call.words[2], True
    elif not call.refused:
        world.unsure_names[(call.host, box.name)] = None
        world.unsure_names[(call.host, call.words[2])] = None


def _network(world: World, call: Call) -> None:
    match call.words[1]:
        case "create":
            _network_made(world, call)
        case "rm" | "remove":
            for ref in flags.read(call.words[2:]).rest:
                net = world.net(call.host, ref)
                if net is None:
                    world.unsure_networks[ref] = None
                elif call.code == 0 or ref in call.output.split():
                    same = [n for n in world.nets.values() if n.name == ref and n.host == "" and net.host == ""]
                    if len(same) > 1 and call.disturbed:
                        for other in same:  # which of them this host meant, it alone knows
                            other.gone = other.gone or None
                    else:
                        _network_gone(world, net)
                        net.remover, net.removed_at = call.host, call.ended or call.began
                elif not call.refused:
                    net.gone = None
        case "connect":
            asked = flags.read(call.words[2:])
            if len(asked.rest) > 1 and (box := world.box(call.host, asked.rest[1])) is not None:
                place = Place(asked.rest[0], tuple(asked.all("--alias")), asked.one("--ip"), asked.one("--ip6"))
                if call.code != 0:
                    if call.refused and box.places.get(place.network) is not None:
                        return
                    place.on = None
                box.places[place.network] = place
                _not_sure_outside(world, box, place)
        case "disconnect":
            asked = flags.read(call.words[2:])
            if len(asked.rest) > 1 and (box := world.box(call.host, asked.rest[1])) is not None:
                if call.code == 0:
                    box.places.pop(asked.rest[0], None)
                elif asked.rest[0] in box.places:
                    box.places[asked.rest[0]].on = None
        case "prune":
            world.vague[call.host] = None
        case _:
            pass


def _network_made(world: World, call: Call) -> None:
    asked = flags.read(call.words[2:], driver=True)
    name = asked.rest[-1] if asked.rest else ""
    lines = call.output.split()
    if call.code != 0 or not lines:
        if not call.refused:
            world.unsure_networks[name] = None
        return
    if asked.has("--config-only") or asked.has("--config-from") or asked.has("--scope"):
        world.vague[call.host] = None  # what it is made of is told elsewhere
        return
    driver = asked.one("--driver", "bridge")
    options = asked.all("-o")
    world.nets[lines[-1]] = Net(
        lines[-1], name, "" if driver == "overlay" else call.host, driver, asked.has("--internal"),
        any(text.partition("=")[0] == "encrypted" for text in options), asked.has("--ipv6"),
        "com.docker.network.bridge.enable_icc=false" not in options, tuple(asked.all("--subnet")), call.host,
    )  # fmt: skip


def _network_gone(world: World, net: Net) -> None:
    net.gone = True
    for box in world.boxes.values():
        place = box.places.get(net.name)
        if net.host not in ("", box.host) or place is None:
            continue
        if box.state in (RUNNING, PAUSED):
            place.on = False  # whoever learns of the removal loses the network
        elif not world.named(net.name, box.host):
            place.on = None


def _swarm(world: World, call: Call) -> None:
    match call.words[:2]:
        case ("swarm", "leave"):
            _out(world, call.host, sure=call.code == 0, refused=call.refused)
        case ("swarm", "join" | "init"):
            if call.code == 0:
                world.member[call.host] = True
                world.manager[call.host] = None if call.words[1] == "join" else True
            elif not call.refused:
                world.member[call.host] = None
        case ("node", "rm"):
            for ref in flags.read(call.words[2:]).rest:
                if world.member.get(ref):
                    _out(world, ref, sure=call.code == 0, refused=call.refused)
        case ("node", "promote" | "demote"):
            for ref in call.words[2:]:
                if call.code == 0:
                    _given_role(world, call, ref)
                elif not call.refused:
                    world.manager[ref] = None
        case _:
            pass


def _given_role(world: World, call: Call, ref: str) -> None:
    """Of what two managers decided while they may not have heard one another, either may stand."""
    before = world.roles.get(ref)
    alone = before is None or before.host == call.host or not (call.disturbed and before.disturbed)
    wanted = call.words[1] == "promote"
    world.manager[ref] = wanted if alone or world.manager.get(ref, False) == wanted else None
    world.roles[ref] = Decided(call.host, call.disturbed or (before is not None and before.disturbed and not alone))


def _out(world: World, host: str, *, sure: bool, refused: bool) -> None:
    """The host is out of the swarm: its containers lose the swarm's networks."""
    if refused and not sure:
        return
    world.member[host] = False if sure else None
    world.manager[host] = False if sure else None
    for box in world.boxes.values():
        for place in box.places.values():
            net = world.net(host, place.network)
            if box.host == host and (net is None or net.host == "") and place.network != "bridge":
                place.on = False if sure and box.state in (RUNNING, PAUSED) else None
