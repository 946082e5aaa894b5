"""One simulated process: its protocol object, whether it runs, what waits in its socket, what it sent."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from gossip.swim.member import Address
from gossip.swim.membership import Membership

SOCKET_ROOM = 270
"""Packets that wait in the socket of a stopped process: Linux's default receive buffer (212992 bytes) of small packets,
each counted by the kernel with some 768 bytes; more are dropped."""


class Silent:
    """A delegate with nothing to say."""

    def meta(self) -> bytes:
        return b""

    def has_broadcasts(self) -> bool:
        return False

    def broadcasts(self, overhead: int, limit: int, to: Address) -> list[bytes]:
        return []

    def user_message(self, data: bytes, source: Address, now: float) -> None:
        pass

    def local_state(self, join: bool) -> bytes:
        return b""

    def merge_remote_state(self, data: bytes, join: bool, now: float) -> None:
        pass


class SimulatedMember:
    """``number`` is its place among all that ever were; the network knows it by that."""

    __slots__ = (
        "address",
        "crashed",
        "luck",
        "membership",
        "name",
        "number",
        "octets",
        "outgoing",
        "overflowed",
        "packets",
        "received",
        "refuses",
        "stopped",
        "streams",
        "waiting",
        "wake",
    )

    def __init__(self, number: int, name: str, address: Address, membership: Membership, luck: Random) -> None:
        self.number = number
        self.name = name
        self.address = address
        self.membership = membership
        self.luck = luck
        """For what the network does with its packets."""
        self.crashed = False
        self.refuses = False
        """Crashed, but its machine lives: the port refuses."""
        self.stopped = False
        """Gets no time to run: packets wait in its socket, timers in its past."""
        self.outgoing: list[tuple[bytes, Address]] | None = None
        """Stopped, but its timers run: what it could not send yet."""
        self.waiting: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self.wake: int | None = None
        """The tick at which its timer is served."""
        self.packets = 0
        self.octets = 0
        self.received = 0
        self.streams = 0
        self.overflowed = 0
