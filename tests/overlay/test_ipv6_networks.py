"""IPv6 on networks: bridges and their gateway, overlays with ND answered at the VTEP, who may claim what, names,
published ports."""

from __future__ import annotations

import asyncio
import errno

import pytest

from overlay.dns import messages
from overlay.host import HostNetwork
from overlay.sandbox import Sandbox
from overlay.spec import Attached, EndpointSpec, NetworkSpec, Pool, PortMapping
from overlay.wire import icmpv6, nd
from overlay.wire.address import pack_ip, pack_mac
from overlay.wire.icmp import Icmp
from overlay.wire.ipv6 import Packet6
from tests.overlay.lab import Lab, fetch, gateway_bridge, lab, serving

MACS = {"ca": "02:42:0a:32:00:02", "cb": "02:42:0a:32:00:03", "cc": "02:42:0a:33:00:02"}


def dual(name: str, number: int, *, driver: str = "bridge", **more: object) -> NetworkSpec:
    """10.NUMBER.0.0/24 and fd00:NUMBER::/64."""
    pools = (Pool(f"10.{number}.0.0/24", f"10.{number}.0.1"), Pool(f"fd00:{number}::/64", f"fd00:{number}::1"))
    return NetworkSpec(f"{name}-id".ljust(64, "0"), name, driver, pools, **more)  # type: ignore[arg-type]


def join(net: Lab, host: HostNetwork, name: str, network: NetworkSpec, last: int) -> tuple[Sandbox, Attached]:
    sandbox = host.new_sandbox(name)
    number = network.pools[0].subnet.split(".")[1]
    addresses = (f"10.{number}.0.{last}/24", f"fd00:{number}::{last}/64")
    spec = EndpointSpec(f"{name}@{network.name}", network.id, name, name, (name,), MACS[name], addresses)
    attached = host.attach(spec, sandbox)
    if network.driver == "overlay":
        net.tell(host, host.directory)
    return sandbox, attached


async def ping(sandbox: Sandbox, to: str, *, size: int = 56, wait: float = 1.0) -> int | None:
    """The hop limit of the echo reply, the negative type of an error, None for silence."""
    socket = sandbox.icmp_open()
    try:
        socket.send_echo(to, ident=7, seq=0, payload=bytes(size))
        async with asyncio.timeout(wait):
            reply = await socket.recv()
    except TimeoutError:
        return None
    finally:
        socket.close()
    return reply.ttl if reply.type == icmpv6.ECHO_REPLY else -reply.type


async def test_a_bridge_has_the_gateway_and_what_a_container_sees_is_docker_s() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        network = net.create(dual("v6", 50))
        ca, attached = join(net, h1, "ca", network, 2)
        cb, _ = join(net, h1, "cb", network, 3)
        assert (attached.gateway, attached.gateway6) == ("10.50.0.1", "fd00:50::1")
        eth0 = ca.interface("eth0")
        assert eth0.addresses == ["10.50.0.2/24", "fd00:50::2/64", "fe80::42:aff:fe32:2/64"]
        assert eth0.nodad == [pack_ip("fd00:50::2")]
        seen = [(r.destination, r.via, r.interface, r.metric) for r in ca.routes() if ":" in r.destination]
        assert seen == [
            ("::/0", "fd00:50::1", "eth0", 1024),
            ("fd00:50::/64", None, "eth0", 256),
            ("fe80::/64", None, "eth0", 256),
        ]
        assert await ping(cb, "fd00:50::2") == await ping(cb, "fd00:50::1") == 64
        assert await ping(cb, "fe80::1%eth0") == await ping(h1.host, "fd00:50::2") == 64
        assert await ping(cb, "fe80::42:aff:fe32:2%eth0", size=5000) == 64
        assert await ping(cb, "2001:db8::1") == -1, "the host has no way out for IPv6"
        host = next(i for i in h1.host.interfaces() if i.name.startswith("br-"))
        assert host.addresses[:3] == ["10.50.0.1/24", "fd00:50::1/64", "fe80::1/64"]


async def test_without_an_ipv6_network_a_container_has_no_ipv6() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        network = net.create(NetworkSpec("old".ljust(64, "0"), "old", "bridge", (Pool("10.51.0.0/24", "10.51.0.1"),)))
        sandbox = h1.new_sandbox("ca")
        h1.attach(EndpointSpec("e", network.id, "ca", "ca", ("ca",), MACS["ca"], ("10.51.0.2/24",)), sandbox)
        assert [i.addresses for i in sandbox.interfaces()] == [["127.0.0.1/8"], ["10.51.0.2/24"]]
        with pytest.raises(OSError) as refused:
            sandbox.icmp_open().send_echo("fd00:50::2", ident=1, seq=1, payload=b"")
        assert refused.value.errno == errno.ENETUNREACH


