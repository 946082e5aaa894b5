"""The world: members, the virtual network between them, and time. The protocol objects in it are the real ones.

``World.converged`` begins with a cluster that has met; ``add`` and ``join`` grow one. After each call into a member its
outputs are drained, as the asyncio shell does: events to ``on_event``, dials to streams, packets to the network.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from random import Random

from gossip.simulation.agenda import TICK, Agenda
from gossip.simulation.baseline import Baseline, SparseTable, address_of, name_of
from gossip.simulation.member import SOCKET_ROOM, Silent, SimulatedMember
from gossip.simulation.network import Network
from gossip.simulation.reference import ReferenceCodec, weight
from gossip.swim.delegate import Delegate
from gossip.swim.dials import Dial, DialPing, DialPushPull, StreamPingResult
from gossip.swim.member import Address, MemberEvent
from gossip.swim.membership import Membership
from gossip.swim.profile import LAN, Config, Profile
from gossip.swim.table import MemberTable
from gossip.wire.packet import PacketCodec
from gossip.wire.seal import Keyring
from gossip.wire.streams import PushPull

SAMPLE = 256
"""Of so many packets one is really encoded."""


class World:
    """Everything follows from ``seed``. ``encoded``: every packet is encoded and decoded, none passed by reference."""

    def __init__(
        self,
        seed: int,
        *,
        network: Network | None = None,
        profile: Profile = LAN,
        encoded: bool = False,
        digest: bool = False,
        sample: int = SAMPLE,
    ) -> None:
        self.agenda = Agenda()
        self.random = Random(f"world {seed}")
        """For the experiment's own choices."""
        self.network = network if network is not None else Network()
        self.members: list[SimulatedMember] = []
        self.on_event: Callable[[SimulatedMember, MemberEvent], None] | None = None
        self.codec = None if encoded else ReferenceCodec(sample=sample)
        self._seed = seed
        self._profile = profile
        self._baseline: Baseline | None = None
        self._by_address: dict[Address, SimulatedMember] = {}
        self._digest = blake2b(digest_size=16) if digest else None
        self._decoder = self.codec if self.codec is not None else PacketCodec(b"", Keyring((), bytes))

    @classmethod
    def converged(
        cls,
        size: int,
        seed: int,
        *,
        network: Network | None = None,
        profile: Profile = LAN,
        encoded: bool = False,
        digest: bool = False,
        sparse: bool = True,
        tell_all: bool = False,
        delegate: Callable[[int], Delegate] = lambda number: Silent(),
    ) -> World:
        """So many members who all know one another. Not ``sparse``: each has a whole table of its own."""
        world = cls(seed, network=network, profile=profile, encoded=encoded, digest=digest)
        baseline: Baseline | None = None
        for number in range(size):
            told = delegate(number)
            if baseline is None:
                world._baseline = baseline = Baseline(size, told.meta())
            name = name_of(number)
            table = SparseTable(baseline, name, tell_all=tell_all) if sparse else baseline.table(name)
            world._add(told, table=table)
        return world

    # -- members

    @property
    def now(self) -> float:
        return self.agenda.now

    def add(self, delegate: Delegate | None = None) -> SimulatedMember:
        """A newcomer who knows nobody."""
        return self._add(delegate if delegate is not None else Silent(), table=None)

    def _add(self, delegate: Delegate, *, table: MemberTable | None) -> SimulatedMember:
        member = self._begin(len(self.members), delegate, table=table)
        self.members.append(member)
        self.drain(member)
        return member

    def _begin(self, number: int, delegate: Delegate, *, table: MemberTable | None) -> SimulatedMember:
        if table is None and self._baseline is not None:
            self._baseline.strangers = True
        name, address = name_of(number), address_of(number)
        random = Random(f"member {self._seed} {number} {self.now}")
        membership = Membership(
            Config(name, *address, profile=self._profile),
            delegate=delegate,
            random=random,
            entropy=random.randbytes,
            now=self.now,
            table=table,
            codec=self.codec,
        )
        member = SimulatedMember(number, name, address, membership, Random(f"luck {self._seed} {number}"))
        self._by_address[address] = member
        return member

    def join(self, member: SimulatedMember, seed: SimulatedMember) -> None:
        """Exchange states with a member."""
        for dial in member.membership.join([seed.address]):
            self._dial(member, dial)

    def restart(self, member: SimulatedMember, delegate: Delegate | None = None) -> None:
        """A crashed process begins anew at its old name and address; it knows nobody."""
        self._by_address.pop(member.address)
        fresh = self._begin(member.number, delegate if delegate is not None else Silent(), table=None)
        self.members[member.number] = fresh
        self.drain(fresh)

    def crash(self, member: SimulatedMember) -> None:
        """Power off: nothing of it is heard again."""
        member.crashed = True
        member.waiting.clear()

    def kill(self, member: SimulatedMember) -> None:
        """The process ends, its machine lives: the port refuses, idle streams end where they are held."""
        self.crash(member)
        member.refuses = True
        watch = self._profile.watch_streams
        for step in [*range(-watch, 0), *range(1, watch + 1)]:
            other = self.members[(member.number + step) % len(self.members)]
            delay = self.network.stream_delay(member.number, other.number, self.now, other.luck, 1)
            if delay is not None:
                self.agenda.after(delay, self._stream_lost, other, member)

    def stop(self, member: SimulatedMember) -> None:
        """It gets no time to run until ``resume``."""
        member.stopped = True

    def hold(self, member: SimulatedMember) -> None:
        """It processes no message, in or out, until ``resume``, but its timers run: goroutines that wait for a CPU."""
        member.stopped = True
        member.outgoing = []

    def resume(self, member: SimulatedMember) -> None:
        """It runs again. A timer so late that the profile calls it a stall is served when what waits in the socket was
        read, as our shell does it. Any other is served before, as a thread of its own would."""
        if member.crashed or not member.stopped:
            return
        member.stopped = False
        outgoing, member.outgoing = member.outgoing, None
        if outgoing is not None:
            for data, to in outgoing:
                self._send(member, data, to)
        else:
            member.wake = None
        due = member.membership.get_timer()
        late = self.now - due if due is not None else 0.0
        if late <= self._profile.stall:
            member.membership.handle_timer(self.now)
        waiting, member.waiting = member.waiting, []
        for action, arguments in waiting:
            action(*arguments)
        self.drain(member)

    # -- time

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self.agenda.run_until(self.now + seconds)

    def _wake(self, member: SimulatedMember) -> None:
        if member.wake != self.agenda.tick:
            return
        member.wake = None
        if member.crashed or (member.stopped and member.outgoing is None):
            return
        member.membership.handle_timer(self.now)
        self.drain(member)

    def drain(self, member: SimulatedMember) -> None:
        """Let out what a member has to say, and note when it wants to be called."""
        membership = member.membership
        now = self.agenda.now
        while (event := membership.next_event()) is not None:
            if self.on_event is not None:
                self.on_event(member, event)
        while (dial := membership.next_dial()) is not None:
            self._dial(member, dial)
        outgoing = member.outgoing
        for data, to in membership.datagrams_to_send(now):
            if outgoing is None:
                self._send(member, data, to)
            elif len(outgoing) < SOCKET_ROOM:
                outgoing.append((data, to))
        when = membership.get_timer()
        if when is not None and (member.wake is None or when < (member.wake - 1) * TICK):
            member.wake = self.agenda.at(when, self._wake, member)

    def digest(self) -> str:
        """Of every packet so far: when, between whom, with which messages."""
        if self._digest is None:
            raise ValueError("this world keeps no digest")
        return self._digest.hexdigest()

    # -- packets

    def _send(self, source: SimulatedMember, data: bytes, to: Address) -> None:
        size = weight(data)
        target = self._by_address.get(to)
        if target is not source:
            source.packets += 1
            source.octets += size
        if self._digest is not None:
            parts = self._decoder.decode(data)
            self._digest.update(repr((self.agenda.tick, source.number, to, size, parts)).encode())
        if target is None:
            return
        # What a member sends to itself never reaches the network.
        delay: float | None = TICK
        if target is not source:
            delay = self.network.fate(source.number, target.number, self.agenda.now, source.luck)
        if delay is not None:
            self.agenda.after(delay, self._deliver, target, data, source.address)

    def _deliver(self, member: SimulatedMember, data: bytes, source: Address) -> None:
        if member.crashed:
            return
        if member.stopped:
            if len(member.waiting) < SOCKET_ROOM:
                member.waiting.append((self._deliver, (member, data, source)))
            else:
                member.overflowed += 1
            return
        member.received += 1
        member.membership.receive_datagram(data, source, self.agenda.now)
        self.drain(member)

    # -- streams

    def _dial(self, member: SimulatedMember, dial: Dial) -> None:
        if member.stopped:
            member.waiting.append((self._dial, (member, dial)))
            return
        other = self._by_address.get(dial.to)
        member.streams += 1
        refused = other is not None and other.refuses
        trips = 1 if refused else 2
        delay = self._stream_delay(member, other, trips)
        ping = isinstance(dial, DialPing)
        if delay is None or delay > dial.timeout or other is None or (other.crashed and not refused):
            if isinstance(dial, DialPing):
                self.agenda.after(dial.timeout, self._ponged, member, dial.seq, StreamPingResult.SILENT)
        elif refused:
            if isinstance(dial, DialPing):
                self.agenda.after(delay, self._ponged, member, dial.seq, StreamPingResult.REFUSED)
        elif ping:
            self.agenda.after(delay / 2, self._dialled, other, member, dial, self.now + dial.timeout)
        else:
            self.agenda.after(delay, self._dialled, other, member, dial, self.now + dial.timeout)

    def _stream_delay(self, one: SimulatedMember, other: SimulatedMember | None, trips: int) -> float | None:
        if other is None:
            return None
        return self.network.stream_delay(one.number, other.number, self.now, one.luck, trips)

    def _dialled(self, member: SimulatedMember, asker: SimulatedMember, dial: Dial, deadline: float) -> None:
        """A stream reached a member; one that is stopped answers when it runs again, if that is in time."""
        if member.stopped:
            member.waiting.append((self._dialled, (member, asker, dial, deadline)))
            return
        late = self.now >= deadline or member.crashed or self.network.is_cut(member.number, asker.number, self.now)
        if isinstance(dial, DialPing):
            result = StreamPingResult.SILENT if late else StreamPingResult.ACKED
            self.agenda.at(deadline if late else self.now, self._ponged, asker, dial.seq, result)
        elif not late and not asker.crashed:
            state = asker.membership.local_state(join=dial.join, native=dial.native)
            answer = member.membership.push_pull_asked(state, asker.address[0], self.now)
            self.drain(member)
            if answer is not None:
                self.agenda.after(0.0, self._pulled, asker, dial, answer)

    def _pulled(self, member: SimulatedMember, dial: DialPushPull, answer: PushPull) -> None:
        if member.stopped:
            member.waiting.append((self._pulled, (member, dial, answer)))
        elif not member.crashed:
            errand = member.membership.push_pull_answered(dial, answer, self.now)
            self.drain(member)
            if errand is not None:
                self._dial(member, errand)

    def _ponged(self, member: SimulatedMember, seq: int, result: StreamPingResult) -> None:
        if member.stopped:
            member.waiting.append((self._ponged, (member, seq, result)))
        elif not member.crashed:
            member.membership.stream_ping_result(seq, result, self.now)
            self.drain(member)

    def _stream_lost(self, member: SimulatedMember, lost: SimulatedMember) -> None:
        if member.stopped:
            member.waiting.append((self._stream_lost, (member, lost)))
        elif not member.crashed:
            member.membership.stream_lost(lost.name, self.now)
            self.drain(member)
