"""The LAN's router and resolver at .254: each daemon has a copy of its own, so that it works in any partition.

It answers pings and DNS: it knows `router.example`, everything else does not exist. With an uplink (`overlay.uplink`)
it is also the way to the machine's own network, and asks the machine's resolvers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from overlay.dns import messages
from overlay.dns.server import DnsServer
from overlay.lan import Lan
from overlay.sandbox import Sandbox
from overlay.spec import Address, MachineNetwork
from overlay.uplink import Uplink
from overlay.wire.address import ip_text, mac_text

NAME = "router.example"
_TTL = 60
_RESOLVER = 5.0
"""Seconds until a resolver of the machine is given up."""


class Router:
    """The router's stack and its name service."""

    def __init__(
        self, *, address: bytes, mac: bytes, prefix_length: int, random: Random, machine: MachineNetwork | None,
        counters: Counter[str],
    ) -> None:  # fmt: skip
        self._address = ip_text(address)
        self._mac = mac_text(mac)
        self._cidr = f"{self._address}/{prefix_length}"
        self.stack = Sandbox("router", random=random)
        self._server = DnsServer(self.stack, self._address, self)
        self._machine = machine
        self._uplink: Uplink | None = None
        if machine is not None:
            self._uplink = Uplink(self.stack, machine, address=address, prefix_length=prefix_length, counters=counters)

    def start(self, lan: Lan) -> None:
        """Plug it into this host's part of the LAN and serve."""
        port = lan.plug("router", mac=self._mac)
        self.stack.add_interface("eth0", mac=self._mac, mtu=1500, addresses=[self._cidr], port=port)
        self._server.start()

    async def stop(self) -> None:
        """Switch it off."""
        await self._server.stop()
        if self._uplink is not None:
            await self._uplink.close()
        await self.stack.close()

    def at_once(self, query: bytes, stream: bool) -> bytes | None:
        """The router's one name, or that there is no such name."""
        asked = messages.parse_query(query)
        if asked is None:
            return None
        known = messages.asked(asked)[0].rstrip(".").lower() == NAME
        if not known and self._machine is not None:
            return None
        reply = messages.answer(asked, authoritative=True, rcode="NOERROR" if known else "NXDOMAIN")
        if known:
            messages.add_addresses(reply, [self._address], ttl=_TTL)
        return messages.pack(reply, asked, stream=stream)

    async def later(self, query: bytes, stream: bool) -> bytes | None:
        """What the machine's resolvers say, the first that answers; without an uplink there is nobody else to ask."""
        for resolver in self._machine.resolvers if self._machine is not None else ():
            try:
                async with asyncio.timeout(_RESOLVER):
                    return await (self._ask_stream if stream else self._ask)(resolver, query)
            except (OSError, EOFError):
                continue
        return None

    async def _ask(self, resolver: Address, query: bytes) -> bytes:
        assert self._machine is not None
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def receive(data: bytes) -> None:
            if not answer.done() and data[:2] == query[:2]:
                answer.set_result(data)

        def refused() -> None:
            if not answer.done():
                answer.set_exception(ConnectionRefusedError())

        flow = self._machine.datagrams(resolver, receive, refused)
        try:
            flow.send(query)
            return await answer
        finally:
            flow.close()

    async def _ask_stream(self, resolver: Address, query: bytes) -> bytes:
        assert self._machine is not None
        reader, writer = await self._machine.connect(resolver)
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        finally:
            writer.close()
