"""Push/pull of whole states, and the means by which partitions heal.

Every ``push_pull_interval`` one random live member is asked. Ours: more often one is told a digest of what would be
exchanged, in one packet, and a push/pull follows where there is a difference; a stream costs ten packets. Every
``reconnect_interval`` a few dead members get a ping together with the accusation that we hold: one that lives refutes
in its ack, in one packet. Seeds that no live member answers for are dialled. So no partition, however long, needs an
operator to heal.
"""

from __future__ import annotations

import math
from hashlib import blake2b

from gossip.serf.neighbour import SerfNeighbour
from gossip.swim.delegate import ComparesState, Delegate
from gossip.swim.dials import DialPushPull
from gossip.swim.liveness import Liveness
from gossip.swim.local import Local
from gossip.swim.member import Address, Member, MemberState
from gossip.wire.messages import Alive, Dead, Digest, MessageType, Ping, Suspect
from gossip.wire.streams import NodeState, PushPull

PUSH_PULL_TICK = "push_pull"
DIGEST_TICK = "digest"
RECONNECT_TICK = "reconnect"
STREAM_DEADLINE = 10.0
"""memberlist's TCPTimeout."""
_RECONNECT_DEADLINE = 3.0
_SCALE_FROM = 32
"""memberlist's pushPullScaleThreshold: beyond so many members the interval grows."""
_RECONNECT_TARGETS = 3
_HEAL_GAP = 1.0
"""Seconds between push/pulls with members that came back; in a large heal the others hear by gossip."""
_NATIVE_STATE = bytes((MessageType.NATIVE,))
"""First byte of our user state; serf's begins with its own message type 2."""


def is_native(state: PushPull) -> bool:
    """The sender is of our kind, and knows that we are."""
    return state.user_state.startswith(_NATIVE_STATE)


