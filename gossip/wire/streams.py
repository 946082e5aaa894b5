"""Messages on TCP: push/pull, ping and ack, user messages, errors, and our own type 200.

``StreamEncoder`` and ``StreamDecoder`` take and give bytes; each connection has one of each. Only the dialler writes
the label. With keys every message is one sealed frame (type 10, length u32, sealed part; additional data: these five
bytes and the label); without keys messages stand bare and end where their own lengths say.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from gossip.wire.dialect import NeedMore, address_to_bytes, pack, unpack_maps
from gossip.wire.errors import WireError
from gossip.wire.label import LABEL_BYTE, label_header, strip_label
from gossip.wire.lzw import decompress
from gossip.wire.messages import META_MAX, Ack, Error, MessageType, Ping, decode_versions
from gossip.wire.packet import encode_compressed
from gossip.wire.seal import SEAL_OVERHEAD, Keyring

STATE_MAX = 20 * 1024 * 1024
"""memberlist's maxPushStateBytes: the most that one message on a stream may hold."""
STRANGER_MAX = 128 * 1024
"""The most that is buffered of a stream from somebody unknown, until something on it was authenticated."""
NODES_MAX = 100_000
_FRAME_HEADER = 5
_HEADROOM = 1024
"""For the header in front of a payload."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """One member in a push/pull."""

    name: str
    address: str
    port: int
    meta: bytes
    incarnation: int
    state: int
    """0 alive, 1 suspect, 2 dead, 3 left."""
    versions: bytes


@dataclass(frozen=True, slots=True)
class PushPull:
    """All that one side knows of the members, and its user state."""

    nodes: tuple[NodeState, ...]
    user_state: bytes
    join: bool

    def encode(self) -> bytes:
        out = [
            b"\x06",
            pack({"Nodes": len(self.nodes), "UserStateLen": len(self.user_state), "Join": self.join}),
        ]
        out.extend(
            pack(
                {
                    "Name": node.name,
                    "Addr": address_to_bytes(node.address),
                    "Port": node.port,
                    "Meta": node.meta,
                    "Incarnation": node.incarnation,
                    "State": node.state,
                    "Vsn": node.versions,
                }
            )
            for node in self.nodes
        )
        out.append(self.user_state)
        return b"".join(out)


@dataclass(frozen=True, slots=True)
class Native:
    """Our own exchange: a request of a kind, or its answer (``error`` empty when it went well)."""

    kind: str
    sender: str
    """The name of the member that writes; with keys it is as authentic as the key."""
    payload: bytes
    error: str = ""

    def encode(self) -> bytes:
        header = pack({"Kind": self.kind, "From": self.sender, "Error": self.error, "Size": len(self.payload)})
        return bytes((MessageType.NATIVE,)) + header + self.payload


@dataclass(frozen=True, slots=True)
class StreamUser:
    """A user message that is too large or too important for a packet."""

    data: bytes

    def encode(self) -> bytes:
        return b"\x08" + pack({"UserMsgLen": len(self.data)}) + self.data


StreamMessage = Ping | Ack | PushPull | StreamUser | Error | Native


class StreamEncoder:
    """``dialler``: this side opened the connection and so writes the label."""

    def __init__(self, label: bytes, keyring: Keyring, *, dialler: bool, compressed: bool = False) -> None:
        self._label = label
        self._keyring = keyring
        self._prefix = label_header(label) if dialler else b""
        self._compressed = compressed

    def encode(self, message: StreamMessage) -> bytes:
        """Raises ValueError for a message above ``STATE_MAX``."""
        body = message.encode()
        if len(body) > STATE_MAX:
            raise ValueError(f"a stream message of {len(body)} bytes is over the limit")
        if self._compressed:
            body = encode_compressed(body)
        prefix, self._prefix = self._prefix, b""
        if not self._keyring:
            return prefix + body
        header = struct.pack("!BI", MessageType.ENCRYPT, len(body) + SEAL_OVERHEAD)
        return prefix + header + self._keyring.seal(body, header + self._label)


class StreamDecoder:
    """``dialler``: this side opened the connection, so the other one writes no label. ``most``: bytes buffered for one
    message until the other has shown that it has a key."""

    def __init__(self, label: bytes, keyring: Keyring, *, dialler: bool, most: int = STATE_MAX) -> None:
        self._label = label
        self._keyring = keyring
        self._label_due = not dialler
        self._buffer = bytearray()
        self._needed = 0
        self._most = most

    def feed(self, data: bytes) -> list[StreamMessage]:
        """The messages that ``data`` completes. Raises WireError; the connection is of no use afterwards."""
        self._buffer += data
        messages: list[StreamMessage] = []
        while self._buffer:
            if self._label_due and not self._take_label():
                break
            taken = self._next_sealed() if self._keyring else self._next_plain()
            if taken is None:
                if max(len(self._buffer), self._needed) > self._most + _HEADROOM:
                    raise WireError("too_large", "stream")
                break
            messages.append(taken)
        return messages

    def _take_label(self) -> bool:
        header = label_header(self._label)
        start = bytes(self._buffer[: max(len(header), 1)])
        if header.startswith(start) and len(start) < len(header):
            return False
        del self._buffer[: len(start) - len(strip_label(start, self._label))]
        self._label_due = False
        return bool(self._buffer)

    def _next_sealed(self) -> StreamMessage | None:
        buffer = self._buffer
        if buffer[0] != MessageType.ENCRYPT:
            raise WireError("wrong_label" if buffer[0] == LABEL_BYTE else "unauthenticated", "not a sealed frame")
        if len(buffer) < _FRAME_HEADER:
            return None
        (length,) = struct.unpack_from("!I", buffer, 1)
        if length > self._most + SEAL_OVERHEAD:
            raise WireError("too_large", "frame")
        end = _FRAME_HEADER + length
        if len(buffer) < end:
            return None
        header = bytes(buffer[:_FRAME_HEADER])
        sealed = bytes(buffer[_FRAME_HEADER:end])
        del buffer[:end]
        body = self._keyring.open(sealed, header + self._label)
        self._most = STATE_MAX
        try:
            message, _ = _parse(memoryview(body), 1)
        except NeedMore:
            raise WireError("truncated_message") from None
        return message

    def _next_plain(self) -> StreamMessage | None:
        if len(self._buffer) < self._needed:
            return None
        try:
            message, used = _parse(memoryview(bytes(self._buffer)), 1)
        except NeedMore as more:
            self._needed = more.at_least
            return None
        self._needed = 0
        del self._buffer[:used]
        return message


def _parse(data: memoryview, depth: int) -> tuple[StreamMessage, int]:
    """One message and the bytes that it takes. Raises NeedMore, WireError."""
    if not data:
        raise WireError("empty_message")
    kind = data[0]
    body = data[1:]
    if kind == MessageType.PING:
        (fields,), used = unpack_maps(body, 1)
        return Ping.decode(fields), 1 + used
    if kind == MessageType.ACK:
        (fields,), used = unpack_maps(body, 1)
        return Ack.decode(fields), 1 + used
    if kind == MessageType.ERROR:
        (fields,), used = unpack_maps(body, 1)
        return Error.decode(fields), 1 + used
    if kind == MessageType.USER:
        (fields,), used = unpack_maps(body, 1)
        payload, end = _payload(body, used, fields.number(b"UserMsgLen", STATE_MAX))
        return StreamUser(payload), 1 + end
    if kind == MessageType.NATIVE:
        (fields,), used = unpack_maps(body, 1)
        payload, end = _payload(body, used, fields.number(b"Size", STATE_MAX))
        return Native(fields.text(b"Kind"), fields.text(b"From"), payload, fields.text(b"Error", 4096)), 1 + end
    if kind == MessageType.PUSH_PULL:
        return _parse_push_pull(body)
    if kind == MessageType.COMPRESS and depth:
        (fields,), used = unpack_maps(body, 1)
        if fields.number(b"Algo", 255) != 0:
            raise WireError("unknown_compression")
        inner = decompress(fields.raw(b"Buf", STATE_MAX), STATE_MAX)
        try:
            message, _ = _parse(memoryview(inner), depth - 1)
        except NeedMore:
            raise WireError("truncated_message") from None
        return message, 1 + used
    raise WireError("unknown_stream_message", str(kind))


def _parse_push_pull(body: memoryview) -> tuple[PushPull, int]:
    (header,), used = unpack_maps(body, 1)
    count = header.number(b"Nodes", NODES_MAX)
    size = header.number(b"UserStateLen", STATE_MAX)
    maps, taken = unpack_maps(body[used:], count)
    nodes = tuple(
        NodeState(
            fields.name(b"Name"),
            fields.address(b"Addr"),
            fields.u16(b"Port"),
            fields.raw(b"Meta", META_MAX),
            fields.u32(b"Incarnation"),
            fields.number(b"State", 3),
            decode_versions(fields),
        )
        for fields in maps
    )
    user_state, end = _payload(body, used + taken, size)
    return PushPull(nodes, user_state, header.flag(b"Join")), 1 + end


def _payload(body: memoryview, start: int, size: int) -> tuple[bytes, int]:
    end = start + size
    if len(body) < end:
        raise NeedMore(1 + end)
    return bytes(body[start:end]), end
