"""Probes of the checker's own, from inside containers: names, reachability, isolation, copies."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiodocker.exceptions import DockerError

from overlay.wire import icmp, vxlan
from overlay.wire.address import pack_ip, pack_mac
from overlay.wire.ethernet import ETHERTYPE_IPV4, Frame
from overlay.wire.ipv4 import PROTOCOL_ICMP, Packet
from scenarios.invariants.delivered import FORGED
from scenarios.invariants.snapshot import Endpoint, View, vni
from scenarios.invariants.statics import Violation
from scenarios.running.judging import resolve, run_in
from scenarios.running.stage import Stage
from scenarios.running.swarm import HostSilent

_CANNOT = (125, 126, 127)
"""Exit statuses of a probe that could not be made (no such program, the container ended): no evidence."""

_ANSWER = 8.0
_STRANGER = "02:42:5a:ad:0b:ad"
_NOBODYS = 0xD00D00
"""A VNI that networks hardly have."""
_DEFAULTS = ("bridge", "docker_gwbridge", "ingress", "host", "none")


def pairs(views: Mapping[str, View]) -> list[tuple[Endpoint, Endpoint]]:
    """(asker, asked) on one network with names: overlays and user-made bridges, running on both ends."""
    everyone = [e for view in views.values() for e in view.endpoints if _probed(view, e)]
    return [(a, b) for a in everyone for b in everyone if a.network == b.network and a.container != b.container]


def strangers(views: Mapping[str, View]) -> list[tuple[Endpoint, Endpoint]]:
    """(asker, asked) that share no network, of which none can reach the other."""
    everyone = [(view, e) for view in views.values() for e in view.endpoints if _probed(view, e)]
    on: dict[str, list[Endpoint]] = {}
    for view in views.values():
        for e in view.endpoints:
            on.setdefault(e.container, []).append(e)
    subnets = {id: n for view in views.values() for id, n in view.networks.items()}
    found = []
    for _, a in everyone:
        for _, b in everyone:
            if {e.network for e in on[a.container]} & {e.network for e in on[b.container]}:
                continue
            if any(_inside(b.address, subnets.get(e.network, {})) for e in on[a.container]):
                continue  # two networks may have one subnet: the address is someone else's there
            found.append((a, b))
    return found


def _inside(address: str, network: Mapping[str, object]) -> bool:
    ipam = network.get("IPAM")
    configs = ipam.get("Config") if isinstance(ipam, dict) else None
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(c["Subnet"], strict=False)
               for c in configs or () if ":" not in c.get("Subnet", ":"))  # fmt: skip


def _probed(view: View, endpoint: Endpoint) -> bool:
    network = view.networks.get(endpoint.network, {})
    options = network.get("Options") or {}
    return (
        endpoint.network_name not in _DEFAULTS
        and network.get("Driver") in ("overlay", "bridge")
        and view.containers.get(endpoint.container, ("", ""))[1] == "running"
        and options.get("com.docker.network.bridge.enable_icc") != "false"
    )


async def _timed(stage: Stage, endpoint: Endpoint, argv: Sequence[str]) -> tuple[int, str] | None:
    try:
        async with asyncio.timeout(_ANSWER):
            code, out, _ = await run_in(stage, endpoint.host, endpoint.container, list(argv))
    except TimeoutError:
        return None
    return None if code in _CANNOT else (code, out)


async def names(stage: Stage, views: Mapping[str, View], asker: Endpoint, asked: Endpoint) -> Violation | None:
    """Does the name resolve to the running containers of that name on one of the asker's networks, and to nothing else
    but who has it as an alias there?"""
    everyone = [e for view in views.values() for e in view.endpoints]
    own = {e.network for e in everyone if e.container == asker.container}
    truths = {
        network: sorted({e.address for e in everyone if e.network == network and e.name == asked.name})
        for network in sorted(own)
    }
    try:
        async with asyncio.timeout(_ANSWER):
            found = await resolve(stage, asker.host, asker.container, asked.name)
            # As Docker, the first network that knows the name answers: which one that is may be either.
            if any(truth and set(truth) <= set(found) for truth in truths.values()):
                by_name = {address for truth in truths.values() for address in truth}
                left = [address for address in found if address not in by_name]
                holders = [e for e in everyone if e.network in own and e.address in left]
                aliased = [e.address for e in holders if asked.name in await _aliases(stage, e)]
                if all(address in aliased for address in left):
                    return None
    except (HostSilent, TimeoutError):
        return None
    truth = " or ".join(", ".join(truth) for truth in truths.values() if truth)
    return Violation("names", f"name {asker.container} {asked.name}",
        f"{asked.name} resolves to {', '.join(found) or 'nothing'} in {asker.host}/{asker.name}, and is {truth}",
        f"{asker.host}/{asker.name}")  # fmt: skip


async def _aliases(stage: Stage, endpoint: Endpoint) -> list[str]:
    try:
        found = await stage.swarm.client(endpoint.host).get(f"containers/{endpoint.container}/json")
    except (DockerError, OSError):
        return []
    settings = found["NetworkSettings"]["Networks"].get(endpoint.network_name) or {}
    return [*(settings.get("Aliases") or []), *(settings.get("DNSNames") or [])]


async def reachable(stage: Stage, asker: Endpoint, asked: Endpoint) -> list[Violation]:
    """By address; four tries, for links that lose."""
    answer = await _timed(stage, asker, ["ping", "-c", "4", "-i", "0.1", "-W", "1", asked.address])
    if answer is None:
        return []
    if answer[0] != 0:
        return [Violation("names", f"reach {asker.container} {asked.container}",
            f"{asked.host}/{asked.name} ({asked.address}) cannot be reached from {asker.host}/{asker.name} on "
            f"{asker.network_name}", f"{asker.host}/{asker.name}")]  # fmt: skip
    return []


async def isolated(stage: Stage, asker: Endpoint, asked: Endpoint) -> Violation | None:
    answer = await _timed(stage, asker, ["ping", "-c", "1", "-W", "1", asked.address])
    if answer is None or answer[0] != 0:
        return None
    return Violation("isolation", f"probe {asker.network} {asked.network}",
        f"{asker.host}/{asker.name} on {asker.network_name} got an answer of {asked.address}, which is "
        f"{asked.host}/{asked.name}'s on {asked.network_name}", f"{asker.host}/{asker.name}")  # fmt: skip


async def gone(stage: Stage, asker: Endpoint, name: str) -> Violation | None:
    """A name that nobody has any more must not be answered for."""
    try:
        async with asyncio.timeout(_ANSWER):
            found = await resolve(stage, asker.host, asker.container, name)
    except (HostSilent, TimeoutError):
        return None
    if not found:
        return None
    return Violation("names", f"gone {asker.container} {name}",
        f"{name} was removed, and resolves to {', '.join(found)} in {asker.host}/{asker.name}",
        f"{asker.host}/{asker.name}")  # fmt: skip


class Forgery(NamedTuple):
    """A packet that looks like a container's and that nobody made. source, target: the host that it seems to come from,
    and the one that gets it."""

    source: str
    target: str
    vni: int
    asker: Endpoint
    asked: Endpoint
    mac: str

    def datagram(self) -> bytes:
        """Its bytes."""
        echo = icmp.Icmp(icmp.ECHO_REQUEST, 0, 1, 1, FORGED)
        packet = Packet(pack_ip(self.asker.address), pack_ip(self.asked.address), PROTOCOL_ICMP, echo.emit())
        frame = Frame(pack_mac(self.asked.mac), pack_mac(self.mac), ETHERTYPE_IPV4, packet.emit())
        return vxlan.emit(vxlan.Header(self.vni)) + frame.emit()


def forgeries(views: Mapping[str, View]) -> list[Forgery]:
    """All that must be refused.

    Into each overlay: from a host that is not on it, with a MAC that is known there and one that is not; from one that
    is, with another's MAC; and in the clear if it is encrypted. And from one that is on it, with a VNI that nobody has.
    """
    found: dict[tuple[str, str, str, str], Forgery] = {}
    there: dict[str, dict[str, None]] = {}
    for view in views.values():
        for endpoint in view.endpoints:
            there.setdefault(endpoint.network, {})[endpoint.host] = None
    numbers = dict.fromkeys(vni(network) for view in views.values() for network in view.networks.values())
    nobodys = next(number for number in range(_NOBODYS, 1 << 24) if number not in numbers)
    for a, b in pairs(views):
        view = views[b.host]
        number = vni(view.networks.get(b.network, {}))
        if a.host == b.host or number is None or not view.is_overlay(b.network):
            continue
        for host in views:
            if host in (a.host, b.host):
                continue
            found[b.network, host, b.host, "known"] = Forgery(host, b.host, number, a, b, a.mac)
            if host not in there[b.network]:
                found[b.network, host, b.host, "unknown"] = Forgery(host, b.host, number, a, b, _STRANGER)
        found[b.network, a.host, b.host, "nobody's"] = Forgery(a.host, b.host, nobodys, a, b, a.mac)
        if "encrypted" in (view.networks[b.network].get("Options") or {}):
            found[b.network, a.host, b.host, "clear"] = Forgery(a.host, b.host, number, a, b, a.mac)
    return list(found.values())


def chosen(
    items: Sequence[tuple[Endpoint, Endpoint]], most: int, chance: random.Random
) -> list[tuple[Endpoint, Endpoint]]:
    return list(items) if len(items) <= most else chance.sample(list(items), most)
