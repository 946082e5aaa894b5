"""Putting fragments together (RFC 791, RFC 815, RFC 8200 4.5), within bounds of memory and time; and cutting packets.

Fragments that overlap without being the same are an attack or a bug: the whole datagram goes (as RFC 5722 has it
for IPv6, and Linux for both).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from overlay.stack.timers import Timers
from overlay.wire.ipv4 import MAX_LENGTH, Malformed, Packet
from overlay.wire.ipv6 import FRAGMENT_LENGTH, Packet6

# Linux's ipfrag_time; RFC 1122 3.3.2 asks for 60–120 s, which is memory for nothing.
TIMEOUT = 30.0
MAX_BYTES = 1 << 20
MAX_DATAGRAMS = 256

Key = tuple[bytes, bytes, int, int]


@dataclass(slots=True, eq=False)
class _Datagram:
    owner: Reassembly
    key: Key
    pieces: dict[int, Packet] = field(default_factory=dict)
    size: int = 0
    length: int | None = None
    entry_at: float | None = None

    def on_timer(self, now: float) -> None:
        self.owner.expire(self)


class Reassembly:
    """`expired` gets the first fragment (if it came) of a datagram that did not become whole in time."""

    __slots__ = ("_datagrams", "_expired", "_held", "_timers", "dropped")

    def __init__(self, timers: Timers, expired: Callable[[Packet], None]) -> None:
        self._timers = timers
        self._expired = expired
        self._datagrams: dict[Key, _Datagram] = {}
        self._held = 0
        self.dropped = 0

    def add(self, packet: Packet, now: float) -> Packet | None:
        """The whole packet if this fragment was the last one missing; `Malformed` for impossible fragments."""
        offset, end = packet.fragment_offset, packet.fragment_offset + len(packet.payload)
        longest = MAX_LENGTH - (20 if packet.version == 4 else 0)
        if end > longest or (packet.more_fragments and len(packet.payload) & 7) or not packet.payload:
            raise Malformed("fragment-size")
        key = (packet.source, packet.destination, packet.protocol, packet.identification)
        datagram = self._datagrams.get(key)
        if datagram is None:
            datagram = self._datagrams[key] = _Datagram(self, key)
            self._timers.schedule(datagram, now + TIMEOUT)
        twin = datagram.pieces.get(offset)
        if twin is not None:
            if len(twin.payload) == len(packet.payload):
                return None
            self._drop(datagram)
            raise Malformed("fragment-overlap")
        if not packet.more_fragments:
            if datagram.length not in (None, end):
                self._drop(datagram)
                raise Malformed("fragment-overlap")
            datagram.length = end
        datagram.pieces[offset] = packet
        datagram.size += len(packet.payload)
        self._held += len(packet.payload)
        if datagram.length is not None and datagram.size >= datagram.length:
            return self._join(datagram)
        while self._held > MAX_BYTES or len(self._datagrams) > MAX_DATAGRAMS:
            self._drop(next(iter(self._datagrams.values())))
            self.dropped += 1
        return None

    def _join(self, datagram: _Datagram) -> Packet:
        self._drop(datagram)
        ordered = sorted(datagram.pieces)
        expected = 0
        for offset in ordered:
            if offset != expected:
                raise Malformed("fragment-overlap")
            expected += len(datagram.pieces[offset].payload)
        if expected != datagram.length:
            raise Malformed("fragment-overlap")  # one piece lies behind the last one
        first = datagram.pieces[0]
        first.payload = b"".join([datagram.pieces[offset].payload for offset in ordered])
        first.more_fragments = False
        return first  # of IPv6: what follows the fragment header may begin with further headers

    def _drop(self, datagram: _Datagram) -> None:
        del self._datagrams[datagram.key]
        self._held -= datagram.size
        self._timers.cancel(datagram)

    def expire(self, datagram: _Datagram) -> None:
        """Its time is over."""
        self._drop(datagram)
        self.dropped += 1
        if 0 in datagram.pieces:
            self._expired(datagram.pieces[0])


def fragment(packet: Packet, mtu: int) -> list[Packet]:
    """Cut a packet for a link of `mtu` bytes (RFC 791): offsets are multiples of 8, options go with the first
    fragment (those that are copied, bit 7 of their type, with all)."""
    copied = _copied_options(packet.options)
    pieces: list[Packet] = []
    at, end = 0, len(packet.payload)
    options = packet.options
    while at < end:
        room = mtu - 20 - len(options)
        last = end - at <= room
        size = end - at if last else room & ~7
        piece = Packet(
            packet.source,
            packet.destination,
            packet.protocol,
            packet.payload[at : at + size],
            ttl=packet.ttl,
            tos=packet.tos,
            identification=packet.identification,
            dont_fragment=packet.dont_fragment,
            more_fragments=packet.more_fragments or not last,
            fragment_offset=packet.fragment_offset + at,
            options=options,
        )
        piece.in_interface, piece.out_interface, piece.mark = packet.in_interface, packet.out_interface, packet.mark
        pieces.append(piece)
        at += size
        options = copied
    return pieces


def fragment6(packet: Packet6, mtu: int, identification: int) -> list[Packet6]:
    """Cut a packet of our own (RFC 8200 4.5); `mtu` is at least 1280."""
    room = max(mtu - (packet.total_length - len(packet.payload)) - FRAGMENT_LENGTH & ~7, 8)
    end = len(packet.payload)
    pieces: list[Packet6] = []
    for at in range(0, end, room):
        piece = packet.piece(packet.payload[at : at + room])
        piece.identification, piece.fragment_offset, piece.more_fragments = identification, at, at + room < end
        pieces.append(piece)
    return pieces


def _copied_options(options: bytes) -> bytes:
    out, at = b"", 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2:
            break
        if options[at] & 0x80:
            out += options[at : at + length]
        at += length
    return out + bytes(-len(out) % 4)
