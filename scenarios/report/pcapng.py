"""pcapng, the capture format that Wireshark and tshark read: blocks to bytes and back, without I/O.

Source: draft-ietf-opsawg-pcapng. Only what captures of datagrams need is interpreted (section header, interface
description, enhanced packet); every other block is kept as it is, and both byte orders are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

LINKTYPE_RAW = 101
"""Packets begin with an IP header."""

SECTION, INTERFACE, ENHANCED = 0x0A0D0D0A, 1, 6
COMMENT = 1
HARDWARE, SYSTEM, APPLICATION = 2, 3, 4
IF_NAME, IF_DESCRIPTION, IF_TSRESOL = 2, 3, 9
EPB_FLAGS = 2
INBOUND, OUTBOUND = 1, 2
"""Direction of a packet, the low bits of EPB_FLAGS."""

_MAGIC = 0x1A2B3C4D
_LARGEST = 16 << 20
"""Bytes of one block at most: a longer one is damage."""

Options = tuple[tuple[int, bytes], ...]


class BadCapture(ValueError):
    """Not pcapng, or damaged; the text says where."""


@dataclass(frozen=True, slots=True)
class Section:
    """Begins a section: what follows is in its byte order, interfaces are counted from 0 again."""

    options: Options = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """A link. ticks: units of the time stamps in a second, a power of ten; its option is written by itself."""

    name: str
    linktype: int = LINKTYPE_RAW
    snaplen: int = 0
    ticks: int = 1_000_000_000
    options: Options = ()


@dataclass(frozen=True, slots=True)
class EnhancedPacket:
    """A packet of an interface (by its number). time: in the interface's ticks since 1970. length: on the wire."""

    interface: int
    time: int
    data: bytes
    length: int
    options: Options = ()

    @property
    def direction(self) -> int:
        """INBOUND, OUTBOUND, or 0 where nothing is said. Only as this module writes it: four bytes, little-endian."""
        return next((int.from_bytes(value[:4], "little") & 3 for code, value in self.options if code == EPB_FLAGS), 0)


@dataclass(frozen=True, slots=True)
class Other:
    """A block that is not interpreted."""

    kind: int
    body: bytes


Block = Section | Interface | EnhancedPacket | Other


def directed(direction: int) -> Options:
    return ((EPB_FLAGS, struct.pack("<I", direction)),)


def encode(blocks: Iterable[Block]) -> bytes:
    """Little-endian. Raises ValueError for a time stamp or an option that does not fit."""
    return b"".join(_encode(block) for block in blocks)


def _encode(block: Block) -> bytes:
    match block:
        case Section(options):
            return _framed(SECTION, struct.pack("<IHHq", _MAGIC, 1, 0, -1) + _options(options))
        case Interface(name, linktype, snaplen, ticks, options):
            digits = len(str(ticks)) - 1
            if ticks != 10**digits or digits > 127:
                raise ValueError(f"ticks must be a power of ten, not {ticks}")
            own = ((IF_NAME, name.encode()), (IF_TSRESOL, bytes([digits])))
            return _framed(INTERFACE, struct.pack("<HHI", linktype, 0, snaplen) + _options((*own, *options)))
        case EnhancedPacket(interface, time, data, length, options):
            if not 0 <= time < 1 << 64:
                raise ValueError(f"a time of 64 bits expected, not {time}")
            head = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(data), length)
            return _framed(ENHANCED, head + _padded(data) + _options(options))
        case Other(kind, body):
            return _framed(kind, body)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _framed(kind: int, body: bytes) -> bytes:
    body = _padded(body)
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _options(options: Options) -> bytes:
    if not options:
        return b""
    out = []
    for code, value in options:
        if not 0 < code < 1 << 16 or len(value) >= 1 << 16:
            raise ValueError(f"option {code} of {len(value)} bytes does not fit")
        out.append(struct.pack("<HH", code, len(value)) + _padded(value))
    return b"".join(out) + bytes(4)


@dataclass(slots=True)
class _Reader:
    order: str = "<"
    found: list[Block] = field(default_factory=list)

    def options(self, data: bytes, where: int) -> Options:
        found = []
        at = 0
        while at + 4 <= len(data):
            code, size = struct.unpack_from(self.order + "HH", data, at)
            if code == 0:
                break
            if at + 4 + size > len(data):
                raise BadCapture(f"an option goes beyond its block, which begins at byte {where}")
            found.append((code, data[at + 4 : at + 4 + size]))
            at += 4 + size + (-size % 4)
        return tuple(found)

    def block(self, kind: int, body: bytes, where: int) -> Block:
        try:
            if kind == SECTION:
                _, major, _, _ = struct.unpack_from(self.order + "IHHq", body)
                if major != 1:
                    raise BadCapture(f"version {major} of the format is not known")
                return Section(self.options(body[16:], where))
            if kind == INTERFACE:
                linktype, _, snaplen = struct.unpack_from(self.order + "HHI", body)
                return self._interface(linktype, snaplen, self.options(body[8:], where))
            if kind == ENHANCED:
                number, high, low, size, length = struct.unpack_from(self.order + "IIIII", body)
                if 20 + size > len(body):
                    raise BadCapture(f"a packet goes beyond its block, which begins at byte {where}")
                rest = body[20 + size + (-size % 4) :]
                return EnhancedPacket(number, high << 32 | low, body[20 : 20 + size], length, self.options(rest, where))
        except struct.error:
            raise BadCapture(f"a block that is too short begins at byte {where}") from None
        return Other(kind, body)

    def _interface(self, linktype: int, snaplen: int, options: Options) -> Interface:
        name, ticks, rest = "", 1_000_000, []
        for code, value in options:
            if code == IF_NAME:
                name = value.decode(errors="replace")
            elif code == IF_TSRESOL and len(value) == 1 and value[0] < 128:
                ticks = 10 ** value[0]
            else:
                rest.append((code, value))
        return Interface(name, linktype, snaplen, ticks, tuple(rest))


def decode(data: bytes) -> list[Block]:
    """The blocks of a file. Raises BadCapture."""
    reader = _Reader()
    at = 0
    while at < len(data):
        if at + 12 > len(data):
            raise BadCapture(f"{len(data) - at} bytes are left over at byte {at}")
        if data[at : at + 4] == b"\n\r\r\n":
            magic = data[at + 8 : at + 12]
            reader.order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(magic, "")
            if not reader.order:
                raise BadCapture(f"the section at byte {at} has no byte order")
        elif at == 0:
            raise BadCapture("a section header expected at the begin")
        kind, size = struct.unpack_from(reader.order + "II", data, at)
        if size < 12 or size % 4 or size > _LARGEST or at + size > len(data):
            raise BadCapture(f"the block at byte {at} tells a size of {size}")
        if struct.unpack_from(reader.order + "I", data, at + size - 4)[0] != size:
            raise BadCapture(f"the block at byte {at} tells two sizes")
        reader.found.append(reader.block(kind, data[at + 8 : at + size - 4], at))
        at += size
    return reader.found
