"""The LAN's router and resolver at .254: each daemon has a copy of its own, so that it works in any partition.

It answers pings and DNS: it knows `router.example`, everything else does not exist.
"""

from __future__ import annotations

from random import Random

from overlay.dns import messages
from overlay.dns.server import DnsServer
from overlay.lan import Lan
from overlay.sandbox import Sandbox
from overlay.wire.address import ip_text, mac_text

NAME = "router.example"
_TTL = 60


class Router:
    """The router's stack and its name service."""

    def __init__(self, *, address: bytes, mac: bytes, prefix_length: int, random: Random) -> None:
        self._address = ip_text(address)
        self._mac = mac_text(mac)
        self._cidr = f"{self._address}/{prefix_length}"
        self.stack = Sandbox("router", random=random)
        self._server = DnsServer(self.stack, self._address, self)

    def start(self, lan: Lan) -> None:
        """Plug it into this host's part of the LAN and serve."""
        port = lan.plug("router", mac=self._mac)
        self.stack.add_interface("eth0", mac=self._mac, mtu=1500, addresses=[self._cidr], port=port)
        self._server.start()

    async def stop(self) -> None:
        """Switch it off."""
        await self._server.stop()
        await self.stack.close()

    def at_once(self, query: bytes, stream: bool) -> bytes | None:
        """The router's one name, or that there is no such name."""
        asked = messages.parse_query(query)
        if asked is None:
            return None
        known = messages.asked(asked)[0].rstrip(".").lower() == NAME
        reply = messages.answer(asked, authoritative=True, rcode="NOERROR" if known else "NXDOMAIN")
        if known:
            messages.add_addresses(reply, [self._address], ttl=_TTL)
        return messages.pack(reply, asked, stream=stream)

    async def later(self, query: bytes, stream: bool) -> bytes | None:
        """There is nobody else to ask."""
        return None
