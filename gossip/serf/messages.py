"""serf's messages: they travel as memberlist's user messages, with a type byte of their own and a msgpack map.

What is not listed here (user events, relays) is passed on unread.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from gossip.wire.dialect import Fields, pack, unpack_map
from gossip.wire.errors import WireError

LAMPORT_MAX = 2**63 - 1
_CONTAINER_MAX = 4096
"""Elements of a map or array in a state: serf sends 512 buffers of events, mostly nil."""


class SerfType(IntEnum):
    LEAVE = 0
    JOIN = 1
    PUSH_PULL = 2
    USER_EVENT = 3
    QUERY = 4
    QUERY_RESPONSE = 5
    CONFLICT_RESPONSE = 6
    KEY_REQUEST = 7
    KEY_RESPONSE = 8


@dataclass(frozen=True, slots=True)
class Join:
    """A member says that it joined."""

    time: int
    """Lamport time of serf's clock."""
    node: str

    def encode(self) -> bytes:
        return bytes((SerfType.JOIN,)) + pack({"LTime": self.time, "Node": self.node})


@dataclass(frozen=True, slots=True)
class Leave:
    """A member says that it leaves; about another one: ``serf force-leave``."""

    time: int
    node: str
    prune: bool = False

    def encode(self) -> bytes:
        return bytes((SerfType.LEAVE,)) + pack({"LTime": self.time, "Node": self.node, "Prune": self.prune})


@dataclass(frozen=True, slots=True)
class State:
    """User state of a push/pull."""

    time: int
    status_times: dict[str, int]
    left: list[str]
    event_time: int
    query_time: int

    def encode(self) -> bytes:
        return bytes((SerfType.PUSH_PULL,)) + pack(
            {
                "LTime": self.time,
                "StatusLTimes": self.status_times,
                "LeftMembers": self.left,
                "EventLTime": self.event_time,
                "Events": None,
                "QueryLTime": self.query_time,
            }
        )


@dataclass(frozen=True, slots=True)
class Query:
    """A question to many; answers go straight to ``address``."""

    ACK = 1
    NO_BROADCAST = 2

    time: int
    id: int
    address: str
    port: int
    filters: list[bytes]
    flags: int
    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class QueryResponse:
    query: Query
    sender: str
    payload: bytes = b""
    ack: bool = False

    def encode(self) -> bytes:
        return bytes((SerfType.QUERY_RESPONSE,)) + pack(
            {
                "LTime": self.query.time,
                "ID": self.query.id,
                "From": self.sender,
                "Flags": Query.ACK if self.ack else 0,
                "Payload": self.payload,
            }
        )


def decode_intent(data: bytes) -> Join | Leave:
    """``data`` with the type byte of a join or leave. Raises WireError."""
    fields = _map(data)
    time, node = fields.number(b"LTime", LAMPORT_MAX), fields.name(b"Node")
    if data[0] == SerfType.JOIN:
        return Join(time, node)
    return Leave(time, node, fields.flag(b"Prune"))


def decode_state(data: bytes) -> State:
    """The user state of a push/pull. Raises WireError."""
    if not data or data[0] != SerfType.PUSH_PULL:
        raise WireError("foreign_user_state")
    fields = _map(data)
    return State(
        fields.number(b"LTime", LAMPORT_MAX),
        fields.numbers(b"StatusLTimes", LAMPORT_MAX),
        fields.names(b"LeftMembers"),
        fields.number(b"EventLTime", LAMPORT_MAX),
        fields.number(b"QueryLTime", LAMPORT_MAX),
    )


def decode_query(data: bytes) -> Query:
    """Raises WireError."""
    fields = _map(data)
    return Query(
        fields.number(b"LTime", LAMPORT_MAX),
        fields.u32(b"ID"),
        fields.address(b"Addr"),
        fields.u16(b"Port"),
        fields.raws(b"Filters"),
        fields.u32(b"Flags"),
        fields.text(b"Name"),
        fields.raw(b"Payload", 65535),
    )


def event_time(data: bytes) -> int:
    """The Lamport time of a user event. Raises WireError."""
    return _map(data).number(b"LTime", LAMPORT_MAX)


def tags_of(meta: bytes) -> dict[str, str]:
    """serf's tags in a member's metadata; empty for anything else."""
    if meta[:1] != b"\xff":
        return {}
    try:
        fields = unpack_map(memoryview(meta)[1:])
        return {key.decode(): fields.text(key, 512) for key in fields.field_names() if isinstance(key, bytes)}
    except (WireError, UnicodeDecodeError):
        return {}


def _map(data: bytes) -> Fields:
    return unpack_map(memoryview(data)[1:], most=_CONTAINER_MAX)
