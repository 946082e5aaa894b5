"""Which addresses a name has as seen from one sandbox, and which name an address has: libnetwork's rules.

A name is looked for on each of the sandbox's networks in order; `name.network` is looked for on that network only, and
since both parts may have dots every split is tried, longest name first. Links come before names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from overlay.directory import Directory


class Names:
    """A sandbox's view of the directory. `networks` gives the ids in the order in which they are asked."""

    def __init__(
        self,
        directory: Directory,
        networks: Callable[[], Sequence[str]],
        network_name: Callable[[str], str],
        links: Mapping[str, str],
    ) -> None:
        self._directory = directory
        self._networks = networks
        self._network_name = network_name
        self._links = links  # not a copy: a link may come with a network that is joined later

    def addresses(self, name: str) -> list[str] | None:
        """IPv4 and IPv6 addresses of a name; None if it is not one of ours."""
        networks = self._networks()
        for label, network in _splits(name.rstrip(".").lower()):
            for wanted in (self._linked(label), label):
                if wanted is None:
                    continue
                for network_id in networks:
                    if network and self._network_name(network_id).lower() != network:
                        continue
                    found = self._directory.lookup(network_id, wanted)
                    if found:
                        return found
        return None

    def _linked(self, label: str) -> str | None:
        return next((target for alias, target in self._links.items() if alias.lower() == label), None)

    def name_of(self, address: str) -> str | None:
        """`name.network` of an address on one of the sandbox's networks."""
        for network_id in self._networks():
            name = self._directory.reverse(network_id, address)
            if name is not None:
                return f"{name}.{self._network_name(network_id)}"
        return None


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """("a.b.c", ""), ("a.b", "c"), ("a", "b.c")."""
    yield name, ""
    at = name.rfind(".")
    while at > 0:
        yield name[:at], name[at + 1 :]
        at = name.rfind(".", 0, at)
