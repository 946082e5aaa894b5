"""One host's networking, and several hosts', end to end: stacks, switches, tunnels, LAN, NAT (after recorded rows)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from overlay.sandbox import Sandbox
from overlay.spec import NetworkError
from tests.overlay.lab import bridge, docker0, fetch, gateway_bridge, lab, overlay, ping, serving


def routes(sandbox: Sandbox) -> list[str]:
    return [f"{r.destination} via {r.via} dev {r.interface}" for r in sandbox.routes()]


def addresses(sandbox: Sandbox) -> dict[str, list[str]]:
    return {i.name: i.addresses for i in sandbox.interfaces() if i.name != "lo"}


async def test_containers_of_one_bridge_ping_and_reach_the_lan() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        network = net.create(docker0(), h1)
        ca, attached = net.run(h1, "ca", network, "172.17.0.2")
        cb, _ = net.run(h1, "cb", network, "172.17.0.3")
        assert (attached.interface, attached.gateway) == ("eth0", "172.17.0.1")
        assert await ping(cb, "172.17.0.2") == 64
        assert await ping(cb, "172.17.0.1") == 64
        assert await ping(h1.host, "172.17.0.2") == 64
        assert await ping(cb, "192.0.2.254") == 63
        assert await ping(cb, "192.0.2.2") == 63
        assert await ping(h2.host, "192.0.2.1") == 64
        assert await ping(h1.host, "192.0.2.254") == 64
        assert routes(ca)[0] == "0.0.0.0/0 via 172.17.0.1 dev eth0"


async def test_nothing_passes_between_networks_unless_a_container_is_on_both() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        n1, n2 = net.create(bridge("n1", "10.40.0.0/24"), h1), net.create(bridge("n2", "10.41.0.0/24"), h1)
        web, _ = net.run(h1, "web", n1, "10.40.0.2")
        far, _ = net.run(h1, "far", n2, "10.41.0.2")
        both, _ = net.run(h1, "both", n1, "10.40.0.3")
        net.run(h1, "both", n2, "10.41.0.3", sandbox=both)
        assert await ping(far, "10.40.0.2", wait=0.3) is None
        assert await ping(web, "10.41.0.2", wait=0.3) is None
        assert await ping(both, "10.40.0.2") == await ping(both, "10.41.0.2") == 64
        h2.host.add_route("10.40.0.0/24", via="192.0.2.1", interface="eth0")
        assert await ping(h2.host, "10.40.0.2", wait=0.3) is None
        assert h1.counters["forward_dropped_isolation"] == 2
        assert h1.counters["forward_dropped_unsolicited"] == 1


async def test_an_internal_network_has_no_way_out() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        shut = net.create(bridge("shut", "172.19.0.0/16", internal=True))
        i1, _ = net.run(h1, "i1", shut, "172.19.0.2")
        i2, _ = net.run(h1, "i2", shut, "172.19.0.3")
        assert await ping(i1, "172.19.0.3") == 64
        assert await ping(i1, "192.0.2.254", wait=0.3) is None
        assert routes(i2)[0] == "0.0.0.0/0 via 172.19.0.1 dev eth0"


async def test_an_internal_network_takes_no_way_out_away() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        net.create(gateway_bridge())
        shut = net.create(bridge("shut", "172.19.0.0/16", internal=True))
        ov = net.create(overlay("ov", "10.0.1.0/24", 4097))
        both, _ = net.run(h1, "both", shut, "172.19.0.2")
        net.run(h1, "both", ov, "10.0.1.2", sandbox=both)
        assert await ping(both, "192.0.2.254") == 63


async def test_without_icc_neighbours_are_silent() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        quiet = net.create(bridge("quiet", "172.21.0.0/16", com__docker__network__bridge__enable_icc="false"))
        y1, _ = net.run(h1, "y1", quiet, "172.21.0.2")
        net.run(h1, "y2", quiet, "172.21.0.3")
        assert await ping(y1, "172.21.0.3", wait=0.3) is None
        assert await ping(y1, "192.0.2.254") == 63


async def test_interfaces_and_the_way_out_follow_docker_s_rules() -> None:
    """container-addressing, rows 36-56: which network wins the default route, and what ethN is called."""
    async with lab() as net:
        (h1,) = net.hosts
        default = net.create(docker0())
        n1, n2 = net.create(bridge("n1", "10.20.0.0/24")), net.create(bridge("n2", "10.30.0.0/24"))
        m1, _ = net.run(h1, "m1", n1, "10.20.0.2")
        net.run(h1, "m1", n2, "10.30.0.2", sandbox=m1)
        assert routes(m1)[0] == "0.0.0.0/0 via 10.20.0.1 dev eth0"
        net.run(h1, "m1", default, "172.17.0.4", sandbox=m1)
        assert routes(m1)[0] == "0.0.0.0/0 via 172.17.0.1 dev eth2"
        assert h1.gateway_network(m1) == default.id and h1.gateway_address(m1) == "172.17.0.4"
        assert list(addresses(m1)) == ["eth0", "eth1", "eth2"]
        h1.detach("m1@n1")
        assert addresses(m1) == {"eth1": ["10.30.0.2/24"], "eth2": ["172.17.0.4/16"]}
        h1.detach("m1@bridge")
        assert routes(m1)[0] == "0.0.0.0/0 via 10.30.0.1 dev eth1"
        h1.detach("m1@n2")
        assert routes(m1) == [] and addresses(m1) == {}
        _, attached = net.run(h1, "m1", n2, "10.30.0.42", sandbox=m1)
        assert attached.interface == "eth3"
        indexes = [i.index for i in m1.interfaces()]
        assert len(indexes) == len(set(indexes)) == 2


async def test_overlay_across_hosts_with_its_own_way_out() -> None:
    """swarm-overlay, rows 26-53: two interfaces, the gateway bridge's .3 because the ingress sandbox has .2."""
    async with lab(3) as net:
        h1, h2, h3 = net.hosts
        gateway = net.create(gateway_bridge())
        net.create(overlay("ingress", "10.0.0.0/24", 4096, ingress=True))
        ov1, ov2 = net.create(overlay("ov1", "10.0.2.0/24", 4098)), net.create(overlay("ov2", "10.77.0.0/24", 4099))
        c1, attached = net.run(h1, "c1", ov1, "10.0.2.2")
        c2, _ = net.run(h2, "c2", ov1, "10.0.2.4")
        other, _ = net.run(h3, "other", ov2, "10.77.0.5")
        assert attached.interface == "eth0" and attached.gateway is None
        assert addresses(c1) == {"eth0": ["10.0.2.2/24"], "eth1": ["172.18.0.3/16"]}
        assert routes(c1)[0] == "0.0.0.0/0 via 172.18.0.1 dev eth1"
        assert [i.mtu for i in c1.interfaces()][1:] == [1450, 1500]
        assert [(e.name, e.address) for e in h1.gateway_endpoints()] == [
            ("gateway_ingress-sbox", "172.18.0.2/16"),
            ("gateway_c1", "172.18.0.3/16"),
        ]
        assert await ping(c1, "10.0.2.4") == 64
        assert await ping(c1, "10.0.2.1") == 64
        assert await ping(c1, "10.0.2.4", size=1400) == 64
        assert await ping(c1, "10.0.2.4", size=4000) == 64
        assert await ping(c1, "192.0.2.254") == 63
        assert await ping(other, "10.0.2.4", wait=0.3) is None
        vxlan = [(source, to, data) for source, to, data in net.wires.sent if to[1] == 4789]
        assert {source[0] for source, _, _ in vxlan} == {"192.0.2.1", "192.0.2.2"}
        assert {data[12 + 8 : 14 + 8] for _, _, data in vxlan} == {b"\x08\x00"}, "ARP stays at home"
        with pytest.raises(NetworkError, match="active endpoints"):
            h1.delete_network(ov1.id)
        for host, name in ((h1, "c1"), (h2, "c2")):
            await host.remove_sandbox(c1 if host is h1 else c2)
            assert not host.directory.lookup(ov1.id, name)
        h1.delete_network(ov1.id)
        assert [e.name for e in h1.gateway_endpoints()] == ["gateway_ingress-sbox"]
        h1.delete_network("ingress-id")
        h1.delete_network(gateway.id)
        assert [i.name for i in h1.host.interfaces()] == ["lo", "eth0"]


