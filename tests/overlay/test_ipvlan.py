"""ipvlan: one MAC for all, told apart by address; l2 with ARP, l3 without (Linux's drivers/net/ipvlan; promise P7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from overlay.lan import PORT
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec, Pool
from overlay.wire import vlan
from tests.overlay.lab import Lab, lab, ping
from tests.overlay.test_macvlan import macvlan

LAN = "192.0.2.0/24"


def ipvlan(
    name: str, *, parent: str = "eth0", mode: str = "", flag: str = "", subnets: Sequence[str] = (LAN,)
) -> NetworkSpec:
    options = {"parent": parent, "ipvlan_mode": mode, "ipvlan_flag": flag}
    pools = tuple(Pool(subnet, "192.0.2.254" if subnet == LAN else None) for subnet in subnets)
    return NetworkSpec(
        f"{name}-id".ljust(64, "0"), name, "ipvlan", pools, False, {k: v for k, v in options.items() if v}
    )


async def broadcast_heard(sender: Sandbox, listener: Sandbox, to: str) -> bool:
    """Whether a datagram to a broadcast address arrives."""
    ear, mouth = listener.udp_open("0.0.0.0", 9), sender.udp_open("0.0.0.0", 0)
    mouth.sendto(b"all", (to, 9))
    try:
        async with asyncio.timeout(0.2):
            return (await ear.recvfrom())[0] == b"all"
    except TimeoutError:
        return False
    finally:
        ear.close()
        mouth.close()


def default_route(sandbox: Sandbox) -> tuple[str | None, str]:
    route = sandbox.routes()[0]
    assert route.destination == "0.0.0.0/0"
    return route.via, route.interface


def lan_frames(net: Lab) -> list[bytes]:
    return [data for _, to, data in net.wires.sent if to[1] == PORT]


async def test_l2_shares_the_parent_s_mac_and_its_segment() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        network = net.create(ipvlan("iv"))
        a, attached = net.run(h1, "a", network, "192.0.2.64")
        b, _ = net.run(h1, "b", network, "192.0.2.65")
        far, _ = net.run(h2, "far", network, "192.0.2.96")
        parent = h1.host.interface("eth0").mac
        assert attached.gateway == "192.0.2.254" and default_route(a) == ("192.0.2.254", "eth0")
        assert [sandbox.interface("eth0").mac for sandbox in (a, b)] == [parent, parent]
        assert await ping(a, "192.0.2.65") == await ping(b, "192.0.2.64") == 64
        assert await ping(a, "192.0.2.96") == await ping(h2.host, "192.0.2.65") == await ping(a, "192.0.2.254") == 64
        known = {n.ip: n.mac for n in h2.host.neighbours()}
        assert known["192.0.2.65"] == parent
        assert await broadcast_heard(a, b, "192.0.2.255") and await broadcast_heard(a, far, "192.0.2.255")
        assert await ping(a, "192.0.2.1", wait=0.2) is await ping(h1.host, "192.0.2.64", wait=0.2) is None
        assert await ping(h2.host, "192.0.2.1") == 64


async def test_l2_on_a_vlan_is_tagged() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        fifty = net.create(ipvlan("v50", parent="eth0.50", subnets=("10.50.0.0/24",)))
        sixty = net.create(ipvlan("v60", parent="eth0.60", subnets=("10.50.0.0/24",)))
        a, _ = net.run(h1, "a", fifty, "10.50.0.2")
        b, _ = net.run(h2, "b", fifty, "10.50.0.3")
        other, _ = net.run(h2, "other", sixty, "10.50.0.4")
        net.wires.sent.clear()
        assert await ping(a, "10.50.0.3") == 64
        assert {vlan.pop(frame)[0].vid for frame in lan_frames(net)} == {50}
        assert await ping(a, "10.50.0.4", wait=0.2) is None
        assert await broadcast_heard(a, b, "10.50.0.255") and not await broadcast_heard(a, other, "10.50.0.255")


async def test_l3_routes_between_its_subnets_and_passes_no_broadcast_and_no_arp() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        network = net.create(ipvlan("iv", mode="l3", subnets=("10.1.0.0/24", "10.2.0.0/24")), h1)
        a, attached = net.run(h1, "a", network, "10.1.0.2")
        b, _ = net.run(h1, "b", network, "10.2.0.2")
        same, _ = net.run(h1, "same", network, "10.1.0.3")
        assert attached.gateway is None and default_route(a) == (None, "eth0")
        heard = same.capture("eth0")
        net.wires.sent.clear()
        assert await ping(a, "10.2.0.2") == await ping(b, "10.1.0.2") == await ping(a, "10.1.0.3") == 64
        assert lan_frames(net) == [] and a.neighbours() == []
        assert not await broadcast_heard(a, same, "10.1.0.255")
        assert h1.counters["ipvlan_dropped_group"] == 1 and lan_frames(net) == []
        heard.close()
        assert {captured.frame[12:14] async for captured in heard} == {b"\x08\x00"}

        assert await ping(a, "192.0.2.2", wait=0.2) is None, "nobody on the LAN has a route back"
        h2.host.add_route("10.1.0.0/24", via="192.0.2.1", interface="eth0")
        assert await ping(a, "192.0.2.2") == await ping(h2.host, "10.1.0.2") == 64
        assert await ping(a, "192.0.2.1", wait=0.2) is None


async def test_l3s_passes_what_comes_in_through_the_host_s_filters() -> None:
    for mode, passes in (("l3", True), ("l3s", False)):
        async with lab(2) as net:
            h1, h2 = net.hosts
            a, _ = net.run(h1, "a", net.create(ipvlan("iv", mode=mode, subnets=("10.1.0.0/24",)), h1), "10.1.0.2")
            h2.host.add_route("10.1.0.0/24", via="192.0.2.1", interface="eth0")
            assert await ping(h2.host, "10.1.0.2") == await ping(a, "192.0.2.2") == 64
            h1.host.hooks.input = lambda packet: None if packet.destination[0] == 10 else packet
            assert (await ping(h2.host, "10.1.0.2", wait=0.2) == 64) is passes
            assert (h1.counters["ipvlan_dropped_filtered"] == 0) is passes


async def test_each_flag_by_who_hears_whom_with_and_without_a_reflective_switch() -> None:
    found = {}
    for flag in ("bridge", "private", "vepa"):
        for relay in (False, True):
            async with lab(1, reflective_relay=relay) as net:
                (h1,) = net.hosts
                network = net.create(ipvlan("iv", flag=flag))
                a, _ = net.run(h1, "a", network, "192.0.2.64")
                net.run(h1, "b", network, "192.0.2.65")
                found[flag, relay] = await ping(a, "192.0.2.65", wait=0.2)
                if flag == "private":  # also when the neighbour need not be asked for
                    a.add_neighbour("192.0.2.65", a.interface("eth0").mac, "eth0")
                    assert await ping(a, "192.0.2.65", wait=0.2) is None
                    assert h1.counters["ipvlan_dropped_private"] > 0
                assert await ping(a, "192.0.2.254") == 64
    assert found == {
        ("bridge", False): 64,
        ("bridge", True): 64,
        ("private", False): None,
        ("private", True): None,
        ("vepa", False): None,
        ("vepa", True): 64,
    }


async def test_a_parent_has_one_kind_of_slaves_at_a_time() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        mac, ip = net.create(macvlan("mv")), net.create(ipvlan("iv"))
        net.run(h1, "m", mac, "192.0.2.64")
        with pytest.raises(NetworkError, match="failed to create the ipvlan port: device or resource busy"):
            net.run(h1, "i", ip, "192.0.2.65")
        h1.detach("m@mv")
        i, _ = net.run(h1, "i", ip, "192.0.2.65")
        assert await ping(i, "192.0.2.254") == 64


@pytest.mark.parametrize(
    ("make", "mode", "across"),
    [(macvlan, "", True), (ipvlan, "l2", True), (ipvlan, "l3", False), (ipvlan, "l3s", False)],
)
async def test_ipv6_goes_the_same_ways(make: Callable[..., NetworkSpec], mode: str, across: bool) -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        pools = (Pool("10.5.0.0/24", "10.5.0.1"), Pool("fd00:5::/64", "fd00:5::1"))
        network = net.create(
            replace(make("six", parent="eth0" if mode[:2] == "l3" else "eth0.5", mode=mode), pools=pools)
        )
        found = []
        for host, name, number in ((h1, "a", 2), (h1, "b", 3), (h2, "far", 4)):
            sandbox = host.new_sandbox(name)
            addresses = (f"10.5.0.{number}/24", f"fd00:5::{number}/64")
            mac = f"02:42:0a:05:00:0{number}"
            host.attach(EndpointSpec(name, network.id, name, name, (name,), mac, addresses), sandbox)
            found.append(sandbox)
        a, b, far = found
        reply = -129  # the lab tells ICMPv6's echo reply by its type
        assert await ping(a, "fd00:5::3") == await ping(b, "fd00:5::2") == reply
        assert (await ping(a, "fd00:5::4", wait=0.3) == reply) is across
        assert (await ping(far, "fd00:5::2", wait=0.3) == reply) is across


async def test_large_transfers_cross_vlans_whole() -> None:
    """Super-frames with a tag still fit through the LAN's trunk."""
    async with lab(2) as net:
        h1, h2 = net.hosts
        fifty = net.create(ipvlan("v50", parent="eth0.50", subnets=("10.50.0.0/24",)))
        a, _ = net.run(h1, "a", fifty, "10.50.0.2")
        b, _ = net.run(h2, "b", fifty, "10.50.0.3")
        listener = b.tcp_listen("0.0.0.0", 80)
        connection = await a.tcp_connect("10.50.0.3", 80, timeout=2)
        accepted = await listener.accept()
        data = bytes(range(256)) * 8192
        sending = asyncio.ensure_future(connection.write(data))
        got = b""
        async with asyncio.timeout(10):
            while len(got) < len(data):
                got += await accepted.read(1 << 16)
        await sending
        assert got == data
        assert not [name for name in h2.counters if name.startswith("bridge_dropped")]
        connection.close()
        accepted.close()


@pytest.mark.parametrize(
    ("mode", "flag", "text"),
    [
        ("l9", "", "requested ipvlan mode 'l9' is not valid, 'l2' mode is the ipvlan driver default"),
        ("l2", "hub", "requested ipvlan flag 'hub' is not valid, 'bridge' is the ipvlan driver default"),
        ("l3", "", "network di-first-id0000 is already using parent interface eth0.7"),
    ],
)
async def test_what_is_refused(mode: str, flag: str, text: str) -> None:
    async with lab() as net:
        net.create(ipvlan("first", parent="eth0.7"))
        with pytest.raises(NetworkError) as refused:
            net.create(ipvlan("second", parent="eth0.7", mode=mode, flag=flag))
        assert str(refused.value) == text
