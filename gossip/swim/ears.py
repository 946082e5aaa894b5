"""Whether this node hears at all: it pings itself, through its own socket, before it accuses or condemns anybody.

Lifeguard's local health (section IV-A) learns from nacks that a node is slow; a node that processes no message for a
while gets none. Silence all around is then either a cut or its own deafness, and only it can tell which: its own echo
comes back across any cut, and comes behind whatever waits in its socket. So no verdict without an echo that was sent
after the question: what was late is read first, and the deaf accuse nobody.

Where no echo ever comes (an address that does not lead back) the rule is off; and it is given up when an echo stays
away longer than any spell of slowness plausibly lasts.
"""

from __future__ import annotations

from gossip.swim.local import Local
from gossip.wire.messages import Ping

_BROKEN_AFTER = 30.0
"""Seconds without an echo after which the echo is what is broken."""
_OUTSTANDING_MAX = 16


class Ears:
    def __init__(self, local: Local) -> None:
        self._local = local
        self._seq = local.random.getrandbits(31)
        self._sent: dict[int, float] = {}
        self._silent_since: float | None = None
        """When the oldest of the echoes was sent that are still to come."""
        self._heard_until: float | None = None
        """When the newest echo that came back was sent."""

    def ask(self, now: float) -> None:
        """Ping ourselves; once is enough for all who ask at the same moment."""
        if not self._local.profile.own_echo or now in self._sent.values():
            return
        if self._silent_since is None:
            self._silent_since = now
        self._seq = (self._seq + 1) & 0xFFFFFFFF
        self._sent[self._seq] = now
        if len(self._sent) > _OUTSTANDING_MAX:
            del self._sent[next(iter(self._sent))]
        local = self._local
        local.send((local.config.address, local.config.port), Ping(self._seq, local.name).encode())

    def echo(self, seq: int) -> bool:
        """A ping came from our own address; whether it was one of ours."""
        sent = self._sent.get(seq)
        if sent is None:
            return False
        # Those sent before it are lost, or of no more use.
        self._sent = {other: when for other, when in self._sent.items() if when > sent}
        self._silent_since = min(self._sent.values(), default=None)
        self._heard_until = sent
        return True

    def must_wait(self, since: float, now: float) -> bool:
        """Whether a verdict has to wait, for an echo that was sent at ``since`` or later is still to come."""
        if self._heard_until is None or self._heard_until >= since:
            return False
        return self._silent_since is None or now - self._silent_since < _BROKEN_AFTER
