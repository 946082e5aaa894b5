"""What a message may claim: addresses that can be a member's, and incarnations that are not from the future.

Anyone with the key can be wrong, and without keys anyone can lie. A member at an address where nobody can be wastes
everybody's probes; an incarnation near the end of its 32 bits cannot be refuted any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

INCARNATION_AHEAD = 2**20
"""How far above what is known an incarnation may be: refutations and updates missed meanwhile."""
INCARNATION_FIRST = 2**31
"""The highest incarnation of a member that was not known before."""


class Plausible:
    def __init__(self, networks: Sequence[str]) -> None:
        """Raises ValueError for what is no network."""
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(network) for network in networks]

    def address(self, address: str, port: int) -> bool:
        """Whether a member can be there."""
        where = ip_address(address)
        if port == 0 or where.is_unspecified or where.is_multicast or address == "255.255.255.255":
            return False
        return not self._networks or any(where in network for network in self._networks)


def incarnation(claimed: int, known: int | None) -> bool:
    """Whether an incarnation can be, given the newest that is known of the member."""
    return claimed <= (INCARNATION_FIRST if known is None else known + INCARNATION_AHEAD)
