"""Isolation: on any kind of network what a container forges is dropped where it enters, and counted; nothing that it
sends gets to another VNI, VLAN or network."""

from __future__ import annotations

import pytest

from overlay.spec import NetworkSpec
from overlay.wire import arp, vlan
from overlay.wire.address import pack_ip
from overlay.wire.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, Frame
from overlay.wire.ipv4 import PROTOCOL_UDP, Packet
from overlay.wire.udp import Datagram
from overlay.wire.vxlan import PORT
from tests.overlay.lab import bridge, fetch, gateway_bridge, lab, overlay, ping, serving
from tests.overlay.test_ipvlan import ipvlan
from tests.overlay.test_macvlan import macvlan

BASE = "192.0.2"
EVERYBODY = b"\xff" * 6


def network_of(driver: str) -> NetworkSpec:
    if driver == "bridge":
        return bridge("net", "192.0.3.0/24")
    if driver == "overlay":
        return overlay("net", "192.0.3.0/24", 4097)
    return macvlan("net") if driver == "macvlan" else ipvlan("net")


@pytest.mark.parametrize("driver", ["bridge", "overlay", "macvlan", "ipvlan"])
async def test_what_is_forged_is_dropped_and_counted(driver: str) -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        network = net.create(network_of(driver), h1, *([h2] if driver == "overlay" else []))
        base = network.pools[0].subnet.removesuffix(".0/24")
        a, _ = net.run(h1, "a", network, f"{base}.64")
        victim, _ = net.run(h1, "victim", network, f"{base}.65")
        if driver == "overlay":
            net.run(h2, "far", network, f"{base}.66")
        mine = a.interface("eth0").hardware
        theirs = victim.interface("eth0").hardware if driver != "ipvlan" else bytes.fromhex("0242c0000202")
        here, there = pack_ip(f"{base}.64"), pack_ip(f"{base}.65")
        packet = Packet(there, here, PROTOCOL_UDP, Datagram(1, 2, b"x").emit(there, here)).emit()
        claim = arp.Arp(arp.REQUEST, mine, there, bytes(6), there).emit()
        honest = Frame(EVERYBODY, mine, ETHERTYPE_ARP, arp.Arp(arp.REQUEST, mine, here, bytes(6), here).emit()).emit()
        forged = {
            "spoofed_mac": Frame(EVERYBODY, theirs, ETHERTYPE_IPV4, packet).emit(),
            "spoofed_ip": Frame(EVERYBODY, mine, ETHERTYPE_IPV4, packet).emit(),
            "spoofed_arp": Frame(EVERYBODY, mine, ETHERTYPE_ARP, claim).emit(),
            "tagged": vlan.push(honest, vlan.Tag(50)),
        }
        net.wires.sent.clear()
        capture = victim.capture()
        for frame in forged.values():
            a.cable("eth0").transmit(frame)
        a.cable("eth0").transmit(honest)
        await ping(a, f"{base}.65")
        capture.close()
        arrived = [captured.frame async for captured in capture if not captured.outgoing]
        assert arrived and not any(frame in arrived for frame in forged.values())
        counted = "bridge" if driver == "overlay" else driver  # a segment is a bridge
        assert {why: h1.counters[f"{counted}_dropped_{why}"] for why in forged} == dict.fromkeys(forged, 1)
        assert not any(frame in data for frame in forged.values() for _, _, data in net.wires.sent)
        assert await ping(victim, f"{base}.64") == 64, "who was not heard harms nobody"


async def test_no_packet_crosses_from_one_vni_to_another() -> None:
    """Same subnet twice: a packet for the twin's address, even with its MAC known, stays in its own segment."""
    async with lab(2) as net:
        h1, h2 = net.hosts
        one, two = net.create(overlay("one", "10.0.1.0/24", 4097)), net.create(overlay("two", "10.0.1.0/24", 4098))
        a, _ = net.run(h1, "a", one, "10.0.1.2")
        net.run(h2, "same", one, "10.0.1.3")
        other, _ = net.run(h2, "other", two, "10.0.1.4")
        capture = other.capture("eth0")
        a.add_neighbour("10.0.1.4", "02:42:0a:00:01:04", "eth0")
        assert await ping(a, "10.0.1.4", wait=0.2) is None
        assert await ping(a, "10.0.1.3") == 64
        datagrams = [data for _, to, data in net.wires.sent if to[1] == PORT]
        assert datagrams
        for data in datagrams:
            # The same with the other network's VNI, from a host that has no place there.
            moved = data[:4] + (4098 << 8).to_bytes(4, "big") + data[8:]
            net.wires.ports["192.0.2.2", PORT](moved, ("192.0.2.1", PORT))
        assert h2.counters["vxlan_dropped_unknown_vtep"] == len(datagrams)
        capture.close()
        assert [captured async for captured in capture if not captured.outgoing] == []


async def test_without_masquerading_the_lan_sees_the_container_s_own_address() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        plain = net.create(
            bridge("plain", "10.66.0.0/24", com__docker__network__bridge__enable_ip_masquerade="false"), h1
        )
        a, _ = net.run(h1, "a", plain, "10.66.0.2")
        async with serving(h2.host, 80, b"you are"):
            with pytest.raises(TimeoutError):
                await fetch(a, ("192.0.2.2", 80), wait=0.3)
            h2.host.add_route("10.66.0.0/24", via="192.0.2.1", interface="eth0")
            assert await fetch(a, ("192.0.2.2", 80)) == b"you are 10.66.0.2"
            masked, _ = net.run(h1, "b", net.create(bridge("masked", "10.67.0.0/24"), h1), "10.67.0.2")
            assert await fetch(masked, ("192.0.2.2", 80)) == b"you are 192.0.2.1"


async def test_the_hosts_routes_are_the_same_with_and_without_overlays_and_parents() -> None:
    """P6: nothing is routed by the hosts for an overlay, and a macvlan or VLAN changes nothing for them."""
    async with lab(2) as net:
        net.create(gateway_bridge())
        before = [host.host.routes() for host in net.hosts]
        for spec in (overlay("ov", "10.0.1.0/24", 4097), macvlan("mv"), ipvlan("iv", parent="eth0.7")):
            net.create(spec)
        for number, host in enumerate(net.hosts, 2):
            net.run(
                host,
                "c",
                NetworkSpec("ov-id", "ov", "overlay", overlay("ov", "10.0.1.0/24", 1).pools),
                f"10.0.1.{number}",
            )
            net.run(host, "m", macvlan("mv"), f"192.0.2.{100 + number}")
        assert [host.host.routes() for host in net.hosts] == before
