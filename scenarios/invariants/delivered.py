"""Laws about frames at containers' interfaces, where encryption and switches are behind them: whose network a frame is
on, how often an echo comes in, and that nothing comes in that no container sent."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from daemon.control.frames import is_echo
from scenarios.invariants.snapshot import View
from scenarios.invariants.statics import Violation
from scenarios.running.swarm import Frame

_WINDOW = 0.25
"""Seconds within which an equal echo is the same one; its sender takes another number each second."""

_PRIVATE = ("bridge", "docker_gwbridge", "host", "none")
FORGED = b"shoal: nobody sent this"
"""What the checker's own forgeries carry: they must not come in anywhere."""


@dataclass(slots=True)
class Delivered:
    """Sees frames; knows by asking the hosts which MACs were ever on which network, and where a local one is.
    heard: which containers got broadcast echoes of (network, MAC)."""

    macs: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)
    heard: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    _shared: dict[str, None] = field(default_factory=dict)
    _judged: dict[str, None] = field(default_factory=dict)
    _echoes: dict[tuple[str, str, bytes], float] = field(default_factory=dict)
    _order: deque[tuple[float, tuple[str, str, bytes]]] = field(default_factory=deque)
    _unknown: deque[Frame] = field(default_factory=lambda: deque(maxlen=256))

    def learn(self, views: dict[str, View]) -> list[Violation]:
        """What the hosts say now; judges what came before it was known."""
        for view in views.values():
            for id, network in view.networks.items():
                self.names[id] = network["Name"]
                if network["Name"] not in _PRIVATE:
                    self._judged[id] = None
                if view.is_overlay(id):
                    self._shared[id] = None
            for id, (name, _) in view.containers.items():
                self.containers[id] = name
            for e in view.endpoints:
                # A local network's MACs are its host's own affair: others may have the same ones.
                if e.mac:
                    where = "" if view.is_overlay(e.network) else e.host
                    self.macs.setdefault(where + e.mac.lower(), {})[e.network] = f"{e.host}/{e.name}"
        waiting, self._unknown = list(self._unknown), deque(maxlen=256)
        return [v for frame in waiting for v in self._isolation(frame)]

    def see(self, frame: Frame, *, duplicating: bool, damaging: bool) -> list[Violation]:
        """What faults may do to packets now explains copies, and whatever a damaged one says."""
        if frame.outgoing:
            return []
        if FORGED in frame.data:
            where = f"{frame.host}/{self.containers.get(frame.container, frame.container[:12])}"
            return [Violation("isolation", f"forged {frame.host} {frame.network}",
                f"{where} got a packet on {self.names.get(frame.network, frame.network[:12])} that no container "
                "sent: the checker made it, and it should have been refused", where)]  # fmt: skip
        if frame.data[0] & 1 and is_echo(frame.data):
            mac = ":".join(f"{b:02x}" for b in frame.data[6:12])
            self.heard.setdefault((frame.network, mac), {})[frame.container] = None
        if damaging:
            return []
        found = self._isolation(frame)
        if not duplicating and is_echo(frame.data):
            found += self._once(frame)
        return found

    def _isolation(self, frame: Frame) -> list[Violation]:
        mac = frame.data[6:12].hex(":")
        own = self.macs.get(mac if frame.network in self._shared else frame.host + mac)
        if own is None or frame.network not in self._judged:
            if mac.startswith("02:42:"):
                self._unknown.append(frame)
            return []
        if frame.network in own:
            return []
        where = f"{frame.host}/{self.containers.get(frame.container, frame.container[:12])}"
        sender = next(iter(own.values()))
        return [Violation("isolation", f"frame {frame.network} {mac}",
                f"{where} got a packet of {sender} ({mac}) on {self.names[frame.network]}, and its sender is only on "
                f"{', '.join(self.names[n] for n in own)}", where)]  # fmt: skip

    def _once(self, frame: Frame) -> list[Violation]:
        key = (frame.container, frame.network, frame.data[26:])  # IP's identification is each copy's own
        before = self._echoes.get(key)
        self._echoes[key] = frame.at
        self._order.append((frame.at, key))
        while self._order and self._order[0][0] < frame.at - _WINDOW:
            at, old = self._order.popleft()
            if self._echoes.get(old) == at:
                del self._echoes[old]
        if before is None or frame.at - before > _WINDOW:
            return []
        ends = " > ".join(".".join(map(str, frame.data[a : a + 4])) for a in (26, 30))
        where = f"{frame.host}/{self.containers.get(frame.container, frame.container[:12])}"
        return [Violation("delivery", f"came twice {frame.container} {frame.network}",
                f"{where} got one ICMP echo ({ends}) twice, and no fault duplicates", where)]  # fmt: skip
