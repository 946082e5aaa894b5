"""The VTEP's sockets: one bound on 4789 that receives, and a few more that only send, one per source port.

The underlay gives one socket a port, so the entropy that RFC 7348 wants in the source port takes a socket each. They
are opened when the first overlay network appears; until then, and where one cannot be had, 4789 sends.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from overlay.spec import Address, Datagrams, Underlay
from overlay.vtep import SOURCE_PORTS, Vtep
from overlay.wire.vxlan import PORT

FIRST_SOURCE_PORT = 49152
"""The dynamic range of RFC 6335, which RFC 7348 recommends."""


class Tunnel:
    """Moves the VTEP's datagrams."""

    def __init__(self, underlay: Underlay, *, counters: Counter[str]) -> None:
        self.vtep = Vtep(self._transmit, counters=counters)
        self._underlay = underlay
        self._counters = counters
        self._receiver: Datagrams | None = None
        self._senders: list[Datagrams] = []
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bind 4789; OSError if it is taken."""
        self._receiver = await self._underlay.datagrams(PORT, self.vtep.receive)
        self._senders = [self._receiver] * SOURCE_PORTS

    def spread(self) -> None:
        """Open the sockets for the other source ports; does nothing the second time."""
        if self._opening is None and self._receiver is not None:
            self._opening = asyncio.get_running_loop().create_task(self._open_senders(), name="vxlan source ports")

    async def stop(self) -> None:
        """Close all sockets."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._receiver is not None:
            for sender in self._senders:
                if sender is not self._receiver:
                    sender.close()
            self._receiver.close()
        self._receiver, self._senders = None, []

    async def _open_senders(self) -> None:
        for number in range(SOURCE_PORTS):
            try:
                self._senders[number] = await self._underlay.datagrams(FIRST_SOURCE_PORT + number, self._astray)
            except OSError:
                self._counters["vxlan_source_port_taken"] += 1

    def _astray(self, data: bytes, source: Address) -> None:
        # Nobody answers to a source port; what comes here is a stranger's.
        self._counters["vxlan_dropped_astray"] += 1

    def _transmit(self, data: bytes, to: Address, flow: int) -> None:
        if self._senders:
            self._senders[flow].send(data, to)
        else:
            self._counters["vxlan_dropped_closed"] += 1
