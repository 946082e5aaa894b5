"""A node of the model: memberlist with its own constants, and NetworkDB riding on it.

shoal's SWIM speaks memberlist's protocol; with the profile below it keeps memberlist's times and does nothing that
memberlist does not: no Lifeguard (there was none when Docker took memberlist in, 2016), no state asked for when a dead
member returns, no seeds that are tried for ever. The tables of shoal's GossipNode stand for the managers' raft store
and what the dispatcher tells workers of it: roster, nodes, networks; nothing that the data path reads comes from them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from gossip.exchanges import MemberUnreachable
from gossip.node import GossipNode, Identity, node_of
from gossip.storage import Storage
from gossip.swim.delegate import Delegate
from gossip.swim.member import Address, MemberEvent, MemberState
from gossip.swim.profile import LAN, Config
from gossip.tables.spreading import epoch_in
from gossip.underlay import Underlay
from scenarios.docker_model.networkdb import Event, NetworkDB, Peer

PROFILE = replace(
    LAN,
    lha_probe=False,
    lha_suspicion=False,
    buddy_system=False,
    exchange_on_return=False,
    merge_first=False,
    reconnect_interval=1e9,
    name_reclaim=0.0,
    stall=1e9,
)
"""memberlist's DefaultLANConfig as it was in 2016."""

RECONNECT = 1.0
"""retryInterval."""
BULK_SYNC = 30.0
"""memberlist's PushPullInterval, which NetworkDB takes for its own."""
REJOIN = 60.0
"""rejoinClusterInterval."""
_BULK = "networkdb-bulk"
_BULK_DEADLINE = 30.0
_SYN = (1.0, 2.0, 4.0, 3.0)
"""Seconds from one SYN to the next (tcp(7), RFC 6298), until memberlist's TCPTimeout of 10 s ends the attempt."""
_HANDSHAKE = 0.6
"""Seconds for the exchange that follows an answered SYN, on ways of up to 100 ms."""
_STATE = 4  # bytes of the length of the tables' own state in a push/pull


class _Riding:
    """memberlist's delegate: NetworkDB beside the tables."""

    def __init__(self, own: Delegate, db: NetworkDB, look: Callable[[], None]) -> None:
        self._own = own
        self._db = db
        self._look = look

    def meta(self) -> bytes:
        return self._own.meta()

    def has_broadcasts(self) -> bool:
        return self._db.has_riders or self._own.has_broadcasts()

    def broadcasts(self, overhead: int, limit: int, to: Address) -> list[bytes]:
        messages = self._db.riders(overhead, limit)
        return messages + self._own.broadcasts(overhead, limit - sum(len(m) + overhead for m in messages), to)

    def user_message(self, data: bytes, source: Address, now: float) -> None:
        if data[:1] == b"[":
            self._db.receive(data)
        else:
            self._own.user_message(data, source, now)

    def local_state(self, join: bool) -> bytes:
        own = self._own.local_state(join)
        return len(own).to_bytes(_STATE, "big") + own + self._db.local_state(join)

    def merge_remote_state(self, data: bytes, join: bool, now: float) -> None:
        end = _STATE + int.from_bytes(data[:_STATE], "big")
        self._own.merge_remote_state(data[_STATE:end], join, now)
        # memberlist has merged its own part first, and told of who came alive by it.
        self._look()
        self._db.merge_state(data[end:])


