"""Where things are: from the endpoints that exist now to FDB, neighbours, VTEPs and names of each network.

The view of a network is a *function of the facts present*, never of the order in which they came: the oldest wound of
Docker's overlay is a late delete that removes a newer entry (moby 33789, 35401, 52661). So every key (a MAC, an
address, a name, a VTEP) knows all facts that speak of it, and a change recomputes just the keys that it touches from
all of their facts. Law (tests/overlay/test_directory.py): after any sequence of changes `views` equals
`recomputed(facts)`.

Two live facts that claim one address (a delete still on its way): the higher (claim, node, endpoint id) wins, for the
address itself, its reverse name, and what names answer. A fact that is hidden elsewhere (its owner is dead) is simply
not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from overlay.spec import Address, EndpointFact
from overlay.wire.address import ip_text, pack_ip, pack_mac
from overlay.wire.vxlan import PORT

Key = TypeVar("Key", bytes, str)
Claimants = dict[str, EndpointFact]
"""Facts that speak of one key, by endpoint id."""


@dataclass(frozen=True, slots=True)
class RemoteVtep:
    """Where a MAC is: the VTEP's address as the underlay takes it, and whether it takes super-frames whole."""

    destination: Address
    super_frames: bool = False


@dataclass(slots=True)
class NetworkView:
    """What the data path of one network reads. Keys are packed; `fdb` and `vteps` hold only what is elsewhere."""

    fdb: dict[bytes, RemoteVtep] = field(default_factory=dict)
    neighbours: dict[bytes, bytes] = field(default_factory=dict)
    vteps: dict[str, RemoteVtep] = field(default_factory=dict)
    names: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    reverse: dict[bytes, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Index:
    """Who speaks of which key in one network."""

    macs: dict[bytes, Claimants] = field(default_factory=dict)
    addresses: dict[bytes, Claimants] = field(default_factory=dict)
    names: dict[str, Claimants] = field(default_factory=dict)
    vteps: dict[str, Claimants] = field(default_factory=dict)


def _rank(fact: EndpointFact) -> tuple[int, str, str]:
    return fact.claim, fact.node, fact.endpoint_id


def _winner(claimants: Claimants) -> EndpointFact:
    return max(claimants.values(), key=_rank)


def _packed(fact: EndpointFact) -> list[bytes]:
    return [pack_ip(address.partition("/")[0]) for address in fact.addresses]


def _readable(fact: EndpointFact) -> bool:
    try:
        return len(_packed(fact)) == len(fact.addresses) and len(pack_mac(fact.mac)) == 6
    except ValueError:
        return False


def _speak(table: dict[Key, Claimants], key: Key, fact: EndpointFact) -> None:
    table.setdefault(key, {})[fact.endpoint_id] = fact


def _silence(table: dict[Key, Claimants], key: Key, fact: EndpointFact) -> None:
    claimants = table.get(key)
    if claimants is not None:
        claimants.pop(fact.endpoint_id, None)
        if not claimants:
            del table[key]


class Directory:
    """Facts in, views out. Views are live: the data path keeps a reference and reads it packet by packet."""

    def __init__(self) -> None:
        self._facts: dict[str, EndpointFact] = {}
        self._indexes: dict[str, _Index] = {}
        self._views: dict[str, NetworkView] = {}
        self._opened: dict[str, None] = {}
        self.refused = 0

    def put(self, fact: EndpointFact) -> None:
        """Add the fact of an endpoint, or replace the one that was there. One whose MAC or address is none (rows come
        from other hosts) is as good as no fact, and counted in `refused`."""
        before = self._facts.get(fact.endpoint_id)
        if before == fact:
            return
        if not _readable(fact):
            self.refused += 1
            self.remove(fact.endpoint_id)
            return
        if before is not None and before.network_id != fact.network_id:
            self.remove(fact.endpoint_id)
            before = None
        self._facts[fact.endpoint_id] = fact
        self._change(fact.network_id, before, fact)

    def remove(self, endpoint_id: str) -> None:
        """Forget an endpoint; nothing for an unknown id."""
        fact = self._facts.pop(endpoint_id, None)
        if fact is not None:
            self._change(fact.network_id, fact, None)
            self._prune(fact.network_id)

    def fact(self, endpoint_id: str) -> EndpointFact | None:
        """The present fact of an endpoint."""
        return self._facts.get(endpoint_id)

    def facts(self, network_id: str | None = None) -> list[EndpointFact]:
        """All present facts (of one network), by endpoint id."""
        found = [f for f in self._facts.values() if network_id is None or f.network_id == network_id]
        return sorted(found, key=lambda f: f.endpoint_id)

    def open(self, network_id: str) -> NetworkView:
        """The live view of a network, kept (and the same object) until `close`, be there facts or not."""
        self._opened[network_id] = None
        return self._views.setdefault(network_id, NetworkView())

    def close(self, network_id: str) -> None:
        """Nobody reads the view any more; the facts stay, for whoever opens it again."""
        self._opened.pop(network_id, None)
        self._prune(network_id)

    @property
    def views(self) -> Mapping[str, NetworkView]:
        """Every view that has something in it."""
        return {network_id: view for network_id, view in self._views.items() if view != NetworkView()}

    def lookup(self, network_id: str, name: str) -> list[str]:
        """Addresses behind a name in a network, any case; [] if there is none."""
        view = self._views.get(network_id)
        return [ip_text(packed) for packed in view.names.get(name.lower(), ())] if view else []

    def reverse(self, network_id: str, address: str) -> str | None:
        """The name of the endpoint that has an address in a network."""
        view = self._views.get(network_id)
        return view.reverse.get(pack_ip(address)) if view else None

    def _prune(self, network_id: str) -> None:
        index = self._indexes.get(network_id)
        if network_id not in self._opened and (index is None or not index.macs):
            self._views.pop(network_id, None)
            self._indexes.pop(network_id, None)

    def _change(self, network_id: str, before: EndpointFact | None, after: EndpointFact | None) -> None:
        index = self._indexes.setdefault(network_id, _Index())
        view = self._views.setdefault(network_id, NetworkView())
        touched = [fact for fact in (before, after) if fact is not None]
        if before is not None:
            _withdraw(index, before)
        if after is not None:
            _enter(index, after)

        addresses = list(dict.fromkeys(address for fact in touched for address in _packed(fact)))
        names = dict.fromkeys(name.lower() for fact in touched for name in fact.names)
        for address in addresses:
            # Whoever wins or loses an address by this answers to other addresses under its names.
            for fact in index.addresses.get(address, {}).values():
                names.update(dict.fromkeys(name.lower() for name in fact.names))
            _compute_address(index, view, address)
        for mac in dict.fromkeys(pack_mac(fact.mac) for fact in touched):
            _compute_mac(index, view, mac)
        for vtep in dict.fromkeys(fact.vtep for fact in touched if fact.vtep is not None):
            _compute_vtep(index, view, vtep)
        for name in names:
            _compute_name(index, view, name)


def recomputed(facts: Iterable[EndpointFact]) -> dict[str, NetworkView]:
    """The views of all networks from nothing but the facts: what `Directory.views` must equal at any time."""
    indexes: dict[str, _Index] = {}
    for fact in facts:
        _enter(indexes.setdefault(fact.network_id, _Index()), fact)
    views: dict[str, NetworkView] = {}
    for network_id, index in indexes.items():
        view = views[network_id] = NetworkView()
        for address in index.addresses:
            _compute_address(index, view, address)
        for mac in index.macs:
            _compute_mac(index, view, mac)
        for vtep in index.vteps:
            _compute_vtep(index, view, vtep)
        for name in index.names:
            _compute_name(index, view, name)
    return {network_id: view for network_id, view in views.items() if view != NetworkView()}


def _enter(index: _Index, fact: EndpointFact) -> None:
    _speak(index.macs, pack_mac(fact.mac), fact)
    for address in _packed(fact):
        _speak(index.addresses, address, fact)
    for name in fact.names:
        _speak(index.names, name.lower(), fact)
    if fact.vtep is not None:
        _speak(index.vteps, fact.vtep, fact)


def _withdraw(index: _Index, fact: EndpointFact) -> None:
    _silence(index.macs, pack_mac(fact.mac), fact)
    for address in _packed(fact):
        _silence(index.addresses, address, fact)
    for name in fact.names:
        _silence(index.names, name.lower(), fact)
    if fact.vtep is not None:
        _silence(index.vteps, fact.vtep, fact)


def _compute_mac(index: _Index, view: NetworkView, mac: bytes) -> None:
    claimants = index.macs.get(mac)
    winner = _winner(claimants) if claimants else None
    if winner is None or winner.vtep is None:
        view.fdb.pop(mac, None)
    else:
        view.fdb[mac] = RemoteVtep((winner.vtep, PORT), winner.super_frames)


def _compute_address(index: _Index, view: NetworkView, address: bytes) -> None:
    claimants = index.addresses.get(address)
    if not claimants:
        view.neighbours.pop(address, None)
        view.reverse.pop(address, None)
        return
    winner = _winner(claimants)
    view.neighbours[address] = pack_mac(winner.mac)
    if winner.names:
        view.reverse[address] = winner.names[0]
    else:
        view.reverse.pop(address, None)


def _compute_vtep(index: _Index, view: NetworkView, vtep: str) -> None:
    claimants = index.vteps.get(vtep)
    if not claimants:
        view.vteps.pop(vtep, None)
        return
    view.vteps[vtep] = RemoteVtep((vtep, PORT), all(fact.super_frames for fact in claimants.values()))


def _compute_name(index: _Index, view: NetworkView, name: str) -> None:
    claimants = index.names.get(name, {})
    answers = [
        address
        for fact in claimants.values()
        for address in _packed(fact)
        if _winner(index.addresses[address]).endpoint_id == fact.endpoint_id
    ]
    if answers:
        view.names[name] = tuple(sorted(set(answers)))
    else:
        view.names.pop(name, None)
