"""The resolver that Docker embeds in every container on a user-defined network, at 127.0.0.11.

It answers what the directory knows and hands everything else to the host's resolvers, from *inside* the sandbox: so a
container on nothing but internal networks gets no answer from outside, and its queries are seen and filtered like any
other packet of it. An upstream that does not answer in time is passed over; if none answers the client hears nothing
and times out (Docker's behaviour).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from random import Random

from overlay.dns import messages
from overlay.dns.names import Names
from overlay.dns.server import DnsServer
from overlay.sandbox import Sandbox

ADDRESS = "127.0.0.11"
_PORT = 53
_PATIENCE = 4.0
"""Seconds for one upstream (libnetwork's extIOTimeout)."""
_UPSTREAMS = 3


class Resolver:
    """The resolver of one sandbox. `random` chooses the order of several addresses and the ids of queries."""

    def __init__(self, sandbox: Sandbox, names: Names, upstream: Sequence[str], *, random: Random) -> None:
        self._sandbox = sandbox
        self._names = names
        self._upstream = tuple(upstream[:_UPSTREAMS])
        self._random = random
        self.server = DnsServer(sandbox, ADDRESS, self)

    def at_once(self, query: bytes, stream: bool) -> bytes | None:
        """What the directory knows."""
        if (question := _question(query[2:])) is None:
            return None
        name, kind = question
        found: tuple[str, ...] | None
        if kind == "PTR":
            address = messages.reverse_address(name)
            pointer = self._names.name_of(address) if address else None
            found = None if pointer is None else (pointer,)
        else:
            addresses = self._names.addresses(name)
            if addresses is not None:
                self._random.shuffle(addresses)
            found = None if addresses is None else tuple(addresses)
        return None if found is None else query[:2] + _reply(query[2:], found, stream)

    async def later(self, query: bytes, stream: bool) -> bytes | None:
        """What an upstream says; what is no query goes nowhere."""
        return await self._forward(query, stream) if messages.parse_query(query) is not None else None

    async def _forward(self, data: bytes, stream: bool) -> bytes | None:
        for server in self._upstream:
            identifier = self._random.getrandbits(16).to_bytes(2, "big")
            try:
                async with asyncio.timeout(_PATIENCE):
                    ask = self._ask_tcp if stream else self._ask_udp
                    reply = await ask(server, identifier + data[2:])
            except (OSError, EOFError):
                continue
            return data[:2] + reply[2:]
        return None

    async def _ask_udp(self, server: str, query: bytes) -> bytes:
        socket = self._sandbox.udp_open()
        try:
            socket.connect((server, _PORT))
            socket.sendto(query)
            while True:
                reply, _ = await socket.recvfrom()
                if reply[:2] == query[:2]:
                    return reply
        finally:
            socket.close()

    async def _ask_tcp(self, server: str, query: bytes) -> bytes:
        connection = await self._sandbox.tcp_connect(server, _PORT, timeout=_PATIENCE)
        try:
            await connection.write(len(query).to_bytes(2, "big") + query)
            length = int.from_bytes(await connection.readexactly(2), "big")
            return await connection.readexactly(length)
        finally:
            connection.close()


# Names are asked for again and again and answered alike, so both ways are kept, without the two bytes of the id.
@lru_cache(1024)
def _question(rest: bytes) -> tuple[str, str] | None:
    """Name and type; None for what is no query."""
    query = messages.parse_query(b"\0\0" + rest)
    return messages.asked(query) if query is not None else None


@lru_cache(1024)
def _reply(rest: bytes, found: tuple[str, ...], stream: bool) -> bytes:
    """To a query: these addresses, or this name."""
    query = messages.parse_query(b"\0\0" + rest)
    assert query is not None
    reply = messages.answer(query)
    if messages.asked(query)[1] == "PTR":
        messages.add_pointer(reply, found[0])
    else:
        messages.add_addresses(reply, found)
    return messages.pack(reply, query, stream=stream)[2:]
