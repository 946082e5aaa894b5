"""SWIM's failure detector: one member probed per protocol period, in shuffled round-robin order (SWIM 4.3).

A probe is: ping; after ``probe_timeout`` without ack, k members are asked for indirect probes and a ping goes over TCP;
at the end of the period the verdict. Lifeguard adds nacks (a relay that answers "I cannot reach it either" shows that
*we* are not the problem), the local health multiplier, and the accusation sent to the suspect with the ping.

Ours adds probes out of turn, for a reason: an idle stream broke, a port refused a datagram, somebody accuses the
member, a relay stayed mute; when all did, everybody is asked (``survey``). They are bounded by a token bucket. A
refused TCP ping ends a probe early, but never before ``probe_timeout``: an ack by UDP beats it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from gossip.swim.bucket import TokenBucket
from gossip.swim.dials import DialPing, StreamPingResult
from gossip.swim.ears import Ears
from gossip.swim.local import Local
from gossip.swim.member import MemberState
from gossip.swim.shuffle import lazily_shuffled
from gossip.swim.survey import Survey
from gossip.wire.messages import IndirectPing, Ping, Suspect

PROBE_TICK = "probe"
PROBE_INDIRECT = "probe_indirect"
PROBE_VERDICT = "probe_verdict"
_SEQ_MASK = 0xFFFFFFFF
_PROTOCOL_WITH_NACK = 4
_OVERDUE_MAX = 64
"""Failed probes whose late nacks are still counted."""
_CUT_FROM = 2
"""So many relays, all mute, look like a cut."""
_WITHHELD_MAX = 64
"""Probes out of turn that wait for a token."""
_RING_FROM = 3
"""With fewer others a fixed round-robin already probes each of them every other period."""


@dataclass(slots=True)
class Probe:
    seq: int
    name: str
    incarnation: int
    started: float
    timeout: float
    reason: str
    dialled: bool = False
    refused: bool = False
    contacted: bool = False
    """Acked over TCP: alive, though UDP does not get through."""
    asked: float | None = None
    """When relays were asked, and this node for its own echo."""
    relays: list[str] = field(default_factory=list)
    nacked: list[str] = field(default_factory=list)


class Prober:
    """``accuse(name, incarnation, reason, refused, now)`` is called for each failed probe."""

    def __init__(self, local: Local, ears: Ears, accuse: Callable[[str, int, str, bool, float], None]) -> None:
        self._local = local
        self._ears = ears
        self._accuse = accuse
        self._order: Iterator[str] = iter(())
        self._probes: dict[int, Probe] = {}
        self._by_name: dict[str, int] = {}
        self._periods = 0
        self._heard: dict[str, float] = {}
        """Who was heard within the last period, and when, in this order."""
        self._overdue: dict[int, int] = {}
        self._withheld: dict[str, tuple[str, bool]] = {}
        self._survey = Survey()
        self._next_seq = local.random.getrandbits(31)
        self._out_of_turn = TokenBucket(local.profile.evidence_rate, local.profile.evidence_burst)

    def next_seq(self) -> int:
        self._next_seq = (self._next_seq + 1) & _SEQ_MASK
        return self._next_seq

    # -- in turn

    def start(self, now: float) -> None:
        """The first period begins at a random moment, so that members do not probe in step."""
        self._schedule(now, self._local.random.random() * self._local.profile.probe_interval)

    def _schedule(self, now: float, delay: float) -> None:
        self._local.timers.set((PROBE_TICK, ""), now + delay)

    def tick(self, now: float) -> None:
        """One period. Every other one the successor in the ring of names is probed, so that everybody is at least every
        two periods, at any n; else round-robin, so that everybody is by all in the end."""
        local = self._local
        profile = local.profile
        self._schedule(now, local.awareness.scale(profile.probe_interval))
        self._periods += 1
        if profile.ring_probes and len(local.table.live) >= _RING_FROM:
            successor = local.table.successor() if self._periods % 2 else None
            if successor is not None and successor not in self._by_name:
                self.probe(successor, now, "in turn")
                return
            if profile.rest_every and self._periods // 2 % profile.rest_every == 0:
                return
        name = self._next_target()
        if name is None:
            return
        if self._was_heard(name, now):
            local.counters["probes_spared"] += 1
            return
        self.probe(name, now, "in turn")

    def _next_target(self) -> str | None:
        for fresh in (False, True):
            if fresh:
                names = self._local.table.live_now()
                self._order = lazily_shuffled(names, self._local.random) if len(names) >= _RING_FROM else iter(names)
            for name in self._order:
                record = self._local.table.get(name)
                if record is not None and record.member.reachable and name not in self._by_name:
                    return name
        return None

    def heard(self, name: str, now: float) -> None:
        """A packet of a member came: it lives."""
        if not self._local.profile.heard_counts:
            return
        self._heard.pop(name, None)
        self._heard[name] = now
        while self._heard[first := next(iter(self._heard))] < now - self._local.profile.probe_interval:
            del self._heard[first]

    def _was_heard(self, name: str, now: float) -> bool:
        """Whether a member need not be asked, for it spoke within the last period. As each is probed by its predecessor
        in the ring all the same, this spares packets and costs no time; of two that probe each other only one does."""
        if not self._is_alive(name):
            return False
        return now - self._heard.get(name, -math.inf) < self._local.profile.probe_interval

    # -- out of turn

    def probe_for(self, name: str, now: float, reason: str, *, patient: bool = True) -> None:
        """Probe now because something happened; both by UDP and TCP at once. ``patient``: as our health score says."""
        record = self._local.table.get(name)
        if record is None or not record.member.reachable or name == self._local.name:
            return
        running = self._by_name.get(name)
        if running is not None and self._probes[running].dialled:
            return
        if not self._out_of_turn.take(now):
            if len(self._withheld) < _WITHHELD_MAX:
                self._withheld[name] = (reason, patient)
            self._local.counters["probes_out_of_turn_withheld"] += 1
            return
        self._withheld.pop(name, None)
        self._local.counters["probes_out_of_turn"] += 1
        # A probe in turn that is under way may have been answered before what we now have a reason to ask about.
        self.cancel(name)
        self._dial(self.probe(name, now, reason, patient=patient))

    def probe_withheld(self, now: float) -> None:
        """The token bucket has filled a little: make up for probes that it held back."""
        while self._withheld and self._out_of_turn.has_token(now):
            name = next(iter(self._withheld))
            reason, patient = self._withheld.pop(name)
            self.probe_for(name, now, reason, patient=patient)

    # -- one probe

    def probe(self, name: str, now: float, reason: str, *, patient: bool = True) -> Probe:
        """``name`` is a known member."""
        local = self._local
        record = local.table.get(name)
        assert record is not None
        member = record.member
        scale = local.awareness.scale if patient else float
        timeout = scale(local.profile.probe_timeout)
        probe = Probe(self.next_seq(), name, member.incarnation, now, timeout, reason)
        self._probes[probe.seq] = probe
        self._by_name[name] = probe.seq
        ping = Ping(probe.seq, name).encode()
        if member.state is MemberState.SUSPECT and local.profile.buddy_system:
            # Lifeguard's buddy system: the suspect hears of it with the next ping.
            local.send(member.endpoint, Suspect(member.incarnation, name, local.name).encode(), ping)
        else:
            local.send(member.endpoint, ping)
        local.timers.set((PROBE_INDIRECT, probe.seq), now + timeout)
        local.timers.set((PROBE_VERDICT, probe.seq), now + scale(local.profile.probe_deadline))
        local.counters["probes"] += 1
        return probe

    def ack(self, seq: int) -> bool:
        """False when no probe of ours waits for it."""
        probe = self._probes.get(seq)
        if probe is None:
            return False
        self._finish(probe)
        self._local.awareness.apply(-1)
        self._surveyed(probe.name, answered=True)
        return True

    def nack(self, seq: int, sender: str) -> bool:
        probe = self._probes.get(seq)
        if probe is None:
            self._late_nack(seq)
            return False
        if sender in probe.relays and sender not in probe.nacked:
            probe.nacked.append(sender)
        return True

    def stream_ping_result(self, seq: int, result: StreamPingResult, now: float) -> None:
        probe = self._probes.get(seq)
        if probe is None:
            return
        if result is StreamPingResult.ACKED:
            probe.contacted = True
        elif result is StreamPingResult.REFUSED:
            probe.refused = True
            if now >= probe.started + probe.timeout:
                self._fail(probe, now)

    def indirect_due(self, seq: int, now: float) -> None:
        """The direct ack did not come in time."""
        probe = self._probes.get(seq)
        if probe is None:
            return
        if probe.refused:
            self._fail(probe, now)
            return
        local = self._local
        record = local.table.get(probe.name)
        if record is None:
            self._finish(probe)
            return
        live = lazily_shuffled(local.table.live, local.random)
        others = (name for name in live if name != probe.name and self._is_alive(name))
        for name in islice(others, local.profile.indirect_probes):
            relay = local.table.get(name)
            assert relay is not None
            speaks_nack = len(relay.versions) == 6 and relay.versions[1] >= _PROTOCOL_WITH_NACK
            nacks = speaks_nack and local.profile.lha_probe
            member = record.member
            request = IndirectPing(probe.seq, member.address, member.port, probe.name, nacks)
            local.send(relay.member.endpoint, request.encode())
            if nacks:
                probe.relays.append(name)
        local.counters["probes_indirect"] += 1
        self._dial(probe)
        probe.asked = now
        self._ears.ask(now)

    def _is_alive(self, name: str) -> bool:
        record = self._local.table.get(name)
        return record is not None and record.member.state is MemberState.ALIVE

    def _dial(self, probe: Probe) -> None:
        record = self._local.table.get(probe.name)
        if probe.dialled or record is None:
            return
        probe.dialled = True
        left = max(0.05, self._local.awareness.scale(self._local.profile.probe_deadline))
        self._local.dials.append(DialPing(probe.seq, probe.name, record.member.endpoint, left))

    def verdict_due(self, seq: int, now: float) -> None:
        """The period is over and no ack came."""
        probe = self._probes.get(seq)
        if probe is not None:
            self._fail(probe, now)

    def _fail(self, probe: Probe, now: float) -> None:
        local = self._local
        self._finish(probe)
        if probe.asked is not None and not probe.refused and self._ears.must_wait(probe.asked, now):
            # Not even our own echo came back: what we did not hear is no evidence of anything but our own health.
            local.counters["verdicts_of_the_deaf"] += 1
            local.awareness.apply(1)
            return
        mute = [name for name in probe.relays if name not in probe.nacked]
        if not probe.refused:
            local.counters["nacks_missing"] += len(mute)
            if not probe.relays:
                local.awareness.apply(1)
            elif local.profile.silence_is_slowness:
                local.awareness.apply(len(mute))
            else:
                self._unanswered(probe)
        self._surveyed(probe.name, answered=probe.contacted)
        if probe.contacted:
            local.counters["probes_answered_by_tcp_only"] += 1
            return
        local.counters["probes_failed"] += 1
        reason = "port refused a connection and no ack to probe" if probe.refused else "no ack to probe"
        if probe.reason != "in turn":
            reason += f" ({probe.reason})"
        self._accuse(probe.name, probe.incarnation, reason, probe.refused, now)
        if not probe.refused:
            self._ask_on(probe, mute, now)

    def _finish(self, probe: Probe) -> None:
        self._probes.pop(probe.seq, None)
        if self._by_name.get(probe.name) == probe.seq:
            del self._by_name[probe.name]
        self._local.timers.cancel((PROBE_INDIRECT, probe.seq))
        self._local.timers.cancel((PROBE_VERDICT, probe.seq))

    def _ask_on(self, probe: Probe, mute: list[str], now: float) -> None:
        """Whom to ask next: the mute relays; if all of them were mute this is perhaps a cut, and then everybody.
        Silence all around is no slowness of ours, so our health does not lengthen these probes."""
        if len(mute) < max(_CUT_FROM, len(probe.relays)):
            for name in filter(self._is_alive, mute):
                self.probe_for(name, now, f"mute as relay for {probe.name}", patient=False)
            return
        if not self._survey.may_begin(now):
            if self._survey.sick:
                self._local.awareness.apply(1)
            return
        self._local.counters["surveys"] += 1
        everybody = lazily_shuffled(self._local.table.live_now(), self._local.random)
        asked = list(islice(filter(self._is_alive, everybody), _WITHHELD_MAX))
        self._survey.begin(asked, now)
        for name in asked:
            self.probe_for(name, now, f"all relays mute for {probe.name}", patient=False)

    def _surveyed(self, name: str, *, answered: bool) -> None:
        asked = [other for other in self._withheld if self._survey.asks(other)]
        if self._survey.result(name, answered=answered):
            self._local.counters["surveys_found_us_sick"] += 1
            self._local.awareness.apply(1)
            for other in asked:
                self._withheld.pop(other, None)

    def _unanswered(self, probe: Probe) -> None:
        """A slow member hears late, one that is cut off hears never: what counts against our health is each nack that
        comes after the verdict, not the silence. (A late ack may be the slowness of whom we probed.)"""
        self._overdue[probe.seq] = len(probe.relays) - len(probe.nacked)
        if len(self._overdue) > _OVERDUE_MAX:
            del self._overdue[next(iter(self._overdue))]

    def _late_nack(self, seq: int) -> None:
        left = self._overdue.get(seq, 0)
        if left:
            self._overdue[seq] = left - 1
            self._local.awareness.apply(1)

    def cancel(self, name: str) -> None:
        """The question is answered by other means (left, dead, expelled)."""
        seq = self._by_name.get(name)
        if seq is not None:
            self._finish(self._probes[seq])

    def restart(self, now: float) -> None:
        """This node was stopped: no running probe says anything; ask the same members again."""
        for probe in list(self._probes.values()):
            self._finish(probe)
            record = self._local.table.get(probe.name)
            if record is not None and record.member.reachable:
                self.probe(probe.name, now, probe.reason)
        self._schedule(now, self._local.awareness.scale(self._local.profile.probe_interval))
