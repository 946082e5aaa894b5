"""IPv4 (RFC 791): the packet as the stack and its hooks see it, and its bytes.

One `Packet` is made per packet and changed in place by whoever forwards or translates it.
"""

from __future__ import annotations

from struct import Struct

from overlay.wire import checksum
from overlay.wire.address import ip_text

PROTOCOL_ICMP = 1
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17

HEADER_LENGTH = 20
MAX_LENGTH = 65535

DONT_FRAGMENT = 0x4000
MORE_FRAGMENTS = 0x2000

_HEADER = Struct("!BBHHHBBH4s4s")
_PORTS = Struct("!HH")
_CHECKSUM_AT = {PROTOCOL_TCP: 16, PROTOCOL_UDP: 6}


class Malformed(ValueError):
    """The bytes are not what the protocol says; `reason` is the name it is counted under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Packet:
    """An IPv4 packet. `payload` is everything behind the IP header: transport header and data.

    `fragment_offset` is in bytes. `in_interface`/`out_interface` are names, "" when there is none (yet).
    `mark` is a hook's own note; it does not leave the host. Addresses are packed (4 bytes).
    """

    __slots__ = (
        "destination",
        "dont_fragment",
        "fragment_offset",
        "identification",
        "in_interface",
        "mark",
        "more_fragments",
        "options",
        "out_interface",
        "payload",
        "protocol",
        "source",
        "tos",
        "ttl",
    )

    version = 4

    def __init__(
        self,
        source: bytes,
        destination: bytes,
        protocol: int,
        payload: bytes,
        *,
        ttl: int = 64,
        tos: int = 0,
        identification: int = 0,
        dont_fragment: bool = False,
        more_fragments: bool = False,
        fragment_offset: int = 0,
        options: bytes = b"",
    ) -> None:
        self.source = source
        self.destination = destination
        self.protocol = protocol
        self.payload = payload
        self.ttl = ttl
        self.tos = tos
        self.identification = identification
        self.dont_fragment = dont_fragment
        self.more_fragments = more_fragments
        self.fragment_offset = fragment_offset
        self.options = options
        self.in_interface = ""
        self.out_interface = ""
        self.mark = 0

    @property
    def is_fragment(self) -> bool:
        """Whether this is one piece of a larger packet."""
        return self.more_fragments or self.fragment_offset > 0

    @property
    def total_length(self) -> int:
        """Bytes of the whole packet, header and options included."""
        return HEADER_LENGTH + len(self.options) + len(self.payload)

    def ports(self) -> tuple[int, int] | None:
        """(source port, destination port) of a TCP or UDP packet; None for others and for later fragments."""
        if self.fragment_offset or self.protocol not in _CHECKSUM_AT or len(self.payload) < 4:
            return None
        source, destination = _PORTS.unpack_from(self.payload)
        return source, destination

    def rewrite(
        self,
        *,
        source: bytes | None = None,
        destination: bytes | None = None,
        source_port: int | None = None,
        destination_port: int | None = None,
    ) -> None:
        """Translate addresses and ports in place; the transport checksum follows incrementally (RFC 1624).

        Ports are changed only where the packet has them (TCP, UDP, first fragment).
        """
        old = self.source + self.destination
        new = (source or self.source) + (destination or self.destination)
        half = len(new) // 2
        self.source, self.destination = new[:half], new[half:]
        at = _CHECKSUM_AT.get(self.protocol)
        if at is None or self.fragment_offset or len(self.payload) < at + 2:
            return
        old_ports = self.payload[:4]
        was_source, was_destination = _PORTS.unpack(old_ports)
        new_ports = _PORTS.pack(
            was_source if source_port is None else source_port,
            was_destination if destination_port is None else destination_port,
        )
        field = int.from_bytes(self.payload[at : at + 2], "big")
        if field or self.protocol != PROTOCOL_UDP:
            field = checksum.update(field, old + old_ports, new + new_ports)
            if not field and self.protocol == PROTOCOL_UDP:
                field = 0xFFFF
        self.payload = b"".join((new_ports, self.payload[4:at], field.to_bytes(2, "big"), self.payload[at + 2 :]))

    def piece(self, payload: bytes, *, number: int = 0) -> Packet:
        """The same packet with another payload, `number` packets later."""
        other = Packet(
            self.source,
            self.destination,
            self.protocol,
            payload,
            ttl=self.ttl,
            tos=self.tos,
            identification=self.identification + number & 0xFFFF,
            dont_fragment=self.dont_fragment,
            options=self.options,
        )
        other.in_interface, other.out_interface, other.mark = self.in_interface, self.out_interface, self.mark
        return other

    def header(self) -> bytes:
        """The IP header with options and its checksum."""
        word = self.fragment_offset >> 3
        if self.dont_fragment:
            word |= DONT_FRAGMENT
        if self.more_fragments:
            word |= MORE_FRAGMENTS
        length = HEADER_LENGTH + len(self.options)
        fields = (
            0x40 | length >> 2,
            self.tos,
            length + len(self.payload),
            self.identification,
            word,
            self.ttl,
            self.protocol,
        )
        blank = _HEADER.pack(*fields, 0, self.source, self.destination)
        total = int.from_bytes(blank, "big") % 65535
        if self.options:
            total += checksum.partial(self.options)
        return _HEADER.pack(*fields, -total % 65535, self.source, self.destination) + self.options

    def emit(self) -> bytes:
        """The whole packet's bytes. The transport checksum is the payload's business."""
        return self.header() + self.payload

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and all(
            getattr(self, name) == getattr(other, name) for name in Packet.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"<Packet {ip_text(self.source)} → {ip_text(self.destination)} protocol {self.protocol} "
            f"ttl {self.ttl} id {self.identification} {len(self.payload)} bytes at {self.fragment_offset}>"
        )


def parse(data: bytes, start: int = 0) -> Packet:
    """The packet in `data[start:]`, what follows its total length (Ethernet padding) cut off.

    Raises `Malformed` for wrong version or lengths, and for a wrong header checksum.
    """
    if len(data) - start < HEADER_LENGTH:
        raise Malformed("ip-short")
    first, tos, total, identification, word, ttl, protocol, _, source, destination = _HEADER.unpack_from(data, start)
    if first == 0x45:
        options = b""
        body = start + HEADER_LENGTH
        if int.from_bytes(data[start:body], "big") % 65535:
            raise Malformed("ip-checksum")
    else:
        if first >> 4 != 4:
            raise Malformed("ip-version")
        body = start + (first & 15) * 4
        if body < start + HEADER_LENGTH or body > len(data):
            raise Malformed("ip-header-length")
        options = bytes(data[start + HEADER_LENGTH : body])
        if checksum.partial(data[start:body]):
            raise Malformed("ip-checksum")
    end = start + total
    if end < body or end > len(data):
        raise Malformed("ip-total-length")
    packet = Packet.__new__(Packet)
    packet.source = source
    packet.destination = destination
    packet.protocol = protocol
    packet.payload = data[body:end]
    packet.ttl = ttl
    packet.tos = tos
    packet.identification = identification
    packet.dont_fragment = word & DONT_FRAGMENT != 0
    packet.more_fragments = word & MORE_FRAGMENTS != 0
    packet.fragment_offset = (word & 0x1FFF) << 3
    packet.options = options
    packet.in_interface = ""
    packet.out_interface = ""
    packet.mark = 0
    return packet


def parse_quoted(data: bytes) -> Packet:
    """The packet that an ICMP error quotes: its payload may be cut short, and its checksum is not looked at (who
    forwarded it may have changed it). Raises `Malformed`."""
    if len(data) < HEADER_LENGTH or data[0] >> 4 != 4:
        raise Malformed("quote-header")
    first, tos, total, identification, word, ttl, protocol, _, source, destination = _HEADER.unpack_from(data)
    body = (first & 15) * 4
    if body < HEADER_LENGTH or body > len(data):
        raise Malformed("quote-header")
    return Packet(
        source,
        destination,
        protocol,
        data[body : max(body, total)],
        ttl=ttl,
        tos=tos,
        identification=identification,
        dont_fragment=word & DONT_FRAGMENT != 0,
        more_fragments=word & MORE_FRAGMENTS != 0,
        fragment_offset=(word & 0x1FFF) << 3,
        options=data[HEADER_LENGTH:body],
    )


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> int:
    """The sum over TCP's and UDP's pseudo header (RFC 9293, 3.1)."""
    return int.from_bytes(source + destination, "big") % 65535 + protocol + length
