"""Idle streams to a few members: when a process dies its kernel ends them, which is the fastest news there is.

The end of a stream accuses nobody: it makes ``Membership`` probe the member at once. A stream that is given up on
purpose says so first. Silence (a cut, a pause) does not end a stream; for that there are SWIM's probes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from gossip.connection import Connection
from gossip.swim.member import Address, Member
from gossip.swim.membership import Membership
from gossip.wire.errors import WireError
from gossip.wire.streams import Native

WATCH = "watch"
UNWATCH = "unwatch"
_CONNECT_TIMEOUT = 3.0
_UNWATCH_TIMEOUT = 0.5
_RETRY = 5.0
"""Seconds before a stream that could not be opened is tried again."""
_WATCHERS_MAX = 256


class Watches:
    def __init__(
        self,
        membership: Membership,
        open_stream: Callable[[Address, float], Awaitable[Connection]],
        spawn: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
        after: Callable[[], None],
    ) -> None:
        self._membership = membership
        self._open = open_stream
        self._spawn = spawn
        self._after = after
        self._held: dict[str, tuple[Address, asyncio.Task[None]]] = {}
        self._watchers = 0

    def reconcile(self) -> None:
        """Membership changed: hold streams to whom ``watched`` names now, and to nobody else."""
        wanted = {member.name: member for member in self._membership.watched()}
        for name, (address, task) in list(self._held.items()):
            if name not in wanted or wanted[name].endpoint != address:
                del self._held[name]
                task.cancel()
        for name, member in wanted.items():
            if name not in self._held:
                self._held[name] = (member.endpoint, self._spawn(self._hold(member)))

    async def _hold(self, member: Member) -> None:
        while True:
            try:
                connection = await self._open(member.endpoint, _CONNECT_TIMEOUT)
            except ConnectionRefusedError:
                self._lost(member.name)
            except OSError:
                self._membership.counters["watch_streams_failed"] += 1
            else:
                if await self._until_end(connection):
                    self._lost(member.name)
            await asyncio.sleep(_RETRY)

    async def _until_end(self, connection: Connection) -> bool:
        """True when the other end ended it; cancelled when we give it up."""
        own = self._membership.config.name
        try:
            await connection.send(Native(WATCH, own, b""))
            await connection.receive()
            return True
        except asyncio.CancelledError:
            try:
                async with asyncio.timeout(_UNWATCH_TIMEOUT):
                    await connection.send(Native(UNWATCH, own, b""))
            except OSError:
                self._membership.counters["watch_streams_failed"] += 1
            raise
        except (OSError, WireError):
            return True
        finally:
            await connection.close()

    async def serve(self, watcher: str, connection: Connection) -> None:
        """The accepting end: whoever watches us is watched by us through the same stream."""
        if self._watchers >= _WATCHERS_MAX:
            self._membership.counters["dropped.watchers_full"] += 1
            await connection.close()
            return
        self._watchers += 1
        try:
            message = await connection.receive()
        except (OSError, WireError):
            message = None
        finally:
            self._watchers -= 1
            await connection.close()
        if message is None:
            self._lost(watcher)

    def _lost(self, name: str) -> None:
        self._membership.stream_lost(name, asyncio.get_running_loop().time())
        self._after()
