"""TCP segments (RFC 9293, options of RFC 7323 and RFC 2018)."""

from __future__ import annotations

from struct import Struct

from overlay.wire.checksum import partial
from overlay.wire.ipv4 import PROTOCOL_TCP, Malformed

FIN = 0x01
SYN = 0x02
RST = 0x04
PSH = 0x08
ACK = 0x10
URG = 0x20
ECE = 0x40
CWR = 0x80

HEADER_LENGTH = 20
TIMESTAMPS_LENGTH = 12

_HEADER = Struct("!HHIIBBHHH")
_HEADER_AND_TIMESTAMPS = Struct("!HHIIBBHHHIII")
_TIMESTAMPS = Struct("!III")
_NOP_NOP_TIMESTAMPS = 0x0101080A

Block = tuple[int, int]


class Segment:
    """One segment. Sequence numbers are as on the wire (32 bits); `window` is not scaled.

    Options: `mss` and `window_scale` None when absent, `timestamps` (value, echo reply) or None,
    `sack` a tuple of (left edge, right edge). Others are skipped when parsing.
    """

    __slots__ = (
        "ack",
        "destination_port",
        "flags",
        "mss",
        "payload",
        "sack",
        "sack_permitted",
        "seq",
        "source_port",
        "timestamps",
        "urgent",
        "window",
        "window_scale",
    )

    def __init__(
        self,
        source_port: int,
        destination_port: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        payload: bytes = b"",
        *,
        urgent: int = 0,
        mss: int | None = None,
        window_scale: int | None = None,
        sack_permitted: bool = False,
        sack: tuple[Block, ...] = (),
        timestamps: tuple[int, int] | None = None,
    ) -> None:
        self.source_port = source_port
        self.destination_port = destination_port
        self.seq = seq
        self.ack = ack
        self.flags = flags
        self.window = window
        self.payload = payload
        self.urgent = urgent
        self.mss = mss
        self.window_scale = window_scale
        self.sack_permitted = sack_permitted
        self.sack = sack
        self.timestamps = timestamps

    def options(self) -> bytes:
        """The options in Linux's order, padded with NOPs in front as Linux does, a multiple of 4 bytes."""
        out = b""
        if self.mss is not None:
            out += b"\x02\x04" + self.mss.to_bytes(2, "big")
        if self.sack_permitted:
            out += b"\x04\x02" if self.timestamps is not None else b"\x01\x01\x04\x02"
        if self.timestamps is not None:
            stamps = b"\x08\x0a" + self.timestamps[0].to_bytes(4, "big") + self.timestamps[1].to_bytes(4, "big")
            out += stamps if self.sack_permitted else b"\x01\x01" + stamps
        if self.window_scale is not None:
            out += b"\x01\x03\x03" + self.window_scale.to_bytes(1, "big")
        if self.sack:
            out += b"\x01\x01\x05" + (2 + 8 * len(self.sack)).to_bytes(1, "big")
            for left, right in self.sack:
                out += left.to_bytes(4, "big") + right.to_bytes(4, "big")
        if len(out) > 40:
            raise ValueError("more than 40 bytes of TCP options")
        return out

    def emit(self, source: bytes, destination: bytes) -> bytes:
        """Header with options and checksum over the pseudo header of these packed addresses, and payload."""
        payload = self.payload
        options = self.options()
        length = HEADER_LENGTH + len(options)
        head = _HEADER.pack(
            self.source_port,
            self.destination_port,
            self.seq,
            self.ack,
            length << 2,
            self.flags,
            self.window,
            0,
            self.urgent,
        )
        total = (
            int.from_bytes(source + destination + head + options, "big") % 65535
            + PROTOCOL_TCP
            + length
            + len(payload)
            + partial(payload)
        )
        return b"".join((head[:16], (-total % 65535).to_bytes(2, "big"), head[18:], options, payload))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segment) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        flags = "".join(name for bit, name in zip(range(8), "FSRPAUEC", strict=True) if self.flags >> bit & 1)
        return (
            f"<Segment {self.source_port}→{self.destination_port} {flags} seq {self.seq} ack {self.ack} "
            f"window {self.window} {len(self.payload)} bytes>"
        )


def emit_data(
    source: bytes,
    destination: bytes,
    ports: tuple[int, int],
    seq: int,
    ack: int,
    flags: int,
    window: int,
    timestamps: tuple[int, int],
    payload: bytes,
) -> bytes:
    """The same bytes as `Segment(...).emit` for a segment with timestamps and no other option, without the object:
    what nearly all segments are."""
    head = _HEADER_AND_TIMESTAMPS.pack(
        *ports, seq, ack, 0x80, flags, window, 0, 0, _NOP_NOP_TIMESTAMPS, timestamps[0], timestamps[1]
    )
    total = (
        int.from_bytes(source + destination + head, "big") % 65535
        + PROTOCOL_TCP
        + 32
        + len(payload)
        + partial(payload)
    )
    return b"".join((head[:16], (-total % 65535).to_bytes(2, "big"), head[18:], payload))


def parse(data: bytes, source: bytes, destination: bytes) -> Segment:
    """Raises `Malformed` for a wrong data offset, wrong option lengths or a wrong checksum."""
    size = len(data)
    if size < HEADER_LENGTH:
        raise Malformed("tcp-short")
    source_port, destination_port, seq, ack, offset, flags, window, _, urgent = _HEADER.unpack_from(data)
    if (int.from_bytes(source + destination, "big") + PROTOCOL_TCP + size + partial(data)) % 65535:
        raise Malformed("tcp-checksum")
    start = offset >> 4 << 2
    if start < HEADER_LENGTH or start > size:
        raise Malformed("tcp-offset")
    segment = Segment.__new__(Segment)
    segment.source_port = source_port
    segment.destination_port = destination_port
    segment.seq = seq
    segment.ack = ack
    segment.flags = flags
    segment.window = window
    segment.urgent = urgent
    segment.payload = data[start:]
    segment.mss = None
    segment.window_scale = None
    segment.sack_permitted = False
    segment.sack = ()
    segment.timestamps = None
    if start == HEADER_LENGTH + TIMESTAMPS_LENGTH:
        lead, sent, echoed = _TIMESTAMPS.unpack_from(data, HEADER_LENGTH)
        if lead == _NOP_NOP_TIMESTAMPS:
            segment.timestamps = (sent, echoed)
            return segment
    if start > HEADER_LENGTH:
        _parse_options(segment, bytes(data[HEADER_LENGTH:start]))
    return segment


def _parse_options(segment: Segment, options: bytes) -> None:
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            return
        if kind == 1:
            at += 1
            continue
        if at + 2 > len(options):
            raise Malformed("tcp-options")
        length = options[at + 1]
        if length < 2 or at + length > len(options):
            raise Malformed("tcp-options")
        body = options[at + 2 : at + length]
        if kind == 2 and length == 4:
            segment.mss = int.from_bytes(body, "big")
        elif kind == 3 and length == 3:
            segment.window_scale = body[0]
        elif kind == 4 and length == 2:
            segment.sack_permitted = True
        elif kind == 5 and length >= 10 and (length - 2) % 8 == 0:
            segment.sack = tuple(
                (int.from_bytes(body[i : i + 4], "big"), int.from_bytes(body[i + 4 : i + 8], "big"))
                for i in range(0, length - 2, 8)
            )
        elif kind == 8 and length == 10:
            segment.timestamps = (int.from_bytes(body[:4], "big"), int.from_bytes(body[4:], "big"))
        at += length
