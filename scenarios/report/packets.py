"""A run's datagrams as a capture: one interface for each host's underlay link, each datagram in IP and UDP again.

What a host sent and what another received are two packets, as two tcpdumps would see them: what lies between is what
the link did.
"""

from __future__ import annotations

import ipaddress
import struct

from scenarios.report import pcapng
from scenarios.running.record import Packet, RunRecord

_TTL = 64
_MOST = 65535 - 28


def capture(record: RunRecord) -> bytes:
    """The pcapng of every host's link; times are the wall clock's of the run's begin and the run's seconds since."""
    numbers = {host.name: n for n, host in enumerate(record.hosts)}
    about = f"{record.scenario}, {record.mode}, seed {record.seed}: {record.verdict.outcome}"
    blocks: list[pcapng.Block] = [pcapng.Section(((pcapng.APPLICATION, b"shoal"), (pcapng.COMMENT, about.encode())))]
    for host in record.hosts:
        about = f"the link of {host.name}, {host.address}"
        blocks.append(pcapng.Interface(host.name, options=((pcapng.IF_DESCRIPTION, about.encode()),)))
    began = int(record.started * 1e9)
    for number, packet in enumerate(sorted(record.packets, key=lambda p: p.at)):
        if packet.host not in numbers:
            continue
        data = datagram(packet, number & 0xFFFF)
        options = pcapng.directed(pcapng.INBOUND if packet.direction == "received" else pcapng.OUTBOUND)
        if packet.direction not in ("sent", "received"):
            options = ((pcapng.COMMENT, b"never left: a fault of the scenario"), *options)
        time = max(0, began + int(packet.at * 1e9))
        blocks.append(pcapng.EnhancedPacket(numbers[packet.host], time, data, len(data), options))
    return pcapng.encode(blocks)


def datagram(packet: Packet, ident: int) -> bytes:
    """IPv4 and UDP around what was sent (RFC 791, RFC 768)."""
    source, target = _end(packet.source), _end(packet.target)
    payload = bytes.fromhex(packet.data)[:_MOST]
    udp = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0)
    pseudo = source[0] + target[0] + struct.pack("!BBH", 0, 17, 8 + len(payload))
    checksum = _checksum(pseudo + udp + payload) or 0xFFFF
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), ident, 0, _TTL, 17, 0, source[0], target[0])
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    return head + udp[:6] + struct.pack("!H", checksum) + payload


def _end(text: str) -> tuple[bytes, int]:
    address, _, port = text.rpartition(":")
    return ipaddress.IPv4Address(address).packed, int(port)


def _checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