async def test_the_extra_interface_goes_when_another_way_out_appears() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        ov = net.create(overlay("ov", "10.0.1.0/24", 4097))
        c1, _ = net.run(h1, "c1", ov, "10.0.1.2")
        assert list(addresses(c1)) == ["eth0"] and len(routes(c1)) == 1
        net.create(gateway_bridge())
        assert list(addresses(c1)) == ["eth0", "eth1"]
        default = net.create(docker0())
        net.run(h1, "c1", default, "172.17.0.2", sandbox=c1)
        assert list(addresses(c1)) == ["eth0", "eth2"]
        h1.detach("c1@bridge")
        assert addresses(c1) == {"eth0": ["10.0.1.2/24"], "eth3": ["172.18.0.2/16"]}
        inside = net.create(overlay("inside", "10.0.9.0/24", 4105, internal=True))
        alone, _ = net.run(h1, "alone", inside, "10.0.9.2")
        assert list(addresses(alone)) == ["eth0"]


async def test_a_cut_host_is_not_reached_and_heals() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        ov = net.create(overlay("ov", "10.0.1.0/24", 4097))
        c1, _ = net.run(h1, "c1", ov, "10.0.1.2")
        net.run(h2, "c2", ov, "10.0.1.3")
        assert await ping(c1, "10.0.1.3") == 64
        net.wires.cut.add(frozenset(("192.0.2.1", "192.0.2.2")))
        assert await ping(c1, "10.0.1.3", wait=0.3) is None
        net.wires.cut.clear()
        assert await ping(c1, "10.0.1.3") == 64


