"""One sandbox and its endpoints: how interfaces are named, and which network is the way out (libnetwork's rules).

Interfaces are eth0, eth1, … in the order in which they come; a number is not used again while the sandbox lives.
The default gateway is that of the first network when ordered by: not internal, not docker_gwbridge, name
(libnetwork's endpoint.Less, but that there an internal network goes before docker_gwbridge and leads nowhere); so
`bridge` wins over `n1` even when it came last. A sandbox whose networks bring no gateway, of which one is not internal
(an overlay), gets an interface on docker_gwbridge; it goes when another way out appears.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from overlay.drivers.driver import Driver
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkSpec

DEFAULT_ROUTE = "0.0.0.0/0"
DEFAULT_ROUTE6 = "::/0"


@dataclass(frozen=True, slots=True)
class Joined:
    """An endpoint in its sandbox. `gateway` is what its network offers, `direct`: its interface is a way out as it is;
    `interface` "" has none (null, host); `closed`: it is not to be given a way out."""

    spec: EndpointSpec
    network: NetworkSpec
    driver: Driver
    interface: str
    gateway: str | None
    direct: bool = False
    gateway6: str | None = None
    way_out: bool = False
    closed: bool = False

    @property
    def precedence(self) -> tuple[bool, bool, bool, str]:
        """Lowest is the default route."""
        return self.gateway is None, self.network.internal, self.way_out, self.network.name


class Namespace:
    """Endpoints of one sandbox, in the order in which they joined. `always_out`: on docker_gwbridge in any case."""

    def __init__(self, sandbox: Sandbox, *, always_out: bool = False) -> None:
        self.sandbox = sandbox
        self._always_out = always_out
        self.endpoints: dict[str, Joined] = {}
        self._counts: Counter[str] = Counter()
        self._defaults: dict[str, tuple[str | None, str]] = {}

    def next_interface(self, prefix: str = "eth") -> str:
        """The next ethN; each prefix counts for itself."""
        self._counts[prefix] += 1
        return f"{prefix}{self._counts[prefix] - 1}"

    def needs_way_out(self) -> bool:
        """Whether docker_gwbridge must give it one."""
        ours = [joined for joined in self.endpoints.values() if joined.interface and not joined.way_out]
        open_ones = [joined for joined in ours if not joined.network.internal and not joined.closed]
        return self._always_out or (bool(open_ones) and not any(j.gateway or j.direct for j in open_ones))

    def way_out(self) -> Joined | None:
        """Its endpoint on docker_gwbridge."""
        return next((joined for joined in self.endpoints.values() if joined.way_out), None)

    def default(self) -> Joined | None:
        """The endpoint that the default route goes through."""
        offers = [joined for joined in self.endpoints.values() if joined.gateway is not None or joined.direct]
        return min(offers, key=lambda joined: joined.precedence, default=None)

    def settle_route(self) -> None:
        """Make the default routes what the rule says now. IPv6's goes through the same network, or is none."""
        best = self.default()
        wanted: dict[str, tuple[str | None, str]] = {}
        if best is not None:
            wanted[DEFAULT_ROUTE] = best.gateway, best.interface
            if best.gateway6 is not None or (best.direct and any(":" in each for each in best.spec.addresses)):
                wanted[DEFAULT_ROUTE6] = best.gateway6, best.interface
        for route in (DEFAULT_ROUTE, DEFAULT_ROUTE6):
            if wanted.get(route) != self._defaults.get(route):
                self._change(route, wanted.get(route))
        self._defaults = wanted

    def _change(self, route: str, wanted: tuple[str | None, str] | None) -> None:
        if any(present.destination == route for present in self.sandbox.routes()):
            self.sandbox.remove_route(route)
        if wanted is not None:
            self.sandbox.add_route(route, via=wanted[0], interface=wanted[1])
