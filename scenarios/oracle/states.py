"""Are the containers that clients were told of what they must be? Pure functions of what is believed and seen."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from scenarios.invariants.statics import Violation
from scenarios.oracle.seen import Document, Seen
from scenarios.oracle.world import CREATED, EXITED, PAUSED, RUNNING, Box, World

_ALLOWED = {RUNNING: ("running",), PAUSED: ("paused",), EXITED: ("exited",), CREATED: ("created",)}


def judged(world: World, seen: Seen) -> list[Violation]:
    found = [violation for box in world.boxes.values() for violation in _of(world, seen, box)]
    return found + list(_strangers(world, seen))


def _strangers(world: World, seen: Seen) -> Iterator[Violation]:
    """Containers that nobody made."""
    for host, ids in seen.listed.items():
        unsure = any(at == host for at, _ in world.unsure_names)
        for id in ids:
            if id not in world.boxes and not unsure and host not in world.vague:
                name = seen.documents[id]["Name"].removeprefix("/")
                labels = seen.documents[id]["Config"]["Labels"] or {}
                if "shoal.relay" not in labels:
                    what = f"{host} has a container {name} that was removed, or that nobody made"
                    yield Violation("model", f"stranger {id}", what, f"{host}/{name}")


def _violation(box: Box, key: str, what: str) -> Violation:
    return Violation("model", f"{key} {box.id}", f"the container {box.name} {what}", f"{box.host}/{box.name}")


def _of(world: World, seen: Seen, box: Box) -> Iterator[Violation]:
    if box.host in seen.silent or box.host in world.vague:
        return
    document = seen.documents.get(box.id)
    if document is None:
        if box.id not in seen.listed[box.host] and box.state in _ALLOWED:
            yield _violation(box, "lost", "was acknowledged, and its host does not know it any more")
        return
    if (host_name := document["Name"].removeprefix("/")) != box.name and (box.host, box.name) not in world.unsure_names:
        yield _violation(box, "name", f"is called {host_name} by its host")
    state = document["State"]
    told = state["Status"] + (f" ({state['Error']})" if state.get("Error") else "")
    allowed = _ALLOWED.get(box.state)
    if allowed is None:
        return
    if state["Status"] not in allowed and not (box.excused and state.get("Error")):
        yield _violation(box, "state", f"must be {box.state} and is {told}")
        return
    if box.state in (RUNNING, PAUSED):
        yield from _places(world, seen, box, document)


def _places(world: World, seen: Seen, box: Box, document: Document) -> Iterator[Violation]:
    there = {name: s for name, s in document["NetworkSettings"]["Networks"].items() if s["IPAddress"]}
    for name, place in box.places.items():
        if name in ("host", "none") or box.excused:
            continue
        settings = there.get(name)
        if place.on is True and settings is None:
            nets = world.named(name, box.host)
            if name == "bridge" or (nets and all(net.gone is False for net in nets) and _has(world, box, nets[0].host)):
                yield _violation(box, f"off {name}", f"must be on {name} and is on {', '.join(there) or 'none'}")
        if place.on is False and settings is not None and _is_gone(world, settings["NetworkID"]):
            yield _violation(box, f"on {name}", f"is still on {name}, which was removed or left")
        if settings is None or place.on is not True:
            continue
        for wished, given in ((place.ip, settings["IPAddress"]), (place.ip6, settings.get("GlobalIPv6Address"))):
            if wished and given != wished:
                yield _violation(box, f"ip {name}", f"asked for {wished} on {name} and has {given}")
        net = world.nets.get(settings["NetworkID"])
        v4 = [ipaddress.ip_network(text) for text in (net.subnets if net else ()) if ":" not in text]
        if v4 and not any(ipaddress.ip_address(settings["IPAddress"]) in subnet for subnet in v4):
            yield _violation(box, f"subnet {name}", f"has {settings['IPAddress']} on {name}, which is outside of it")
    # A container that has lost all of its networks has its first one again when it starts.
    placed = any(place.on is True for place in box.places.values())
    for name in there:
        if name not in box.places and placed:
            yield _violation(box, f"strange {name}", f"is on {name}, which nobody asked for")


def _has(world: World, box: Box, scope: str) -> bool:
    """Is the network one that its host can have now?"""
    return scope != "" or world.member.get(box.host) is True


def _is_gone(world: World, network: str) -> bool:
    net = world.nets.get(network)
    return net is not None and net.gone is True