async def test_nothing_passes_between_networks_nor_from_the_lan_unasked() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        one, two = net.create(dual("one", 50), h1), net.create(dual("two", 51), h1)
        ca, _ = join(net, h1, "ca", one, 2)
        cc, _ = join(net, h1, "cc", two, 2)
        assert await ping(ca, "fd00:51::2", wait=0.3) is None
        assert h1.counters["forward_dropped_isolation"] == 1
        gateway = next(a for a in h1.host.interface("eth0").addresses if a.startswith("fe80")).partition("/")[0]
        h2.host.add_route("fd00:50::/64", via=gateway, interface="eth0")
        h2.host.add_address("eth0", "fd09::2/64")
        h1.host.add_route("fd09::/64", interface="eth0")
        assert await ping(h2.host, "fd00:50::2", wait=0.3) is None
        assert h1.counters["forward_dropped_unsolicited"] == 1
        assert await ping(ca, "fd09::2") == 63, "but who asked is answered"
        del cc


async def test_what_a_container_may_not_claim() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        network = net.create(dual("v6", 50))
        ca, _ = join(net, h1, "ca", network, 2)
        await ping(ca, "fd00:50::1")
        wire, mine, gateway = ca.interface("eth0"), pack_ip("fd00:50::2"), pack_ip("fd00:50::1")
        hardware = pack_mac(MACS["ca"])

        def send(packet: Packet6) -> None:
            wire.transmit(nd.group_mac(nd.ALL_NODES) + hardware + b"\x86\xdd" + packet.emit())

        def said(source: bytes, message: Icmp) -> Packet6:
            return Packet6(source, nd.ALL_NODES, 58, icmpv6.emit(message, source, nd.ALL_NODES), ttl=255)

        before = dict(h1.counters)
        send(said(gateway, Icmp(128, 0, 0, 0, b"")))
        send(said(mine, nd.Advertisement(gateway, hardware).message()))
        send(said(mine, nd.Advertisement(mine, b"\x02\0\0\0\0\x09").message()))
        send(said(mine, nd.Solicitation(gateway, b"\x02\0\0\0\0\x09").message()))
        assert h1.counters["bridge_dropped_spoofed_ip"] - before.get("bridge_dropped_spoofed_ip", 0) == 1
        assert h1.counters["bridge_dropped_spoofed_nd"] - before.get("bridge_dropped_spoofed_nd", 0) == 3
        send(said(mine, nd.Advertisement(mine, hardware).message()))
        send(said(nd.link_local(hardware), nd.Solicitation(gateway, hardware).message()))
        assert h1.counters["bridge_dropped_spoofed_nd"] - before.get("bridge_dropped_spoofed_nd", 0) == 3


async def test_without_icc_neighbours_are_found_and_not_reached() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        network = net.create(dual("v6", 50, options={"com.docker.network.bridge.enable_icc": "false"}))
        ca, _ = join(net, h1, "ca", network, 2)
        cb, _ = join(net, h1, "cb", network, 3)
        assert await ping(ca, "fd00:50::3", wait=0.3) is None
        assert await ping(ca, "fd00:50::1") == 64
        assert [n.state for n in ca.neighbours() if n.ip == "fd00:50::3"] == ["REACHABLE"]
        assert h1.counters["bridge_dropped_icc"] == 1
        del cb


async def test_an_overlay_answers_for_neighbours_elsewhere_and_carries_everything() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        net.create(gateway_bridge())
        network = net.create(dual("ov", 50, driver="overlay", vnis=(4097,), mtu=1450))
        ca, attached = join(net, h1, "ca", network, 2)
        cb, _ = join(net, h2, "cb", network, 3)
        assert attached.gateway6 is None
        assert await ping(cb, "fd00:50::2") == await ping(ca, "fd00:50::3") == 64
        assert await ping(ca, "fd00:50::1") == 64, "the gateway is on every host"
        assert await ping(ca, "fe80::42:aff:fe32:3%eth0") == 64
        assert await ping(ca, "fd00:50::3", size=20_000) == 64
        assert h1.counters["nd_answered"] and not h1.counters["vxlan_sent_bum"]
        assert await ping(ca, "fd00:50::77", wait=4.0) == -1, "nobody answers, and nobody else is asked"
        async with serving(cb, 80, b"x" * 100_000):
            with pytest.raises(ConnectionRefusedError):
                await fetch(ca, ("fd00:50::3", 80))
        listener = cb.tcp_listen("::", 81)
        near = await ca.tcp_connect("fd00:50::3", 81, timeout=2)
        far = await listener.accept()
        assert (far.peer[0], far.local) == ("fd00:50::2", ("fd00:50::3", 81))
        await near.write(bytes(1_000_000))
        near.shutdown_write()
        got = 0
        while data := await far.read(1 << 20):
            got += len(data)
        assert got == 1_000_000
        assert h1.counters["vxlan_sent"] < 100, "super-segments cross whole"


