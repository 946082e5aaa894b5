"""IPv6 and ICMPv6 in tcpdump's words; what is short or strange is said, never raised."""

from __future__ import annotations

import ipaddress

from overlay.wire import icmpv6, ipv6, nd
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import Malformed

UNREACHABLE = {0: "unreachable route", 1: "unreachable prohibited", 2: "beyond scope", 3: "unreachable address"}
PARAMETERS = {0: "errorneous", 1: "next header", 2: "option"}
HEADERS = {0: "HBH ", 43: "srcrt ", 60: "DSTOPT "}
TRANSPORTS = {6: "tcp", 17: "udp"}


def address(data: bytes) -> str:
    return str(ipaddress.IPv6Address(data))


def packet(data: bytes) -> ipv6.Packet6 | None:
    """The packet, perhaps cut short; None if there is no making sense of it."""
    try:
        return ipv6.parse_quoted(data)
    except Malformed:
        return None


def icmp6(data: bytes) -> str:
    """One message."""
    if len(data) < 8:
        return "[|icmp6]"
    message = Icmp(data[0], data[1], int.from_bytes(data[4:6], "big"), int.from_bytes(data[6:8], "big"), data[8:])
    return f"ICMP6, {_said(message)}, length {len(data)}"


def _said(message: Icmp) -> str:
    kind = message.type
    if kind in (icmpv6.ECHO_REQUEST, icmpv6.ECHO_REPLY):
        name = "request" if kind == icmpv6.ECHO_REQUEST else "reply"
        return f"echo {name}, id {message.first}, seq {message.second}"
    try:
        if kind == icmpv6.NEIGHBOUR_SOLICITATION:
            return f"neighbor solicitation, who has {address(nd.parse_solicitation(message).target)}"
        if kind == icmpv6.NEIGHBOUR_ADVERTISEMENT:
            return f"neighbor advertisement, tgt is {address(nd.parse_advertisement(message).target)}"
    except Malformed:
        return "neighbor discovery [|icmp6]"
    if kind == icmpv6.ROUTER_SOLICITATION:
        return "router solicitation"
    if kind == icmpv6.PACKET_TOO_BIG:
        return f"packet too big, mtu {icmpv6.word_of(message)}"
    if kind in (icmpv6.UNREACHABLE, icmpv6.TIME_EXCEEDED):
        return _failed(message)
    if kind == icmpv6.PARAMETER_PROBLEM:
        return f"parameter problem, {PARAMETERS.get(message.code, '?')} - octet {icmpv6.word_of(message)}"
    return f"type-#{kind}"


def _failed(message: Icmp) -> str:
    quoted = packet(message.payload)
    target = address(quoted.destination) if quoted is not None else "?"
    if message.type == icmpv6.TIME_EXCEEDED:
        return f"time exceeded {'in-transit' if message.code == 0 else 'in-reassembly'} for {target}"
    if message.code != icmpv6.PORT_UNREACHABLE:
        return f"destination unreachable, {UNREACHABLE.get(message.code, f'code-#{message.code}')} {target}"
    ports = quoted.ports() if quoted is not None else None
    if quoted is None or ports is None:
        return "destination unreachable, unreachable port"
    return f"destination unreachable, unreachable port, {target} {TRANSPORTS[quoted.protocol]} port {ports[1]}"
