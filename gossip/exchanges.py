"""Both ends of every gossip stream but the idle ones: push/pull, ping over TCP, requests between native members."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from gossip.connection import Connection
from gossip.swim.delegate import Delegate
from gossip.swim.dials import DialPing, DialPushPull, StreamPingResult
from gossip.swim.exchange import STREAM_DEADLINE
from gossip.swim.member import Address
from gossip.swim.membership import Membership
from gossip.watch import WATCH, Watches
from gossip.wire.errors import WireError
from gossip.wire.messages import Ack, Error, Ping
from gossip.wire.streams import Native, PushPull, StreamMessage, StreamUser

Handler = Callable[[str, bytes], Awaitable[bytes]]
"""(name of the asking member, payload) -> answer. An exception reaches the asker as ``RequestRefused``."""
Open = Callable[[Address, float], Awaitable[Connection]]

STREAMS_MAX = 128
"""memberlist's limit of push/pulls at once; here of all accepted streams but the idle ones."""
_HANDLER_DEADLINE = 30.0
_FAILURES = (OSError, WireError, ValueError)
"""What may go wrong with a stream; TimeoutError is an OSError."""


class MemberUnreachable(Exception):
    """No answer from a member within the deadline, or no such member."""

    def __init__(self, member: str, why: str) -> None:
        super().__init__(f"{member}: {why}")
        self.member = member
        self.why = why


class RequestRefused(MemberUnreachable):
    """The member answered, but not with a result: no such kind, or its handler failed."""


class StreamService:
    """``after``: called when a stream gave the membership something to say."""

    def __init__(
        self,
        membership: Membership,
        delegate: Delegate,
        open_stream: Open,
        handlers: Mapping[str, Handler],
        watches: Watches,
        after: Callable[[], None],
    ) -> None:
        self._membership = membership
        self._delegate = delegate
        self._open = open_stream
        self._handlers = handlers
        self._watches = watches
        self._after = after
        self._accepted = 0

    def _drop(self, why: str) -> None:
        self._membership.counters["dropped." + why] += 1

    # -- dialling

    async def ping(self, dial: DialPing) -> None:
        result = StreamPingResult.SILENT
        try:
            async with asyncio.timeout(dial.timeout):
                connection = await self._open(dial.to, dial.timeout)
                try:
                    await connection.send(Ping(dial.seq, dial.name))
                    if await connection.receive() == Ack(dial.seq):
                        result = StreamPingResult.ACKED
                finally:
                    await connection.close()
        except ConnectionRefusedError:
            result = StreamPingResult.REFUSED
        except WireError as error:
            self._drop(error.name)
        except OSError:
            self._membership.counters["stream_pings_silent"] += 1
        self._membership.stream_ping_result(dial.seq, result, asyncio.get_running_loop().time())
        self._after()

    async def push_pull(self, dial: DialPushPull) -> bool:
        """True when the other answered."""
        answered = False
        errand: DialPushPull | None = dial
        while errand is not None:
            state = await self._exchange(errand)
            if state is None:
                return answered
            answered = True
            errand = self._membership.push_pull_answered(errand, state, asyncio.get_running_loop().time())
            self._after()
        return answered

    async def push_pull_quietly(self, dial: DialPushPull) -> None:
        if not await self.push_pull(dial):
            self._membership.counters["push_pulls_failed"] += 1

    async def _exchange(self, dial: DialPushPull) -> PushPull | None:
        try:
            async with asyncio.timeout(dial.timeout):
                connection = await self._open(dial.to, dial.timeout)
                try:
                    await connection.send(self._membership.local_state(join=dial.join, native=dial.native))
                    answer = await connection.receive()
                finally:
                    await connection.close()
        except WireError as error:
            self._drop(error.name)
        except (OSError, ValueError):
            self._membership.counters["streams_failed"] += 1
        else:
            if isinstance(answer, PushPull):
                return answer
            self._drop("no_push_pull_answer")
        return None

    async def request(self, name: str, kind: str, payload: bytes, deadline: float) -> bytes:
        member = self._membership.member(name)
        if member is None:
            raise MemberUnreachable(name, "no such member")
        if not member.native:
            raise MemberUnreachable(name, "does not speak our streams")
        try:
            async with asyncio.timeout(deadline):
                connection = await self._open(member.endpoint, deadline)
                try:
                    await connection.send(Native(kind, self._membership.config.name, payload))
                    answer = await connection.receive()
                finally:
                    await connection.close()
        except _FAILURES as error:
            raise MemberUnreachable(name, str(error) or type(error).__name__) from None
        if isinstance(answer, Error):
            raise RequestRefused(name, answer.text)
        if not isinstance(answer, Native):
            raise MemberUnreachable(name, "hung up")
        if answer.error:
            raise RequestRefused(name, answer.error)
        return answer.payload

    # -- answering

    async def accept(self, connection: Connection, peer: Address) -> None:
        """Serve one accepted stream to its end."""
        if self._accepted >= STREAMS_MAX:
            self._drop("streams_full")
            await connection.close()
            return
        self._accepted += 1
        watcher = ""
        try:
            async with asyncio.timeout(STREAM_DEADLINE):
                first = await connection.receive()
            if isinstance(first, Native) and first.kind == WATCH:
                watcher = first.sender
            elif first is not None:
                await self._answer(first, connection, peer)
        except WireError as error:
            self._drop(error.name)
        except OSError:
            self._membership.counters["streams_failed"] += 1
        finally:
            self._accepted -= 1
            if not watcher:
                await connection.close()
        if watcher:
            await self._watches.serve(watcher, connection)

    async def _answer(self, message: StreamMessage, connection: Connection, peer: Address) -> None:
        membership = self._membership
        now = asyncio.get_running_loop().time()
        if isinstance(message, Ping):
            if membership.refuses_host(peer[0]):
                self._drop("not_in_roster")
                return
            if message.node and message.node != membership.config.name:
                self._drop("ping_for_another")
                return
            await self._reply(connection, Ack(message.seq))
        elif isinstance(message, PushPull):
            answer = membership.push_pull_asked(message, peer[0], now)
            self._after()
            if answer is None:
                await self._reply(connection, Error("not in the roster of this cluster"))
            else:
                await self._reply(connection, answer)
        elif isinstance(message, Native):
            await self._reply(connection, await self._handle(message))
        elif isinstance(message, StreamUser):
            if membership.is_native_host(peer[0]):
                self._delegate.user_message(message.data, peer, now)
                self._after()
            else:
                self._drop("foreign_user_message")
        else:
            self._drop("unexpected_stream_message")

    async def _reply(self, connection: Connection, message: StreamMessage) -> None:
        async with asyncio.timeout(STREAM_DEADLINE):
            await connection.send(message)

    async def _handle(self, request: Native) -> Native:
        own = self._membership.config.name
        handler = self._handlers.get(request.kind)
        if handler is None:
            self._drop("unknown_request")
            return Native(request.kind, own, b"", f"no such request: {request.kind}")
        if not self._membership.allowed(request.sender):
            self._drop("not_in_roster")
            return Native(request.kind, own, b"", f"{request.sender} is not in the roster")
        try:
            async with asyncio.timeout(_HANDLER_DEADLINE):
                return Native(request.kind, own, await handler(request.sender, request.payload))
        except Exception as error:
            # A handler's failure is the asker's answer, whatever it is; the stream itself is fine.
            self._membership.counters["requests_failed"] += 1
            return Native(request.kind, own, b"", f"{type(error).__name__}: {error}"[:1000])
