"""memberlist's messages as plain data, each with its type byte, encoding and decoding (net.go).

If a message can be constructed it can be encoded and decoded again. Framing (compound, CRC, encryption, streams) is
elsewhere; what a message *means* is ``gossip.swim``'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from gossip.wire.dialect import Fields, address_to_bytes, pack, unpack_map
from gossip.wire.errors import WireError


class MessageType(IntEnum):
    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    COMPOUND = 7
    USER = 8
    COMPRESS = 9
    ENCRYPT = 10
    NACK = 11
    CRC = 12
    ERROR = 13
    NATIVE = 200
    """Ours, on streams between nodes of this library only."""
    RELAYED = 201
    """Ours, in packets between nodes of this library only: a user message of others (serf's) that is passed on."""
    DIGEST = 202
    """Ours, in packets between nodes of this library only."""
    LABEL = 244


META_MAX = 512
"""memberlist's MetaMaxSize."""
PAYLOAD_MAX = 1024
"""Longest ack payload accepted; ours are empty, serf's hold a network coordinate."""
SERF_VERSIONS = bytes((1, 5, 2, 2, 5, 4))
"""Protocol 1-5 now 2, delegate 2-5 now 4: what serf accepts as a peer."""


@dataclass(frozen=True, slots=True)
class Ping:
    seq: int
    node: str
    """The name that we believe the receiver has; it does not answer for another."""

    def encode(self) -> bytes:
        return b"\x00" + pack({"SeqNo": self.seq, "Node": self.node})

    @classmethod
    def decode(cls, fields: Fields) -> Ping:
        return cls(fields.u32(b"SeqNo"), fields.text(b"Node"))


@dataclass(frozen=True, slots=True)
class IndirectPing:
    seq: int
    address: str
    port: int
    node: str
    nack: bool

    def encode(self) -> bytes:
        return b"\x01" + pack(
            {
                "SeqNo": self.seq,
                "Target": address_to_bytes(self.address),
                "Port": self.port,
                "Node": self.node,
                "Nack": self.nack,
            }
        )

    @classmethod
    def decode(cls, fields: Fields) -> IndirectPing:
        return cls(
            fields.u32(b"SeqNo"),
            fields.address(b"Target"),
            fields.u16(b"Port"),
            fields.text(b"Node"),
            fields.flag(b"Nack"),
        )


@dataclass(frozen=True, slots=True)
class Ack:
    seq: int
    payload: bytes = b""

    def encode(self) -> bytes:
        return b"\x02" + pack({"SeqNo": self.seq, "Payload": self.payload})

    @classmethod
    def decode(cls, fields: Fields) -> Ack:
        return cls(fields.u32(b"SeqNo"), fields.raw(b"Payload", PAYLOAD_MAX))


@dataclass(frozen=True, slots=True)
class Nack:
    seq: int

    def encode(self) -> bytes:
        return b"\x0b" + pack({"SeqNo": self.seq})

    @classmethod
    def decode(cls, fields: Fields) -> Nack:
        return cls(fields.u32(b"SeqNo"))


@dataclass(frozen=True, slots=True)
class Suspect:
    incarnation: int
    node: str
    accuser: str

    def encode(self) -> bytes:
        return b"\x03" + pack({"Incarnation": self.incarnation, "Node": self.node, "From": self.accuser})

    @classmethod
    def decode(cls, fields: Fields) -> Suspect:
        return cls(fields.u32(b"Incarnation"), fields.name(b"Node"), fields.text(b"From"))


@dataclass(frozen=True, slots=True)
class Alive:
    incarnation: int
    node: str
    address: str
    port: int
    meta: bytes
    versions: bytes = SERF_VERSIONS

    def encode(self) -> bytes:
        return b"\x04" + pack(
            {
                "Incarnation": self.incarnation,
                "Node": self.node,
                "Addr": address_to_bytes(self.address),
                "Port": self.port,
                "Meta": self.meta,
                "Vsn": self.versions,
            }
        )

    @classmethod
    def decode(cls, fields: Fields) -> Alive:
        return cls(
            fields.u32(b"Incarnation"),
            fields.name(b"Node"),
            fields.address(b"Addr"),
            fields.u16(b"Port"),
            fields.raw(b"Meta", META_MAX),
            decode_versions(fields),
        )


@dataclass(frozen=True, slots=True)
class Dead:
    incarnation: int
    node: str
    accuser: str
    """Equal to ``node`` when it left on purpose."""

    def encode(self) -> bytes:
        return b"\x05" + pack({"Incarnation": self.incarnation, "Node": self.node, "From": self.accuser})

    @classmethod
    def decode(cls, fields: Fields) -> Dead:
        return cls(fields.u32(b"Incarnation"), fields.name(b"Node"), fields.text(b"From"))


@dataclass(frozen=True, slots=True)
class User:
    """Opaque bytes for the layer above."""

    data: bytes

    def encode(self) -> bytes:
        return b"\x08" + self.data


@dataclass(frozen=True, slots=True)
class Relayed:
    """A user message that members which are not of our kind sent to each other."""

    data: bytes

    def encode(self) -> bytes:
        return bytes((MessageType.RELAYED,)) + self.data


@dataclass(frozen=True, slots=True)
class Digest:
    """What a push/pull would exchange, in two numbers: whoever has others should begin one."""

    members: int
    """64 bits over the live members and their incarnations."""
    state: bytes
    """Eight bytes over the state of the layer above."""

    def encode(self) -> bytes:
        return bytes((MessageType.DIGEST,)) + pack({"Members": self.members, "State": self.state})

    @classmethod
    def decode(cls, fields: Fields) -> Digest:
        return cls(fields.number(b"Members", 2**64 - 1), fields.raw(b"State", 64))


@dataclass(frozen=True, slots=True)
class Error:
    """Sent on a stream instead of an answer."""

    text: str

    def encode(self) -> bytes:
        return b"\x0d" + pack({"Error": self.text})

    @classmethod
    def decode(cls, fields: Fields) -> Error:
        return cls(fields.text(b"Error", 4096))


Message = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User | Relayed | Digest

_DECODERS: dict[int, Callable[[Fields], Message]] = {
    MessageType.PING: Ping.decode,
    MessageType.INDIRECT_PING: IndirectPing.decode,
    MessageType.ACK: Ack.decode,
    MessageType.NACK: Nack.decode,
    MessageType.SUSPECT: Suspect.decode,
    MessageType.ALIVE: Alive.decode,
    MessageType.DEAD: Dead.decode,
    MessageType.DIGEST: Digest.decode,
}


def decode_versions(fields: Fields) -> bytes:
    """Six bytes, or nothing from very old peers, which count as protocol 1."""
    versions = fields.raw(b"Vsn", 6)
    if len(versions) not in (0, 6):
        raise WireError("bad_field", "Vsn")
    return versions


def decode_message(data: bytes) -> Message:
    """One message of a packet, frames already taken off. Raises WireError."""
    if not data:
        raise WireError("empty_message")
    if data[0] == MessageType.USER:
        return User(data[1:])
    if data[0] == MessageType.RELAYED:
        return Relayed(data[1:])
    decoder = _DECODERS.get(data[0])
    if decoder is None:
        raise WireError("unknown_message", str(data[0]))
    return decoder(unpack_map(memoryview(data)[1:]))
