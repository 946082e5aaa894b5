"""Scenarios and patches for the tests of this package: workers import the patches by name."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from daemon.cluster.cluster import Cluster
from daemon.host import Host
from scenarios.language.reading import Source, parse
from scenarios.running.run import Run

SMALL = """\
name: small
hosts: 2
networks: [ov]
containers: {aa: {on: h1, networks: ov}, bb: {on: h2, networks: ov}}
steps:
  - expect: {reachable: h1/aa -> bb, within: 5s}
"""


def one(text: str) -> Source:
    (source,) = parse(text)
    return source


@contextmanager
def deaf() -> Iterator[None]:
    """Hosts that hear of no member."""
    before = Cluster.members_view
    Cluster.members_view = lambda self: []  # type: ignore[method-assign]
    try:
        yield
    finally:
        Cluster.members_view = before  # type: ignore[method-assign]


@contextmanager
def accident() -> Iterator[None]:
    """With seed 3 the worker is killed, with seed 5 its code never returns to the loop."""
    before = Run.go

    async def go(self: Run) -> object:
        if self.record.seed == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        while self.record.seed == 5:
            pass
        return await before(self)

    Run.go = go  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Run.go = before  # type: ignore[method-assign]


@contextmanager
def deadlock() -> Iterator[None]:
    """A host that waits at its start for what never comes, and nothing else has a timer."""
    before = Host.start
    guarded = Run._guarded

    async def never(self: Host) -> None:
        await asyncio.Event().wait()

    async def unlimited(self: Run, stage: object, work: Coroutine[object, object, None], *rest: object) -> None:
        await work

    Host.start = never  # type: ignore[method-assign]
    Run._guarded = unlimited  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Host.start = before  # type: ignore[method-assign]
        Run._guarded = guarded  # type: ignore[method-assign]


def broken(socket: Path) -> web.Application:
    """A plug-in that cannot be made."""
    raise KeyError("x")


def leaves(socket: Path) -> web.Application:
    """A plug-in that ends its process."""
    raise SystemExit(7)
