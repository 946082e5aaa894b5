"""One node of a swarm: membership, roster, replicated tables and number spaces behind one face.

This is the thin asyncio shell around the objects of `tables` and `numbers`: it sends what they have to say, asks
peers, keeps time and tasks. The decisions are theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from gossip.anti_entropy import DELTA_STREAM, REPAIR, AntiEntropy
from gossip.gates import Gates
from gossip.numbers.allocator import Allocator
from gossip.numbers.inheritance import INHERIT, Inheritance
from gossip.numbers.numbers import NUMBERS, Numbers
from gossip.shell import Memberlist, MemberUnreachable
from gossip.storage import Storage
from gossip.swim.delegate import Delegate
from gossip.swim.member import Address, EventKind, MemberEvent
from gossip.swim.profile import Config
from gossip.tables.claims import Claims
from gossip.tables.delta import encode_delta
from gossip.tables.digest import fingerprint, group
from gossip.tables.interests import EVERYBODY, Interests
from gossip.tables.record import ATTACHMENTS_TABLE, OWNED, ROSTER, SPACES_TABLE, RecordId
from gossip.tables.repair import answer
from gossip.tables.replica import Replica
from gossip.tables.roster import Roster
from gossip.tables.row import Change, Row, Value
from gossip.tables.spreading import Spreading, epoch_in
from gossip.tables.spreading import node_of as node_of
from gossip.tables.view import ROSTER_TABLE
from gossip.underlay import Underlay

SNAPSHOT_GRACE = 10.0
"""Seconds after a start when a boot's rows count as all published, if nobody said so before."""
FLUSH_DELAY = 0.2
DELETED_MAX = 256
"""Deleted own rows, if they are more than the live ones, at which the live ones are said again…"""
FLOOR_DELAY = 30.0
"""… and the seconds after which what was before is forgotten everywhere."""
CHORES_INTERVAL = 5.0
LEGACY = 0.5
"""Seconds for a peer to take the ranges of a node that leaves, who may tell it to others meanwhile."""
_LEAP = 1 << 20
"""Boot epochs by at most which a host in doubt goes ahead."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a node is. A lost disk is a new node id."""

    node_id: str
    hostname: str
    cluster_id: str
    address: str
    port: int = 7946

    @property
    def name(self) -> str:
        """The name among members; hostnames repeat."""
        return f"{self.hostname}-{self.node_id}"


class NotManager(PermissionError):
    """A worker tried to write a shared row."""


