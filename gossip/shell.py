"""The asyncio shell around ``Membership``: moves bytes and wakes timers, decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from gossip.swim.delegate import Delegate
from gossip.swim.member import Address, Member, MemberEvent
from gossip.swim.profile import Config
from gossip.underlay import Underlay

Handler = Callable[[str, bytes], Awaitable[bytes]]
"""(name of the asking member, payload) -> answer. An exception reaches the asker as ``RequestRefused``."""


class MemberUnreachable(Exception):
    """No answer from a member within the deadline, or no such member."""

    def __init__(self, member: str, why: str) -> None:
        super().__init__(f"{member}: {why}")
        self.member = member
        self.why = why


class RequestRefused(MemberUnreachable):
    """The member answered, but not with a result: no such kind, or its handler failed."""


class Memberlist:
    """One node's membership on a real (or simulated) event loop."""

    counters: Counter[str]

    def __init__(
        self,
        config: Config,
        *,
        underlay: Underlay,
        delegate: Delegate,
        random: Random,
        entropy: Callable[[int], bytes],
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None: raise NotImplementedError
    async def join(self, seeds: Sequence[Address]) -> int: raise NotImplementedError
    async def leave(self) -> None: raise NotImplementedError
    async def stop(self) -> None: raise NotImplementedError
    def members(self) -> list[Member]: raise NotImplementedError
    def member(self, name: str) -> Member | None: raise NotImplementedError
    def subscribe(self, callback: Callable[[MemberEvent], None]) -> Callable[[], None]: raise NotImplementedError
    def broadcast_soon(self) -> None: raise NotImplementedError
    def update_meta(self) -> None: raise NotImplementedError
    def serve(self, kind: str, handler: Handler) -> None: raise NotImplementedError
    async def request(self, member: str, kind: str, payload: bytes, *, deadline: float) -> bytes: raise NotImplementedError
    def allow(self, predicate: Callable[[str], bool]) -> None: raise NotImplementedError
