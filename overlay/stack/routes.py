"""The routing table: longest prefix, then lowest metric, then the older entry."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from overlay.stack.interface import Interface
from overlay.wire.address import ANY, ANY6, ip_text, is_link_local

_CACHED = 1024


@dataclass(frozen=True, slots=True, eq=False)
class RouteEntry:
    """A route. `network` has its host bits zeroed; `via` None means that the destination is on the link.

    `source` is the address that packets get whose sender did not choose one. `kernel`: came with an address.
    """

    network: bytes
    prefix: int
    via: bytes | None
    interface: Interface
    source: bytes | None
    metric: int = 0
    kernel: bool = False

    @property
    def destination(self) -> str:
        """ "10.0.1.0/24", or "0.0.0.0/0"."""
        return f"{ip_text(self.network)}/{self.prefix}"

    def preferred_source(self, destination: bytes) -> bytes:
        """The source address for a packet on this route: its own, else the interface's first that fits."""
        if self.source is not None:
            return self.source
        if len(destination) == 16:
            return self._source_by_scope(destination)
        target = self.via or self.network
        for address, prefix in self.interface.assigned:
            shift = len(address) * 8 - prefix
            if len(address) == len(target) and not (
                (int.from_bytes(address, "big") ^ int.from_bytes(target, "big")) >> shift
            ):
                return address
        return next((address for address, _ in self.interface.assigned if len(address) == 4), ANY)

    def _source_by_scope(self, destination: bytes) -> bytes:
        """RFC 6724, rules 2 and 8: of the same reach as the destination, with the longest prefix in common."""
        near = is_link_local(destination) or destination[:2] == b"\xff\x02"
        value = int.from_bytes(destination, "big")
        candidates = [address for address, _ in self.interface.assigned if len(address) == 16]
        return max(
            candidates,
            key=lambda address: (
                is_link_local(address) == near,
                -(int.from_bytes(address, "big") ^ value).bit_length(),
            ),
            default=ANY6,
        )


class RoutingTable:
    """Look-ups are remembered per destination until the table changes."""

    __slots__ = ("_cache", "entries")

    def __init__(self) -> None:
        self.entries: list[RouteEntry] = []
        self._cache: dict[bytes, RouteEntry | None] = {}

    def add(self, route: RouteEntry) -> None:
        """OSError(EEXIST) when destination, metric (and for two link routes the interface) are there already."""
        for other in self.entries:
            if (other.network, other.prefix, other.metric) == (route.network, route.prefix, route.metric) and (
                other.interface is route.interface or not (other.kernel or route.kernel)
            ):
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        self.entries.append(route)
        self.entries.sort(key=lambda entry: (-entry.prefix, entry.metric))
        self.changed()

    def remove(self, route: RouteEntry) -> None:
        """Take out this very entry."""
        self.entries.remove(route)
        self.changed()

    def changed(self) -> None:
        """Forget what was looked up: an entry or the state of an interface is not what it was."""
        self._cache.clear()

    def lookup(self, destination: bytes) -> RouteEntry | None:
        """The route for a destination over interfaces that are up."""
        try:
            return self._cache[destination]
        except KeyError:
            pass
        value, bits = int.from_bytes(destination, "big"), len(destination) * 8
        found = None
        for entry in self.entries:
            if (
                entry.interface.up
                and len(entry.network) == len(destination)
                and not (value ^ int.from_bytes(entry.network, "big")) >> (bits - entry.prefix)
            ):
                found = entry
                break
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[destination] = found
        return found
