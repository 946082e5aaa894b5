"""docker's command lines for the Python API, performed as scenarios perform theirs, without taking the caller's
standard streams for longer than a line takes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from scenarios.cli.lines import Printed, kept_apart, parse, perform_line
from scenarios.client import HostClient

__all__ = ["Printed", "perform"]

_lock = threading.Lock()
_stack = contextlib.ExitStack()
_users = 0


async def perform(client: HostClient, line: str, stdin: bytes = b"") -> Printed:
    """Raises BadLine."""
    with _apart():
        return await perform_line(parse(line), client, stdin=stdin)


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """The first of several lines at once takes the streams, the last gives them back."""
    global _users
    with _lock:
        if _users == 0:
            _stack.enter_context(kept_apart())
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _stack.close()
