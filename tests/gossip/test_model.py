"""Membership against a model of the truth, driven by hypothesis: it looks for the sequence that breaks the promise.

The promise: after quiescence all live members agree, no live member is dead for anyone and no dead one alive. It holds
whatever happened before: joins, leaves, crashes, restarts elsewhere, cuts, one-way silence, loss, stops, clock jumps.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from gossip.swim.member import MemberState
from tests.gossip.lan import Host, Lan

QUIET = 45.0
"""Seconds: longer than the longest suspicion (19.2 s) and a round of push/pull (30 s)."""
MOST = 8

picks = st.integers(0, 99)
spans = st.sampled_from([0.0, 0.2, 1.0, 4.0, 12.0, 50.0])


class Membership(RuleBasedStateMachine):
    """The model is the list of who runs and what he last said of himself."""

    def __init__(self) -> None:
        super().__init__()
        self.lan = Lan(1, keys=(b"k" * 16,))
        self.numbers = 0
        for host in self.lan.grow(3):
            self.numbers += 1
            host.events.clear()

    def running(self) -> list[Host]:
        return [host for host in self.lan.hosts.values() if not host.killed]

    def awake(self) -> list[Host]:
        return [host for host in self.running() if not host.paused]

    def _start(self, name: str, address: tuple[str, int], through: Host) -> None:
        # As a daemon does, which finds in its store everybody whom it ever knew.
        seeds = tuple(host.address for host in self.lan.hosts.values() if host.name != name)
        self.lan.join(self.lan.add(name, address=address, seeds=seeds), through)

    @precondition(lambda self: len(self.running()) < MOST and self.awake())
    @rule(pick=picks)
    def join(self, pick: int) -> None:
        self.numbers += 1
        awake = self.awake()
        self._start(f"n{self.numbers}", (f"192.0.2.{self.numbers}", 7946), awake[pick % len(awake)])

    @precondition(lambda self: len(self.running()) > 2)
    @rule(pick=picks)
    def crash(self, pick: int) -> None:
        running = self.running()
        self.lan.kill(running[pick % len(running)])

    @precondition(lambda self: len(self.awake()) > 2)
    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        host = self.awake()[pick % len(self.awake())]
        host.membership.leave(self.lan.clock(host))
        self.lan.poke(host)
        self.lan.run(0.3)
        self.lan.kill(host)

    @precondition(lambda self: any(host.killed for host in self.lan.hosts.values()) and self.awake())
    @rule(pick=picks, elsewhere=st.booleans())
    def restart(self, pick: int, elsewhere: bool) -> None:
        gone = [host for host in self.lan.hosts.values() if host.killed]
        host, awake = gone[pick % len(gone)], self.awake()
        address = host.address
        if elsewhere:
            self.numbers += 1
            address = (f"192.0.2.{self.numbers}", 7946)
        self._start(host.name, address, awake[pick % len(awake)])

    @rule(mask=st.integers(1, 2**MOST - 1))
    def cut(self, mask: int) -> None:
        self.lan.cut([host for place, host in enumerate(self.lan.hosts.values()) if mask >> place % MOST & 1])

    @rule()
    def heal(self) -> None:
        self.lan.heal()

    @rule(loss=st.sampled_from([0.0, 0.1, 0.3]))
    def lose(self, loss: float) -> None:
        self.lan.loss = loss

    @precondition(lambda self: self.awake())
    @rule(pick=picks)
    def stop(self, pick: int) -> None:
        self.lan.pause(self.awake()[pick % len(self.awake())])

    @rule()
    def go_on(self) -> None:
        for host in self.running():
            if host.paused:
                self.lan.resume(host)

    @precondition(lambda self: self.awake())
    @rule(pick=picks, seconds=st.sampled_from([0.5, 3.0, 60.0, 1e6]))
    def clock_jumps(self, pick: int, seconds: float) -> None:
        self.lan.jump(self.awake()[pick % len(self.awake())], seconds)

    @precondition(lambda self: self.awake())
    @rule(pick=picks, data=st.binary(max_size=8))
    def update(self, pick: int, data: bytes) -> None:
        host = self.awake()[pick % len(self.awake())]
        host.talk.data = data
        host.membership.update_meta(self.lan.clock(host))
        self.lan.poke(host)

    @rule(span=spans)
    def wait(self, span: float) -> None:
        self.lan.run(span)

    def teardown(self) -> None:
        self.lan.heal()
        self.lan.loss = 0.0
        self.go_on()
        self.lan.run(QUIET)
        hosts = self.running()
        truth = {host.name: (host.address, host.talk.data) for host in hosts}
        for host in hosts:
            members = host.membership.members()
            alive = {m.name: (m.endpoint, m.meta) for m in members if m.state is MemberState.ALIVE}
            assert alive == truth, f"{host.name} sees {alive}, true is {truth}"
            gone = [m.state for m in members if m.name not in truth]
            assert all(state in (MemberState.DEAD, MemberState.LEFT) for state in gone), f"{host.name}: {gone}"


TestMembership = Membership.TestCase
TestMembership.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
