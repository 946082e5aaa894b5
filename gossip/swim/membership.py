"""One node's membership as a protocol object: packets, states and the time in; packets, events and wishes out.

The shape is aioquic's: ``receive_datagram``, ``datagrams_to_send``, ``get_timer``, ``handle_timer``, ``next_event``;
what needs a stream comes out of ``next_dial``. After every call in, the caller drains the three outputs. This module
only connects the concerns; each has a module of its own.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import islice
from random import Random

from gossip.serf.neighbour import SerfNeighbour
from gossip.swim.awareness import Awareness
from gossip.swim.broadcasts import TransmitLimitedQueue
from gossip.swim.delegate import Delegate
from gossip.swim.dials import Dial, DialPushPull, StreamPingResult
from gossip.swim.dissemination import GOSSIP_TICK, Dissemination
from gossip.swim.ears import Ears
from gossip.swim.exchange import DIGEST_TICK, PUSH_PULL_TICK, RECONNECT_TICK, STREAM_DEADLINE, Exchange, is_native
from gossip.swim.liveness import SUSPICION_TIMER, UNCONFIRMED, Liveness, teller
from gossip.swim.local import Local
from gossip.swim.member import Address, Member, MemberEvent, MemberState
from gossip.swim.meta import wrap_meta
from gossip.swim.probe import PROBE_INDIRECT, PROBE_TICK, PROBE_VERDICT, Prober
from gossip.swim.profile import Config
from gossip.swim.relay import RELAY_END, RELAY_NACK, Relays
from gossip.swim.table import MemberTable
from gossip.swim.timers import Timers
from gossip.wire.errors import WireError
from gossip.wire.label import label_header
from gossip.wire.messages import (
    Ack,
    Alive,
    Dead,
    Digest,
    IndirectPing,
    Message,
    MessageType,
    Nack,
    Ping,
    Relayed,
    Suspect,
    User,
)
from gossip.wire.packet import PacketCodec
from gossip.wire.seal import Keyring
from gossip.wire.streams import PushPull


class Membership:
    """``keyring`` may be changed while running: that is how keys are rotated."""

    def __init__(
        self,
        config: Config,
        *,
        delegate: Delegate,
        random: Random,
        entropy: Callable[[int], bytes],
        now: float,
        table: MemberTable | None = None,
        codec: PacketCodec | None = None,
    ) -> None:
        """``table`` may have members already; if this node is one of them it is not announced. ``codec`` is for
        simulations that do without encoding. Raises ValueError for a label, key or metadata of a bad size."""
        label_header(config.label)
        profile = config.profile
        self.config = config
        self.keyring = Keyring(config.keys, entropy)
        self.counters: Counter[str] = Counter()
        self._delegate = delegate
        self._local = Local(
            config=config,
            random=random,
            counters=self.counters,
            table=table if table is not None else MemberTable(config.name),
            awareness=Awareness(profile.awareness_max if profile.lha_probe else 1),
            timers=Timers(),
            rumours=TransmitLimitedQueue(profile, self.counters),
            for_strangers=TransmitLimitedQueue(profile, self.counters),
            outbox={},
            events=deque(),
            dials=deque(),
            seeds=list(config.seeds),
        )
        self._ears = Ears(self._local)
        self._liveness = Liveness(self._local, self._ears, on_suspected=self._buddy_probe, on_recovered=self._came_back)
        self._prober = Prober(self._local, self._ears, self._accuse)
        self._relays = Relays(self._local)
        self._codec = codec if codec is not None else PacketCodec(config.label, self.keyring)
        self._dissemination = Dissemination(self._local, delegate, self._codec)
        self._neighbour = SerfNeighbour(self._local, self.keyring, self._liveness.force_left)
        self._exchange = Exchange(self._local, delegate, self._liveness, self._neighbour)
        if self._local.table.get(config.name) is None:
            self._liveness.announce(wrap_meta(delegate.meta()), now)
        self._ears.ask(now)
        self._prober.start(now)
        self._dissemination.start(now)
        self._exchange.start(now)

    # -- in: packets and time

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None:
        """Anything may come; what is not good is counted in ``counters`` under ``dropped.<why>``."""
        self.counters["packets_received"] += 1
        try:
            parts = self._codec.decode(data)
        except WireError as error:
            self._local.drop(error.name)
            return
        if self._expelled(source):
            self._local.drop("not_in_roster")
            return
        told_by = teller(self._local, source)
        if self._local.table.at(source) is not None and told_by != self._local.name:
            self._liveness.heard(told_by)
            self._prober.heard(told_by, now)
        self._local.speaker = source
        try:
            for part in parts:
                try:
                    message = self._codec.message(part)
                except WireError as error:
                    # One that only a newer version knows, or that is damaged, spoils no other (memberlist's too).
                    self._local.drop(error.name)
                else:
                    self._receive(message, source, told_by, now)
        finally:
            self._local.speaker = None

    def _expelled(self, source: Address) -> bool:
        sender = self._local.table.at(source)
        name = sender.member.name if sender is not None else self._local.expelled.get(source)
        return name is not None and name != self._local.name and not self._local.allowed(name)

    def _receive(self, message: Message, source: Address, told_by: str, now: float) -> None:
        local = self._local
        match message:
            case Ping() if source == (self.config.address, self.config.port):
                if self._ears.echo(message.seq):
                    self._liveness.echoed(now)
            case Ping():
                if message.node and message.node != local.name:
                    local.drop("ping_for_another")
                else:
                    local.send(source, Ack(message.seq).encode(), *self._believed_gone(source))
            case Ack():
                if not self._prober.ack(message.seq) and not self._relays.ack(message.seq):
                    self.counters["late_acks"] += 1
            case Nack():
                if not self._prober.nack(message.seq, told_by):
                    self.counters["late_nacks"] += 1
            case IndirectPing():
                self._relays.request(message, source, self._prober.next_seq(), now)
            case Alive():
                himself = (message.address, message.port) == source
                self._liveness.alive(message, message.node if himself else told_by, now)
            case Suspect() | Dead() if message.node == local.name and self._is_stale(message):
                # memberlist drops it; but who still believes this missed our refutation, so tell him.
                own = local.table.get(local.name)
                if own is not None and not local.leaving:
                    local.send(source, own.alive_message().encode())
            case Suspect():
                self._liveness.suspect(message, told_by, now, f"suspected by {message.accuser}")
            case Dead():
                self._liveness.dead(message, told_by, now, f"declared dead by {message.accuser}")
            case User():
                sender = local.table.at(source)
                if sender is None:
                    local.drop("foreign_user_message")
                elif sender.member.native:
                    self._delegate.user_message(message.data, source, now)
                else:
                    self._neighbour.receive(message.data, now)
            case Digest():
                self._exchange.compare(message, source, now)
            case Relayed():
                self._neighbour.receive(message.data, now)

    def _believed_gone(self, source: Address) -> list[bytes]:
        """Whoever pings lives: if we hold that he died or left, he should hear it, and refute."""
        record = self._local.table.at(source)
        if record is None or record.member.reachable or not self.config.profile.buddy_system:
            return []
        return [Suspect(record.member.incarnation, record.member.name, self._local.name).encode()]

    def _is_stale(self, message: Suspect | Dead) -> bool:
        own = self._local.table.get(self._local.name)
        return own is not None and message.incarnation < own.member.incarnation

    def get_timer(self) -> float | None:
        """When ``handle_timer`` wants to be called."""
        return self._local.timers.next()

    def handle_timer(self, now: float) -> None:
        """A call that comes much later than asked for means that this process was stopped or starved. Then nothing is
        concluded: probes and suspicions begin again, and the health score says that we are slow."""
        due = self._local.timers.next()
        if due is None:
            return
        late = now - due
        if late > self.config.profile.stall:
            self._resume(now, late)
            return
        while (key := self._local.timers.pop_due(now)) is not None:
            kind, subject = key
            if kind == PROBE_TICK:
                self._prober.tick(now)
            elif kind == GOSSIP_TICK:
                self._liveness.readmit(now)
                self._prober.probe_withheld(now)
                self._dissemination.tick(now)
            elif kind == RECONNECT_TICK:
                self._exchange.reconnect_tick(now, self._prober.next_seq())
            elif kind == DIGEST_TICK:
                self._exchange.digest_tick(now)
            elif kind == PUSH_PULL_TICK:
                self._exchange.push_pull_tick(now)
                self.check_roster(now)
            elif kind == SUSPICION_TIMER and isinstance(subject, str):
                self._liveness.suspicion_ended(subject, now)
            elif kind == UNCONFIRMED and isinstance(subject, str):
                self._liveness.unconfirmed(subject, now)
            elif isinstance(subject, int):
                self._seq_timer(kind, subject, now)

    def _seq_timer(self, kind: str, seq: int, now: float) -> None:
        if kind == PROBE_INDIRECT:
            self._prober.indirect_due(seq, now)
        elif kind == PROBE_VERDICT:
            self._prober.verdict_due(seq, now)
        elif kind == RELAY_NACK:
            self._relays.nack_due(seq)
        elif kind == RELAY_END:
            self._relays.end(seq)

    def _resume(self, now: float, late: float) -> None:
        local = self._local
        self.counters["stalls"] += 1
        local.awareness.apply(1)
        self._liveness.stalled(now, late)
        self._prober.restart(now)
        self._dissemination.tick(now)
        # What is left over is overdue without harm: relays' nacks and the ticks of push/pull and reconnection.
        overdue = []
        while (key := local.timers.pop_due(now)) is not None:
            overdue.append(key)
        for key in overdue:
            local.timers.set(key, now + local.random.random() * local.profile.gossip_interval)

    # -- in: what streams brought

    def local_state(self, *, join: bool, native: bool) -> PushPull:
        """What to send first on a stream that we opened."""
        return self._exchange.local_state(join=join, native=native)

    def push_pull_asked(self, state: PushPull, host: str, now: float) -> PushPull | None:
        """Somebody at ``host`` opened a stream and sent its state; returns the answer, None when the roster does not
        have him. See ``Profile.merge_first``."""
        at_host = [node.name for node in state.nodes if node.address == host]
        told_by = at_host[0] if len(at_host) == 1 else self._local.table.name_of_host(host) or host
        if at_host and not any(map(self._local.allowed, at_host)):
            for node in state.nodes:
                if node.name in at_host:
                    self._exchange.merge_node(node, told_by, now)
            return None
        if not self.config.profile.merge_first:
            answer = self._exchange.local_state(join=state.join, native=is_native(state))
            self._exchange.merge(state, told_by, now)
            return answer
        self._exchange.merge(state, told_by, now)
        return self._exchange.local_state(join=state.join, native=is_native(state))

    def push_pull_answered(self, dial: DialPushPull, state: PushPull, now: float) -> DialPushPull | None:
        """The answer to our state came. Returns what to do next on the same errand: a peer that turned out to be of our
        kind gets the delegate's state too."""
        local = self._local
        at_address = [node.name for node in state.nodes if (node.address, node.port) == dial.to]
        told_by = at_address[0] if at_address else teller(local, dial.to)
        own = local.table.get(local.name)
        before = own.member.incarnation if own is not None else 0
        self._exchange.merge(state, told_by, now)
        own = local.table.get(local.name)
        if own is not None and own.member.incarnation > before and self.config.profile.merge_first:
            local.send(dial.to, own.alive_message().encode())
        if dial.join and self._strangers():
            self._neighbour.joined()
        peer = local.table.at(dial.to)
        if not dial.native and peer is not None and peer.member.native:
            return DialPushPull(dial.to, dial.join, True, dial.timeout)
        return None

    def stream_ping_result(self, seq: int, result: StreamPingResult, now: float) -> None:
        self._prober.stream_ping_result(seq, result, now)

    def stream_lost(self, name: str, now: float) -> None:
        """An idle stream to or from a member ended: a reason to probe it at once, no more."""
        self.counters["watch_streams_lost"] += 1
        self._prober.probe_for(name, now, "its stream ended")

    def datagram_refused(self, to: Address, now: float) -> None:
        """An ICMP error says that nobody has a member's port: a reason to probe it at once, no more."""
        record = self._local.table.at(to)
        if record is not None and record.member.state is MemberState.ALIVE:
            self.counters["datagrams_refused"] += 1
            self._prober.probe_for(record.member.name, now, "its port refused a datagram")

    # -- in: what the layer above wants

    def broadcast_soon(self) -> None:
        """The delegate has news: gossip with the next ``datagrams_to_send``, within the token bucket."""
        self._local.prompt = True

    def send_user(self, name: str, data: bytes) -> None:
        """A user message to one native member, in a datagram (memberlist: SendBestEffort); nothing for another name."""
        record = self._local.table.get(name)
        if record is not None and record.member.native:
            self._local.send(record.member.endpoint, bytes((MessageType.USER,)) + data)

    def update_meta(self, now: float) -> None:
        """``Delegate.meta`` changed. Raises ValueError when it is too large."""
        self._liveness.announce(wrap_meta(self._delegate.meta()), now)

    def _strangers(self) -> list[Address]:
        """Where live members are that are not of our kind."""
        live = map(self._local.table.get, self._local.table.live)
        return [record.member.endpoint for record in live if record is not None and not record.member.native]

    def leave(self, now: float) -> None:
        """Say that this node leaves on purpose. Keep serving for a moment, so that it is heard."""
        local = self._local
        if local.leaving:
            return
        local.leaving = True
        strangers = self._strangers()
        if strangers:
            intent = self._neighbour.leaving()
            for to in local.random.sample(strangers, min(self.config.profile.gossip_nodes, len(strangers))):
                local.send(to, intent)
        own = local.table.get(local.name)
        if own is not None:
            self._liveness.dead(Dead(own.member.incarnation, local.name, local.name), local.name, now, "leaving")

    def allow(self, predicate: Callable[[str], bool], now: float) -> None:
        """Names that may be members; those known who may not are forgotten."""
        self._local.allowed = predicate
        self.check_roster(now)

    def check_roster(self, now: float) -> None:
        """The predicate's answers changed."""
        self._liveness.readmit(now)
        for record in list(self._local.table):
            name = record.member.name
            if name != self._local.name and not self._local.allowed(name):
                self._prober.cancel(name)
                self._liveness.expel(name, now)

    def join(self, seeds: Sequence[Address]) -> list[DialPushPull]:
        """The errands of a join. The seeds are remembered and tried again while no member is known at their address."""
        for seed in seeds:
            if seed not in self._local.seeds:
                self._local.seeds.append(seed)
        known = {to: self._local.table.at(to) for to in seeds}
        return [
            DialPushPull(to, True, record is not None and record.member.native, STREAM_DEADLINE)
            for to, record in known.items()
        ]

    def refuses_host(self, host: str) -> bool:
        """Whether only a member whom the roster no longer has was at an IP address."""
        return any(self._expelled(address) for address in self._local.expelled if address[0] == host)

    def allowed(self, name: str) -> bool:
        """Whether the roster has a name."""
        return self._local.allowed(name)

    def knows_host(self, host: str) -> bool:
        """Whether a member, reachable or not, is at an IP address."""
        return self._local.table.is_host(host)

    def is_native_host(self, host: str) -> bool:
        """Whether the one member at an IP address is of our kind."""
        name = self._local.table.name_of_host(host)
        record = self._local.table.get(name) if name is not None else None
        return record is not None and record.member.native

    # -- out

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        out = self._dissemination.datagrams(now)
        self.counters["packets_sent"] += len(out)
        return out

    def next_event(self) -> MemberEvent | None:
        events = self._local.events
        return events.popleft() if events else None

    def next_dial(self) -> Dial | None:
        dials = self._local.dials
        return dials.popleft() if dials else None

    # -- what is known

    def members(self) -> list[Member]:
        """Sorted by name; the dead and those who left are there until they are forgotten."""
        return sorted((record.member for record in self._local.table), key=lambda member: member.name)

    def member(self, name: str) -> Member | None:
        record = self._local.table.get(name)
        return record.member if record is not None else None

    @property
    def awareness(self) -> int:
        """Lifeguard's health score, 0 is healthy."""
        return self._local.awareness.score

    def watched(self) -> list[Member]:
        """The members to hold an idle stream to: the next few of our kind in the ring of names, so that everybody is
        watched by as many."""
        records = map(self._local.table.get, self._local.table.successors())
        native = (record.member for record in records if record is not None and record.member.native)
        return list(islice(native, self.config.profile.watch_streams))

    # -- between the concerns

    def _accuse(self, name: str, incarnation: int, reason: str, refused: bool, now: float) -> None:
        own = self.config.name
        self._liveness.suspect(Suspect(incarnation, name, own), own, now, reason, refused=refused)

    def _buddy_probe(self, name: str, now: float) -> None:
        """Somebody suspects a member: a handful of us look at once, to confirm or to let it refute sooner."""
        chance = self.config.profile.buddy_probes / max(1, self._local.table.size - self._liveness.suspects)
        if self._local.random.random() < chance:
            self._prober.probe_for(name, now, "suspected by another")

    def _came_back(self, member: Member, now: float) -> None:
        if member.state is MemberState.ALIVE and self.config.profile.exchange_on_return:
            self._exchange.came_back(member, now)
