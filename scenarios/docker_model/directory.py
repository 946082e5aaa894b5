"""FDB, neighbours and names patched by events in the order in which they come, as libnetwork does.

After drivers/overlay/peerdb.go (20.10: peerAddOp, peerDeleteOp) for FDB and neighbours. For names network.go of 1.12
(addSvcRecords, deleteSvcRecords: a list of addresses for each name), and for the reverse map that of 20.10
(addIPToName, delIPToName: a set of names for each address, of which the first is told):

- Of two endpoints with one address only the first is programmed; the other one waits in the database until a delete of
  the first is heard ("transient case"; moby 35807, 49908).
- The kernel's vxlan device learns: a frame from a host whose entries are deleted leaves a learned entry behind, and the
  driver's entry is then refused because there is one (EEXIST; moby 53663, reported of 29.8). It ages in 300 s.
- A failed delete of an FDB entry leaves the neighbour behind (moby 52697).
- A delete takes an address from a name, whoever has put it there (moby 28836, 30134).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from overlay.directory import Directory, NetworkView, RemoteVtep
from overlay.spec import EndpointFact
from overlay.wire.address import pack_ip, pack_mac
from overlay.wire.vxlan import PORT

AGEING = 300.0
"""Seconds after which the kernel forgets what it has learned (vxlan's FDB_AGE_DEFAULT)."""
_HEADER, _MAC = 8, 6

_Key = tuple[bytes, bytes]


@dataclass(slots=True)
class _Peers:
    """A network's database, and what is programmed of it. permanent and learned: MAC to VTEP."""

    entries: dict[_Key, dict[str, str | None]] = field(default_factory=dict)
    permanent: dict[bytes, str] = field(default_factory=dict)
    learned: dict[bytes, str] = field(default_factory=dict)


class PatchedDirectory(Directory):
    """The same face as shoal's directory; its views are a history, not a function of what there is."""

    def __init__(self) -> None:
        super().__init__()
        self._peers: dict[str, _Peers] = {}
        self._reverse: dict[tuple[str, bytes], dict[str, None]] = {}
        self._ageing: dict[tuple[str, bytes], asyncio.TimerHandle] = {}

    def put(self, fact: EndpointFact) -> None:
        before = self._facts.get(fact.endpoint_id)
        if before == fact:
            return
        self._facts[fact.endpoint_id] = fact
        view = self._view(fact.network_id)
        if before is not None and before.names != fact.names:
            self._unname(view, before)
        self._name(view, fact)
        for address in fact.addresses:
            self._peer_add(fact, view, (pack_ip(address.partition("/")[0]), pack_mac(fact.mac)))

    def remove(self, endpoint_id: str) -> None:
        fact = self._facts.pop(endpoint_id, None)
        if fact is None:
            return
        view = self._view(fact.network_id)
        self._unname(view, fact)
        for address in fact.addresses:
            self._peer_delete(fact, view, (pack_ip(address.partition("/")[0]), pack_mac(fact.mac)))
        self._prune(fact.network_id)

    def clear(self) -> None:
        """The host leaves its swarm: what others' events have left goes, and no timer stays."""
        for timer in self._ageing.values():
            timer.cancel()
        self._ageing.clear()
        for endpoint in [fact.endpoint_id for fact in self._facts.values() if fact.vtep is not None]:
            self.remove(endpoint)

    def _prune(self, network_id: str) -> None:
        """The overlay's namespace goes with the last container, and its kernel state with it."""
        if network_id in self._opened or any(fact.network_id == network_id for fact in self._facts.values()):
            return
        self._views.pop(network_id, None)
        self._peers.pop(network_id, None)
        self._reverse = {key: names for key, names in self._reverse.items() if key[0] != network_id}
        for key in [key for key in self._ageing if key[0] == network_id]:
            self._ageing.pop(key).cancel()

    def _view(self, network_id: str) -> NetworkView:
        return self._views.setdefault(network_id, NetworkView())

    # -- names ------------------------------------------------------------------------------------------------------

    def _name(self, view: NetworkView, fact: EndpointFact) -> None:
        """addSvcRecords: an address is in the list of a name once."""
        for address in (pack_ip(text.partition("/")[0]) for text in fact.addresses):
            for name in (name.lower() for name in fact.names):
                known = view.names.get(name, ())
                if address not in known:
                    view.names[name] = (*known, address)
            if fact.names:
                known_as = self._reverse.setdefault((fact.network_id, address), {})
                known_as[fact.names[0]] = None
                view.reverse[address] = next(iter(known_as))

    def _unname(self, view: NetworkView, fact: EndpointFact) -> None:
        """deleteSvcRecords: the address goes, whose ever it is."""
        for address in (pack_ip(text.partition("/")[0]) for text in fact.addresses):
            for name in (name.lower() for name in fact.names):
                rest = tuple(each for each in view.names.get(name, ()) if each != address)
                if rest:
                    view.names[name] = rest
                else:
                    view.names.pop(name, None)
            known_as = self._reverse.get((fact.network_id, address), {})
            if fact.names:
                known_as.pop(fact.names[0], None)
            if known_as:
                view.reverse[address] = next(iter(known_as))
            else:
                view.reverse.pop(address, None)
                self._reverse.pop((fact.network_id, address), None)

    # -- FDB and neighbours -------------------------------------------------------------------------------------------

    def _peer_add(self, fact: EndpointFact, view: NetworkView, key: _Key) -> None:
        """peerAddOp."""
        peers = self._peers.setdefault(fact.network_id, _Peers())
        entries = peers.entries.setdefault(key, {})
        entries[fact.endpoint_id] = fact.vtep
        address, mac = key
        if fact.vtep is None:
            # Not in the database's kernel state; the resolver and ARP of containers on this host know it by the bridge.
            view.neighbours.setdefault(address, mac)
            return
        view.vteps[fact.vtep] = RemoteVtep((fact.vtep, PORT), fact.super_frames)
        if mac in peers.permanent and len(entries) > 1:
            return  # the transient case: only the first is programmed
        view.neighbours[address] = mac
        self._program(fact.network_id, peers, view, mac, fact.vtep)

    def _program(self, network: str, peers: _Peers, view: NetworkView, mac: bytes, vtep: str) -> None:
        """AddNeighbor for the FDB, without NLM_F_REPLACE: an entry that is there, learned or not, stays."""
        if mac in peers.permanent or mac in peers.learned:
            return
        peers.permanent[mac] = vtep
        view.fdb[mac] = RemoteVtep((vtep, PORT), view.vteps[vtep].super_frames)

    def _peer_delete(self, fact: EndpointFact, view: NetworkView, key: _Key) -> None:
        """peerDeleteOp."""
        peers = self._peers.setdefault(fact.network_id, _Peers())
        entries = peers.entries.get(key, {})
        entries.pop(fact.endpoint_id, None)
        address, mac = key
        if fact.vtep is not None:
            if peers.permanent.get(mac) == fact.vtep:
                del peers.permanent[mac]
            elif peers.learned.get(mac) == fact.vtep:
                self._forget(fact.network_id, peers, mac)
            else:
                return  # the FDB entry is not there: an error, and the neighbour stays
            view.fdb.pop(mac, None)
            view.neighbours.pop(address, None)
        elif not entries and mac not in peers.permanent:
            view.neighbours.pop(address, None)
        if not entries:
            peers.entries.pop(key, None)
            return
        vtep = next(iter(entries.values()))  # peerDbSearch: what waited is restored
        view.neighbours[address] = mac
        if vtep is not None:
            self._program(fact.network_id, peers, view, mac, vtep)

    def _forget(self, network: str, peers: _Peers, mac: bytes) -> None:
        peers.learned.pop(mac, None)
        timer = self._ageing.pop((network, mac), None)
        if timer is not None:
            timer.cancel()

    def learn(self, network_id: str, mac: bytes, vtep: str) -> None:
        """vxlan_snoop: a frame with this source came from a host."""
        peers = self._peers.get(network_id)
        view = self._views.get(network_id)
        if peers is None or view is None or mac in peers.permanent or vtep not in view.vteps:
            return
        if any(None in entries.values() for (_, there), entries in peers.entries.items() if there == mac):
            return  # it is here now: the bridge's own port has it
        known = self._ageing.pop((network_id, mac), None)
        if known is not None:
            known.cancel()
        peers.learned[mac] = vtep
        view.fdb[mac] = RemoteVtep((vtep, PORT), view.vteps[vtep].super_frames)
        loop = asyncio.get_running_loop()
        self._ageing[network_id, mac] = loop.call_later(AGEING, self._aged, network_id, mac)

    def _aged(self, network_id: str, mac: bytes) -> None:
        peers, view = self._peers.get(network_id), self._views.get(network_id)
        self._ageing.pop((network_id, mac), None)
        if peers is not None and view is not None and peers.learned.pop(mac, None) is not None:
            view.fdb.pop(mac, None)


def source_of(packet: bytes) -> tuple[int, bytes] | None:
    """VNI and inner source MAC of a VXLAN packet; None for anything else."""
    if len(packet) < _HEADER + 2 * _MAC or not packet[0] & 0x08:
        return None
    return int.from_bytes(packet[4:7], "big"), packet[_HEADER + _MAC : _HEADER + 2 * _MAC]
