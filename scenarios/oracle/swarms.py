"""Is the swarm what clients were told: its nodes, their roles, its networks? Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from scenarios.invariants.statics import Violation
from scenarios.oracle.seen import Document, Seen
from scenarios.oracle.world import Net, World


def judged(world: World, seen: Seen) -> list[Violation]:
    return [*_membership(world, seen), *_nodes(world, seen), *_networks(world, seen)]


def _membership(world: World, seen: Seen) -> Iterator[Violation]:
    for host, state in seen.swarm.items():
        wanted = world.member.get(host, False)
        if wanted is not None and (state == "active") != wanted:
            must = "in the swarm" if wanted else "out of the swarm"
            yield Violation("model", f"member {host}", f"{host} must be {must}, and says that it is {state}", host)


def _nodes(world: World, seen: Seen) -> Iterator[Violation]:
    if None in world.member.values():
        return
    wanted = sorted(host for host, member in world.member.items() if member)
    for manager, nodes in seen.nodes.items():
        if not world.member.get(manager):
            continue
        ready = sorted(n["Description"]["Hostname"] for n in nodes if n["Status"]["State"] == "ready")
        if ready != wanted:
            what = f"docker node ls on {manager} has {', '.join(ready)} Ready, and {', '.join(wanted)} are"
            yield Violation("model", f"nodes {manager}", what, manager)
        for node in nodes:
            host = node["Description"]["Hostname"]
            role = world.manager.get(host, False)
            if role is None or node["Status"]["State"] != "ready" or not world.member.get(host):
                continue
            if (node["Spec"]["Role"] == "manager") != role:
                yield Violation("model", f"role {manager} {host}",
                    f"{host} must be a {'manager' if role else 'worker'}, and is a {node['Spec']['Role']} on {manager}",
                    manager)  # fmt: skip
    for host, member in world.member.items():
        if member and world.manager.get(host) and host in seen.swarm and host not in seen.nodes:
            yield Violation("model", f"manages {host}", f"{host} is a manager and does not say so", host)


def _networks(world: World, seen: Seen) -> Iterator[Violation]:
    for net in world.nets.values():
        hosts = [net.host] if net.host else [host for host in seen.nodes if world.member.get(host)]
        for host in hosts:
            if host in seen.silent or host in world.vague:
                continue
            told = seen.networks.get(host, {}).get(net.id)
            if told is None and net.gone is False:
                yield _violation(net, host, "missing", f"was acknowledged, and {host} does not know it")
            elif told is not None and net.gone is True:
                yield _violation(net, host, "back", f"was removed, and {host} still has it")
            elif told is not None:
                yield from _described(net, host, told)


def _described(net: Net, host: str, told: Document) -> Iterator[Violation]:
    said = (told["Name"], told["Driver"], bool(told["Internal"]), bool(told["EnableIPv6"]))
    wanted = (net.name, net.driver, net.internal, net.ipv6)
    if said != wanted:
        yield _violation(net, host, "described", f"is {wanted} (name, driver, internal, IPv6), and {host} says {said}")
    subnets = [config["Subnet"] for config in told["IPAM"]["Config"] or ()]
    if net.subnets and sorted(subnets) != sorted(net.subnets):
        yield _violation(net, host, "subnets", f"has {', '.join(net.subnets)}, and {host} says {', '.join(subnets)}")


def _violation(net: Net, host: str, key: str, what: str) -> Violation:
    return Violation("model", f"{key} {net.id} {host}", f"the network {net.name} ({net.id[:12]}) {what}", host)
