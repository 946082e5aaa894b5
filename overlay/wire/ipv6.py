"""IPv6 (RFC 8200): the packet as the stack and its hooks see it, and its bytes.

A `Packet6` is a `Packet`: what sockets, hooks and switches do with one they do with the other. What differs is the
header. `ttl` is the hop limit, `tos` the traffic class; there is no header checksum, and only a source fragments.
"""

from __future__ import annotations

from struct import Struct

from overlay.wire.extension import DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING, Extension, chain, walk
from overlay.wire.ipv4 import Malformed, Packet

PROTOCOL_ICMPV6 = 58
NO_NEXT_HEADER = 59

HEADER_LENGTH = 40
FRAGMENT_LENGTH = 8
MAX_LENGTH = 65535 + HEADER_LENGTH
MINIMUM_MTU = 1280
"""Every link carries this much (RFC 8200, 5)."""

_EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION)
_HEADER = Struct("!IHBB16s16s")
_FRAGMENT = Struct("!BBHI")


class Packet6(Packet):
    """An IPv6 packet. `protocol` is what follows the extension headers, `payload` begins there; of a fragment it is
    what follows the fragment header. `extensions` are the headers in front, without the fragment header: that one is
    `identification` (32 bits), `fragment_offset` and `more_fragments`. `dont_fragment` is not on the wire: every packet
    that came from there has it, and of our own those that the stack may not cut."""

    __slots__ = ("extensions", "flow_label")

    version = 6

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
        extensions: tuple[Extension, ...] = (),
        flow_label: int = 0,
    ) -> None:
        super().__init__(
            source,
            destination,
            protocol,
            payload,
            ttl=ttl,
            tos=tos,
            identification=identification,
            dont_fragment=dont_fragment,
            more_fragments=more_fragments,
            fragment_offset=fragment_offset,
        )
        self.extensions = extensions
        self.flow_label = flow_label

    @property
    def total_length(self) -> int:
        """Bytes of the whole packet, all headers included."""
        length = HEADER_LENGTH + len(self.payload)
        if self.extensions:
            length += sum(len(each.body) for each in self.extensions)
        if self.is_fragment:
            length += FRAGMENT_LENGTH
        return length

    def piece(self, payload: bytes, *, number: int = 0) -> Packet6:
        """The same packet with another payload."""
        other = Packet6(
            self.source,
            self.destination,
            self.protocol,
            payload,
            ttl=self.ttl,
            tos=self.tos,
            identification=self.identification,
            dont_fragment=self.dont_fragment,
            extensions=self.extensions,
            flow_label=self.flow_label,
        )
        other.in_interface, other.out_interface, other.mark = self.in_interface, self.out_interface, self.mark
        return other

    def header(self) -> bytes:
        """The IPv6 header and the extension headers."""
        first, behind = self.protocol, b""
        if self.is_fragment:
            word = self.fragment_offset | self.more_fragments
            behind = _FRAGMENT.pack(self.protocol, 0, word, self.identification)
            first = FRAGMENT
        if self.extensions:
            first, front = chain(self.extensions, first)
            behind = front + behind
        return (
            _HEADER.pack(
                0x60000000 | self.tos << 20 | self.flow_label,
                len(behind) + len(self.payload),
                first,
                self.ttl,
                self.source,
                self.destination,
            )
            + behind
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Packet6)
            and super().__eq__(other)
            and (self.extensions, self.flow_label) == (other.extensions, other.flow_label)
        )

    __hash__ = None


def parse(data: bytes, start: int = 0) -> Packet6:
    """The packet in `data[start:]`, what follows its length (Ethernet padding) cut off. Raises `Malformed` for a wrong
    version, lengths, or extension headers that cannot be."""
    body = start + HEADER_LENGTH
    if len(data) < body:
        raise Malformed("ip6-short")
    word, length, following, hops, source, destination = _HEADER.unpack_from(data, start)
    if word >> 28 != 6:
        raise Malformed("ip6-version")
    end = body + length
    if end > len(data):
        raise Malformed("ip6-length")
    packet = _blank(word, hops, source, destination)
    packet.protocol = following
    packet.payload = data[body:end]
    if following in _EXTENSIONS:
        unwrap(packet)
    return packet


def _blank(word: int, hops: int, source: bytes, destination: bytes) -> Packet6:
    packet = Packet6.__new__(Packet6)
    packet.source = source
    packet.destination = destination
    packet.ttl = hops
    packet.tos = word >> 20 & 0xFF
    packet.flow_label = word & 0xFFFFF
    packet.identification = packet.fragment_offset = packet.mark = 0
    packet.dont_fragment, packet.more_fragments = True, False
    packet.options = b""
    packet.extensions = ()
    packet.in_interface = packet.out_interface = ""
    return packet


def unwrap(packet: Packet6) -> None:
    """Take the extension headers off the front of the payload, up to a fragment header if that means a real fragment
    (an atomic one is none, RFC 6946). Raises `Malformed`."""
    payload = packet.payload
    found, protocol, offset = walk(payload, packet.protocol, first=not packet.extensions)
    extensions = packet.extensions + found
    if protocol != FRAGMENT:
        packet.extensions, packet.protocol, packet.payload = extensions, protocol, payload[offset:]
        return
    if len(payload) - offset < FRAGMENT_LENGTH:
        raise Malformed("ip6-fragment-short")
    following, _, word, identification = _FRAGMENT.unpack_from(payload, offset)
    packet.extensions, packet.protocol, packet.payload = extensions, following, payload[offset + FRAGMENT_LENGTH :]
    if word & 0xFFF9:
        packet.fragment_offset, packet.more_fragments = word & 0xFFF8, word & 1 == 1
        packet.identification = identification
    elif following == FRAGMENT:
        raise Malformed("ip6-fragment-twice")
    else:
        unwrap(packet)


def parse_quoted(data: bytes) -> Packet6:
    """The packet that an ICMPv6 error quotes: it may be cut short anywhere. Raises `Malformed`."""
    if len(data) < HEADER_LENGTH or data[0] >> 4 != 6:
        raise Malformed("quote-header")
    word, length, following, hops, source, destination = _HEADER.unpack_from(data)
    packet = _blank(word, hops, source, destination)
    packet.protocol, packet.payload = following, data[HEADER_LENGTH : HEADER_LENGTH + length]
    if following in _EXTENSIONS:
        unwrap(packet)
    return packet
