"""Frames in tcpdump's words: Ethernet, ARP, IP, ICMP, TCP, UDP, DNS, VXLAN's port by its numbers only.

Works on any bytes: what is short or strange is said, never raised.
"""

from __future__ import annotations

import ipaddress

from dnslib import QTYPE, RCODE, DNSError, DNSRecord

from daemon.programs import packet_text6

PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMP6"}
TCP_FLAGS = ((0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x20, "U"), (0x40, "E"), (0x80, "W"))
UNREACHABLE = {
    0: "net {0} unreachable",
    1: "host {0} unreachable",
    2: "{0} protocol {2} unreachable",
    3: "{0} {2} port {1} unreachable",
    4: "{0} unreachable - need to frag (mtu {3})",
    13: "host {0} unreachable - admin prohibited filter",
}
ETHERTYPES = {0x0800: "IPv4", 0x0806: "ARP", 0x86DD: "IPv6", 0x8100: "802.1Q"}


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def mac(data: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in data)


def ip(data: bytes) -> str:
    return str(ipaddress.ip_address(data)) if len(data) in (4, 16) else "?"


class Describer:
    """Describes frames one after the other; remembers where each TCP flow began, so that numbers are relative."""

    def __init__(
        self, *, link: bool = False, verbose: bool = False, quick: bool = False, absolute: bool = False
    ) -> None:
        self.link = link
        self.verbose = verbose
        self.quick = quick
        self.absolute = absolute
        self._starts: dict[tuple[bytes, int, bytes, int], int] = {}

    def frame(self, data: bytes) -> str:
        """One frame."""
        if len(data) < 14:
            return f"[|ether] length {len(data)}"
        kind = _word(data, 12)
        body = data[14:]
        head = ""
        if self.link:
            head = (
                f"{mac(data[6:12])} > {mac(data[:6])}, ethertype {ETHERTYPES.get(kind, 'Unknown')} (0x{kind:04x}),"
                f" length {len(data)}: "
            )
        if kind == 0x0806:
            text = self.arp(body)
            return head + (text if self.link and not self.verbose else f"ARP, {text}")
        if kind == 0x0800:
            text = self.ipv4(body)
            return head + (text if self.link and not self.verbose else text if self.link else f"IP {text}")
        if kind == 0x86DD:
            text = self.ipv6(body)
            return head + (text if self.link and not self.verbose else f"IP6 {text}")
        return head + f"ethertype Unknown (0x{kind:04x}), length {len(data)}"

    def arp(self, data: bytes) -> str:
        if len(data) < 28:
            return "[|ARP]"
        prefix = "Ethernet (len 6), IPv4 (len 4), " if self.verbose else ""
        sender, target = ip(data[14:18]), ip(data[24:28])
        if _word(data, 6) == 1:
            known = data[18:24]
            hint = f" ({mac(known)})" if any(known) and known != b"\xff" * 6 else ""
            text = (
                f"Request who-has {target}{hint} tell {sender}"
                if sender != target
                else f"Request who-has {target}{hint or ''} tell {sender}"
            )
        else:
            text = f"Reply {sender} is-at {mac(data[8:14])}"
        return f"{prefix}{text}, length {len(data)}"

    def ipv4(self, data: bytes) -> str:
        if len(data) < 20 or data[0] >> 4 != 4 or (data[0] & 15) * 4 < 20:
            return "[|ip]"
        size = (data[0] & 15) * 4
        total = min(_word(data, 2), len(data)) or len(data)
        protocol, fragment = data[9], _word(data, 6)
        offset = (fragment & 0x1FFF) * 8
        payload = data[size:total]
        source, target = data[12:16], data[16:20]
        lead = ""
        if self.verbose:
            flags = "+" if fragment & 0x2000 else "none"
            flags = "DF" if fragment & 0x4000 else flags
            lead = (
                f"(tos 0x{data[1]:x}, ttl {data[8]}, id {_word(data, 4)}, offset {offset}, flags [{flags}],"
                f" proto {PROTOCOLS.get(protocol, 'unknown')} ({protocol}), length {total})\n    "
            )
        if offset:
            return (
                f"{lead}{ip(source)} > {ip(target)}: ip-proto-{protocol}"
                if protocol not in PROTOCOLS
                else f"{lead}{ip(source)} > {ip(target)}: {PROTOCOLS[protocol].lower()}"
            )
        if protocol == 6:
            return lead + self.tcp(payload, source, target)
        if protocol == 17:
            return lead + self.udp(payload, source, target)
        if protocol == 1:
            return f"{lead}{ip(source)} > {ip(target)}: {self.icmp(payload)}"
        name = "ip-proto-" + str(protocol) if protocol not in PROTOCOLS else PROTOCOLS[protocol].lower()
        return f"{lead}{ip(source)} > {ip(target)}: {name} {len(payload)}"

    def ipv6(self, data: bytes) -> str:
        packet = packet_text6.packet(data)
        if packet is None:
            return "[|ip6]"
        where = f"{ip(packet.source)} > {ip(packet.destination)}: "
        lead = ""
        if self.verbose:
            label = f"flowlabel 0x{packet.flow_label:05x}, " if packet.flow_label else ""
            tos = f"class 0x{packet.tos:02x}, " if packet.tos else ""
            name = PROTOCOLS.get(packet.protocol, "unknown")
            lead = (
                f"({tos}{label}hlim {packet.ttl}, next-header {name} ({packet.protocol}) payload length: "
                f"{_word(data, 4)}) "
            )
        headers = "".join(packet_text6.HEADERS.get(each.kind, "") for each in packet.extensions)
        if packet.is_fragment:
            headers += f"frag ({packet.fragment_offset}|{len(packet.payload)}) "
        if packet.fragment_offset:
            return f"{lead}{where}{headers}".rstrip()
        if packet.protocol in (6, 17) and len(packet.payload) >= 8:
            transport = self.tcp if packet.protocol == 6 else self.udp
            text = transport(packet.payload, packet.source, packet.destination)
            if headers:  # then the addresses stand before them, and the ports alone
                sport, dport = _word(packet.payload, 0), _word(packet.payload, 2)
                text = f"{where}{headers}{sport} > {dport}: {text.partition(': ')[2]}"
            return lead + text
        if packet.protocol == 58:
            return f"{lead}{where}{headers}{packet_text6.icmp6(packet.payload)}"
        name = PROTOCOLS.get(packet.protocol, f"ip-proto-{packet.protocol}")
        return f"{lead}{where}{headers}{name.lower()} {len(packet.payload)}"

    def icmp(self, data: bytes) -> str:
        if len(data) < 8:
            return "ICMP [|icmp]"
        kind, code = data[0], data[1]
        if kind in (0, 8):
            return (
                f"ICMP echo {'request' if kind == 8 else 'reply'}, id {_word(data, 4)}, seq {_word(data, 6)},"
                f" length {len(data)}"
            )
        if kind in (3, 11) and len(data) >= 28:
            quoted = data[8:]
            size = (quoted[0] & 15) * 4
            target = ip(quoted[16:20])
            port = _word(quoted, size + 2) if len(quoted) >= size + 4 else 0
            protocol = {6: "tcp", 17: "udp", 1: "icmp"}.get(quoted[9], str(quoted[9]))
            if kind == 11:
                text = "time exceeded in-transit" if code == 0 else "ip reassembly time exceeded"
            else:
                text = UNREACHABLE.get(code, "{0} unreachable").format(target, port, protocol, _word(data, 6))
            more = f"\n\t{Describer(verbose=True).ipv4(quoted)}" if self.verbose else ""
            return f"ICMP {text}, length {len(data)}{more}"
        return f"ICMP type-#{kind}, length {len(data)}"

    def tcp(self, data: bytes, source: bytes, target: bytes) -> str:
        if len(data) < 20:
            return f"{ip(source)} > {ip(target)}: [|tcp]"
        sport, dport = _word(data, 0), _word(data, 2)
        where = f"{ip(source)}.{sport} > {ip(target)}.{dport}: "
        size = (data[12] >> 4) * 4
        length = max(0, len(data) - size)
        if self.quick:
            return f"{where}tcp {length}"
        flags = data[13]
        letters = "".join(letter for bit, letter in TCP_FLAGS if flags & bit) + ("." if flags & 0x10 else "")
        seq, ack = int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:12], "big")
        key, back = (source, sport, target, dport), (target, dport, source, sport)
        if flags & 0x02 or key not in self._starts:
            self._starts[key] = seq
            if flags & 0x10 and back not in self._starts:
                self._starts[back] = (ack - 1) & 0xFFFFFFFF
            relative = False
        else:
            relative = not self.absolute
        base = self._starts[key] if relative else 0
        first = (seq - base) & 0xFFFFFFFF
        parts = [f"Flags [{letters or 'none'}]"]
        if self.verbose:
            parts.append(f"cksum 0x{_word(data, 16):04x} ({_verdict(data, source, target)})")
        if length or flags & 0x07:
            parts.append(f"seq {first}" + (f":{first + length}" if length else ""))
        if flags & 0x10:
            shown = (ack - self._starts.get(back, 0)) & 0xFFFFFFFF if relative else ack
            parts.append(f"ack {shown}")
        parts.append(f"win {_word(data, 14)}")
        if size > 20:
            parts.append(f"options [{_options(data[20:size], self._starts.get(back, 0) if relative else 0)}]")
        parts.append(f"length {length}")
        text = where + ", ".join(parts)
        body = data[size:]
        if 80 in (sport, dport) and body:
            line = _first_line(body)
            text += f": HTTP: {line}" if line else ": HTTP"
        return text

    def udp(self, data: bytes, source: bytes, target: bytes) -> str:
        if len(data) < 8:
            return f"{ip(source)} > {ip(target)}: [|udp]"
        sport, dport = _word(data, 0), _word(data, 2)
        where = f"{ip(source)}.{sport} > {ip(target)}.{dport}: "
        body = data[8:]
        if 53 in (sport, dport) and not self.quick and (text := _dns(body)):
            return f"{where}{'[udp sum ok] ' if self.verbose else ''}{text}"
        if dport == 4789 and len(body) >= 8 and not self.quick:
            inner = Describer(link=False).frame(body[8:])
            return (
                f"{where}VXLAN, flags [{'I' if body[0] & 8 else '.'}] (0x{body[0]:02x}), vni "
                f"{int.from_bytes(body[4:7], 'big')}\n{inner}"
            )
        length = max(_word(data, 4) - 8, 0)
        return f"{where}{'[udp sum ok] ' if self.verbose else ''}UDP, length {length}"


