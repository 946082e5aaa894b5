"""LHA-Suspicion: a suspicion lasts long when one member holds it and shortens with each that confirms it.

Lifeguard section IV-B (memberlist: suspicion.go): timeout after c confirmations = max(min, max - log(c+1)/log(k+1) *
(max - min)). Ours adds refused evidence: when the subject's port refused a connection its process is gone, and the
suspicion ends ``refused_timeout`` later (twice that until somebody confirms), which still leaves time to refute.

Ours also bounds k by who can still be heard (``profile.audible_confirmations``): a confirmation can only come from a
member of whom at least one packet arrived since the suspicion began. With three or more silent at once, as on the
small side of a cut, Lifeguard waits its longest for voices that the cut holds back; here, whoever hears nobody else
does not wait for anybody. A member that holds messages back while its timers run hears nobody either; it is kept from
a verdict by its own echo, which does not come (``ears``). And what comes late, a confirmation or another's verdict,
leaves the accused time to speak (``profile.time_to_refute``).
"""

from __future__ import annotations

import math

from gossip.swim.profile import Profile


class Suspicion:
    """One running suspicion; all times in seconds of the local clock."""

    def __init__(
        self, profile: Profile, *, accuser: str, incarnation: int, members: int, now: float, own: str = ""
    ) -> None:
        """``members``: how many there are, the subject and this node, ``own``, included."""
        self.accuser = accuser
        self.incarnation = incarnation
        self.started = now
        self._refused_timeout = profile.refused_timeout
        self._refused_at: float | None = None
        self._hiccup = profile.probe_deadline
        self._grace = profile.probe_timeout
        self._not_before = now
        self._time_to_refute = profile.time_to_refute
        self.asked: float | None = None
        """When this node asked for its own echo before the verdict."""
        self._expected = profile.confirmations if profile.lha_suspicion else 0
        if members - 2 < self._expected:
            self._expected = 0
        size = max(1.0, math.log(max(1, members), profile.suspicion_log))
        self._shortest = profile.suspicion_mult * size * profile.probe_interval
        self._longest = profile.suspicion_max_mult * self._shortest
        self._confirmers: dict[str, None] = {}
        self._condemned_by: dict[str, None] = {}
        self._own = own
        self._audible: dict[str, None] | None = {} if profile.audible_confirmations else None
        self.heard(own)

    def confirm(self, accuser: str, now: float) -> bool:
        """True if this is news that shortens the suspicion and is worth passing on."""
        if len(self._confirmers) >= self._expected or accuser == self.accuser or accuser in self._confirmers:
            return False
        before = self.deadline
        self._confirmers[accuser] = None
        self.heard(accuser)
        self._leave_time(before, now)
        return True

    def condemn(self, accuser: str) -> None:
        """Somebody else holds the subject dead: so do we, as soon as the accused had time to refute."""
        self._condemned_by[accuser] = None

    def _leave_time(self, before: float, now: float) -> None:
        """The accused hears of a confirmation as late as we do: if a one-way cut just ended, only now."""
        time = self._grace if self._refused_at is not None else self._time_to_refute
        self._not_before = max(self._not_before, min(before, now + time))

    def heard(self, name: str) -> bool:
        """A packet of a member came, who so could confirm. True as long as it is of use to hear of more."""
        if self._audible is None:
            return False
        if name and name != self.accuser and len(self._audible) < self._expected:
            self._audible[name] = None
        return len(self._audible) < self._expected

    @property
    def expected(self) -> int:
        """Lifeguard's K: how many confirmations may come."""
        return self._expected if self._audible is None else len(self._audible)

    def refused(self, now: float) -> None:
        """This node itself saw the subject's port refuse."""
        if self._refused_at is None:
            self._refused_at = now

    def stalled(self, now: float, late: float) -> None:
        """This node itself was stopped for ``late`` seconds: silence meanwhile is no evidence. After a real stop the
        suspicion begins again, after a hiccup it lasts longer by as much. A refused port is no silence: that evidence
        stands, but there must be time to read a refutation."""
        if late >= self._hiccup:
            self.started = now
            self._condemned_by.clear()
            if self._audible is not None:
                self._audible.clear()
                self.heard(self._own)
        else:
            self.started += late
        self._not_before = now + self._grace

    @property
    def deadline(self) -> float:
        expected = self.expected
        if expected == 0:
            timeout = self._shortest
        else:
            share = math.log(len(self._confirmers) + 1) / math.log(expected + 1)
            timeout = max(self._shortest, self._longest - share * (self._longest - self._shortest))
        deadline = self.started + timeout
        if self._condemned_by:
            deadline = min(deadline, self.started + self._time_to_refute)
        if self._refused_at is not None:
            confirmed = expected == 0 or bool(self._confirmers)
            quick = self._refused_timeout * (1 if confirmed else 2)
            deadline = min(deadline, self._refused_at + quick)
        return max(deadline, self._not_before)

    @property
    def confirmers(self) -> list[str]:
        """Who said the same, the accuser not counted."""
        return [name for name in {**self._confirmers, **self._condemned_by} if name != self.accuser]