class GossipNode:
    """A node of one swarm; construct, start, join, and in the end leave (for good) or stop."""

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
        everybody: int = EVERYBODY,
        interest_only: bool = False,
        delegate: Callable[[Delegate], Delegate] = lambda own: own,
        admitted_with: Sequence[bytes] = (),
    ) -> None:
        """`config` may change memberlist's configuration (profile, seeds) before it is used. `delegate` may put
        something beside what rides on membership: it gets the tables' own delegate and gives the one to use.
        `admitted_with`: of a new node, `Roster.packed` of who admitted it; one that ends before it is in step with
        him has to be admitted anew, under another id.

        `everybody`: members up to which all rows are pushed to all (see `tables.interests`). `interest_only`: at any
        size, rows with a scope are held by their writers and by who is attached to it alone; alike at all members.
        """
        self.identity = identity
        self.node_id = identity.node_id
        self._random = random
        self._storage = storage
        stored = storage.get("gossip", "epoch")
        epoch = (int.from_bytes(stored, "big") if stored else 0) + 1
        if storage.doubtful:
            epoch += random.randrange(1, _LEAP)  # the next one may have been published already
        self._replica = Replica(self.node_id, epoch, storage)
        self._replica.on_news = self._news  # type: ignore[method-assign]
        self._replica.view.on_watcher_error = self._watcher_error  # type: ignore[method-assign]
        self.roster = Roster(self._replica)
        self._claims = Claims(self._replica)
        self._allocator = Allocator(self._replica, storage)
        self.numbers = Numbers(self._allocator, self._replica, self.roster, self)
        self._inheritance = Inheritance(self._allocator, self._replica, self.roster)
        settings = config(
            Config(
                name=identity.name,
                address=identity.address,
                port=identity.port,
                keys=tuple(keys),
                label=identity.cluster_id.encode(),
            )
        )
        self._gates = Gates(self.node_id, self.roster, self.live_peers, self.now, storage)
        self._replica.awaits = lambda: bool(self._gates.unheard())  # type: ignore[method-assign]
        self._everybody = 0 if interest_only else everybody
        self._replica.interest_only = self._replica.narrow = interest_only
        self._interests = Interests(self._replica)
        self._anti_entropy = AntiEntropy(self, self._replica, self._interests, random)
        self._spreading = Spreading(
            self._replica,
            role=role,
            members=lambda: 1 + len(self.live_peers()),
            differs=self._anti_entropy.repair_soon,
            too_large=self._anti_entropy.stream_soon,
        )
        self.members = Memberlist(
            settings, underlay=underlay, delegate=delegate(self._spreading), random=random, entropy=entropy
        )
        self._names: dict[str, str] = {}
        self._peers: list[str] = []
        self._peers_as_of = (-1, -1)
        self._chores_due = asyncio.Event()
        self._complete = False
        self._floor: tuple[int, float] | None = None
        self._started = 0.0
        self._running = False
        self._tasks: list[asyncio.Task[None]] = []
        self._flush: asyncio.TimerHandle | None = None
        if admitted_with:
            self._replica.begin_as_newcomer(admitted_with)
        self._replica.view.watch(self._own_watch)

    # Life

    async def start(self) -> None:
        """Commit this boot's epoch, then speak."""
        self._commit_epoch(self._replica.epoch)
        if self._replica.in_doubt:
            self.roster.doubt(self._replica.epoch)
        self._started = self.now()
        self.members.serve(REPAIR, self._serve_repair)
        self.members.serve(DELTA_STREAM, self._serve_delta)
        self.members.serve(NUMBERS, self._serve_numbers)
        self.members.serve(INHERIT, self._serve_inherit)
        self.members.allow(self._may_be_member)
        self.members.subscribe(self._member_event)
        await self.members.start()
        self._running = True
        self._gates.start()
        loops = (self._anti_entropy.repairs(), self._anti_entropy.streams(), self._chores_loop())
        self._tasks = [asyncio.create_task(loop, name=f"gossip {self.identity.name}") for loop in loops]

    async def join(self, seeds: Sequence[Address]) -> int:
        """Join by whichever seeds answer; how many did."""
        return await self.members.join(seeds)

    async def leave(self) -> None:
        """Give free numbers to a peer, tell the others, and be `left` instead of dead. Stop afterwards."""
        if not self._running:
            return
        peers = self.live_peers()
        # Whoever may not give does not know for certain what is its own.
        given = self._allocator.donate_all(self._random.choice(peers)) if peers and self.may_give() else []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEGACY):
                for peer in peers if given else []:
                    if await self._anti_entropy.push(peer, given):
                        break
        self.roster.depart()
        await self.members.leave()

    async def stop(self) -> None:
        """End all tasks; what was merged is written down."""
        self._running = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        await self.members.stop()
        self._replica.flush()

    # Rows

    @property
    def role(self) -> str:
        """ "manager" or "worker"."""
        return self._spreading.role

    @role.setter
    def role(self, role: str) -> None:
        self._spreading.role = role
        if self._running:
            self.members.update_meta()

    def put(self, table: str, key: str, value: Value, scope: str = "") -> None:
        """Write an own row; others hide it while this node is dead. Raises ValueRejected.

        `scope`: in a large cluster only nodes attached to it hear of the row at once ("": all do).
        """
        self._replica.put(table, key, value, scope)

    def delete(self, table: str, key: str) -> None:
        """Delete an own row; one that is not there is no error."""
        self._replica.put(table, key, None)

    async def attach(self, scope: str, deadline: float) -> None:
        """Attach to a scope: hear of its rows at once from now on, and have those that there are, within seconds.

        Where all rows go to all there is nothing to wait for. Detaching is `delete` of the row in `attachments`.
        """
        if not self._replica.is_attached(scope):
            self._replica.put(ATTACHMENTS_TABLE, scope, {})
        others = self._interests.others(scope) if self._replica.narrow else []
        if not others and self._replica.interest_only:
            # Whoever wrote such rows without being attached has them alone.
            for peer in self.live_peers():
                await self._anti_entropy.repair_with(peer, deadline)
        if others:
            peer = self._random.choice(others)
            # First that we are interested, so that what it hears after its answer comes to us as well.
            await self._anti_entropy.push(peer, [RecordId(OWNED, ATTACHMENTS_TABLE, scope, self.node_id)])
            await self._anti_entropy.repair_with(peer, deadline)

    def snapshot_complete(self) -> None:
        """Say that all own rows of this boot are written: others forget those of earlier boots."""
        if not self._complete:
            self._complete = True
            self._replica.complete_snapshot()

    def write(self, table: str, id: str, value: Value) -> Row:
        """Write a shared row, durable here. Raises NotManager, RowRemoved, ValueRejected."""
        self._require_manager()
        return self._replica.write(table, id, value)

    def remove(self, table: str, id: str) -> None:
        """Give a shared row its final tombstone, durable here. Raises NotManager."""
        self._require_manager()
        self._replica.remove(table, id)

    def rows(self, table: str) -> list[Row]:
        """Visible rows, sorted by (key, owner)."""
        return self._replica.view.rows(table)

    def all_rows(self, table: str) -> list[Row]:
        """Hidden rows too (of the dead, of an owner's earlier boot): for what is in use."""
        return self._replica.all_rows(table)

    def fingerprints(self) -> dict[str, dict[str, int]]:
        """All that is held, deleted, hidden and counted out rows too: by group (kind and table), what a record is about
        and 64 bits that stand for its bytes. Hosts that saw the same answer the same."""
        found: dict[str, dict[str, int]] = {}
        for id, _ in self._replica.records():
            packed = self._replica.packed(id)
            assert packed is not None
            found.setdefault(group(id), {})[f"{id.key} {id.owner}".strip()] = fingerprint(packed)
        return found

    def row(self, table: str, key: str, owner: str = "") -> Row | None:
        """One visible row."""
        return self._replica.view.row(table, key, owner)

    @property
    def in_doubt(self) -> bool:
        """Whether this host's disk may be older than what it told others, and not all of them have been heard."""
        return self._replica.in_doubt

    def unheard(self) -> list[str]:
        """Live members that this host, in doubt of its disk, has yet to hear."""
        return self._gates.unheard()

    def write_down(self) -> None:
        """Commit at once what was heard, which else waits a little for more. Raises OSError."""
        self._replica.flush()
        if self._replica.failed:
            raise OSError("the disk refuses what was heard")

    def unfinished_removals(self) -> list[str]:
        """Shared rows ("table key") whose tombstones some roster member has not acknowledged yet."""
        return [f"{id.table} {id.key}" for id in self._replica.held_tombstones()]

    def watch(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call back for every visible change, in order, each once; returns what ends it. Must not block."""
        return self._replica.view.watch(callback)

    def notice(self, table: str, callback: Callable[[], None]) -> None:
        """Call back whenever an owned row of a table may have changed, of those too who are not alive. Must not block.
        It ends with this node."""
        self._replica.view.notice(table, callback)

    def claim(self, kind: str, name: str, id: str) -> bool:
        """Claim a name for an id; whether it holds it as far as can be seen now. Raises NotManager."""
        self._require_manager()
        return self._claims.claim(kind, name, id)

    def give_up(self, kind: str, name: str, id: str) -> None:
        """End a claim for good. Raises NotManager."""
        self._require_manager()
        self._claims.give_up(kind, name, id)

    def holder(self, kind: str, name: str) -> str | None:
        """The id that keeps a name: of all claims the one with the lowest (Lamport time, id)."""
        return self._claims.holder(kind, name)

    @property
    def counters(self) -> Counter[str]:
        """What was dropped, refused or failed in the tables and numbers, by name."""
        dropped = Counter({"outbox_full": self._replica.outbox.dropped})
        return self._replica.counters + self.numbers.counters + dropped

    # Being in step

    async def synced(self, deadline: float) -> bool:
        """Whether all was exchanged with a live peer since the start (or there is no peer), within seconds."""
        return await self._gates.wait_synced(deadline)

    async def pull(self, deadline: float, peer: str | None = None) -> None:
        """Repair now with one live peer (or just that one), within seconds; without one nothing happens."""
        peers = [node for node in self.sources() if peer in (None, node)]
        if peers:
            await self._anti_entropy.repair_with(self._random.choice(peers), deadline)

    def live_peers(self) -> list[str]:
        """Other roster members believed alive, sorted by node id. Asked at every packet, so they are kept until they
        change."""
        as_of = self._replica.roster_changes, self._replica.live_changes
        if self._peers_as_of != as_of:
            self._peers_as_of = as_of
            entries = self.roster.members()
            self._peers = [e.node_id for e in entries if e.node_id != self.node_id and self._replica.is_live(e.node_id)]
        return list(self._peers)

    def may_give(self) -> bool:
        """Whether numbers may be given: see `gates`."""
        return self._gates.may_give()

    def awaited(self) -> list[str]:
        """Members, dead ones too, whom this host, in doubt of its disk, must hear before it gives numbers."""
        return self._gates.awaited()

    async def wait_may_give(self, deadline: float) -> bool:
        """Wait for may_give for some seconds; whether it came true."""
        return await self._gates.wait_may_give(deadline)

    async def ask(self, node_id: str, kind: str, payload: bytes, *, deadline: float) -> bytes:
        """One question to one node; raises OSError when no answer comes within `deadline` seconds."""
        name = self._name_of(node_id)
        if name is None or deadline <= 0 or not self._running:
            raise ConnectionError(f"{self.roster.hostname(node_id)} is not reachable")
        try:
            return await self.members.request(name, kind, payload, deadline=deadline)
        except MemberUnreachable as error:
            raise ConnectionError(str(error)) from error

    @property
    def is_synced(self) -> bool:
        """Whether all was exchanged with a live peer since the start."""
        return self._gates.is_synced

    def now(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    def sources(self) -> list[str]:
        """Who can be asked for rows: live roster members; before the first sync any live member, but for a newcomer
        only who admitted it."""
        if self.is_synced or self.roster.only_member():
            return self.live_peers()
        if self._replica.newcomer:
            return [node for node in self.live_peers() if node == self._replica.admitter()]
        names = sorted(node_of(m.name) for m in self.members.members() if m.reachable and m.native)
        return [node for node in names if node != self.node_id]

    # What happens

    def _member_event(self, event: MemberEvent) -> None:
        self._names[node_of(event.member.name)] = event.member.name
        reachable = {node_of(m.name): epoch_in(m.meta) for m in self.members.members() if m.reachable and m.native}
        new = [node for node in reachable if not self._replica.is_live(node)]
        self._replica.narrow = len(reachable) > self._everybody
        self._replica.set_live(reachable, reachable)
        if event.kind is EventKind.RECOVERED:
            new.append(node_of(event.member.name))  # what was sent while it was out of reach may be lost
        for node in dict.fromkeys(new):
            self._anti_entropy.repair_soon(node)
        self._chores_due.set()
        self._gates.look()

    def _own_watch(self, change: Change) -> None:
        if change.table == ROSTER_TABLE:
            if change.after is None and self._running:
                self._tell_the_removed(change.key)
                self.members.allow(self._may_be_member)
            self._chores_due.set()
            self._gates.look()
        elif change.table == SPACES_TABLE:
            if change.after is None:
                self.numbers.forget(change.key)
            else:
                self._chores_due.set()

    def _tell_the_removed(self, node_id: str) -> None:
        """Who was removed hears nothing more of us, but for this: it has to stop at once, not when it finds itself
        alone. From each who learns of it, for a packet may be lost."""
        packed = self._replica.packed(RecordId(ROSTER, "", node_id, ""))
        name = self._name_of(node_id)
        if packed is not None and name is not None:
            self.members.send_user(name, encode_delta([packed]))

    def _name_of(self, node_id: str) -> str | None:
        """As members call it; None while it is not among them."""
        name = self._names.get(node_id)
        if name is None or self.members.member(name) is None:
            name = next((m.name for m in self.members.members() if node_of(m.name) == node_id), None)
        return name

    def _may_be_member(self, name: str) -> bool:
        """All but the removed: a joiner may be heard before its admission is, and its rows are hidden till then."""
        return not self.roster.removed(node_of(name))

    def _news(self) -> None:
        """Something was merged or written: tell others at once, by stream if it is much."""
        if not self._running:
            return
        outbox = self._replica.outbox
        outbox.relieve()
        if outbox.streaming:
            self._anti_entropy.stream_soon()
        if len(outbox):
            self.members.broadcast_soon()
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(FLUSH_DELAY, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        self._replica.flush()

    def _watcher_error(self, error: Exception) -> None:
        context = {"message": "a watcher of the tables failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)

    def _require_manager(self) -> None:
        if self.role != "manager":
            raise NotManager("only managers change what is shared")

    def _commit_epoch(self, epoch: int) -> None:
        self._storage.commit([("gossip", "epoch", epoch.to_bytes(8, "big"))])
        self._replica.begin_epoch(epoch)
        if self._running:
            self.members.update_meta()
        if self._complete:
            self._replica.complete_snapshot()

    def _compact(self) -> None:
        """Have deleted own rows forgotten: in two steps, so that nobody sees a live one missing in between."""
        if self._floor is not None:
            floor, due = self._floor
            if self.now() >= due:
                self._floor = None
                self._replica.raise_floor(floor)
            return
        deleted, live = self._replica.deleted_own()
        if deleted >= max(DELETED_MAX, live):
            self._floor = self._replica.say_again(), self.now() + FLOOR_DELAY

    # Answering

    def in_step_with(self, node: str, *, doubtful: bool) -> None:
        """A repair with a node came to its end; the first one opens the gates."""
        if self._replica.newer_epoch >= self._replica.epoch:
            # A peer has rows that we do not remember to have said: our disk is older than what we published.
            self._replica.counters["restored_storage"] += 1
            self._commit_epoch(self._replica.newer_epoch + 1)
            self._replica.doubt()
            self.roster.doubt(self._replica.epoch)
            self._gates.doubt()
        if not self.roster.contains(self.node_id) or not self.roster.contains(node):
            return
        if self.is_synced and not self._replica.in_doubt:
            return
        if not self._replica.is_welcome(node, doubtful=doubtful):
            return
        self._gates.sync(node, doubtful=doubtful)
        self._replica.bounded = self._replica.bounded or self.is_synced
        self._settle_doubt()
        self.numbers.define_pending()
        self._chores_due.set()

    def _settle_doubt(self) -> None:
        """Who is in doubt is so until every member of the roster has been heard (or was removed)."""
        if self._replica.in_doubt and self.may_give():
            self._replica.end_doubt()
            self._gates.look()

    async def _serve_repair(self, peer: str, payload: bytes) -> bytes:
        return answer(self._replica, node_of(peer), payload)

    async def _serve_delta(self, peer: str, payload: bytes) -> bytes:
        self._spreading.receive(payload)
        return b""

    async def _serve_numbers(self, peer: str, payload: bytes) -> bytes:
        return self.numbers.answer(node_of(peer), payload)

    async def _serve_inherit(self, peer: str, payload: bytes) -> bytes:
        return self._inheritance.answer(node_of(peer), payload)

    async def _chores_loop(self) -> None:
        """What is due after a change of members or spaces, and tried again now and then."""
        while True:
            try:
                async with asyncio.timeout(CHORES_INTERVAL):
                    await self._chores_due.wait()
            except TimeoutError:
                pass
            self._chores_due.clear()
            if not self._complete and self.now() - self._started >= SNAPSHOT_GRACE:
                self.snapshot_complete()
            if self._replica.failed:
                self._replica.flush()
            self._compact()
            self.numbers.release_again()
            self._settle_doubt()
            if self.may_give():
                self.numbers.define_pending()
                await self.numbers.ask_for_shares()
                await self._inheritance.run(self.ask)
