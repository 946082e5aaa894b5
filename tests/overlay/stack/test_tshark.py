"""Wireshark's opinion of our bytes: every checksum right, nothing malformed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from overlay.capture import pcap
from overlay.wire import icmp, icmpv6
from overlay.wire.address import ANY, ANY6, pack_ip
from overlay.wire.extension import DESTINATION, Extension
from overlay.wire.icmp import Icmp
from overlay.wire.ipv6 import Packet6
from overlay.wire.udp import Datagram
from tests.overlay.stack.network import Link, Network
from tests.overlay.stack.transfer import connect, exchange

TSHARK = shutil.which("tshark")
PREFERENCES = [f"{protocol}.check_checksum:TRUE" for protocol in ("ip", "tcp", "udp")]
WRONG = "_ws.malformed || " + " || ".join(
    f"{protocol}.checksum.status == Bad" for protocol in ("ip", "tcp", "udp", "icmp", "icmpv6")
)

pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")


def tshark(file: Path, *arguments: str) -> list[str]:
    # The transfer is random bytes on port 80: no dissector shall guess at them.
    command = [TSHARK or "", "-r", str(file), "-d", "tcp.port==80,data", *arguments]
    for preference in PREFERENCES:
        command += ["-o", preference]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def recorded() -> list[tuple[float, bytes]]:
    """ARP, ping with fragments, UDP, an ICMP error, TCP with loss, reordering, SACK and odd lengths."""
    network = Network(4)
    a, b = network.host(), network.host()
    links = network.link(
        a, "10.0.0.1/24", b, "10.0.0.2/24", faults=Link(loss=0.02, reorder=0.05, duplicate=0.02, keep=True)
    )
    raw = a.icmp.open()
    for size in (0, 1, 57, 3000, 20001):
        raw.send(pack_ip("10.0.0.2"), Icmp(icmp.ECHO_REQUEST, 0, 1, size, bytes(size)), 64, network.now)
    sender = a.udp.open(ANY, 0)
    for size in (0, 1, 9, 4001):
        sender.send(b"\xff" * size, (pack_ip("10.0.0.2"), 9), network.now)
    near, far = connect(network, a, b, "10.0.0.2")
    exchange(network, near, far, Random(1).randbytes(200_001), Random(2).randbytes(33_333))
    refused = a.tcp.connect(pack_ip("10.0.0.2"), 81, network.now)
    network.run(lambda: refused.error != 0, 10)
    return sorted(links[0].frames + links[1].frames, key=lambda pair: pair[0])


def test_tshark_finds_nothing_wrong(tmp_path: Path) -> None:
    frames = recorded()
    file = tmp_path / "stack.pcap"
    file.write_bytes(pcap(frames))
    assert tshark(file, "-Y", WRONG) == []
    counted = tshark(file, "-T", "fields", "-e", "frame.protocols")
    assert len(counted) == len(frames)
    for protocols in ("eth:ethertype:arp", "eth:ethertype:ip:icmp", "eth:ethertype:ip:tcp", "eth:ethertype:ip:udp"):
        assert any(line.startswith(protocols) for line in counted), protocols
    assert tshark(file, "-Y", "tcp.options.sack.count > 0")
    assert tshark(file, "-Y", "ip.reassembled_in || ip.fragments")
    assert tshark(file, "-Y", "icmp.type == 3 && icmp.code == 3 && udp.dstport == 9")


def recorded6() -> list[tuple[float, bytes]]:
    """ND, ping with fragments, UDP, errors, TCP under loss, a path MTU, an extension header: over IPv6."""
    network = Network(4)
    a, router, b = network.host(), network.host(), network.host()
    links = network.link(a, "fd00::1/64", router, "fd00::254/64", faults=Link(loss=0.02, reorder=0.05, keep=True))
    network.link(router, "fd01::254/64", b, "fd01::2/64", mtu=1300)
    router.forwarding = True
    for stack, via in ((a, "fd00::254"), (b, "fd01::254")):
        stack.add_route(ANY6, 0, pack_ip(via), None, None, 0)
    a.discovery.claim(a.interfaces["eth0"], pack_ip("fd00::1"))
    a.discovery.announce(a.interfaces["eth0"], pack_ip("fd00::1"))
    raw = a.icmp.open()
    for size in (0, 1, 57, 3000, 20001):
        raw.send(pack_ip("fd01::2"), Icmp(icmpv6.ECHO_REQUEST, 0, 1, size, bytes(size)), 64, network.now)
    sender = a.udp.open(ANY6, 0)
    for size in (0, 1, 9, 4001):
        sender.send(b"\xff" * size, (pack_ip("fd01::2"), 9), network.now)
    options = (Extension(DESTINATION, bytes((0, 0, 1, 4, 0, 0, 0, 0))),)
    source, to = pack_ip("fd00::1"), pack_ip("fd01::2")
    a.output(Packet6(source, to, 17, Datagram(1, 9, b"x").emit(source, to), extensions=options), a.route_to(to))
    near, far = connect(network, a, b, "fd01::2")
    exchange(network, near, far, Random(1).randbytes(200_001), Random(2).randbytes(33_333))
    raw.send(pack_ip("fd01::2"), Icmp(icmpv6.ECHO_REQUEST, 0, 1, 7, b""), 1, network.now)
    network.run(seconds=10)
    return sorted(links[0].frames + links[1].frames, key=lambda pair: pair[0])


def test_tshark_finds_nothing_wrong_with_ipv6(tmp_path: Path) -> None:
    frames = recorded6()
    file = tmp_path / "stack6.pcap"
    file.write_bytes(pcap(frames))
    assert tshark(file, "-Y", WRONG) == []
    assert len(tshark(file)) == len(frames)
    for seen in (
        "icmpv6.type == 135 && icmpv6.opt.linkaddr",
        "icmpv6.type == 135 && ipv6.src == ::",
        "icmpv6.type == 136 && icmpv6.nd.na.flag.s == 1",
        "icmpv6.type == 129",
        "icmpv6.type == 2 && icmpv6.mtu == 1300",
        "icmpv6.type == 3",
        "icmpv6.type == 1 && icmpv6.code == 4 && udp.dstport == 9",
        "ipv6.reassembled.length > 20000",
        "ipv6.dstopts && udp",
        "tcp.options.sack.count > 0",
    ):
        assert tshark(file, "-Y", seen), seen


def test_tshark_would_have_found_it(tmp_path: Path) -> None:
    frames = recorded()
    at = next(i for i, (_, frame) in enumerate(frames) if frame[23] == 6 and len(frame) > 200)
    broken = bytearray(frames[at][1])
    broken[-1] ^= 1
    file = tmp_path / "broken.pcap"
    file.write_bytes(pcap([(frames[at][0], bytes(broken))]))
    assert len(tshark(file, "-Y", WRONG)) == 1
