"""Whole datagrams: label, encryption, CRC, compression and compound, outside in (the order of memberlist's net.go)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from gossip.wire.compound import MAX_PARTS, OVERHEAD, PART_OVERHEAD, decode_compound, encode_compound
from gossip.wire.dialect import pack, unpack_map
from gossip.wire.errors import WireError
from gossip.wire.label import label_header, strip_label
from gossip.wire.lzw import compress, decompress
from gossip.wire.messages import Message, MessageType, decode_message
from gossip.wire.seal import SEAL_OVERHEAD, Keyring

PACKET_SIZE = 1400
"""Aim for this many bytes of UDP payload (memberlist's UDPBufferSize)."""
_CRC_OVERHEAD = 5
UNPACKED_MAX = 65535
"""A packet may not decompress to more than a datagram can hold."""
_NESTING = 4
"""CRC, compress, compound and one to spare."""
_MESSAGES_MAX = 512


class PacketCodec:
    """Datagrams of one node: its label and keys."""

    def __init__(self, label: bytes, keyring: Keyring) -> None:
        self._label = label
        self._header = label_header(label)
        self._keyring = keyring

    def room(self, size: int = PACKET_SIZE) -> int:
        """Bytes for messages in a packet, each of which costs ``PART_OVERHEAD`` more."""
        sealed = SEAL_OVERHEAD if self._keyring else 0
        return size - len(self._header) - sealed - _CRC_OVERHEAD - OVERHEAD

    def encode(self, messages: Sequence[bytes], *, crc: bool = False, compressed: bool = False) -> bytes:
        """``crc`` only for peers whose protocol maximum is 5 or more; it is left out where a seal protects better."""
        body = messages[0] if len(messages) == 1 else encode_compound(messages)
        if compressed:
            body = encode_compressed(body)
        if self._keyring:
            return self._header + self._keyring.seal(body, self._label)
        if crc:
            body = struct.pack("!BI", MessageType.CRC, zlib.crc32(body)) + body
        return self._header + body

    def decode(self, packet: bytes) -> list[bytes]:
        """The messages of a packet, each with its type byte. Raises WireError."""
        body = strip_label(packet, self._label)
        if self._keyring:
            body = self._keyring.open(body, self._label)
        messages: list[bytes] = []
        _flatten(body, _NESTING, messages)
        return messages

    def message(self, body: bytes) -> Message:
        """One of the messages that ``decode`` found. Raises WireError."""
        return decode_message(body)


def _flatten(body: bytes, depth: int, into: list[bytes]) -> None:
    if not body:
        raise WireError("empty_message")
    kind = body[0]
    if kind not in (MessageType.CRC, MessageType.COMPRESS, MessageType.COMPOUND):
        if len(into) >= _MESSAGES_MAX:
            raise WireError("too_many_messages")
        into.append(body)
        return
    if depth == 0:
        raise WireError("nested_too_deep")
    if kind == MessageType.CRC:
        if len(body) < _CRC_OVERHEAD:
            raise WireError("bad_crc", "truncated")
        inner = body[_CRC_OVERHEAD:]
        if zlib.crc32(inner) != struct.unpack_from("!I", body, 1)[0]:
            raise WireError("bad_crc")
        _flatten(inner, depth - 1, into)
    elif kind == MessageType.COMPRESS:
        _flatten(decode_compressed(body, UNPACKED_MAX), depth - 1, into)
    else:
        for part in decode_compound(body[1:]):
            _flatten(part, depth - 1, into)


def encode_compressed(body: bytes) -> bytes:
    return b"\x09" + pack({"Algo": 0, "Buf": compress(body)})


def decode_compressed(body: bytes, limit: int) -> bytes:
    fields = unpack_map(memoryview(body)[1:])
    if fields.number(b"Algo", 255) != 0:
        raise WireError("unknown_compression")
    return decompress(fields.raw(b"Buf", limit), limit)


def fits(messages: Sequence[bytes], room: int) -> bool:
    return len(messages) <= MAX_PARTS and sum(map(len, messages)) + PART_OVERHEAD * len(messages) <= room
