"""Path MTU discovery (RFC 1191, RFC 8201): what routers said about paths, remembered for ten minutes; and where nobody
says anything (RFC 2923's black holes), what TCP found out by itself (RFC 4821, RFC 8899)."""

from __future__ import annotations

# RFC 1191 6.3: try a larger one after ten minutes.
EXPIRES = 600.0
# Linux's ip_rt_min_pmtu: a lower claim is more likely an attack.
LOWEST = 552
# Every IPv6 link carries 1280 bytes; who claims less is not believed (RFC 8201 4).
LOWEST_IPV6 = 1280
PLATEAUS = (32000, 17914, 8166, 4352, 2002, 1492, 1006, 552)
ENTRIES = 1024
BLACK_HOLE_MTU = 1076
"""What passes nearly everywhere: Linux's tcp_base_mss of 1024 and headers."""
FIRST_DOUBT, GROWTH = 5.0, 8
"""Seconds that a first suspicion lasts, for a cut looks alike at first; each further one lasts so many times longer."""


class PathMtu:
    """Destination → (MTU, until when)."""

    __slots__ = ("_doubted", "_known", "probing")

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, float]] = {}
        self._doubted: dict[bytes, tuple[float, float]] = {}
        self.probing = True
        """Whether black holes are looked for (Linux's net.ipv4.tcp_mtu_probing)."""

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

    def doubt(self, destination: bytes, now: float) -> None:
        """Nothing large is acknowledged, again and again: send less for a while, longer each time that it comes to this
        again."""
        if not self.probing:
            return
        lasts, until = self._doubted.get(destination, (0.0, 0.0))
        lasts = min(lasts * GROWTH, EXPIRES) if lasts and now < until + EXPIRES else FIRST_DOUBT
        if len(self._doubted) >= ENTRIES and destination not in self._doubted:
            del self._doubted[next(iter(self._doubted))]
        self._doubted[destination] = (lasts, now + lasts)
        self._enter(destination, BLACK_HOLE_MTU if len(destination) == 4 else LOWEST_IPV6, now, now + lasts)

    def learn(self, destination: bytes, mtu: int, dropped: int, now: float) -> None:
        """A packet of `dropped` bytes was too large for a link of `mtu` (0: an old router; take RFC 1191's next
        plateau). Never goes up by this."""
        if mtu == 0:
            mtu = next((plateau for plateau in PLATEAUS if plateau < dropped), LOWEST)
        mtu = max(mtu, LOWEST if len(destination) == 4 else LOWEST_IPV6)
        self._enter(destination, mtu, now, now + EXPIRES)

    def _enter(self, destination: bytes, mtu: int, now: float, until: float) -> None:
        known = self._known.get(destination)
        if known is not None and known[0] <= mtu and now <= known[1]:
            return
        if len(self._known) >= ENTRIES:
            del self._known[next(iter(self._known))]
        self._known[destination] = (mtu, until)
