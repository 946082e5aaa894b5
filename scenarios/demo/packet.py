"""One VXLAN datagram taken apart: the bytes that a daemon really handed to its socket, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from overlay.wire import ethernet, icmp, ipv4, vxlan
from overlay.wire.address import ip_text, mac_text
from overlay.wire.ipv4 import Malformed

ECHO_REQUEST = 8


@dataclass(frozen=True, slots=True)
class Datagram:
    """As the control socket's capture tells it. Addresses are of the LAN."""

    direction: str
    source: tuple[str, int]
    target: tuple[str, int]
    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """An ICMP echo request inside VXLAN."""

    outer: Datagram
    vni: int
    source_mac: str
    target_mac: str
    source_ip: str
    target_ip: str
    ttl: int
    identifier: int
    sequence: int
    length: int


def ping_of(outer: Datagram) -> Ping | None:
    """The echo request in a VXLAN datagram; None when it holds something else."""
    try:
        header = vxlan.parse(outer.data)
        frame = ethernet.parse(outer.data[vxlan.HEADER_LENGTH :])
        packet = ipv4.parse(bytes(frame.payload))
        message = icmp.parse(bytes(packet.payload)) if packet.protocol == ipv4.PROTOCOL_ICMP else None
    except Malformed:
        return None
    if message is None or message.type != ECHO_REQUEST:
        return None
    return Ping(
        outer, header.vni, mac_text(frame.source), mac_text(frame.destination), ip_text(packet.source),
        ip_text(packet.destination), packet.ttl, message.first, message.second, packet.total_length,
    )  # fmt: skip


def layers(ping: Ping) -> Iterator[str]:
    """The packet for reading, outermost layer first."""
    (source, source_port), (target, target_port) = ping.outer.source, ping.outer.target
    yield f"UDP       {source}:{source_port} > {target}:{target_port}, {len(ping.outer.data)} bytes"
    yield f"VXLAN     flags 0x{ping.outer.data[0]:02x} (I), VNI {ping.vni}"
    yield f"Ethernet  {ping.source_mac} > {ping.target_mac}, IPv4"
    yield f"IPv4      {ping.source_ip} > {ping.target_ip}, ttl {ping.ttl}, {ping.length} bytes, ICMP"
    yield f"ICMP      echo request, id {ping.identifier}, seq {ping.sequence}"


def hexdump(data: bytes) -> Iterator[str]:
    """Offset, sixteen bytes, and what is printable of them."""
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        yield f"{at:04x}  {row.hex(' '):<47}  {text}"
