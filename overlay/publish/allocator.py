"""Which host ports are given out (libnetwork's portallocator): per address and protocol, with Docker's texts.

Addresses are compared as written: 0.0.0.0 and 192.0.2.1 do not collide here but when the second one is bound, with the
other text.
"""

from __future__ import annotations

from overlay.spec import PortTaken, PublishFailed

FIRST_EPHEMERAL, LAST_EPHEMERAL = 49153, 65535
_FIRST_UDP = 49168
"""The first ports of the dynamic range are the sources of this host's VXLAN packets."""


class PortAllocator:
    """Ports of one host."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], dict[int, None]] = {}
        self._last: dict[tuple[str, str], int] = {}

    def request(self, address: str, protocol: str, first: int, last: int) -> int:
        """A port of first…last, or an ephemeral one when `first` is 0. PortTaken, PublishFailed (none left)."""
        space = self._taken.setdefault((address, protocol), {})
        if first and last <= first:
            if first in space:
                raise PortTaken(f"Bind for {address}:{first} failed: port is already allocated")
            space[first] = None
            return first
        if not first:
            return self._ephemeral(address, protocol, space)
        for port in range(first, last + 1):
            if port not in space:
                space[port] = None
                return port
        raise PublishFailed("all ports are allocated")

    def _ephemeral(self, address: str, protocol: str, space: dict[int, None]) -> int:
        """The search goes on behind the last one given, so that a port is not soon used again."""
        lowest = _FIRST_UDP if protocol == "udp" else FIRST_EPHEMERAL
        count = LAST_EPHEMERAL - lowest + 1
        start = self._last.get((address, protocol), lowest - 1) + 1 - lowest
        for step in range(count):
            port = lowest + (start + step) % count
            if port not in space:
                space[port] = None
                self._last[address, protocol] = port
                return port
        raise PublishFailed("all ports are allocated")

    def release(self, address: str, protocol: str, port: int) -> None:
        """Give it back."""
        self._taken.get((address, protocol), {}).pop(port, None)
