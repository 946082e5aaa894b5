"""The asyncio shell around ``Membership``: moves bytes, wakes timers, dials; decides nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from random import Random

from gossip.connection import Connection
from gossip.droplog import DropLog
from gossip.exchanges import Handler, MemberUnreachable, RequestRefused, StreamService
from gossip.swim.delegate import Delegate
from gossip.swim.dials import DialPing
from gossip.swim.member import Address, EventKind, Member, MemberEvent
from gossip.swim.membership import Membership
from gossip.swim.profile import Config
from gossip.underlay import Datagrams, Listener, ReportsRefusals, Underlay
from gossip.watch import Watches
from gossip.wire.seal import Keyring
from gossip.wire.streams import STATE_MAX, STRANGER_MAX

__all__ = ["Handler", "MemberUnreachable", "Memberlist", "RequestRefused"]

_READ_FIRST = 0.02
"""Seconds between noticing that a timer is served late and serving it: time to read what waits in the sockets."""
_LEAVE_FOR = 1.5
"""Gossip intervals for which a leaving node keeps telling so."""


class Memberlist:
    """One node's membership on a real (or simulated) event loop."""

    def __init__(
        self,
        config: Config,
        *,
        underlay: Underlay,
        delegate: Delegate,
        random: Random,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.config = config
        self._underlay = underlay
        self._delegate = delegate
        self._random = random
        self._entropy = entropy
        self._membership: Membership | None = None
        self._allowed: Callable[[str], bool] | None = None
        self._handlers: dict[str, Handler] = {}
        self._subscribers: list[Callable[[MemberEvent], None]] = []
        self._datagrams: Datagrams | None = None
        self._listener: Listener | None = None
        self._streams: StreamService | None = None
        self._watches: Watches | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._pump_due = False
        self._drop_log = DropLog(config.name)
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._stopped = False

    # -- life

    async def start(self) -> None:
        """Bind and begin. Raises OSError when the port is taken, ValueError for a bad key, label or metadata."""
        loop = asyncio.get_running_loop()
        membership = Membership(
            self.config, delegate=self._delegate, random=self._random, entropy=self._entropy, now=loop.time()
        )
        self._membership = membership
        if self._allowed is not None:
            membership.allow(self._allowed, loop.time())
        self._watches = Watches(membership, self._open, self._spawn, self._pump)
        self._streams = StreamService(membership, self._delegate, self._open, self._handlers, self._watches, self._pump)
        self._datagrams = await self._underlay.datagrams(self.config.port, self._received)
        if isinstance(self._datagrams, ReportsRefusals):
            self._datagrams.on_refused(self._datagram_refused)
        try:
            self._listener = await self._underlay.listen(self.config.port, self._accepted)
        except OSError:
            self._datagrams.close()
            raise
        self._pump()

    async def join(self, seeds: Sequence[Address]) -> int:
        """Exchange states with each seed, all at once; how many answered. They are tried again as long as needed."""
        membership, streams = self._running()
        results = await asyncio.gather(*(streams.push_pull(dial) for dial in membership.join(seeds)))
        self._pump()
        return sum(results)

    async def leave(self) -> None:
        """Tell the others that this node leaves on purpose, and give the word time to spread."""
        membership, _ = self._running()
        membership.leave(asyncio.get_running_loop().time())
        self._pump()
        if any(member.reachable for member in membership.members()):
            await asyncio.sleep(_LEAVE_FOR * self.config.profile.gossip_interval)

    async def stop(self) -> None:
        """Close everything; without ``leave`` before it the others see a failure."""
        if self._stopped:
            return
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._datagrams is not None:
            self._datagrams.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.close()

    # -- for the layer above

    @property
    def counters(self) -> Counter[str]:
        return self._membership.counters if self._membership is not None else Counter()

    @property
    def keyring(self) -> Keyring:
        """Add, use, remove keys while running."""
        return self._running()[0].keyring

    @property
    def awareness(self) -> int:
        """Lifeguard's health score of this node, 0 is healthy."""
        return self._membership.awareness if self._membership is not None else 0

    def members(self) -> list[Member]:
        """Sorted by name, this node included, the dead and those who left as long as they are remembered."""
        return self._membership.members() if self._membership is not None else []

    def member(self, name: str) -> Member | None:
        return self._membership.member(name) if self._membership is not None else None

    def subscribe(self, callback: Callable[[MemberEvent], None]) -> Callable[[], None]:
        """Call for each event from now on; the result ends it."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def broadcast_soon(self) -> None:
        """The delegate has something new: gossip it in this turn of the loop, within the token bucket."""
        if self._membership is not None:
            self._membership.broadcast_soon()
            self._pump_soon()

    def send_user(self, member: str, data: bytes) -> None:
        """A message for the delegate of one member, in a datagram that may be lost; nothing for an unknown name."""
        if self._membership is not None:
            self._membership.send_user(member, data)
            self._pump_soon()

    def update_meta(self) -> None:
        """The delegate's metadata changed: tell everybody."""
        membership, _ = self._running()
        membership.update_meta(asyncio.get_running_loop().time())
        self._pump_soon()

    def serve(self, kind: str, handler: Handler) -> None:
        """Answer requests of a kind. Raises ValueError when it has a handler."""
        if kind in self._handlers:
            raise ValueError(f"{kind} is served")
        self._handlers[kind] = handler

    async def request(self, member: str, kind: str, payload: bytes, *, deadline: float) -> bytes:
        """Ask one member over a stream; ``deadline`` in seconds from now. Raises MemberUnreachable (no answer), and its
        subclass RequestRefused (answered with an error)."""
        _, streams = self._running()
        return await streams.request(member, kind, payload, deadline)

    def allow(self, predicate: Callable[[str], bool]) -> None:
        """Names that may be members (the roster). Call again when its answers change: others are forgotten."""
        self._allowed = predicate
        if self._membership is not None:
            self._membership.allow(predicate, asyncio.get_running_loop().time())
            self._pump_soon()

    # -- bytes and time

    def _running(self) -> tuple[Membership, StreamService]:
        if self._membership is None or self._streams is None or self._stopped:
            raise RuntimeError("the memberlist is not running")
        return self._membership, self._streams

    def _received(self, data: bytes, source: Address) -> None:
        if self._membership is not None and not self._stopped:
            self._membership.receive_datagram(data, source, asyncio.get_running_loop().time())
            self._pump()

    def _datagram_refused(self, to: Address) -> None:
        if self._membership is not None and not self._stopped:
            self._membership.datagram_refused(to, asyncio.get_running_loop().time())
            self._pump_soon()

    def _pump_soon(self) -> None:
        if not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Drain what the protocol wants out, and set its timer."""
        self._pump_due = False
        membership = self._membership
        if membership is None or self._stopped:
            return
        now = asyncio.get_running_loop().time()
        try:
            self._tell(membership)
            while (dial := membership.next_dial()) is not None:
                assert self._streams is not None
                if isinstance(dial, DialPing):
                    self._spawn(self._streams.ping(dial))
                else:
                    self._spawn(self._streams.push_pull_quietly(dial))
            if self._datagrams is not None:
                for data, to in membership.datagrams_to_send(now):
                    self._datagrams.send(data, to)
        finally:
            self._arm(membership.get_timer())
            self._drop_log.look(membership.counters, now)

    def _tell(self, membership: Membership) -> None:
        changed = False
        while (event := membership.next_event()) is not None:
            changed = changed or event.kind is not EventKind.SUSPECTED
            for callback in list(self._subscribers):
                callback(event)
        if changed and self._watches is not None:
            self._watches.reconcile()

    def _arm(self, when: float | None) -> None:
        if self._timer is not None:
            if self._timer_at == when:
                return
            self._timer.cancel()
            self._timer = None
        self._timer_at = when
        if when is not None:
            self._timer = asyncio.get_running_loop().call_at(when, self._timer_due, when)

    def _timer_due(self, when: float) -> None:
        self._timer = None
        self._timer_at = None
        loop = asyncio.get_running_loop()
        if loop.time() - when > self.config.profile.stall:
            self._timer_at = when
            self._timer = loop.call_later(_READ_FIRST, self._serve_timer)
        else:
            self._serve_timer()

    def _serve_timer(self) -> None:
        self._timer = None
        self._timer_at = None
        if self._membership is not None and not self._stopped:
            self._membership.handle_timer(asyncio.get_running_loop().time())
            self._pump()

    # -- streams

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """A task that ends with this memberlist."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return task

    async def _open(self, to: Address, timeout: float) -> Connection:
        reader, writer = await self._underlay.connect(to, deadline=timeout)
        if self._stopped:
            writer.close()
            raise ConnectionAbortedError("this memberlist has ended")
        return self._connection(reader, writer, dialler=True)

    def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, dialler: bool, most: int = STATE_MAX
    ) -> Connection:
        membership, _ = self._running()
        return Connection(
            reader,
            writer,
            label=self.config.label,
            keyring=membership.keyring,
            dialler=dialler,
            compressed=self.config.compress,
            most=most,
        )

    async def _refused(self, writer: asyncio.StreamWriter) -> None:
        """A stream that came while this memberlist was ending."""
        writer.close()

    def _accepted(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address
    ) -> Awaitable[None]:
        membership = self._membership
        if self._streams is None or membership is None or self._stopped:
            return self._refused(writer)
        most = STATE_MAX if membership.knows_host(peer[0]) else STRANGER_MAX
        return self._streams.accept(self._connection(reader, writer, dialler=False, most=most), peer)