def _verdict(data: bytes, source: bytes, target: bytes) -> str:
    pseudo = source + target + b"\0\x06" + len(data).to_bytes(2, "big")
    body = pseudo + data + bytes(len(data) % 2)
    total = sum(int.from_bytes(body[at : at + 2], "big") for at in range(0, len(body), 2)) % 65535
    if total == 0:
        return "correct"
    right = (~((int.from_bytes(data[16:18], "big") ^ 0xFFFF) + total) % 65535) & 0xFFFF
    return f"incorrect -> 0x{right:04x}"


def _options(data: bytes, base: int) -> str:
    out: list[str] = []
    at = 0
    while at < len(data):
        kind = data[at]
        if kind == 0:
            out.append("eol")
            break
        if kind == 1:
            out.append("nop")
            at += 1
            continue
        size = data[at + 1] if at + 1 < len(data) else 0
        if size < 2 or at + size > len(data):
            out.append("[bad opt]")
            break
        value = data[at + 2 : at + size]
        if kind == 2:
            out.append(f"mss {int.from_bytes(value, 'big')}")
        elif kind == 3:
            out.append(f"wscale {value[0] if value else 0}")
        elif kind == 4:
            out.append("sackOK")
        elif kind == 5:
            blocks = [
                f"{{{(int.from_bytes(value[n : n + 4], 'big') - base) & 0xFFFFFFFF}:"
                f"{(int.from_bytes(value[n + 4 : n + 8], 'big') - base) & 0xFFFFFFFF}}}"
                for n in range(0, len(value), 8)
            ]
            out.append(f"sack {len(blocks)} {''.join(blocks)}")
        elif kind == 8:
            out.append(f"TS val {int.from_bytes(value[:4], 'big')} ecr {int.from_bytes(value[4:8], 'big')}")
        else:
            out.append(f"unknown-{kind}")
        at += size
    return ",".join(out)


def _first_line(body: bytes) -> str:
    line = body.split(b"\r\n", 1)[0]
    return line.decode("latin-1") if b"HTTP/" in line and line.isascii() else ""


def _dns(body: bytes) -> str:
    try:
        message = DNSRecord.parse(body)
    except (DNSError, ValueError, IndexError, KeyError):
        return ""
    header = message.header
    question = message.questions[0] if message.questions else None
    asked = f" {QTYPE.get(question.qtype)}? {question.qname}" if question is not None else ""
    if not header.qr:
        return f"{header.id}{'+' if header.rd else ''}{asked} ({len(body)})"
    marks = ("*" if header.aa else "") + ("" if header.ra else "-") + ("|" if header.tc else "")
    code = f" {RCODE.get(header.rcode)}" if header.rcode else ""
    answers = ", ".join(f"{QTYPE.get(record.rtype)} {record.rdata}" for record in message.rr)
    return (
        f"{header.id}{code}{marks} {len(message.rr)}/{len(message.auth)}/{len(message.ar)}"
        f"{' ' + answers if answers else ''} ({len(body)})"
    )
