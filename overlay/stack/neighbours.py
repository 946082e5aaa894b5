"""The neighbour cache of ARP (RFC 826, RFC 1122 2.3.2) and ND (RFC 4861 7.3), with Linux's states and times.

INCOMPLETE: asked, packets wait (bounded; the oldest go first). REACHABLE: confirmed. STALE: old, used and asked
again by unicast when used. FAILED: three questions unanswered. PERMANENT: configured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Protocol

from overlay.stack.interface import Interface
from overlay.stack.timers import Timers
from overlay.wire.address import ANY
from overlay.wire.ipv4 import Packet

PROBES = 3
PROBE_INTERVAL = 1.0
REACHABLE_TIME = 30.0
DELAY_BEFORE_PROBE = 5.0
WAITING_PACKETS = 101
ENTRIES = 1024


class NeighbourState(Enum):
    """Names as `ip neigh` prints them."""

    INCOMPLETE = "INCOMPLETE"
    REACHABLE = "REACHABLE"
    STALE = "STALE"
    DELAY = "DELAY"
    PROBE = "PROBE"
    FAILED = "FAILED"
    PERMANENT = "PERMANENT"


class Owner(Protocol):
    """What the cache needs of the stack."""

    timers: Timers
    now: float
    random: Random

    def solicit(self, entry: NeighbourEntry) -> None:
        """Ask who has the address: everybody, or the MAC that is known."""

    def deliver_waiting(self, entry: NeighbourEntry, packets: list[Packet]) -> None:
        """The MAC is known now."""

    def unreachable(self, packets: list[Packet]) -> None:
        """Nobody answered."""


@dataclass(slots=True, eq=False)
class NeighbourEntry:
    """One neighbour. `header` is the Ethernet header of frames to it, ready to be put in front."""

    cache: NeighbourCache
    interface: Interface
    ip: bytes
    state: NeighbourState = NeighbourState.INCOMPLETE
    mac: bytes | None = None
    header: bytes = b""
    fresh_until: float = 0.0
    probes: int = 0
    waiting: list[Packet] = field(default_factory=list)
    entry_at: float | None = None

    def on_timer(self, now: float) -> None:
        """A probe was not answered in time."""
        self.cache.probe(self, now)


class NeighbourCache:
    """Keyed by (interface index, packed address)."""

    __slots__ = ("_owner", "dropped", "entries")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.entries: dict[tuple[int, bytes], NeighbourEntry] = {}
        self.dropped = 0

    def header(self, interface: Interface, ip: bytes) -> bytes | None:
        """The Ethernet header for packets to `ip`, or None while its MAC is not known (then `wait`)."""
        entry = self.entries.get((interface.index, ip))
        if entry is None or entry.mac is None:
            return None
        if entry.state is not NeighbourState.PERMANENT and self._owner.now > entry.fresh_until:
            self._used_when_old(entry)
        return entry.header

    def _used_when_old(self, entry: NeighbourEntry) -> None:
        if entry.state in (NeighbourState.REACHABLE, NeighbourState.STALE):
            entry.state = NeighbourState.DELAY
            entry.probes = 0
            self._owner.timers.schedule(entry, self._owner.now + DELAY_BEFORE_PROBE)

    def wait(self, interface: Interface, ip: bytes, packet: Packet) -> None:
        """Keep `packet` until `ip` answers; the first one asks."""
        entry = self.entries.get((interface.index, ip))
        if entry is None:
            self._make_room()
            entry = self.entries[(interface.index, ip)] = NeighbourEntry(self, interface, ip)
        entry.waiting.append(packet)
        if len(entry.waiting) > WAITING_PACKETS:
            entry.waiting.pop(0)
            self.dropped += 1
        if entry.entry_at is None:
            entry.state = NeighbourState.INCOMPLETE
            entry.probes = 0
            self.probe(entry, self._owner.now)

    def _make_room(self) -> None:
        if len(self.entries) >= ENTRIES:
            for key, entry in self.entries.items():
                if entry.state is not NeighbourState.PERMANENT:
                    self._forget(key)
                    return

    def probe(self, entry: NeighbourEntry, now: float) -> None:
        """Ask (again), or give up after `PROBES`."""
        if self.entries.get((entry.interface.index, entry.ip)) is not entry:
            return
        if entry.probes >= PROBES:
            waiting, entry.waiting = entry.waiting, []
            entry.state, entry.mac = NeighbourState.FAILED, None
            self._owner.unreachable(waiting)
            return
        if entry.mac is not None:
            entry.state = NeighbourState.PROBE
        entry.probes += 1
        self._owner.solicit(entry)
        self._owner.timers.schedule(entry, now + PROBE_INTERVAL)

    def learn(self, interface: Interface, ip: bytes, mac: bytes, *, create: bool, fresh: bool = True) -> None:
        """Take what an ARP packet or a neighbour solicitation says; `create` when it was for us (RFC 826's merge flag
        otherwise). Not `fresh`: it says nothing of whether our packets get there (RFC 4861 7.2.3)."""
        key = (interface.index, ip)
        entry = self.entries.get(key)
        if entry is None:
            if not create or ip == ANY:
                return
            self._make_room()
            entry = self.entries[key] = NeighbourEntry(self, interface, ip)
        elif entry.state is NeighbourState.PERMANENT:
            return
        if fresh:
            self._reachable(entry, mac)
        elif entry.mac != mac:
            self._confirm(entry, mac, NeighbourState.STALE)
            entry.fresh_until = self._owner.now

    def advertised(
        self, interface: Interface, ip: bytes, mac: bytes | None, *, solicited: bool, override: bool
    ) -> None:
        """A neighbour advertisement (RFC 4861 7.2.5). Nothing for an address that nobody here has asked for."""
        entry = self.entries.get((interface.index, ip))
        if entry is None or entry.state is NeighbourState.PERMANENT or (entry.mac is None and mac is None):
            return
        other = mac is not None and entry.mac is not None and mac != entry.mac
        if other and not override:
            if entry.state is NeighbourState.REACHABLE:
                entry.state, entry.fresh_until = NeighbourState.STALE, self._owner.now
            return
        found = mac or entry.mac
        if found is None:
            return
        if solicited:
            self._reachable(entry, found)
        elif entry.mac != found:
            self._confirm(entry, found, NeighbourState.STALE)
            entry.fresh_until = self._owner.now

    def _reachable(self, entry: NeighbourEntry, mac: bytes) -> None:
        self._confirm(entry, mac, NeighbourState.REACHABLE)
        # Linux spreads the time over 0.5–1.5 so that neighbours do not all ask at once.
        entry.fresh_until = self._owner.now + REACHABLE_TIME * (0.5 + self._owner.random.random())

    def set_permanent(self, interface: Interface, ip: bytes, mac: bytes) -> None:
        """A configured entry; ARP and ND do not change it."""
        key = (interface.index, ip)
        entry = self.entries.get(key)
        if entry is None:
            entry = self.entries[key] = NeighbourEntry(self, interface, ip)
        self._confirm(entry, mac, NeighbourState.PERMANENT)

    def _confirm(self, entry: NeighbourEntry, mac: bytes, state: NeighbourState) -> None:
        self._owner.timers.cancel(entry)
        entry.state, entry.mac, entry.probes = state, mac, 0
        entry.header = mac + entry.interface.hardware + (b"\x08\x00" if len(entry.ip) == 4 else b"\x86\xdd")
        if entry.waiting:
            waiting, entry.waiting = entry.waiting, []
            self._owner.deliver_waiting(entry, waiting)

    def state_of(self, entry: NeighbourEntry) -> NeighbourState:
        """The state to show: a REACHABLE one that is old is STALE."""
        if entry.state is NeighbourState.REACHABLE and self._owner.now > entry.fresh_until:
            return NeighbourState.STALE
        return entry.state

    def forget(self, interface: Interface, ip: bytes | None = None) -> None:
        """Forget one address, or all of an interface (it went away or down)."""
        keys = [key for key in self.entries if key[0] == interface.index and ip in (None, key[1])]
        for key in keys:
            self._forget(key)

    def _forget(self, key: tuple[int, bytes]) -> None:
        entry = self.entries.pop(key)
        self._owner.timers.cancel(entry)
        self.dropped += len(entry.waiting)
        entry.waiting.clear()
