"""The embedded resolver and the LAN's, asked from inside sandboxes (names-and-dns rows)."""

from __future__ import annotations

import asyncio

from dnslib import QTYPE, DNSHeader, DNSQuestion, DNSRecord

from overlay.host import HostNetwork
from overlay.sandbox import Sandbox
from overlay.spec import NetworkSpec
from tests.overlay.lab import bridge, docker0, lab, overlay

EMBEDDED, ROUTER = "127.0.0.11", "192.0.2.254"


async def ask(
    sandbox: Sandbox, name: str, kind: str = "A", *, server: str = EMBEDDED, wait: float = 2.0
) -> DNSRecord | None:
    query = DNSRecord(DNSHeader(id=4711, rd=1), q=DNSQuestion(name, getattr(QTYPE, kind)))
    socket = sandbox.udp_open()
    try:
        socket.sendto(query.pack(), (server, 53))
        async with asyncio.timeout(wait):
            data, source = await socket.recvfrom()
    except TimeoutError:
        return None
    finally:
        socket.close()
    assert source == (server, 53)
    reply = DNSRecord.parse(data)
    assert reply.header.id == 4711 and str(reply.q.qname) == f"{name}."
    return reply


def answers(reply: DNSRecord | None) -> list[str]:
    assert reply is not None
    return [str(record.rdata) for record in reply.rr]


def resolve(host: HostNetwork, sandbox: Sandbox, *networks: NetworkSpec, **links: str) -> None:
    ids = [network.id for network in networks]
    host.start_resolver(sandbox, networks=lambda: ids, links=links, upstream=[ROUTER])


async def test_names_of_a_network_and_of_the_outside() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        n1 = net.create(bridge("n1", "10.40.0.0/24"))
        cli, _ = net.run(h1, "cli", n1, "10.40.0.3")
        net.run(h1, "web", n1, "10.40.0.2", "app", "d5ef4e23425e")
        net.run(h1, "al2", n1, "10.40.0.5", "app")
        resolve(h1, cli, n1, store="web")
        for name in ("web", "WEB", "web.n1", "d5ef4e23425e", "store"):
            reply = await ask(cli, name)
            assert answers(reply) == ["10.40.0.2"]
            assert reply is not None and reply.header.aa == 0 and reply.header.ra == 1
        assert sorted(answers(await ask(cli, "app"))) == ["10.40.0.2", "10.40.0.5"]
        assert {answers(await ask(cli, "app"))[0] for _ in range(20)} == {"10.40.0.2", "10.40.0.5"}
        assert answers(await ask(cli, "2.0.40.10.in-addr.arpa", "PTR")) == ["web.n1."]
        empty = await ask(cli, "cli", "AAAA")
        assert empty is not None and (empty.header.rcode, empty.rr) == (0, [])
        outside = await ask(cli, "router.example")
        assert answers(outside) == [ROUTER] and outside is not None and outside.header.aa == 1
        missing = await ask(cli, "nosuch.example")
        assert missing is not None and missing.header.rcode == 3
        h1.rename("web@n1", ["www", "app"])
        assert answers(await ask(cli, "www")) == ["10.40.0.2"]
        gone = await ask(cli, "web")
        assert gone is not None and gone.header.rcode == 3
        h1.detach("web@n1")
        assert answers(await ask(cli, "app")) == ["10.40.0.5"]


async def test_over_tcp_too() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        n1 = net.create(bridge("n1", "10.40.0.0/24"))
        cli, _ = net.run(h1, "cli", n1, "10.40.0.3")
        resolve(h1, cli, n1)
        connection = await cli.tcp_connect(EMBEDDED, 53, timeout=1)
        for name, expected in (("cli", ["10.40.0.3"]), ("router.example", [ROUTER])):
            query = bytes(DNSRecord(DNSHeader(id=9, rd=1), q=DNSQuestion(name, QTYPE.A)).pack())
            await connection.write(len(query).to_bytes(2, "big") + query)
            length = int.from_bytes(await connection.readexactly(2), "big")
            assert answers(DNSRecord.parse(await connection.readexactly(length))) == expected
        connection.close()


async def test_an_internal_network_hears_nothing_from_outside() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        shut = net.create(bridge("shut", "172.19.0.0/16", internal=True))
        island = net.create(overlay("island", "10.0.9.0/24", 4105, internal=True))
        for network, ip in ((shut, "172.19.0.2"), (island, "10.0.9.2")):
            box, _ = net.run(h1, "c", network, ip)
            resolve(h1, box, network)
            assert answers(await ask(box, "c")) == [ip]
            assert await ask(box, "router.example", wait=0.3) is None


async def test_the_default_bridge_asks_the_lan_s_resolver_itself() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        box, _ = net.run(h1, "c", net.create(docker0()), "172.17.0.2")
        assert answers(await ask(box, "router.example", server=ROUTER)) == [ROUTER]
        empty = await ask(box, "router.example", "AAAA", server=ROUTER)
        assert empty is not None and (empty.header.rcode, empty.rr) == (0, [])
        missing = await ask(box, "c", server=ROUTER)
        assert missing is not None and missing.header.rcode == 3


async def test_names_of_other_hosts_come_and_go_with_their_facts() -> None:
    async with lab(2) as net:
        h1, h2 = net.hosts
        ov = net.create(overlay("ov", "10.0.1.0/24", 4097))
        c1, _ = net.run(h1, "c1", ov, "10.0.1.2")
        net.run(h2, "api", ov, "10.0.1.3")
        resolve(h1, c1, ov)
        assert answers(await ask(c1, "api")) == ["10.0.1.3"]
        net.forget("api@ov")
        assert await ask(c1, "api", wait=0.2) is None


async def test_garbage_and_a_flood_of_queries() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        n1 = net.create(bridge("n1", "10.40.0.0/24"))
        cli, _ = net.run(h1, "cli", n1, "10.40.0.3")
        resolve(h1, cli, n1)
        socket = cli.udp_open()
        for junk in (b"", b"\0", bytes(12), b"\xff" * 40, bytes(5) + b"\1" + bytes(6) + b"\xc0\x0c" + bytes(4)):
            socket.sendto(junk, (EMBEDDED, 53))
        for number in range(1000):
            socket.sendto(DNSRecord(DNSHeader(id=number), q=DNSQuestion("cli")).pack(), (EMBEDDED, 53))
            if not number % 100:
                await asyncio.sleep(0)
        socket.close()
        await ask(cli, "cli", wait=0.2)  # may have been lost in the flood, as UDP is
        assert answers(await ask(cli, "cli")) == ["10.40.0.3"]


async def test_a_removed_sandbox_takes_its_resolver_along() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        n1 = net.create(bridge("n1", "10.40.0.0/24"))
        for _ in range(2):
            cli, _ = net.run(h1, "cli", n1, "10.40.0.3")
            resolve(h1, cli, n1)
            resolve(h1, cli, n1)
            assert answers(await ask(cli, "cli")) == ["10.40.0.3"]
            await h1.remove_sandbox(cli)
        assert not h1._resolvers
