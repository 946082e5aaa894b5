"""Gossip: which packets go out now, and what rides on them.

A packet is filled with, in this order: what must be said to its receiver, rumours about members, user messages of the
layer above (to native members only). News goes at once to ``gossip_nodes`` random members, within a token bucket, and
is passed on at once on first receipt; the tick repeats it until each rumour was sent often enough.
"""

from __future__ import annotations

from itertools import islice

from gossip.swim.bucket import TokenBucket
from gossip.swim.delegate import Delegate
from gossip.swim.local import Local
from gossip.swim.member import Address, MemberState
from gossip.swim.shuffle import lazily_shuffled
from gossip.swim.table import Record
from gossip.wire.compound import MAX_PARTS, PART_OVERHEAD
from gossip.wire.messages import MessageType
from gossip.wire.packet import PacketCodec

GOSSIP_TICK = "gossip"
_USER = bytes((MessageType.USER,))
_RELAYED = bytes((MessageType.RELAYED,))
_NEARLY_FULL = 200
"""With less room than this left in a packet there may be more to say."""
_BURST_ROUNDS = 8
_LOOK_AT = 64
"""Members looked at to find one that is alive."""


class Dissemination:
    def __init__(self, local: Local, delegate: Delegate, codec: PacketCodec) -> None:
        self._local = local
        self._delegate = delegate
        self._codec = codec
        self._bucket = TokenBucket(local.profile.prompt_rate, local.profile.prompt_burst)
        self._due = False

    def start(self, now: float) -> None:
        local = self._local
        local.timers.set((GOSSIP_TICK, ""), now + local.random.random() * local.profile.gossip_interval)

    def tick(self, now: float) -> None:
        self._local.timers.set((GOSSIP_TICK, ""), now + self._local.profile.gossip_interval)
        self._due = True

    def datagrams(self, now: float) -> list[tuple[bytes, Address]]:
        """All that should leave now."""
        local = self._local
        out: list[tuple[bytes, Address]] = []
        while local.outbox:
            to = next(iter(local.outbox))
            self._pack(local.outbox.pop(to), to, out)
        if self._due:
            self._due = False
            local.prompt = False
            if len(local.rumours) or len(local.for_strangers) or self._delegate.has_broadcasts():
                self._round(now, out, prompt=False)
        rounds = 0
        while local.prompt and rounds < _BURST_ROUNDS:
            rounds += 1
            local.prompt = self._round(now, out, prompt=True)
        local.prompt = False
        return out

    def _round(self, now: float, out: list[tuple[bytes, Address]], *, prompt: bool) -> bool:
        """Gossip to a few members; True if a packet came out so full that there is probably more."""
        more = False
        for record in self._targets(now):
            if prompt and not self._bucket.take(now):
                self._local.counters["prompt_gossip_withheld"] += 1
                return False
            before = len(out)
            left = self._pack([], record.member.endpoint, out)
            if len(out) == before:
                continue
            more = more or left < _NEARLY_FULL
        return more

    def _targets(self, now: float) -> list[Record]:
        """Random live members, and the recently dead: one who is accused wrongly should hear of it."""
        local = self._local
        profile = local.profile
        for name, since in list(local.recent_dead.items()):
            if now - since <= profile.gossip_to_the_dead:
                break
            del local.recent_dead[name]
        live, dead = local.table.live, list(local.recent_dead)
        candidates = range(len(live) + len(dead))
        places = local.random.sample(candidates, min(profile.gossip_nodes, len(candidates)))
        chosen = [live[place] if place < len(live) else dead[place - len(live)] for place in places]
        targets = [record for record in map(local.table.get, chosen) if record is not None]
        return targets + self._instead_of_the_silent(targets)

    def _instead_of_the_silent(self, chosen: list[Record]) -> list[Record]:
        """As many members believed alive as were chosen who are not: on the small side of a cut most choices fall on
        those who cannot hear, and the news must still reach the few who can."""
        silent = sum(1 for record in chosen if record.member.state is not MemberState.ALIVE)
        if not silent:
            return []
        names = [record.member.name for record in chosen]
        looked_at = islice(lazily_shuffled(self._local.table.live, self._local.random), _LOOK_AT)
        others = (record for record in map(self._local.table.get, looked_at) if record is not None)
        alive = (r for r in others if r.member.state is MemberState.ALIVE and r.member.name not in names)
        return list(islice(alive, silent))

    def _pack(self, messages: list[bytes], to: Address, out: list[tuple[bytes, Address]]) -> int:
        """Packets for one receiver; the room left in the last of them."""
        local = self._local
        record = local.table.at(to)
        crc = record is not None and record.takes_crc
        room = self._codec.room()
        parts: list[bytes] = []
        left = room
        for message in messages:
            size = len(message) + PART_OVERHEAD
            if parts and (size > left or len(parts) >= MAX_PARTS):
                out.append((self._codec.encode(parts, crc=crc), to))
                parts, left = [], room
            parts.append(message)
            left -= size
        if left > 0 and record is not None:
            riders = local.rumours.take(PART_OVERHEAD, left, local.table.size, to)
            left -= sum(map(len, riders)) + PART_OVERHEAD * len(riders)
            parts += riders
            mark = _RELAYED if record.member.native else _USER
            for message in local.for_strangers.take(PART_OVERHEAD + len(mark), left, local.table.size, to):
                left -= len(message) + PART_OVERHEAD + len(mark)
                parts.append(mark + message)
            if record.member.native and left > 0:
                overhead = PART_OVERHEAD + len(_USER)
                for data in self._delegate.broadcasts(overhead, left, to):
                    left -= len(data) + overhead
                    parts.append(_USER + data)
        if len(parts) > MAX_PARTS:
            out.append((self._codec.encode(parts[MAX_PARTS:], crc=crc), to))
            del parts[MAX_PARTS:]
        if parts:
            out.append((self._codec.encode(parts, crc=crc), to))
        return left
