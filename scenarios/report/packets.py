"""A run's packets as a capture: an interface for each host's underlay link, datagrams in IP and UDP, streams in TCP.

What a host sent and what another received are two packets, as two tcpdumps would see them: what lies between is what
the link did. Of streams the bytes and their order are what was sent and received; handshakes and acknowledgements are
made here, as the daemons do not see their kernel's.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field

from scenarios.report import pcapng
from scenarios.running.record import REAL, Packet, RunRecord

_TTL = 64
_MOST = 65535 - 28
_MOST_TCP = 65535 - 40
_FIN, _SYN, _PSH, _ACK = 1, 2, 8, 16
_WORD = 0xFFFFFFFF


def capture(record: RunRecord) -> bytes:
    """The pcapng of every host's link; times are the wall clock's of the run's begin and the run's seconds since."""
    numbers = {host.name: n for n, host in enumerate(record.hosts)}
    about = f"{record.scenario}, {record.mode}, seed {record.seed}: {record.verdict.outcome}"
    blocks: list[pcapng.Block] = [pcapng.Section(((pcapng.APPLICATION, b"shoal"), (pcapng.COMMENT, about.encode())))]
    for host in record.hosts:
        about = f"the link of {host.name}, {host.address}"
        blocks.append(pcapng.Interface(host.name, options=((pcapng.IF_DESCRIPTION, about.encode()),)))
    began = int(record.started * 1e9)
    streams = Streams()
    for number, packet in enumerate(sorted(record.packets, key=lambda p: p.at)):
        if packet.host not in numbers:
            continue
        time = max(0, began + int(packet.at * 1e9))
        inbound = packet.direction == "received"
        written = streams.packets(packet, number & 0xFFFF) if packet.stream else [
            (inbound, datagram(packet, number & 0xFFFF))]  # fmt: skip
        for came, data in written:
            options = pcapng.directed(pcapng.INBOUND if came else pcapng.OUTBOUND)
            if packet.direction not in ("sent", "received"):
                options = ((pcapng.COMMENT, b"never left: a fault of the scenario"), *options)
            elif packet.stream == "data" and packet.kind == "cluster" and record.mode == REAL:
                options = ((pcapng.COMMENT, b"what is inside TLS"), *options)
            blocks.append(pcapng.EnhancedPacket(numbers[packet.host], time, data, len(data), options))
    return pcapng.encode(blocks)


def datagram(packet: Packet, ident: int) -> bytes:
    """IPv4 and UDP around what was sent (RFC 791, RFC 768)."""
    source, target = _end(packet.source), _end(packet.target)
    payload = bytes.fromhex(packet.data)[:_MOST]
    udp = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0)
    pseudo = source[0] + target[0] + struct.pack("!BBH", 0, 17, 8 + len(payload))
    checksum = _checksum(pseudo + udp + payload) or 0xFFFF
    return _ipv4(source[0], target[0], 17, ident, udp[:6] + struct.pack("!H", checksum) + payload)


def _ipv4(source: bytes, target: bytes, protocol: int, ident: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, 0, _TTL, protocol, 0, source, target)
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + payload


@dataclass(slots=True)
class Streams:
    """The TCP of each link's streams: how far each direction has come."""

    _next: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def packets(self, packet: Packet, ident: int) -> list[tuple[bool, bytes]]:
        """(came in, IPv4 and TCP) of a part of a stream (RFC 9293)."""
        came, ends = packet.direction == "received", (packet.source, packet.target)
        if packet.stream == "open":
            for way in (ends, ends[::-1]):
                self._next[packet.host, *way] = 0
            return [
                (came, self._segment(packet.host, *ends, _SYN, ident)),
                (not came, self._segment(packet.host, *ends[::-1], _SYN | _ACK, ident)),
                (came, self._segment(packet.host, *ends, _ACK, ident)),
            ]
        if packet.stream == "end":
            return [(came, self._segment(packet.host, *ends, _FIN | _ACK, ident))]
        data = bytes.fromhex(packet.data)
        return [(came, self._segment(packet.host, *ends, _PSH | _ACK, ident, data[at : at + _MOST_TCP]))
                for at in range(0, len(data), _MOST_TCP)]  # fmt: skip

    def _segment(self, host: str, from_: str, to: str, flags: int, ident: int, payload: bytes = b"") -> bytes:
        source, target = _end(from_), _end(to)
        # What began before the capture did begins at 1, as after a handshake.
        seq, ack = self._next.get((host, from_, to), 1), self._next.get((host, to, from_), 1)
        self._next[host, from_, to] = seq + len(payload) + bool(flags & (_SYN | _FIN))
        head = struct.pack("!HHIIBBHHH", source[1], target[1], seq & _WORD, ack & _WORD if flags & _ACK else 0, 0x50,
                           flags, 0xFFFF, 0, 0)  # fmt: skip
        pseudo = source[0] + target[0] + struct.pack("!BBH", 0, 6, len(head) + len(payload))
        checksum = struct.pack("!H", _checksum(pseudo + head + payload))
        return _ipv4(source[0], target[0], 6, ident, head[:16] + checksum + head[18:] + payload)


def _end(text: str) -> tuple[bytes, int]:
    address, _, port = text.rpartition(":")
    return ipaddress.IPv4Address(address).packed, int(port)


def _checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
