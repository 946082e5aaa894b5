"""Plug-ins of a scenario: a function that makes an aiohttp application for a socket, run beside the host's daemon.

On processes it has a process of its own, which is this module; in simulated time it answers inside the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

Factory = Callable[[Path], web.Application]


class NoPlugin(Exception):
    """There is no such function; the text is for the user."""


def factory(reference: str) -> Factory:
    """MODULE:FUNCTION, of this Python or of the directory that the run was started in. Raises NoPlugin."""
    module, _, name = reference.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name or "application")
    except (ImportError, AttributeError) as error:
        raise NoPlugin(f"no plug-in {reference}: {error}") from None
    if not callable(found):
        raise NoPlugin(f"no plug-in {reference}: it is no function")
    made: Factory = found
    return made


def made(reference: str, socket: Path) -> web.Application:
    """What the function gives for this socket. Raises NoPlugin, also for whatever the function raises."""
    make = factory(reference)
    try:
        found = make(socket)
    except Exception as error:  # the function is the user's
        raise NoPlugin(f"the plug-in {reference} failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, web.Application):
        raise NoPlugin(f"the plug-in {reference} made no aiohttp application but {found!r}")
    return found


async def serve(application: web.Application, socket: Path) -> web.AppRunner:
    """Answers from now on, until the runner's cleanup."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    return runner


async def _main(reference: str, socket: Path) -> None:
    """Until standard input ends: with whoever started it."""
    runner = await serve(made(reference, socket), socket)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2.0):
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2])))
