"""Whether a simulated process still lives. After its death its code may run on until it is cleared away; nothing of
that reaches a disk, a peer or a client."""

from __future__ import annotations

from contextvars import ContextVar


class Power:
    """Of one boot of one host."""

    __slots__ = ("dead",)

    def __init__(self) -> None:
        self.dead = False


POWER: ContextVar[Power | None] = ContextVar("power", default=None)
"""Set when a host boots; its tasks, timers and connections inherit it."""
