"""The state machine of members: what alive, suspect and dead messages do (memberlist: state.go, SWIM 4.2).

      alive(i) beats suspect(j), dead(j)   when i > j
      suspect(i) beats alive(j)            when i >= j;  starts or confirms a suspicion
      dead(i) beats alive(j), suspect(j)   when i >= j;  left when the accused said it itself
      about oneself                        refuted by alive with a higher incarnation, unless leaving

Only the accused raises its incarnation. Everything that changes something is passed on; nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gossip.swim.ears import Ears
from gossip.swim.local import Local
from gossip.swim.member import Address, EventKind, Member, MemberEvent, MemberState
from gossip.swim.plausible import Plausible, incarnation
from gossip.swim.suspicion import Suspicion
from gossip.swim.table import Record, record_of
from gossip.wire.messages import SERF_VERSIONS, Alive, Dead, Suspect

SUSPICION_TIMER = "suspicion"
UNCONFIRMED = "unconfirmed"
_PROTOCOL_MAX = 5
_NOT_YET_MAX = 256
"""Refused newcomers that are remembered."""


class Liveness:
    """``on_suspected`` is called when somebody else's accusation turned a member into a suspect, ``on_recovered`` when
    a dead member came back."""

    def __init__(
        self,
        local: Local,
        ears: Ears,
        *,
        on_suspected: Callable[[str, float], None],
        on_recovered: Callable[[Member, float], None],
    ) -> None:
        self._local = local
        self._ears = ears
        self._awaiting_echo: dict[str, None] = {}
        self._on_suspected = on_suspected
        self._on_recovered = on_recovered
        self._plausible = Plausible(local.config.networks)
        self._suspicions: dict[str, Suspicion] = {}
        self._listening: dict[str, Suspicion] = {}
        self._not_yet: dict[str, tuple[Alive, str]] = {}

    # -- this node itself

    def announce(self, wire_meta: bytes, now: float, *, at_least: int = 0) -> None:
        """Say that this node is alive, with a new incarnation above ``at_least``."""
        local = self._local
        config = local.config
        before = local.table.get(local.name)
        incarnation = max(at_least, before.member.incarnation if before else 0) + 1
        alive = Alive(incarnation, local.name, config.address, config.port, wire_meta, SERF_VERSIONS)
        local.table.put(record_of(alive, MemberState.ALIVE, before.member.since if before is not None else now))
        local.spread(local.name, alive.encode(), now)

    def _refute(self, accusation: int, accuser: str, now: float) -> None:
        local = self._local
        record = local.table.get(local.name)
        if record is None or local.leaving:
            return
        local.counters["refuted"] += 1
        if not self._mutual(accuser, now):
            local.awareness.apply(1)
        self.announce(record.wire_meta, now, at_least=accusation)

    def _mutual(self, accuser: str, now: float) -> bool:
        """Whether this node held its accuser dead as well, until just now: then a cut between them has healed, which is
        no slowness of ours. A health score raised by it would make the next cut be noticed late."""
        profile = self._local.profile
        if profile.silence_is_slowness or (record := self._local.table.get(accuser)) is None:
            return False
        member = record.member
        return not member.reachable or now - member.since < profile.probe_interval * profile.awareness_max

    # -- alive

    def alive(self, message: Alive, told_by: str, now: float) -> None:
        local = self._local
        name = message.node
        if len(message.versions) == 6 and (message.versions[0] > _PROTOCOL_MAX or message.versions[1] < 1):
            local.drop("incompatible_protocol")
            return
        before = local.table.get(name)
        if self._from_the_future(message, before):
            return
        if name == local.name:
            self._alive_about_us(message, now)
            return
        if not local.allowed(name):
            local.drop("not_in_roster")
            if name in self._not_yet or len(self._not_yet) < _NOT_YET_MAX:
                self._not_yet[name] = (message, told_by)
            return
        moved = before is not None and before.member.endpoint != (message.address, message.port)
        if (before is None or moved) and not self._plausible.address(message.address, message.port):
            local.drop("bad_address")
            return
        reclaimed = False
        if before is not None and moved:
            reclaimed = self._may_move(before.member, now)
            if not reclaimed:
                if message.incarnation >= before.member.incarnation:
                    local.drop("name_conflict")
                return
        if before is not None and message.incarnation <= before.member.incarnation and not reclaimed:
            return
        self._clear_suspicion(name)
        was = before.member if before is not None else None
        since = was.since if was is not None and was.state is MemberState.ALIVE else now
        record = record_of(message, MemberState.ALIVE, since)
        local.table.put(record)
        local.expelled.pop(record.member.endpoint, None)
        local.recent_dead.pop(name, None)
        local.spread(name, message.encode(), now)
        member = record.member
        if was is None:
            self._tell(EventKind.JOINED, member, None, now, "alive", told_by)
        elif was.state is not MemberState.ALIVE:
            reason = "refuted the suspicion" if was.state is MemberState.SUSPECT else "alive again"
            self._tell(EventKind.RECOVERED, member, was, now, reason, told_by)
            if not was.reachable:
                self._on_recovered(member, now)
        elif was.meta != member.meta or moved:
            self._tell(EventKind.UPDATED, member, was, now, "alive with new data", told_by)

    def readmit(self, now: float) -> None:
        """Gossip of a newcomer may outrun the roster's news of him: look again at those who were refused."""
        for name, (message, told_by) in list(self._not_yet.items()):
            if self._local.allowed(name):
                del self._not_yet[name]
                self.alive(message, told_by, now)

    def _alive_about_us(self, message: Alive, now: float) -> None:
        """Either our own words coming back, or somebody who thinks he is us, or our past life."""
        local = self._local
        own = local.table.get(local.name)
        if own is None or local.leaving or message.incarnation < own.member.incarnation:
            return
        if (message.address, message.port) != own.member.endpoint:
            local.drop("name_conflict")
            return
        same = message.meta == own.wire_meta and message.versions == own.versions
        if message.incarnation == own.member.incarnation and same:
            return
        self._refute(message.incarnation, "", now)

    def _from_the_future(self, message: Alive | Suspect | Dead, known: Record | None) -> bool:
        if incarnation(message.incarnation, known.member.incarnation if known is not None else None):
            return False
        self._local.drop("from_the_future")
        return True

    def _may_move(self, member: Member, now: float) -> bool:
        if member.state is MemberState.LEFT:
            return True
        reclaim = self._local.profile.name_reclaim
        if member.state is not MemberState.DEAD or reclaim is None or now - member.since < reclaim:
            return False
        # serf's agents give a failed member's name to nobody; while there are any, the cluster must agree.
        table = self._local.table
        return all(record is None or record.member.native for record in map(table.get, table.live))

    # -- suspect

    def suspect(self, message: Suspect, told_by: str, now: float, reason: str, *, refused: bool = False) -> None:
        """``refused``: this node itself found the subject's port closed."""
        local = self._local
        name = message.node
        record = local.table.get(name)
        if record is None or message.incarnation < record.member.incarnation or self._from_the_future(message, record):
            return
        if name == local.name:
            self._refute(message.incarnation, message.accuser, now)
            return
        suspicion = self._suspicions.get(name)
        if suspicion is not None:
            if message.incarnation > suspicion.incarnation:
                # An accusation of a later incarnation than was known: only a still later one refutes it.
                suspicion.incarnation = message.incarnation
                self._change(record, MemberState.SUSPECT, message.incarnation, record.member.since)
            if suspicion.confirm(message.accuser, now):
                local.counters["suspicions_confirmed"] += 1
                local.spread(name, message.encode(), now, accuser=message.accuser)
            if refused:
                suspicion.refused(now)
            # A confirmation may end it in the past: that is now, and not a timer that is served late.
            local.timers.set((SUSPICION_TIMER, name), max(now, suspicion.deadline))
            return
        if record.member.state is not MemberState.ALIVE:
            return
        suspicion = Suspicion(
            local.profile,
            accuser=message.accuser,
            incarnation=message.incarnation,
            members=local.table.size,
            now=now,
            own=local.name,
        )
        if refused:
            suspicion.refused(now)
        self._suspicions[name] = suspicion
        self._listening[name] = suspicion
        was = record.member
        local.timers.set((SUSPICION_TIMER, name), suspicion.deadline)
        member = self._change(record, MemberState.SUSPECT, message.incarnation, now)
        local.spread(name, message.encode(), now, accuser=message.accuser)
        local.counters["suspicions"] += 1
        self._tell(EventKind.SUSPECTED, member, was, now, reason, told_by, message.accuser)
        if message.accuser != local.name:
            self._on_suspected(name, now)
        local.timers.set((UNCONFIRMED, name), now + local.profile.probe_interval)

    def unconfirmed(self, name: str, now: float) -> None:
        """A period has passed, and nobody confirmed a suspicion that others could confirm: whoever accused says it
        again (in a cut most copies fall on the deaf), whoever only heard of it perhaps looks for himself."""
        suspicion = self._suspicions.get(name)
        if suspicion is None or suspicion.confirmers:
            return
        local = self._local
        if suspicion.accuser == local.name:
            accusation = Suspect(suspicion.incarnation, name, local.name)
            local.spread(name, accusation.encode(), now, accuser=local.name)
        else:
            self._on_suspected(name, now)
        local.timers.set((UNCONFIRMED, name), now + local.profile.probe_interval)

    def heard(self, sender: str) -> None:
        """A packet came from a member: whoever is heard could confirm what is suspected."""
        for name, suspicion in list(self._listening.items()):
            if sender != name and not suspicion.heard(sender):
                del self._listening[name]

    @property
    def suspects(self) -> int:
        """How many members are suspected now."""
        return len(self._suspicions)

    def suspicion_ended(self, name: str, now: float) -> None:
        """Nobody refuted in time."""
        suspicion = self._suspicions.get(name)
        if suspicion is None:
            return
        if suspicion.deadline > now:
            suspicion.asked = None
            self._local.timers.set((SUSPICION_TIMER, name), suspicion.deadline)
            return
        if suspicion.asked is None:
            suspicion.asked = now
        if self._ears.must_wait(suspicion.asked, now):
            # The echo comes behind all that waits in our socket, a refutation perhaps.
            self._awaiting_echo[name] = None
            self._ears.ask(now)
            self._local.timers.set((SUSPICION_TIMER, name), now + self._local.profile.gossip_interval)
            return
        reason = f"suspicion timed out after {now - suspicion.started:.1f} s"
        own = self._local.name
        self.dead(Dead(suspicion.incarnation, name, own), own, now, reason)

    def echoed(self, now: float) -> None:
        """This node heard its own echo: verdicts that waited for it."""
        waiting, self._awaiting_echo = self._awaiting_echo, {}
        for name in waiting:
            self.suspicion_ended(name, now)

    def stalled(self, now: float, late: float) -> None:
        """This node was stopped for ``late`` seconds: the silence of others meanwhile is no evidence."""
        for name, suspicion in self._suspicions.items():
            suspicion.stalled(now, late)
            self._listening[name] = suspicion
            self._local.timers.set((SUSPICION_TIMER, name), suspicion.deadline)

    def _clear_suspicion(self, name: str) -> None:
        if self._suspicions.pop(name, None) is not None:
            self._listening.pop(name, None)
            self._awaiting_echo.pop(name, None)
            self._local.timers.cancel((SUSPICION_TIMER, name))
            self._local.timers.cancel((UNCONFIRMED, name))

    # -- dead and left

    def dead(self, message: Dead, told_by: str, now: float, reason: str) -> None:
        local = self._local
        name = message.node
        record = local.table.get(name)
        if record is None or message.incarnation < record.member.incarnation or self._from_the_future(message, record):
            return
        if name == local.name and not local.leaving:
            self._refute(message.incarnation, message.accuser, now)
            return
        if not record.member.reachable:
            self._more_of_the_gone(message, record, told_by, now)
            return
        if message.accuser not in (name, local.name) and self._may_still_speak(message, told_by, now):
            return
        accusers = [message.accuser]
        suspicion = self._suspicions.get(name)
        if suspicion is not None and message.accuser == local.name:
            accusers = [suspicion.accuser, *suspicion.confirmers]
        self._clear_suspicion(name)
        was = record.member
        left = message.accuser == name
        member = self._change(record, MemberState.LEFT if left else MemberState.DEAD, message.incarnation, now)
        local.spread(name, message.encode(), now)
        if name == local.name:
            return
        if not left:
            local.recent_dead[name] = now
        local.counters["left" if left else "failed"] += 1
        kind = EventKind.LEFT if left else EventKind.FAILED
        why = "left on purpose" if left else reason
        self._tell(kind, member, was, now, why, told_by, "" if left else ", ".join(accusers))

    def _may_still_speak(self, message: Dead, told_by: str, now: float) -> bool:
        """Another's verdict, of which this node did not even know the suspicion until now: the accused should have
        time to hear of it and to refute, as with a push/pull. Whoever was slow or cut off brings many of these."""
        time = self._local.profile.time_to_refute
        suspicion = self._suspicions.get(message.node)
        if time <= 0 or (suspicion is not None and now >= suspicion.started + time):
            return False
        said = Suspect(message.incarnation, message.node, message.accuser)
        self.suspect(said, told_by, now, f"declared dead by {message.accuser}")
        suspicion = self._suspicions.get(message.node)
        if suspicion is None:
            return False
        suspicion.condemn(message.accuser)
        self._local.timers.set((SUSPICION_TIMER, message.node), max(now, suspicion.deadline))
        return True

    def _more_of_the_gone(self, message: Dead, record: Record, told_by: str, now: float) -> None:
        """Of two words about who is gone the later incarnation's holds; of one, his own word that he left. memberlist
        keeps what came first, so that members go on to disagree on failed or left."""
        was = record.member
        state = MemberState.LEFT if message.accuser == message.node else MemberState.DEAD
        if (message.incarnation, state) <= (was.incarnation, was.state) or was.name == self._local.name:
            return
        member = self._change(record, state, message.incarnation, now if state is not was.state else was.since)
        self._local.spread(was.name, message.encode(), now)
        if state is not was.state:
            left = state is MemberState.LEFT
            kind, why = (EventKind.LEFT, "left on purpose") if left else (EventKind.FAILED, "declared dead")
            if left:
                self._local.recent_dead.pop(was.name, None)
            self._tell(kind, member, was, now, why, told_by, "" if left else message.accuser)

    def force_left(self, name: str, forget: bool, now: float) -> None:
        """Somebody declared that a failed member left for good (``serf force-leave``)."""
        record = self._local.table.get(name)
        if record is None or record.member.reachable:
            return
        was = record.member
        if was.state is MemberState.DEAD:
            self._local.recent_dead.pop(name, None)
            member = self._change(record, MemberState.LEFT, was.incarnation, now)
            self._tell(EventKind.LEFT, member, was, now, "declared as left", name)
        if forget:
            self._local.table.forget(name)

    def expel(self, name: str, now: float) -> None:
        """Forget a member that the roster no longer has."""
        record = self._local.table.get(name)
        if record is None or name == self._local.name:
            return
        self._clear_suspicion(name)
        self._local.rumours.discard(name)
        self._local.table.forget(name)
        self._local.recent_dead.pop(name, None)
        self._local.expelled[record.member.endpoint] = name
        if record.member.reachable:
            gone = replace(record.member, state=MemberState.LEFT, since=now)
            self._tell(EventKind.LEFT, gone, record.member, now, "no longer in the roster", self._local.name)

    # --

    def _change(self, record: Record, state: MemberState, incarnation: int, now: float) -> Member:
        member = replace(record.member, state=state, incarnation=incarnation, since=now)
        self._local.table.put(replace(record, member=member))
        return member

    def _tell(
        self,
        kind: EventKind,
        member: Member,
        before: Member | None,
        now: float,
        reason: str,
        told_by: str,
        accused_by: str = "",
    ) -> None:
        self._local.events.append(MemberEvent(kind, member, before, now, reason, told_by, accused_by))


def teller(local: Local, address: Address) -> str:
    """The name of whoever sends from an address, for people to read."""
    record = local.table.at(address)
    return record.member.name if record is not None else f"{address[0]}:{address[1]}"
