"""What the data path still does for those who are gone, and no longer for those who are there: probes for the end of a
run, whose packets are looked at on the wire and at containers' interfaces."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Mapping, Sequence

from scenarios.invariants.delivered import Delivered
from scenarios.invariants.probes import chosen, pairs
from scenarios.invariants.snapshot import Endpoint, View, look_at_all, vni
from scenarios.invariants.statics import Violation
from scenarios.invariants.wire import Wire
from scenarios.running.judging import run_in
from scenarios.running.stage import Stage

_GONE = 4
_NETWORKS = 3
_ON_THE_WAY = 0.5
_PATIENCE = 8.0


async def _ping(stage: Stage, asker: Endpoint, target: str, count: int) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            await run_in(stage, asker.host, asker.container,
                         ["ping", "-c", str(count), "-i", "0.2", "-W", "1", target])  # fmt: skip
    except TimeoutError:
        return


async def gone(
    stage: Stage, views: Mapping[str, View], before: Sequence[Endpoint], wire: Wire
) -> list[Violation]:
    """Nothing may leave a host for an address that somebody had and nobody has: who keeps its way sends into the
    void, and to the wrong one when the address is given again."""
    held = {(e.network, e.address) for view in views.values() for e in view.endpoints}
    askers: dict[str, list[Endpoint]] = {}
    for asker, _ in pairs(views):
        askers.setdefault(asker.network, []).append(asker)
    places = {(e.network, e.address): e for e in before if (e.network, e.address) not in held and e.network in askers}
    tries = []
    for e in list(places.values())[-_GONE:]:
        number = vni(views[askers[e.network][0].host].networks.get(e.network, {}))
        # Every host has tables of its own.
        for asker in {a.host: a for a in askers[e.network]}.values():
            if number is not None:
                tries.append((number, e, asker))
    for number, e, _ in tries:
        wire.gone[number, e.mac.lower()] = f"{e.address} on {e.network_name}, which was {e.host}/{e.name}'s"
    await asyncio.gather(*(_ping(stage, asker, e.address, 1) for _, e, asker in tries))
    wire.gone.clear()
    strays, now = await _strays(stage, wire)
    macs = {e.mac.lower() for e in now}
    return [violation for (_, mac), violation in strays.items() if mac not in macs]


async def _strays(stage: Stage, wire: Wire) -> tuple[dict[tuple[int, str], Violation], list[Endpoint]]:
    """What was sent astray since the last time, and who is there now."""
    strays, wire.strays = wire.strays, {}
    views = await look_at_all(stage) if strays else {}
    return strays, [e for view in views.values() for e in view.endpoints]


async def broadcasts(
    stage: Stage, views: Mapping[str, View], wire: Wire, delivered: Delivered, chance: random.Random
) -> list[Violation]:
    """A broadcast comes to everybody on the network, and to no host where nobody is."""
    by_network: dict[str, list[tuple[Endpoint, Endpoint]]] = {}
    for asker, asked in pairs(views):
        if views[asker.host].is_overlay(asker.network):
            by_network.setdefault(asker.network, []).append((asker, asked))
    found = []
    numbers: dict[str, int] = {}
    for network in sorted(by_network)[:_NETWORKS]:
        [(asker, _)] = chosen(by_network[network], 1, chance)
        document = views[asker.host].networks[network]
        configs = (document.get("IPAM") or {}).get("Config") or ()
        subnet = next((c["Subnet"] for c in configs if ":" not in c["Subnet"]), "")
        number = vni(document)
        if not subnet or number is None or ipaddress.ip_address(asker.address) not in ipaddress.ip_network(subnet):
            continue
        others = [asked for a, asked in by_network[network] if a.container == asker.container]
        on = {e.host for view in views.values() for e in view.endpoints if e.network == network}
        wire.members[number] = {stage.swarm.addresses[host] for host in on}
        numbers[network] = number
        key = (network, asker.mac.lower())
        delivered.heard.pop(key, None)
        await _ping(stage, asker, str(ipaddress.ip_network(subnet).broadcast_address), 3)
        await asyncio.sleep(_ON_THE_WAY)
        heard = delivered.heard.get(key, {})
        for e in others:
            if e.container not in heard:
                found.append(Violation("names", f"broadcast {network} {e.container}",
                    f"a broadcast of {asker.host}/{asker.name} on {asker.network_name} did not reach {e.host}/{e.name}",
                    f"{e.host}/{e.name}"))  # fmt: skip
    wire.members.clear()
    strays, now = await _strays(stage, wire)
    came = {(numbers.get(e.network), stage.swarm.addresses[e.host]) for e in now}
    return [*found, *(violation for key, violation in strays.items() if key not in came)]
