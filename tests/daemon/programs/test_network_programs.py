"""The network programs on real stacks: formats as recorded from Docker's containers (busybox 1.35)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from dnslib import QTYPE, RCODE, RR, DNSRecord

from daemon.runtime.container import Guest
from tests.daemon.programs.guests import Result, make_pair, run, shut, start

ZONE = """
web 600 IN A 10.40.0.2
app 600 IN A 10.40.0.4
app 600 IN A 10.40.0.5
2.0.40.10.in-addr.arpa 600 IN PTR web.n1
v6.corp 600 IN AAAA fd00::1
router.example 600 IN A 192.0.2.254
cli 600 IN A 10.40.0.3
"""


async def serve_names(guest: Guest) -> None:
    """A nameserver on the guest's port 53, not authoritative except for router.example."""
    records = RR.fromZone(ZONE)
    socket = guest.sandbox.udp_open("0.0.0.0", 53)
    while True:
        data, peer = await socket.recvfrom()
        question = DNSRecord.parse(data)
        answer = question.reply(aa=0)
        name = str(question.q.qname).rstrip(".").lower()
        known = [record for record in records if str(record.rname).rstrip(".") == name]
        answer.header.aa = int(name == "router.example")
        answer.header.rcode = RCODE.NOERROR if known else RCODE.NXDOMAIN
        for record in known:
            if question.q.qtype in (record.rtype, QTYPE.ANY):
                answer.add_answer(RR(question.q.qname, record.rtype, ttl=record.ttl, rdata=record.rdata))
        socket.sendto(answer.pack(), peer)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Guest, Guest]]:
    one, two = make_pair()
    for guest in (one, two):
        start(guest, "sleep", "600")
    one.files.write("/etc/resolv.conf", "search corp\nnameserver 10.0.0.3\noptions ndots:0\n")
    names = asyncio.ensure_future(serve_names(two))
    start(two, "sh", "-c", "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp")
    await asyncio.sleep(0.01)
    yield one, two
    names.cancel()
    await shut(one, two)


async def sh(guest: Guest, script: str) -> Result:
    return await run(guest, "sh", "-c", script)


