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
    """Sees frames; knows by asking the hosts which MACs were ever on which network, and where a local one is. A MAC is
    held again with its address, on another network too: what hosts say after a frame decides.

    heard: which containers got broadcast echoes of (network, MAC). A forgery seems to come from a host that is not on
    the network: it counts unless a host came on it between two looks.
    """

    macs: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)
    heard: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    _shared: dict[str, None] = field(default_factory=dict)
    _judged: dict[str, None] = field(default_factory=dict)
    _echoes: dict[tuple[str, str, bytes], float] = field(default_factory=dict)
    _order: deque[tuple[float, tuple[str, str, bytes]]] = field(default_factory=deque)
    _present: dict[str, None] = field(default_factory=dict)
    _doubts: dict[tuple[str, str, str], Frame] = field(default_factory=dict)
    _forged: dict[tuple[str, str], Frame] = field(default_factory=dict)
    _on: dict[str, set[str]] = field(default_factory=dict)

    def learn(self, views: dict[str, View]) -> list[Violation]:
        """What the hosts say now; judges what came before they were asked."""
        self._present = {}
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
                    self._present[where + e.mac.lower()] = None
        asked = min((view.at for view in views.values()), default=0.0)
        ripe = [key for key, frame in self._doubts.items() if frame.at < asked]
        found = [violation for key in ripe for violation in self._decided(self._doubts.pop(key))]
        before, self._on = self._on, {}
        for view in views.values():
            for e in view.endpoints:
                self._on.setdefault(e.network, set()).add(e.host)
        forged, self._forged = self._forged, {}
        came = [id for id, hosts in self._on.items() if not hosts <= before.get(id, set())]
        return found + [self._let_in(frame) for frame in forged.values() if frame.network not in came]

    def see(self, frame: Frame, *, duplicating: bool, damaging: bool) -> list[Violation]:
        """What faults may do to packets now explains copies, and whatever a damaged one says."""
        if frame.outgoing:
            return []
        if FORGED in frame.data:
            self._forged.setdefault((frame.host, frame.network), frame)
            return []
        if frame.data[0] & 1 and is_echo(frame.data):
            mac = ":".join(f"{b:02x}" for b in frame.data[6:12])
            self.heard.setdefault((frame.network, mac), {})[frame.container] = None
        if damaging:
            return []
        mac = self._place(frame)
        if frame.network not in self.macs.get(mac, ()) and (mac in self.macs or "02:42:" in mac):
            self._doubts.setdefault((frame.container, frame.network, mac), frame)
        return self._once(frame) if not duplicating and is_echo(frame.data) else []

    def _place(self, frame: Frame) -> str:
        """The sender's MAC; a local network's behind its host's name."""
        return ("" if frame.network in self._shared else frame.host) + frame.data[6:12].hex(":")

    def _decided(self, frame: Frame) -> list[Violation]:
        mac = self._place(frame)
        own = self.macs.get(mac, {})
        if mac not in self._present or frame.network not in self._judged or frame.network in own:
            return []
        where = f"{frame.host}/{self.containers.get(frame.container, frame.container[:12])}"
        sender = next(iter(own.values()))
        return [Violation("isolation", f"frame {frame.network} {mac}",
                f"{where} got a packet of {sender} ({mac[-17:]}) on {self.names[frame.network]}, and its sender is "
                f"only on {', '.join(self.names[n] for n in own)}", where)]  # fmt: skip

    def _let_in(self, frame: Frame) -> Violation:
        where = f"{frame.host}/{self.containers.get(frame.container, frame.container[:12])}"
        return Violation("isolation", f"forged {frame.host} {frame.network}",
            f"{where} got a packet on {self.names.get(frame.network, frame.network[:12])} that no container "
            "sent: the checker made it, and it should have been refused", where)  # fmt: skip

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