async def test_names_and_addresses_find_each_other() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        network = net.create(dual("v6", 50))
        join(net, h1, "ca", network, 2)
        assert sorted(h1.directory.lookup(network.id, "ca")) == ["10.50.0.2", "fd00:50::2"]
        nibbles = ".".join(reversed(pack_ip("fd00:50::2").hex()))
        address = messages.reverse_address(f"{nibbles}.ip6.arpa.")
        assert address == "fd00:50::2"
        assert h1.directory.reverse(network.id, address) == "ca"
        assert messages.reverse_address(f"x{nibbles[1:]}.ip6.arpa.") is None


async def test_ports_are_published_on_both_families() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        network = net.create(dual("v6", 50))
        ca, _ = join(net, h1, "ca", network, 2)
        cb, _ = join(net, h1, "cb", network, 3)
        listener = ca.tcp_listen("::", 80)

        async def peer(to: tuple[str, int]) -> str:
            connection = await cb.tcp_connect(*to, timeout=2)
            other = await listener.accept()
            connection.abort()
            return other.peer[0]

        shown = await h1.publish("ca", [PortMapping(80, "tcp", "", 8080)], "10.50.0.2")
        assert [each.host_ip for each in shown] == ["0.0.0.0", "::"]
        assert await peer(("fd00:50::1", 8080)) == "fd00:50::1", "docker-proxy goes to the container's IPv6 address"
        assert await peer(("10.50.0.1", 8080)) == "10.50.0.1"
        await h1.unpublish("ca")
        shown = await h1.publish("ca", [PortMapping(80, "tcp", "::", 8080)], "10.50.0.2")
        assert [each.host_ip for each in shown] == ["::"]
        assert await peer(("fd00:50::1", 8080)) == "fd00:50::1"
        with pytest.raises(ConnectionRefusedError):
            await cb.tcp_connect("10.50.0.1", 8080, timeout=2)
        await h1.unpublish("ca")
        shown = await h1.publish("ca", [PortMapping(80, "tcp", "0.0.0.0", 8080)], "10.50.0.2")
        assert [each.host_ip for each in shown] == ["0.0.0.0"]
        with pytest.raises(ConnectionRefusedError):
            await cb.tcp_connect("fd00:50::1", 8080, timeout=2)


async def test_ipv6_is_one_link_across_the_ipv4_subnets_of_an_overlay() -> None:
    """Each IPv4 subnet has its VNI, and they meet at the gateway alone; IPv6 has one subnet, whoever is where."""
    async with lab(2) as net:
        h1, h2 = net.hosts
        pools = (Pool("10.8.0.0/24", "10.8.0.1"), Pool("10.9.0.0/24", "10.9.0.1"), Pool("fd00:8::/64", "fd00:8::1"))
        network = net.create(NetworkSpec("two-id", "two", "overlay", pools, vnis=(4101, 4102), mtu=1450))

        def put(host: HostNetwork, name: str, four: str, six: str) -> Sandbox:
            sandbox = host.new_sandbox(name)
            mac = f"02:42:0a:00:00:{six[-1].zfill(2)}"
            spec = EndpointSpec(name, network.id, name, name, (name,), mac, (f"{four}/24", f"{six}/64"))
            host.attach(spec, sandbox)
            net.tell(host, host.directory)
            return sandbox

        a = put(h1, "a", "10.8.0.2", "fd00:8::2")
        b = put(h2, "b", "10.9.0.3", "fd00:8::3")
        c = put(h1, "c", "10.9.0.4", "fd00:8::4")
        d = put(h2, "d", "10.8.0.5", "fd00:8::5")
        for source in (a, b, c, d):
            for last in (1, 2, 3, 4, 5):
                assert await ping(source, f"fd00:8::{last}", wait=30) == 64, (source.name, last)
        assert await ping(a, b.interface("eth0").addresses[-1].split("/")[0] + "%eth0", wait=30) == 64, "link-local"
        ears = [each.udp_open("::", 9) for each in (b, c, d)]
        a.udp_open("::").sendto(b"all", ("ff02::1%eth0", 9))
        async with asyncio.timeout(30):
            assert [(await ear.recvfrom())[0] for ear in ears] == [b"all"] * 3
        assert [ear.dropped for ear in ears] == [0] * 3
        # What somebody claims to be who is in another segment is still refused.
        forged = pack_mac("02:42:0a:00:00:04")
        heard = b.capture("eth0")
        d.cable("eth0").transmit(pack_mac("02:42:0a:00:00:03") + forged + b"\x86\xdd" + bytes(60))
        assert h2.counters["bridge_dropped_spoofed_mac"] == 1
        heard.close()
        assert [each async for each in heard] == []
