"""Which packet that was sent is which one that arrived: for diagrams of messages between hosts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from scenarios.running.record import Message, Packet

_LABELS = {"gossip": "gossip", "vxlan": "vxlan", "lan": "frame"}


def messages(packets: Iterable[Packet], hosts: dict[str, str]) -> list[Message]:
    """hosts: LAN address to name. A copy that arrives twice is a message of its own with the same sender's time.
    Streams are no messages: their parts arrive in other pieces than they leave."""
    by_address = hosts
    waiting: dict[tuple[str, str, str], deque[Message]] = {}
    last: dict[tuple[str, str, str], Message] = {}
    found: list[Message] = []
    for packet in sorted((p for p in packets if not p.stream), key=lambda p: (p.at, p.direction != "sent")):
        key = (packet.source, packet.target, packet.data)
        ends = [by_address.get(end.rpartition(":")[0], end) for end in (packet.source, packet.target)]
        if packet.direction == "lost":
            found.append(Message(len(found) + 1, ends[0], ends[1], packet.at, None, packet.kind, label(packet)))
        elif packet.direction == "sent":
            message = Message(len(found) + 1, ends[0], ends[1], packet.at, None, packet.kind, label(packet))
            found.append(message)
            waiting.setdefault(key, deque()).append(message)
        elif waiting.get(key):
            message = last[key] = waiting[key].popleft()
            message.received = packet.at
        elif key in last:
            first = last[key]
            found.append(
                Message(len(found) + 1, ends[0], ends[1], first.sent, packet.at, packet.kind, first.label + " (copy)")
            )
    return found


def label(packet: Packet) -> str:
    """What is in it, in a few words: of VXLAN the network's number and the inner ends."""
    data = bytes.fromhex(packet.data)
    if packet.kind == "vxlan" and len(data) >= 8 + 34 and data[0] & 0x08:
        vni = int.from_bytes(data[4:7], "big")
        kind = int.from_bytes(data[20:22], "big")
        if kind == 0x0800:
            source, target = (".".join(map(str, data[at : at + 4])) for at in (34, 38))
            protocol = {1: "ICMP", 6: "TCP", 17: "UDP"}.get(data[31], str(data[31]))
            return f"VNI {vni} {protocol} {source} > {target}"
        return f"VNI {vni} {'ARP' if kind == 0x0806 else hex(kind)}"
    return f"{_LABELS.get(packet.kind, packet.kind)}, {len(data)} B"