#: command on a → (stdout, stderr, status); times are cut by the commands themselves
ROWS: list[tuple[str, str, str, int]] = [
    (
        "ping -c 1 -W 1 b | sed 's/time=.*//' | sed -n '1,2p'",
        "PING b (10.0.0.3): 56 data bytes\n64 bytes from 10.0.0.3: seq=0 ttl=64 \n",
        "",
        0,
    ),
    (
        "ping -c 1 -W 2 -s 4000 b | sed 's/time=.*//' | sed -n '1,2p'",
        "PING b (10.0.0.3): 4000 data bytes\n4008 bytes from 10.0.0.3: seq=0 ttl=64 \n",
        "",
        0,
    ),
    ("ping -c 1 -W 1 nosuch", "", "ping: bad address 'nosuch'\n", 1),
    (
        "ping -c 1 -W 1 10.0.0.9",
        "PING 10.0.0.9 (10.0.0.9): 56 data bytes\n\n--- 10.0.0.9 ping statistics ---\n"
        "1 packets transmitted, 0 packets received, 100% packet loss\n",
        "",
        1,
    ),
    (
        "ip route del default; ping -c 1 -W 1 172.17.0.1",
        "PING 172.17.0.1 (172.17.0.1): 56 data bytes\n",
        "ping: sendto: Network is unreachable\n",
        1,
    ),
    (
        "ip -4 -o addr show",
        "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n"
        "5: eth0    inet 10.0.0.2/24 brd 10.0.0.255 scope global eth0\\"
        "       valid_lft forever preferred_lft forever\n",
        "",
        0,
    ),
    ("ip route", "default via 10.0.0.1 dev eth0 \n10.0.0.0/24 dev eth0 scope link  src 10.0.0.2 \n", "", 0),
    ("ip addr show dev nosuch", "", "ip: can't find device 'nosuch'\n", 1),
    ("hostname; hostname -i", "a\n10.0.0.2\n", "", 0),
    ("wget -q -O - http://b:8080/index.html", "hello\n", "", 0),
    ("wget -q -O - http://b:8081/", "", "wget: can't connect to remote host (10.0.0.3): Connection refused\n", 1),
    (
        "wget -q -O - http://b:8080/missing",
        "",
        "wget: server returned error: HTTP/1.1 404 Not Found\n",
        1,
    ),
    ("wget -q -O - http://nosuch/", "", "wget: bad address 'nosuch'\n", 1),
    (
        "cd /tmp; wget http://b:8080/; cat index.html",
        "hello\n",
        "Connecting to b:8080 (10.0.0.3:8080)\nsaving to 'index.html'\n"
        f"index.html           100% |{'*' * 32}|     6  0:00:00 ETA\n'index.html' saved\n",
        0,
    ),
    (
        "nslookup -type=a web",
        "Server:\t\t10.0.0.3\nAddress:\t10.0.0.3:53\n\nNon-authoritative answer:\nName:\tweb\nAddress: 10.40.0.2\n\n",
        "",
        0,
    ),
    ("nslookup 10.40.0.2 | grep name", "2.0.40.10.in-addr.arpa\tname = web.n1\n", "", 0),
    (
        "nslookup -type=a WEB | tail -3",
        "Name:\tWEB\nAddress: 10.40.0.2\n\n",
        "",
        0,
    ),
    ("nslookup -type=a app | grep -c '^Address: 10.40'", "2\n", "", 0),
    (
        "nslookup -type=a router.example",
        "Server:\t\t10.0.0.3\nAddress:\t10.0.0.3:53\n\nName:\trouter.example\nAddress: 192.0.2.254\n\n",
        "",
        0,
    ),
    (
        "nslookup -type=a nosuch.example",
        "Server:\t\t10.0.0.3\nAddress:\t10.0.0.3:53\n\n** server can't find nosuch.example: NXDOMAIN\n\n",
        "",
        1,
    ),
    (
        "nslookup -type=aaaa cli",
        "Server:\t\t10.0.0.3\nAddress:\t10.0.0.3:53\n\nNon-authoritative answer:\n\n",
        "",
        0,
    ),
    ("dig +short app", "10.40.0.4\n10.40.0.5\n", "", 0),
    ("dig +short -x 10.40.0.2", "web.n1.\n", "", 0),
    ("dig nosuch | grep status | cut -d, -f1-2", ";; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN\n", "", 0),
    ("curl -s http://b:8080/", "hello\n", "", 0),
    ("curl -sf http://b:8080/no", "", "", 22),
    ("curl -s -o /dev/null -w '%{http_code} %{size_download}' http://b:8080/no", "404 124", "", 0),
    ("curl -sS http://nosuch/", "", "curl: (6) Could not resolve host: nosuch\n", 6),
    (
        "traceroute -n -q 1 b | sed 's/  [0-9.]* ms//'",
        "traceroute to b (10.0.0.3), 30 hops max, 46 byte packets\n 1  10.0.0.3\n",
        "",
        0,
    ),
    ("ping -c 1 b > /dev/null; arp -n", "? (10.0.0.3) at 02:42:0a:00:00:03 [ether]  on eth0\n", "", 0),
    ("nc b 1", "", "nc: can't connect to remote host (10.0.0.3): Connection refused\n", 1),
    ("netcat -z -w 1 b 8080; echo $?; netcat -z -w 1 b 1; echo $?", "0\n1\n", "", 0),
    (
        "netcat -zv b 8080",
        "",
        "Connection to b (10.0.0.3) 8080 port [tcp/*] succeeded!\n",
        0,
    ),
    ("route -n | tail -1", "10.0.0.0        0.0.0.0         255.255.255.0   U     0      0        0 eth0\n", "", 0),
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
async def test_row(pair: tuple[Guest, Guest], row: tuple[str, str, str, int]) -> None:
    script, stdout, stderr, code = row
    result = await sh(pair[0], script)
    assert (result.stdout, result.stderr, result.code) == (stdout, stderr, code)


async def test_statistics_after_interrupt_and_deadline(pair: tuple[Guest, Guest]) -> None:
    result = await sh(pair[0], "ping -i 0.05 b > /tmp/p & sleep 0.12; kill -INT $!; wait $!; echo $?; tail -3 /tmp/p")
    assert re.search(r"^0\n--- b ping statistics ---\n3 packets transmitted, 3 packets received, 0% packet loss\n"
                     r"round-trip min/avg/max = [\d.]+/[\d.]+/[\d.]+ ms\n$", result.stdout)  # fmt: skip
    assert (await sh(pair[0], "ping -q -i 0.05 -w 0.12 b")).code == 0


async def test_silent_nameserver_times_out(pair: tuple[Guest, Guest]) -> None:
    pair[0].files.write("/etc/resolv.conf", "nameserver 10.0.0.9\noptions timeout:1 attempts:1\n")
    result = await sh(pair[0], "ping -c 1 x; nslookup -type=a x")
    assert result.stderr == "ping: bad address 'x'\n"
    assert result.stdout == ";; connection timed out; no servers could be reached\n\n"


async def test_datagrams_and_streams_through_netcat(pair: tuple[Guest, Guest]) -> None:
    one, two = pair
    start(two, "sh", "-c", "netcat -u -l 5353 > /tmp/got")
    listening = start(two, "netcat", "-l", "-N", "7000")
    await asyncio.sleep(0.01)
    await sh(one, "echo ping | netcat -u -w 1 b 5353")
    assert two.files.text("/tmp/got") == "ping\n"
    payload = bytes(range(256)) * 4000
    sent = asyncio.ensure_future(run(one, "netcat", "-N", "b", "7000", stdin=payload))
    got = await listening.finish(b"answer\n")
    assert got.stdout.encode("utf-8", "surrogateescape") == payload
    assert (await sent).stdout == "answer\n"


async def test_capture_says_what_passes(pair: tuple[Guest, Guest]) -> None:
    script = "tcpdump -n -i eth0 -c 2 icmp 2>/dev/null & sleep 0.05; ping -c 1 b >/dev/null; wait"
    result = await sh(pair[0], script)
    assert re.fullmatch(
        r"[\d:.]+ IP 10\.0\.0\.2 > 10\.0\.0\.3: ICMP echo request, id \d+, seq 0, length 64\n"
        r"[\d:.]+ IP 10\.0\.0\.3 > 10\.0\.0\.2: ICMP echo reply, id \d+, seq 0, length 64\n", result.stdout
    )  # fmt: skip


async def test_whoami_and_nginx_answer(pair: tuple[Guest, Guest]) -> None:
    from daemon.runtime.images import Images

    one, two = pair
    images = Images()
    whoami, nginx = images.resolve("traefik/whoami"), images.resolve("nginx")
    assert whoami is not None and nginx is not None
    two.files.place("/whoami", whoami.tree.entries["whoami"])
    two.files.place("/usr/sbin/nginx", nginx.tree.entries["usr"].entries["bin"].entries["nginx"])  # type: ignore[union-attr]
    two.files.place("/usr/share/nginx", nginx.tree.entries["usr"].entries["share"].entries["nginx"])  # type: ignore[union-attr]
    start(two, "/whoami", "--port", "81")
    log = start(two, "nginx", "-g", "daemon off;")
    await asyncio.sleep(0.01)
    said = (await sh(one, "curl -s http://b:81/hi")).stdout.replace("\r", "")
    assert said.startswith("Hostname: b\nIP: 127.0.0.1\nIP: 10.0.0.3\nRemoteAddr: 10.0.0.2:")
    assert "GET /hi HTTP/1.1\nHost: b:81\n" in said
    page = await sh(
        one, "curl -s http://b/ | grep -c 'Welcome to nginx'; curl -s -o /dev/null -w '%{http_code}' http://b/x"
    )
    assert page.stdout == "2\n404"
    assert (await log.stdout.readline()).startswith(b"10.0.0.2 - - [")
    log.process.kill(15)
    assert await log.process.wait() == 0