class DockerNode(GossipNode):
    """`events` hears what NetworkDB's watchers hear."""

    def __init__(
        self,
        identity: Identity,
        *,
        keys: Sequence[bytes],
        role: str,
        underlay: Underlay,
        storage: Storage,
        random: Random,
        entropy: Callable[[int], bytes],
        config: Callable[[Config], Config] = lambda config: config,
        admitted_with: Sequence[bytes] = (),
    ) -> None:
        self.events: Callable[[Event], None] = lambda event: None
        self._bootstrap: tuple[Address, ...] = ()
        self._gossiping: asyncio.TimerHandle | None = None
        self._ticks: list[asyncio.Task[None]] = []
        self._stagger = 0.0
        chance = Random(random.getrandbits(64))
        self.db = NetworkDB(
            me="", random=chance, now=self.now, tell=lambda event: self.events(event), news=self._gossip_soon,
        )  # fmt: skip

        def as_docker(settings: Config) -> Config:
            settings = config(settings)
            self._bootstrap = settings.seeds
            return replace(settings, profile=PROFILE, seeds=())

        super().__init__(
            identity, keys=keys, role=role, underlay=underlay, storage=storage, random=random, entropy=entropy,
            config=as_docker, delegate=lambda own: _Riding(own, self.db, self._look), admitted_with=admitted_with,
        )  # fmt: skip
        self.db.me = f"{self.node_id}.{self._replica.epoch}"
        self._chance = chance

    async def start(self) -> None:
        self.members.serve(_BULK, self._serve_bulk)
        self.members.subscribe(self._seen)
        await super().start()
        self._stagger = self._chance.random()
        ticks = ((RECONNECT, self._reconnect), (BULK_SYNC, self._sync_tables), (REJOIN, self._rejoin))
        self._ticks = [asyncio.create_task(self._every(interval, work)) for interval, work in ticks]

    async def stop(self) -> None:
        for task in self._ticks:
            task.cancel()
        await asyncio.gather(*self._ticks, return_exceptions=True)
        self._ticks = []
        if self._gossiping is not None:
            self._gossiping.cancel()
            self._gossiping = None
        await super().stop()

    # -- this host on a network ---------------------------------------------------------------------------------------

    async def join_network(self, network: str) -> None:
        """JoinNetwork: to its end, as libnetwork waits for the first bulk sync too."""
        nodes = self.db.join(network)
        for node in nodes:
            await self._bulk_sync(node)
        self.db.synced(network)

    # -- what memberlist tells ------------------------------------------------------------------------------------

    def _seen(self, event: MemberEvent) -> None:
        self._look()

    def _look(self) -> None:
        """Bring NetworkDB's nodes in step with memberlist's members."""
        for member in self.members.members():
            node = node_of(member.name)
            if node == self.node_id or not member.native:
                continue
            name = f"{node}.{epoch_in(member.meta)}"
            peer = Peer(member.name, member.endpoint)
            if member.reachable:
                if name not in self.db.nodes:
                    self.db.alive(name, peer)
            else:
                self.db.dead(name, peer, left=member.state is MemberState.LEFT)

    # -- ticks: clusterInit's triggers ------------------------------------------------------------------------------

    async def _every(self, interval: float, work: Callable[[], object]) -> None:
        """triggerFunc: after a random stagger, one at a time."""
        due = self.now() + self._chance.random() * interval
        while True:
            await asyncio.sleep(max(0.0, due - self.now()))
            while due <= self.now():
                due += interval
            done = work()
            if asyncio.iscoroutine(done):
                await done

    def _gossip_soon(self) -> None:
        """Rows go out at the next tick of memberlist's GossipInterval; without any the tick would do nothing."""
        if self._running and self._gossiping is None and self.db.has_news:
            interval = PROFILE.gossip_interval
            offset = self._stagger * interval
            ticks = int((self.now() - offset) / interval) + 1
            loop = asyncio.get_running_loop()
            self._gossiping = loop.call_at(offset + ticks * interval, self._gossip)

    def _gossip(self) -> None:
        self._gossiping = None
        for member, message in self.db.gossip():
            self.members.send_user(member, message)
        self._gossip_soon()

    async def _reconnect(self) -> None:
        """reconnectNode."""
        peer = self.db.to_reconnect()
        if peer is not None and await self._join([peer.address]):
            node = next((name for name, known in self.db.nodes.items() if known.member == peer.member), None)
            if node is not None:
                await self._bulk_sync(node)

    async def _rejoin(self) -> None:
        """rejoinClusterBootStrap: when no manager is among the live nodes."""
        others = [seed for seed in self._bootstrap if seed[0] != self.identity.address]
        if others and not any(self.db.knows_address(seed[0]) for seed in others):
            await self._join(others)

    async def _join(self, addresses: Sequence[Address]) -> bool:
        """memberlist.Join: TCP within 10 s. A kernel asks again after 1, 2 and 4 s; a cut that heals in between is not
        noticed before (a stream of the simulation would open at once)."""
        for until_next in _SYN:
            try:
                async with asyncio.timeout(_HANDSHAKE):
                    return await self.members.join(addresses) > 0
            except TimeoutError:
                await asyncio.sleep(until_next - _HANDSHAKE)
        return False

    async def _sync_tables(self) -> None:
        for _, nodes in self.db.sync_targets():
            for node in nodes:
                if await self._bulk_sync(node):
                    break

    async def _bulk_sync(self, node: str) -> bool:
        peer = self.db.nodes.get(node)
        if peer is None:
            return False
        payload = self.db.bulk(self.db.common(node))
        try:
            answer = await self.members.request(peer.member, _BULK, payload, deadline=_BULK_DEADLINE)
        except MemberUnreachable:
            return False
        self.db.merge_bulk(answer)
        return True

    async def _serve_bulk(self, member: str, payload: bytes) -> bytes:
        return self.db.bulk(self.db.merge_bulk(payload))
