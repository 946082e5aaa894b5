"""tcpdump's filter language, the part that people type (pcap-filter(7)): hosts, nets, ports, protocols, and/or/not."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from daemon.programs import packet_text6
from daemon.programs.options import Failure

Predicate = Callable[["Fields"], bool]
NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "igmp": 2, "icmp6": 58}


@dataclass(slots=True)
class Fields:
    """What filters look at. Addresses are None when the frame has none."""

    ethertype: int
    source_mac: str
    target_mac: str
    source: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    target: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    protocol: int = -1
    ports: tuple[int, int] | None = None
    length: int = 0


def fields(frame: bytes) -> Fields:
    """Never raises."""
    found = Fields(int.from_bytes(frame[12:14], "big"), frame[6:12].hex(":"), frame[:6].hex(":"), length=len(frame))
    body = frame[14:]
    if found.ethertype == 0x0806 and len(body) >= 28:
        found.source, found.target = ipaddress.IPv4Address(body[14:18]), ipaddress.IPv4Address(body[24:28])
    elif found.ethertype == 0x0800 and len(body) >= 20:
        found.source, found.target = ipaddress.IPv4Address(body[12:16]), ipaddress.IPv4Address(body[16:20])
        found.protocol = body[9]
        start = (body[0] & 15) * 4
        if found.protocol in (6, 17) and not int.from_bytes(body[6:8], "big") & 0x1FFF and len(body) >= start + 4:
            found.ports = (
                int.from_bytes(body[start : start + 2], "big"),
                int.from_bytes(body[start + 2 : start + 4], "big"),
            )
    elif found.ethertype == 0x86DD and (packet := packet_text6.packet(body)) is not None:
        found.source, found.target = ipaddress.IPv6Address(packet.source), ipaddress.IPv6Address(packet.destination)
        # pcap's filters look behind no header but that of a fragment, and there for no ports.
        found.protocol = packet.extensions[0].kind if packet.extensions else packet.protocol
        found.ports = None if packet.extensions or packet.is_fragment else packet.ports()
    return found


def compile_filter(words: list[str], resolve: dict[str, str]) -> Predicate:
    """A predicate for the expression; `resolve` maps host names in it to addresses. Failure: syntax error."""
    tokens = " ".join(words).replace("(", " ( ").replace(")", " ) ").replace("!", " ! ").split()
    if not tokens:
        return lambda found: True
    parser = _Parser(tokens, resolve)
    predicate = parser.either()
    if parser.at < len(tokens):
        raise Failure("can't parse filter expression: syntax error")
    return predicate


class _Parser:
    def __init__(self, tokens: list[str], resolve: dict[str, str]) -> None:
        self.tokens = tokens
        self.resolve = resolve
        self.at = 0

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        if not token:
            raise Failure("can't parse filter expression: syntax error")
        self.at += 1
        return token

    def either(self) -> Predicate:
        left = self.both()
        while self._peek() in ("or", "||"):
            self.at += 1
            left = _or(left, self.both())
        return left

    def both(self) -> Predicate:
        left = self.negated()
        while self._peek() in ("and", "&&"):
            self.at += 1
            left = _and(left, self.negated())
        return left

    def negated(self) -> Predicate:
        if self._peek() in ("not", "!"):
            self.at += 1
            inner = self.negated()
            return lambda found: not inner(found)
        if self._peek() == "(":
            self.at += 1
            inner = self.either()
            if self._take() != ")":
                raise Failure("can't parse filter expression: syntax error")
            return inner
        return self.primitive()

    def primitive(self) -> Predicate:
        conditions: list[Predicate] = []
        side = ""
        word = self._take()
        if word in ("ip", "arp", "ip6", "ether") or word in NUMBERS:
            ethertype = {"arp": 0x0806, "ip6": 0x86DD, "icmp6": 0x86DD}.get(word, 0x0800)
            if word in NUMBERS:
                number = NUMBERS[word]
                conditions.append(lambda found: found.protocol == number)
            elif word != "ether":
                conditions.append(lambda found: found.ethertype == ethertype)
            if self._peek() not in ("host", "src", "dst", "net", "port", "portrange", "proto", "broadcast"):
                return conditions[0] if conditions else lambda found: True
            if word == "ether":
                return self._ether()
            word = self._take()
        if word in ("src", "dst"):
            side = word
            word = self._take()
            if word not in ("host", "net", "port", "portrange"):
                self.at -= 1
                word = "host"
        if word == "port" or word == "portrange":
            text = self._take()
            first, _, last = text.partition("-")
            if not first.isdigit() or (last and not last.isdigit()):
                raise Failure(f"illegal token: {text}" if text else "syntax error")
            low, high = int(first), int(last or first)
            conditions.append(
                lambda found: found.ports is not None and any(low <= port <= high for port in _side(found.ports, side))
            )
        elif word == "host" or word == "net" or word in self.resolve or word[:1].isdigit() or ":" in word:
            text = self._take() if word in ("host", "net") else word
            try:
                network = ipaddress.ip_network(self.resolve.get(text, text), strict=False)
            except ValueError:
                raise Failure(f"unknown host '{text}'") from None
            conditions.append(
                lambda found: (
                    found.source is not None
                    and found.target is not None
                    and any(address in network for address in _side((found.source, found.target), side))
                )
            )
        elif word in ("greater", "less"):
            text = self._take()
            if not text.isdigit():
                raise Failure("can't parse filter expression: syntax error")
            size = int(text)
            conditions.append(lambda found: found.length >= size if word == "greater" else found.length <= size)
        elif word == "proto":
            name = self._take()
            number = NUMBERS.get(name.lstrip("\\"), int(name) if name.isdigit() else -1)
            conditions.append(lambda found: found.protocol == number)
        elif word == "broadcast":
            conditions.append(lambda found: found.target_mac == "ff:ff:ff:ff:ff:ff")
        else:
            raise Failure("can't parse filter expression: syntax error")
        return lambda found: all(condition(found) for condition in conditions)

    def _ether(self) -> Predicate:
        word = self._take()
        side = word if word in ("src", "dst") else ""
        if side and self._peek() == "host":
            self.at += 1
        if word == "broadcast":
            return lambda found: found.target_mac == "ff:ff:ff:ff:ff:ff"
        if word == "proto":
            text = self._take()
            number = int(text, 16) if text.startswith("0x") else {"\\arp": 0x0806, "\\ip": 0x0800}.get(text, -1)
            return lambda found: found.ethertype == number
        address = self._take().lower()
        return lambda found: address in _side((found.source_mac, found.target_mac), side)


def _side(pair: tuple[object, object], side: str) -> tuple:  # type: ignore[type-arg]
    return pair if not side else pair[:1] if side == "src" else pair[1:]


def _or(one: Predicate, other: Predicate) -> Predicate:
    return lambda found: one(found) or other(found)


def _and(one: Predicate, other: Predicate) -> Predicate:
    return lambda found: one(found) and other(found)
