"""Indirect probes from the relay's side: ping the target for somebody, hand back its ack, or a nack when it is mute."""

from __future__ import annotations

from dataclasses import dataclass

from gossip.swim.local import Local
from gossip.swim.member import Address
from gossip.wire.messages import Ack, IndirectPing, Nack, Ping

RELAY_NACK = "relay_nack"
RELAY_END = "relay_end"
CAPACITY = 1024
"""Indirect probes relayed at once; more are refused and counted."""


@dataclass(frozen=True, slots=True)
class _Relayed:
    asker: Address
    asked_seq: int


class Relays:
    def __init__(self, local: Local) -> None:
        self._local = local
        self._relayed: dict[int, _Relayed] = {}

    def request(self, message: IndirectPing, asker: Address, seq: int, now: float) -> None:
        """``seq``: a fresh sequence number of this node."""
        local = self._local
        if len(self._relayed) >= CAPACITY:
            local.drop("relays_full")
            return
        self._relayed[seq] = _Relayed(asker, message.seq)
        local.counters["probes_relayed"] += 1
        local.send((message.address, message.port), Ping(seq, message.node).encode())
        if message.nack:
            local.timers.set((RELAY_NACK, seq), now + local.profile.probe_timeout)
        # A late ack is still worth relaying: the asker's own deadline is longer than ours by its health multiplier.
        local.timers.set((RELAY_END, seq), now + local.profile.probe_interval * local.profile.awareness_max)

    def ack(self, seq: int) -> bool:
        relayed = self._relayed.pop(seq, None)
        if relayed is None:
            return False
        self._local.timers.cancel((RELAY_NACK, seq))
        self._local.timers.cancel((RELAY_END, seq))
        self._local.send(relayed.asker, Ack(relayed.asked_seq).encode())
        return True

    def nack_due(self, seq: int) -> None:
        relayed = self._relayed.get(seq)
        if relayed is not None:
            self._local.send(relayed.asker, Nack(relayed.asked_seq).encode())

    def end(self, seq: int) -> None:
        self._relayed.pop(seq, None)
