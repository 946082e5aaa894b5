"""A hand-made network and clock: Membership objects against each other, no sockets, no event loop."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from gossip.swim.dials import DialPing, DialPushPull, StreamPingResult
from gossip.swim.member import Address, EventKind, Member, MemberEvent, MemberState
from gossip.swim.membership import Membership
from gossip.swim.profile import SHOAL, Config, Profile

LATENCY = 0.001


class Talk:
    """A delegate that remembers what it heard, and has queued messages to say."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data = name.encode()
        self.to_say: list[bytes] = []
        self.heard: list[bytes] = []
        self.merged: list[bytes] = []

    def meta(self) -> bytes:
        return self.data

    def has_broadcasts(self) -> bool:
        return bool(self.to_say)

    def broadcasts(self, overhead: int, limit: int, to: Address) -> list[bytes]:
        said = []
        while self.to_say and len(self.to_say[0]) + overhead <= limit:
            said.append(self.to_say.pop(0))
            limit -= len(said[-1]) + overhead
        return said

    def user_message(self, data: bytes, source: Address, now: float) -> None:
        self.heard.append(data)

    def local_state(self, join: bool) -> bytes:
        return b"state of " + self.name.encode()

    def merge_remote_state(self, data: bytes, join: bool, now: float) -> None:
        self.merged.append(data)


@dataclass
class Host:
    name: str
    address: Address
    membership: Membership
    talk: Talk
    events: list[MemberEvent] = field(default_factory=list)
    killed: bool = False
    paused: bool = False
    waiting: list[tuple[bytes, Address]] = field(default_factory=list)
    """Datagrams in the socket of a stopped process."""
    ahead: float = 0.0
    """Seconds by which its clock is ahead of the network's."""

    def state_of(self, name: str) -> MemberState | None:
        member = self.membership.member(name)
        return member.state if member is not None else None

    def saw(self, kind: EventKind, name: str) -> MemberEvent | None:
        return next((event for event in self.events if event.kind is kind and event.member.name == name), None)