@pytest.mark.parametrize("whole", [True, False])
async def test_tcp_across_hosts(whole: bool) -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        ov = net.create(overlay("ov", "10.0.1.0/24", 4097))
        c1, _ = net.run(h1, "c1", ov, "10.0.1.2")
        c2, _ = net.run(h2, "c2", ov, "10.0.1.3")
        if not whole:
            for host in net.hosts:
                for fact in host.directory.facts():
                    host.directory.put(replace(fact, super_frames=False))
        sent = bytes(range(256)) * 4000
        async with serving(c2, 80, sent):
            assert await fetch(c1, ("10.0.1.3", 80), wait=10) == sent + b" 10.0.1.2"
        largest = max(len(data) for _, to, data in net.wires.sent if to[1] == 4789)
        assert (largest > 10000) if whole else (largest <= 1450 + 14 + 8)


async def test_garbage_on_every_port_is_counted() -> None:
    async with lab(2) as net:
        h1, _ = net.hosts
        stranger = await net.wires.host("192.0.2.9").datagrams(5, lambda *_: None)
        peer = await net.wires.host("192.0.2.2").datagrams(5, lambda *_: None)
        for junk in (b"", b"x", bytes(14), bytes(40), b"\xff" * 1500):
            for port in (4788, 4789):
                stranger.send(junk, ("192.0.2.1", port))
                peer.send(junk, ("192.0.2.1", port))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert h1.counters["lan_dropped_short"] == 4 and h1.counters["lan_dropped_stranger"] == 3
        assert h1.counters["vxlan_dropped_short"] + h1.counters["vxlan_dropped_flags"] == 8
        assert await ping(h1.host, "192.0.2.254") == 64


async def test_a_link_is_the_exception_where_neighbours_are_silent() -> None:
    """Docker's --icc=false with --link: the linked container's services and their answers, nothing else."""
    async with lab() as net:
        (h1,) = net.hosts
        quiet = net.create(bridge("bridge", "172.21.0.0/16", com__docker__network__bridge__enable_icc="false"))
        client, _ = net.run(h1, "client", quiet, "172.21.0.2")
        server, _ = net.run(h1, "server", quiet, "172.21.0.3")
        other, _ = net.run(h1, "other", quiet, "172.21.0.4")
        async with serving(server, 80, b"hello"), serving(server, 81, b"hidden"), serving(client, 80, b"mine"):
            h1.link("client@bridge", "server@bridge", [("tcp", 80)])
            assert (await fetch(client, ("172.21.0.3", 80))).startswith(b"hello")
            forbidden = ((client, "172.21.0.3", 81), (server, "172.21.0.2", 80), (other, "172.21.0.3", 80))
            for sandbox, ip, port in forbidden:
                with pytest.raises(TimeoutError):
                    await fetch(sandbox, (ip, port), wait=0.2)
            assert await ping(client, "172.21.0.3", wait=0.2) is None
            h1.detach("client@bridge")
            net.run(h1, "client", quiet, "172.21.0.2", sandbox=client)
            with pytest.raises(TimeoutError):
                await fetch(client, ("172.21.0.3", 80), wait=0.2)