class Exchange:
    def __init__(self, local: Local, delegate: Delegate, liveness: Liveness, neighbour: SerfNeighbour) -> None:
        self._local = local
        self._delegate = delegate
        self._liveness = liveness
        self._next_heal = 0.0
        self._next_exchange = 0.0
        self._neighbour = neighbour

    # -- schedule

    def start(self, now: float) -> None:
        local = self._local
        profile = local.profile
        local.timers.set((PUSH_PULL_TICK, ""), now + local.random.random() * profile.push_pull_interval)
        if profile.digest_interval > 0:
            local.timers.set((DIGEST_TICK, ""), now + (0.5 + local.random.random() / 2) * profile.digest_interval)
        local.timers.set((RECONNECT_TICK, ""), now + (0.5 + local.random.random() / 2) * profile.reconnect_interval)

    def push_pull_tick(self, now: float) -> None:
        local = self._local
        self._forget_old(now)
        interval = local.profile.push_pull_interval
        size = local.table.size
        if size > _SCALE_FROM:
            interval *= math.ceil(math.log2(size) - math.log2(_SCALE_FROM)) + 1
        local.timers.set((PUSH_PULL_TICK, ""), now + interval)
        if local.table.live:
            record = local.table.get(local.random.choice(local.table.live))
            if record is not None:
                local.dials.append(DialPushPull(record.member.endpoint, False, record.member.native, STREAM_DEADLINE))

    def digest_tick(self, now: float) -> None:
        local = self._local
        local.timers.set((DIGEST_TICK, ""), now + local.profile.digest_interval)
        if local.table.live:
            record = local.table.get(local.random.choice(local.table.live))
            if record is not None and record.member.native:
                local.send(record.member.endpoint, self._digest().encode())

    def _digest(self) -> Digest:
        delegate = self._delegate
        if isinstance(delegate, ComparesState):
            return Digest(self._local.table.digest, delegate.state_digest())
        return Digest(self._local.table.digest, blake2b(delegate.local_state(False), digest_size=8).digest())

    def compare(self, theirs: Digest, source: Address, now: float) -> None:
        """A member told its digest. One who has our key and is nobody here may be a member that died and lives
        elsewhere: it holds us for alive, so nothing else would bring us together soon."""
        record = self._local.table.at(source)
        if record is None and self._local.config.keys:
            self._ask(source, now)
            return
        if record is None or not record.member.native or not record.member.reachable:
            self._local.drop("digest_of_a_stranger")
            return
        ours = self._digest()
        if ours.members == theirs.members and ours.state != theirs.state and isinstance(self._delegate, ComparesState):
            self._delegate.state_differs(record.member.name)
        elif ours != theirs:
            self._ask(record.member.endpoint, now)

    def _ask(self, address: Address, now: float) -> None:
        if now >= self._next_exchange:
            self._next_exchange = now + _HEAL_GAP
            self._local.counters["digests_differed"] += 1
            self._local.dials.append(DialPushPull(address, False, True, STREAM_DEADLINE))

    def reconnect_tick(self, now: float, seq: int) -> None:
        """``seq``: a fresh sequence number; nobody waits for its ack."""
        local = self._local
        interval = local.profile.reconnect_interval
        local.timers.set((RECONNECT_TICK, ""), now + interval)
        dead = [
            record
            for record in map(local.table.get, local.table.gone)
            if record is not None and record.member.state is MemberState.DEAD and local.allowed(record.member.name)
        ]
        for record in local.random.sample(dead, min(_RECONNECT_TARGETS, len(dead))):
            member = record.member
            accusation = Suspect(member.incarnation, member.name, local.name)
            local.send(member.endpoint, accusation.encode(), Ping(seq, member.name).encode())
        for seed in local.seeds:
            self._try_seed(seed)

    def _try_seed(self, seed: Address) -> None:
        local = self._local
        if seed == (local.config.address, local.config.port):
            return
        known = local.table.at(seed)
        if known is None:
            local.dials.append(DialPushPull(seed, True, False, _RECONNECT_DEADLINE))

    def came_back(self, member: Member, now: float) -> None:
        """A dead member lives: exchange everything soon."""
        if now >= self._next_heal:
            self._next_heal = now + _HEAL_GAP
            self._local.dials.append(DialPushPull(member.endpoint, False, member.native, _RECONNECT_DEADLINE))

    def _forget_old(self, now: float) -> None:
        local = self._local
        for name in local.table.gone:
            record = local.table.get(name)
            if record is not None and now - record.member.since > local.profile.forget_after:
                local.table.forget(name)

    # -- states

    def local_state(self, *, join: bool, native: bool) -> PushPull:
        """``native``: the other is of our kind and gets the delegate's state too."""
        nodes = [record.node_state() for record in self._local.table.to_tell()]
        self._local.random.shuffle(nodes)
        user_state = _NATIVE_STATE + self._delegate.local_state(join) if native else self._neighbour.state()
        return PushPull(tuple(nodes), user_state, join)

    def merge(self, state: PushPull, told_by: str, now: float) -> None:
        for node in state.nodes:
            self.merge_node(node, told_by, now)
        self._local.counters["push_pulls"] += 1
        if is_native(state):
            self._delegate.merge_remote_state(state.user_state[1:], state.join, now)
        else:
            self._neighbour.merge(state.user_state, now)

    def merge_node(self, node: NodeState, told_by: str, now: float) -> None:
        """One member as another sees it."""
        if node.state == MemberState.ALIVE:
            alive = Alive(node.incarnation, node.name, node.address, node.port, node.meta, node.versions)
            self._liveness.alive(alive, told_by, now)
        elif node.state == MemberState.LEFT:
            self._liveness.dead(Dead(node.incarnation, node.name, node.name), told_by, now, "left")
        else:
            # memberlist: another's dead is only our suspect, so that the accused may still speak.
            suspect = Suspect(node.incarnation, node.name, told_by)
            self._liveness.suspect(suspect, told_by, now, "suspect or dead by push/pull")
