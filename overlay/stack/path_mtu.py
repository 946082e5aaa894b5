"""Path MTU discovery (RFC 1191, RFC 8201): what routers said about paths, remembered for ten minutes."""

from __future__ import annotations

# RFC 1191 6.3: try a larger one after ten minutes.
EXPIRES = 600.0
# Linux's ip_rt_min_pmtu: a lower claim is more likely an attack.
LOWEST = 552
# Every IPv6 link carries 1280 bytes; who claims less is not believed (RFC 8201 4).
LOWEST_IPV6 = 1280
PLATEAUS = (32000, 17914, 8166, 4352, 2002, 1492, 1006, 552)
ENTRIES = 1024


class PathMtu:
    """Destination → (MTU, until when)."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, float]] = {}

    def mtu(self, destination: bytes, link: int, now: float) -> int:
        """The smaller of the link's MTU and what is known of the path."""
        if not self._known:
            return link
        known = self._known.get(destination)
        if known is None:
            return link
        if now > known[1]:
            del self._known[destination]
            return link
        return min(link, known[0])

    def learn(self, destination: bytes, mtu: int, dropped: int, now: float) -> None:
        """A packet of `dropped` bytes was too large for a link of `mtu` (0: an old router; take RFC 1191's next
        plateau). Never goes up by this."""
        if mtu == 0:
            mtu = next((plateau for plateau in PLATEAUS if plateau < dropped), LOWEST)
        mtu = max(mtu, LOWEST if len(destination) == 4 else LOWEST_IPV6)
        known = self._known.get(destination)
        if known is not None and known[0] <= mtu and now <= known[1]:
            return
        if len(self._known) >= ENTRIES:
            del self._known[next(iter(self._known))]
        self._known[destination] = (mtu, now + EXPIRES)
