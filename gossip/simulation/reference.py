"""Packets passed by reference: their parts as they are, not framed, and each rumour decoded once in a whole world.

What a packet would weigh is worked out, and of every so many packets one is really encoded and decoded again and must
give the same parts and the same weight: a simulation that leaves encoding out may not simulate something else.
"""

from __future__ import annotations

from collections.abc import Sequence

from gossip.wire.compound import OVERHEAD, PART_OVERHEAD
from gossip.wire.messages import Message, MessageType, decode_message
from gossip.wire.packet import PacketCodec
from gossip.wire.seal import Keyring

_CRC = 5
_REMEMBERED = 50_000
_RUMOURS = (MessageType.SUSPECT, MessageType.ALIVE, MessageType.DEAD)


class Passed(bytes):
    """Stands for a packet's bytes; is not them."""

    parts: tuple[bytes, ...]
    weight: int
    """Bytes on the wire."""


class NotEquivalent(AssertionError):
    """A packet that was really encoded gave something else than the one passed by reference."""


class ReferenceCodec(PacketCodec):
    """One for all members of a world: without keys there is nothing of their own in it."""

    def __init__(self, *, sample: int) -> None:
        """Of every ``sample`` packets one is checked."""
        keyring = Keyring((), bytes)
        super().__init__(b"", keyring)
        self._real = PacketCodec(b"", keyring)
        self._sample = sample
        self._number = 0
        self.checked = 0
        self._known: dict[bytes, Message] = {}

    def encode(self, messages: Sequence[bytes], *, crc: bool = False, compressed: bool = False) -> bytes:
        packet = Passed()
        packet.parts = tuple(messages)
        size = sum(map(len, messages))
        framed = 0 if len(messages) == 1 else OVERHEAD + PART_OVERHEAD * len(messages)
        packet.weight = size + framed + (_CRC if crc else 0)
        self._number += 1
        if self._number % self._sample == 0:
            self._check(packet, crc)
        return packet

    def _check(self, packet: Passed, crc: bool) -> None:
        self.checked += 1
        encoded = self._real.encode(packet.parts, crc=crc)
        if len(encoded) != packet.weight or self._real.decode(encoded) != list(packet.parts):
            raise NotEquivalent(f"{packet.parts!r} encoded is {encoded!r}")
        if [decode_message(body) for body in self._real.decode(encoded)] != list(map(self.message, packet.parts)):
            raise NotEquivalent(f"{packet.parts!r} decoded twice")

    def decode(self, packet: bytes) -> list[bytes]:
        assert isinstance(packet, Passed)
        return list(packet.parts)

    def message(self, body: bytes) -> Message:
        message = self._known.get(body)
        if message is None:
            message = decode_message(body)
            if body[0] in _RUMOURS:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[body] = message
        return message


def weight(packet: bytes) -> int:
    """Bytes on the wire of a packet of either kind."""
    return packet.weight if isinstance(packet, Passed) else len(packet)
