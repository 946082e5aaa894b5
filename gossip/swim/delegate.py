"""What the layer above membership provides: memberlist's Delegate."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gossip.swim.member import Address


class Delegate(Protocol):
    """All calls are synchronous and must not block; none may raise on bad bytes from the wire."""

    def meta(self) -> bytes:
        """This node's metadata, at most ``gossip.swim.meta.META_LIMIT`` bytes (500)."""
        ...

    def has_broadcasts(self) -> bool:
        """Whether ``broadcasts`` may have something; where nothing waits no packet is begun."""
        ...

    def broadcasts(self, overhead: int, limit: int, to: Address) -> list[bytes]:
        """User messages to piggyback on a packet to ``to``: the sum of ``len(message) + overhead`` must not exceed
        ``limit``."""
        ...

    def user_message(self, data: bytes, source: Address, now: float) -> None: ...

    def local_state(self, join: bool) -> bytes:
        """State for a push/pull."""
        ...

    def merge_remote_state(self, data: bytes, join: bool, now: float) -> None: ...


@runtime_checkable
class ComparesState(Protocol):
    """A delegate that has a cheaper way than push/pull to be in step. Of any other the local state is compared."""

    def state_digest(self) -> bytes:
        """At most 64 bytes: equal with a peer when there is nothing to exchange."""
        ...

    def state_differs(self, member: str) -> None:
        """A live member has another digest."""
        ...
