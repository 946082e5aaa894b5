"""Waiting with an end, and with an account of what the hosts were doing when it came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from scenarios.running.swarm import Swarm


class OutOfPatience(TimeoutError):
    """Raised at the end of a `patience`; `waits` says what the hosts were doing then, as far as that is known."""

    def __init__(self, waits: str) -> None:
        super().__init__(waits)
        self.waits = waits


@contextlib.asynccontextmanager
async def patience(swarm: Swarm, seconds: float, host: str = "") -> AsyncIterator[None]:
    """As asyncio.timeout. With `host` the account is of what that host does for clients. Raises OutOfPatience."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    seen: list[str] = []
    look = loop.call_at(end, lambda: seen.append(swarm.waiting(host)))  # before the end, which cancels what waits
    try:
        async with asyncio.timeout_at(end) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise OutOfPatience("".join(seen)) from None
    finally:
        look.cancel()
