"""Requests between a node and a manager on port 2377: one msgpack map each way, behind a length of four bytes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any, cast

import msgpack

LIMIT = 1 << 20  # bytes; the roster of some thousands of nodes
DEADLINE = 5.0  # seconds for a request to arrive, and for its answer
_LENGTH = struct.Struct(">I")

# What a message may say is checked where it is used.
Message = dict[str, Any]


class BadMessage(ConnectionError):
    """Not a message of ours."""


class Refused(Exception):
    """The manager says no. code: gRPC's name for the kind of refusal; clients of Docker know these texts."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {reason}")
        self.code = code
        self.reason = reason


async def receive(reader: asyncio.StreamReader) -> Message:
    """Raises BadMessage, EOFError, OSError."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > LIMIT:
        raise BadMessage(f"a message of {length} bytes")
    try:
        message = msgpack.unpackb(await reader.readexactly(length))
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise BadMessage(str(error)) from error
    if not isinstance(message, dict) or not all(isinstance(key, str) for key in message):
        raise BadMessage("not a map")
    return message


async def send(writer: asyncio.StreamWriter, message: Mapping[str, object]) -> None:
    data = cast(bytes, msgpack.packb(message))
    writer.write(_LENGTH.pack(len(data)) + data)
    await writer.drain()


def field(message: Message, name: str, kind: type) -> Any:
    """A field that must be there. Raises BadMessage."""
    value = message.get(name)
    if not isinstance(value, kind):
        raise BadMessage(f"{name} is missing")
    return value
