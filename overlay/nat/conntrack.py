"""The table of flows that a host forwards, and how long it remembers each.

A flow is two tuples: that of its first packet, and that of the answers as they arrive here; where they are not inverse
to each other the flow is translated. Its life follows TCP's state (an idle but established connection is kept for days:
moby 31208 is what happens otherwise). Timeouts are Linux's (net.netfilter.nf_conntrack_*).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from overlay.nat.tuples import Tuple
from overlay.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP, Packet

_FIN, _SYN, _RST = 0x01, 0x02, 0x04

TCP_ESTABLISHED = 432000.0
TCP_OPENING = 120.0
TCP_CLOSING = 120.0
TCP_RESET = 10.0
UDP_NEW = 30.0
UDP_STREAM = 120.0
OTHER = 30.0
"""Seconds without a packet after which a flow is forgotten."""

LIMIT = 65536
_SWEEP_EVERY = 30.0


class Flow:
    """One tracked flow. `number` > 0 marks its packets on their way through the stack, negative in answers."""

    __slots__ = ("answered", "closing", "expires", "number", "original", "reply", "reset")

    def __init__(self, number: int, original: Tuple, reply: Tuple, expires: float) -> None:
        self.number = number
        self.original = original
        self.reply = reply
        self.expires = expires
        self.answered = False
        self.closing = 0
        self.reset = False


class Conntrack:
    """Flows by tuple and by number. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float], *, counters: Counter[str], limit: int = LIMIT) -> None:
        self._clock = clock
        self._counters = counters
        self._limit = limit
        self._by_tuple: dict[Tuple, tuple[Flow, bool]] = {}
        self._by_number: dict[int, Flow] = {}
        self._next = 1
        self._swept = 0.0

    def __len__(self) -> int:
        return len(self._by_number)

    def find(self, key: Tuple) -> tuple[Flow, bool] | None:
        """The living flow that a tuple belongs to, and whether it is the answers' side."""
        hit = self._by_tuple.get(key)
        if hit is not None and hit[0].expires < self._clock():
            self.forget(hit[0])
            return None
        return hit

    def numbered(self, mark: int) -> Flow | None:
        """The flow that a packet was marked with."""
        return self._by_number.get(abs(mark))

    def free(self, key: Tuple) -> bool:
        """Whether a tuple is nobody's."""
        return self.find(key) is None

    def add(self, original: Tuple, reply: Tuple) -> Flow | None:
        """Track a new flow; None (counted) when the table is full of living ones."""
        now = self._clock()
        if now - self._swept > _SWEEP_EVERY or len(self._by_number) >= self._limit:
            self._sweep(now)
        if len(self._by_number) >= self._limit:
            self._counters["nat_dropped_table_full"] += 1
            return None
        flow = Flow(self._next, original, reply, now + OTHER)
        self._next += 1
        self._by_number[flow.number] = flow
        self._by_tuple[original] = flow, False
        self._by_tuple[reply] = flow, True
        return flow

    def forget(self, flow: Flow) -> None:
        """Drop a flow."""
        self._by_number.pop(flow.number, None)
        for key in (flow.original, flow.reply):
            hit = self._by_tuple.get(key)
            if hit is not None and hit[0] is flow:
                del self._by_tuple[key]

    def forget_all(self, doomed: Callable[[Flow], bool]) -> None:
        """Drop every flow that `doomed` says yes to."""
        for flow in [flow for flow in self._by_number.values() if doomed(flow)]:
            self.forget(flow)

    def saw(self, flow: Flow, packet: Packet, answer: bool) -> None:
        """A packet of the flow passed: its state and its time to live follow."""
        if answer:
            flow.answered = True
        if packet.protocol == PROTOCOL_TCP and len(packet.payload) >= 14:
            keep = self._saw_tcp(flow, packet.payload[13], answer)
        elif packet.protocol == PROTOCOL_UDP:
            keep = UDP_STREAM if flow.answered else UDP_NEW
        else:
            keep = OTHER
        flow.expires = self._clock() + keep

    def _saw_tcp(self, flow: Flow, flags: int, answer: bool) -> float:
        if flags & _RST:
            flow.reset = True
        elif flags & _SYN and not answer:
            flow.closing, flow.reset, flow.answered = 0, False, False  # the ports are used again
        elif flags & _FIN:
            flow.closing |= 2 if answer else 1
        if flow.reset:
            return TCP_RESET
        if flow.closing:
            return TCP_CLOSING if flow.closing == 3 else TCP_ESTABLISHED / 10
        return TCP_ESTABLISHED if flow.answered else TCP_OPENING

    def _sweep(self, now: float) -> None:
        self._swept = now
        self.forget_all(lambda flow: flow.expires < now)