class Lan:
    def __init__(self, seed: int = 1, *, loss: float = 0.0, keys: tuple[bytes, ...] = (), label: bytes = b"") -> None:
        self.now = 0.0
        self.loss = loss
        self.hosts: dict[str, Host] = {}
        self.packets = 0
        self.octets = 0
        self._keys = keys
        self._label = label
        self._random = Random(seed)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._groups: list[set[str]] = []
        self._links: list[set[str]] = []
        self.deaf_to_udp: list[str] = []
        """Hosts that no datagram reaches, though streams do."""

    # -- building and breaking

    def add(
        self,
        name: str,
        *,
        seeds: tuple[Address, ...] = (),
        address: Address | None = None,
        profile: Profile = SHOAL,
        keys: tuple[bytes, ...] | None = None,
    ) -> Host:
        where = address or (f"192.0.2.{len(self.hosts) + 1}", 7946)
        config = Config(
            name, where[0], where[1], self._keys if keys is None else keys, self._label, seeds, profile=profile
        )
        talk = Talk(name)
        random = Random(f"{name} {self._random.random()}")
        membership = Membership(config, delegate=talk, random=random, entropy=random.randbytes, now=self.now)
        host = Host(name, where, membership, talk)
        self.hosts[name] = host
        self._drain(host)
        return host

    def grow(self, size: int) -> list[Host]:
        """``size`` hosts that know each other."""
        hosts = [self.add(f"n{number}") for number in range(1, size + 1)]
        for host in hosts[1:]:
            self.join(host, hosts[0])
        self.run(2.0)
        for host in hosts:
            assert [member.state for member in host.membership.members()] == [MemberState.ALIVE] * size
            host.events.clear()
        return hosts

    def join(self, host: Host, seed: Host) -> None:
        for dial in host.membership.join([seed.address]):
            self._dial(host, dial)

    def kill(self, host: Host) -> None:
        """SIGKILL: its port refuses, its streams end."""
        watched = [member.name for member in host.membership.watched()]
        host.killed = True
        for other in self.hosts.values():
            if other.killed or not self._open(host, other):
                continue
            if other.name in watched or any(member.name == host.name for member in other.membership.watched()):
                other.membership.stream_lost(host.name, self.clock(other))
                self._drain(other)

    def cut(self, *groups: list[Host]) -> None:
        """Packets and streams between groups vanish silently."""
        self._groups = [{host.name for host in group} for group in groups]

    def cut_link(self, one: Host, other: Host) -> None:
        """These two alone do not reach each other."""
        self._links.append({one.name, other.name})

    def heal(self) -> None:
        self._groups = []

    def pause(self, host: Host) -> None:
        host.paused = True

    def resume(self, host: Host) -> None:
        """As the kernel does it: what waits in the socket is read first, then the late timer is served."""
        host.paused = False
        for data, source in host.waiting:
            host.membership.receive_datagram(data, source, self.clock(host))
        host.waiting.clear()
        host.membership.handle_timer(self.clock(host))
        self._drain(host)

    def clock(self, host: Host) -> float:
        """What a host's clock says."""
        return self.now + host.ahead

    def jump(self, host: Host, seconds: float) -> None:
        """A host's clock leaps ahead: all that it waits for is due at once."""
        host.ahead += seconds
        self._wake(host)
        self._drain(host)

    def _open(self, one: Host, other: Host) -> bool:
        if {one.name, other.name} in self._links:
            return False
        return not any((one.name in group) != (other.name in group) for group in self._groups)

    # -- time

    def run(self, seconds: float) -> None:
        self.run_until(lambda: False, seconds)

    def run_until(self, done: Callable[[], bool], limit: float) -> float:
        """Seconds until ``done``, or ``limit``."""
        began = self.now
        end = began + limit
        while not done() and self._agenda and self._agenda[0][0] <= end:
            when, _, action = heapq.heappop(self._agenda)
            self.now = max(self.now, when)
            action()
        if not done():
            self.now = end
        return self.now - began

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._numbers), action))

    def _wake(self, host: Host) -> None:
        due = host.membership.get_timer()
        if due is None or due > self.clock(host) or host.paused or host.killed:
            return
        host.membership.handle_timer(self.clock(host))
        self._drain(host)

    def poke(self, host: Host) -> None:
        """After a call from outside: let its output go."""
        self._drain(host)

    def _drain(self, host: Host) -> None:
        membership = host.membership
        while (event := membership.next_event()) is not None:
            host.events.append(event)
        while (dial := membership.next_dial()) is not None:
            self._dial(host, dial)
        for data, to in membership.datagrams_to_send(self.clock(host)):
            self._send(host, data, to)
        timer = membership.get_timer()
        if timer is not None:
            self._at(timer - host.ahead, lambda: self._wake(host))

    # -- packets and streams

    def at(self, address: Address) -> Host | None:
        """The newest live host at an address, else the newest dead one."""
        there = [host for host in self.hosts.values() if host.address == address]
        living = [host for host in there if not host.killed]
        return (living or there or [None])[-1]

    def _send(self, source: Host, data: bytes, to: Address) -> None:
        assert len(data) <= 1400
        if to == source.address:
            self._at(self.now + LATENCY / 2, lambda: self._deliver(source, data, to))
            return
        self.packets += 1
        self.octets += len(data)
        lost = self._random.random() < self.loss
        if not lost:
            self._at(self.now + LATENCY * (0.5 + self._random.random()), lambda: self._deliver(source, data, to))

    def _deliver(self, source: Host, data: bytes, to: Address) -> None:
        host = self.at(to)
        if host is None or host.killed:
            return
        if host is not source and (host.name in self.deaf_to_udp or not self._open(source, host)):
            return
        if host.paused:
            host.waiting.append((data, source.address))
            return
        host.membership.receive_datagram(data, source.address, self.clock(host))
        self._drain(host)

    def _dial(self, host: Host, dial: DialPing | DialPushPull) -> None:
        delay = 2 * LATENCY + self._retransmissions()
        if delay < dial.timeout:
            self._at(self.now + delay, lambda: self._dialled(host, dial))
        elif isinstance(dial, DialPing):
            self._at(self.now + dial.timeout, lambda: self._ponged(host, dial.seq, StreamPingResult.SILENT))

    def _retransmissions(self) -> float:
        """What loss costs a stream: connecting (TCP tries again after 1, 3, 7 s) and one exchange (0.2, 0.6, 1.4 s)."""
        delay = 0.0
        for wait in (1.0, 0.2):
            while self.loss and self._random.random() > (1 - self.loss) ** 2:
                delay += wait
                wait *= 2
        return delay

    def _dialled(self, host: Host, dial: DialPing | DialPushPull) -> None:
        if host.killed:
            return
        other = self.at(dial.to)
        silent = other is None or other.paused or not self._open(host, other)
        if isinstance(dial, DialPing):
            result = StreamPingResult.ACKED
            if silent or (other is not None and other.membership.refuses_host(host.address[0])):
                result = StreamPingResult.SILENT
            elif other is not None and other.killed:
                result = StreamPingResult.REFUSED
            wait = dial.timeout if result is StreamPingResult.SILENT else 0.0
            self._at(self.now + wait, lambda: self._ponged(host, dial.seq, result))
        elif not silent and other is not None and not other.killed:
            state = host.membership.local_state(join=dial.join, native=dial.native)
            answer = other.membership.push_pull_asked(state, host.address[0], self.clock(other))
            self._drain(other)
            if answer is None:
                return
            errand = host.membership.push_pull_answered(dial, answer, self.clock(host))
            self._drain(host)
            if errand is not None:
                self._dial(host, errand)

    def _ponged(self, host: Host, seq: int, result: StreamPingResult) -> None:
        if not host.killed and not host.paused:
            host.membership.stream_ping_result(seq, result, self.clock(host))
            self._drain(host)


def views(hosts: list[Host]) -> list[list[tuple[str, MemberState]]]:
    def view(members: list[Member]) -> list[tuple[str, MemberState]]:
        return [(member.name, member.state) for member in members]

    return [view(host.membership.members()) for host in hosts]


def all_see(hosts: list[Host], name: str, state: MemberState) -> Callable[[], bool]:
    return lambda: all(host.state_of(name) is state for host in hosts)
