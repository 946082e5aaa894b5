"""A random life of a cluster; afterwards, when it is quiet, everybody agrees with the truth."""

from __future__ import annotations

from random import Random

import pytest

from gossip.swim.member import MemberState
from tests.gossip.lan import Host, Lan

QUIET = 45.0
"""Seconds: longer than the longest suspicion without confirmation (19.2 s) and a round of push/pull."""

ACTS = ("join", "kill", "restart", "cut", "heal", "pause", "resume", "leave", "meta", "wait")


class Life:
    """Random events, each possible at any time, and what the truth is after them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.lan = Lan(seed, loss=self.random.choice([0.0, 0.05]), keys=(b"k" * 16,))
        self.left: list[str] = []
        first = self.lan.add("m0")
        for number in range(1, self.random.randint(3, 7)):
            self._start(f"m{number}", (f"192.0.2.{number + 1}", 7946), first)
        self.lan.run(2.0)

    def _start(self, name: str, address: tuple[str, int], seed: Host) -> None:
        # As a daemon does, which finds in its store everybody whom the cluster ever admitted.
        seeds = (seed.address, *(host.address for host in self.lan.hosts.values() if host.name != name))
        host = self.lan.add(name, address=address, seeds=seeds)
        if name in self.left:
            self.left.remove(name)
        self.lan.join(host, seed)

    def running(self) -> list[Host]:
        return [host for host in self.lan.hosts.values() if not host.killed]

    def step(self) -> None:
        hosts = self.running()
        awake = [host for host in hosts if not host.paused]
        one = self.random.choice(hosts)
        match self.random.choice(ACTS):
            case "join" if len(self.lan.hosts) < 10 and awake:
                number = len(self.lan.hosts)
                self._start(f"m{number}", (f"192.0.2.{number + 1}", 7946), self.random.choice(awake))
            case "kill" if len(hosts) > 2:
                self.lan.kill(one)
            case "restart":
                gone = [host for host in self.lan.hosts.values() if host.killed]
                if gone and awake:
                    again = self.random.choice(gone)
                    self._start(again.name, again.address, self.random.choice(awake))
            case "cut":
                group = [host for host in self.lan.hosts.values() if self.random.random() < 0.5]
                self.lan.cut(group)
            case "heal":
                self.lan.heal()
            case "pause":
                self.lan.pause(one)
            case "resume":
                self._resume_all()
            case "leave" if len(awake) > 2 and one in awake:
                one.membership.leave(self.lan.now)
                self.lan.poke(one)
                self.lan.run(0.5)
                self.left.append(one.name)
                self.lan.kill(one)
            case "meta" if one in awake:
                one.talk.data = self.random.randbytes(4)
                one.membership.update_meta(self.lan.now)
                self.lan.poke(one)
        self.lan.run(self.random.choice([0.0, 0.1, 1.0, 5.0, 20.0]))

    def _resume_all(self) -> None:
        for host in self.running():
            if host.paused:
                self.lan.resume(host)

    def quiet(self) -> None:
        self.lan.heal()
        self._resume_all()
        self.lan.loss = 0.0
        self.lan.run(QUIET)


@pytest.mark.parametrize("seed", range(15))
def test_after_any_life_all_agree_with_the_truth(seed: int) -> None:
    life = Life(seed)
    for _ in range(25):
        life.step()
    life.quiet()
    hosts = life.running()
    alive = {host.name: host.talk.data for host in hosts}
    for host in hosts:
        seen = {m.name: m.meta for m in host.membership.members() if m.state is MemberState.ALIVE}
        assert seen == alive, host.name
        others = [m for m in host.membership.members() if m.name not in alive]
        assert all(m.state in (MemberState.DEAD, MemberState.LEFT) for m in others), host.name
