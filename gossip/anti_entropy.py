"""The ways of rows that are not packets: whole repairs with a peer, and deltas by stream when there is much to tell.

A repair is begun when a peer appears, when a push/pull shows another digest, and now and then with anybody. Only the
waiting is here; what is asked and answered is in `tables.repair`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from random import Random
from typing import Protocol

from gossip.tables.delta import encode_delta
from gossip.tables.interests import Interests
from gossip.tables.record import RecordId
from gossip.tables.repair import CHUNK, NotAdmitted, RepairError, repair
from gossip.tables.replica import Replica

REPAIR, DELTA_STREAM = "repair", "delta"
"""Kinds of the stream's requests."""
REPAIR_INTERVAL = 120.0
"""Seconds between repairs with a random peer when nothing hints at a difference; digests that members tell one another
in packets (``digest_interval``) hint soon."""
INTEREST_INTERVAL = 10.0
"""The same where rows are held by interest: those digests then say nothing of rows with a scope."""
RETRY = 0.3
"""Seconds before the next attempt of a first sync."""
REQUEST_TIMEOUT = 5.0
REPAIR_PACE, STREAM_PACE = 0.1, 0.05
"""Seconds from the end of a round of repairs, or of streams, to the next: the first goes at once, and what comes up
meanwhile goes together. While many join, everybody hears of all others within one such time."""
FANOUT = 3
"""Peers to whom a backlog goes by stream (memberlist's GossipNodes)."""


def stream_peers(me: str, peers: Sequence[str], random: Random) -> list[str]:
    """To whom a backlog goes: the successor in the ring of names, and others by chance.

    A stream is sent once, and with chance alone one in twenty would be left to repair (e^-3); with the successor all
    are reached, and chance makes it fast.
    """
    if len(peers) <= FANOUT:
        return list(peers)
    successor = min((peer for peer in peers if peer > me), default=min(peers))
    return [successor, *random.sample([peer for peer in peers if peer != successor], FANOUT - 1)]


class Node(Protocol):
    """What this needs of the node around it."""

    @property
    def is_synced(self) -> bool: ...

    def now(self) -> float: ...

    def ask(self, node_id: str, kind: str, payload: bytes, *, deadline: float) -> Awaitable[bytes]:
        """Raises OSError when there is no answer."""
        ...

    def sources(self) -> list[str]:
        """Nodes that can be asked for rows."""
        ...

    def unheard(self) -> list[str]:
        """Live members that this host, in doubt of its disk, has yet to hear."""
        ...

    def live_peers(self) -> list[str]: ...

    def in_step_with(self, node_id: str, *, doubtful: bool) -> None:
        """A repair with a node came to its end. `doubtful`: the node is in doubt of its own disk."""
        ...


class AntiEntropy:
    """Repairs and streamed deltas of one node."""

    def __init__(self, node: Node, replica: Replica, interests: Interests, random: Random) -> None:
        self._node = node
        self._interests = interests
        self._replica = replica
        self._random = random
        self._due: dict[str, None] = {}
        self._repair_due = asyncio.Event()
        self._stream_due = asyncio.Event()

    def repair_soon(self, node: str) -> None:
        """Repair with a node as soon as the repairs before it are done."""
        self._due[node] = None
        self._repair_due.set()

    def stream_soon(self) -> None:
        """The outbox has something for the stream."""
        self._stream_due.set()

    async def repairs(self) -> None:
        """A task of the node: repair whenever it is due."""
        while True:
            unheard = self._node.unheard()
            synced = self._node.is_synced and not unheard
            try:
                interval = INTEREST_INTERVAL if self._replica.interest_only else REPAIR_INTERVAL
                async with asyncio.timeout(interval * (0.75 + self._random.random() / 2) if synced else RETRY):
                    await self._repair_due.wait()
            except TimeoutError:
                pass
            self._repair_due.clear()
            sources = self._node.sources()
            due, self._due = [node for node in self._due if node in sources], {}
            if not due and sources:
                due = unheard or [self._random.choice(sources), *self._fellows()]
            for node in due[:FANOUT]:
                await self.repair_with(node, REQUEST_TIMEOUT)
            if synced:
                await asyncio.sleep(REPAIR_PACE)

    def _fellows(self) -> list[str]:
        """Somebody who takes the rows of a scope that we take: where each holds only his own, anybody will not do."""
        scopes = [scope for scope in self._replica.wanted_scopes() or [] if self._interests.others(scope)]
        return [self._random.choice(self._interests.others(self._random.choice(scopes)))] if scopes else []

    async def repair_with(self, node: str, deadline: float) -> bool:
        """One whole repair with a node, within seconds; whether it came to its end."""
        if self._replica.failed:
            return False
        end = self._node.now() + deadline
        dialogue = repair(self._replica, node)
        try:
            request = next(dialogue)
            while True:
                answer = await self._node.ask(node, REPAIR, request, deadline=end - self._node.now())
                request = dialogue.send(answer)
        except StopIteration as end:
            self._node.in_step_with(node, doubtful=end.value.doubtful)
            return True
        except NotAdmitted:
            self._replica.counters["repair_not_admitted"] += 1
        except RepairError:
            self._replica.counters["bad_repairs"] += 1
        except OSError:
            self._replica.counters["repair_unreachable"] += 1
        return False

    async def streams(self) -> None:
        """A task of the node: send what is too much or too large for packets to some peers, who pass it on."""
        while True:
            await self._stream_due.wait()
            self._stream_due.clear()
            ids = self._replica.outbox.take_stream()
            if self._replica.outbox.streaming:
                self._stream_due.set()
            await asyncio.gather(*(self.push(peer, told) for peer, told in self._addressed(ids).items()))
            await asyncio.sleep(STREAM_PACE)

    def _addressed(self, ids: Sequence[RecordId]) -> dict[str, list[RecordId]]:
        """What goes to whom."""
        scopes: dict[str, list[RecordId]] = {}
        for id in ids:
            scopes.setdefault(self._replica.scope_of(id), []).append(id)
        addressed: dict[str, list[RecordId]] = {}
        for scope, those in scopes.items():
            peers = self._interests.others(scope) if scope else self._node.live_peers()
            for peer in stream_peers(self._replica.node_id, peers, self._random):
                addressed.setdefault(peer, []).extend(those)
        return addressed

    async def push(self, peer: str, ids: Sequence[RecordId]) -> bool:
        """Send the present version of records to one peer; whether all arrived."""
        if self._replica.failed:
            return False
        chunk: list[bytes] = []
        size = 0
        for index, id in enumerate(ids):
            packed = self._replica.packed(id)
            if packed is not None:
                chunk.append(packed)
                size += len(packed)
            if chunk and (size > CHUNK or index == len(ids) - 1):
                try:
                    await self._node.ask(peer, DELTA_STREAM, encode_delta(chunk), deadline=REQUEST_TIMEOUT)
                except OSError:
                    self._replica.counters["push_unreachable"] += 1
                    return False
                chunk, size = [], 0
        return True
