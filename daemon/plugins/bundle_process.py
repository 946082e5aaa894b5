"""An enabled bundle's process: started, restarted when it ends by itself, ended.

It is a process of the machine with the daemon's rights; the `simulated` runtime has nothing to isolate it with. Where
it is to listen is in its environment (docs/plugins.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import structlog

from daemon.engine.tasks import TaskOwner

log = structlog.get_logger("plugins")

SOCKET = "SHOAL_PLUGIN_SOCKET"
_LONGEST_PAUSE = 30.0  # seconds between two starts
_GRACE = 2.0  # seconds from SIGTERM to SIGKILL
_LOOK = 0.05  # seconds between two looks for the socket


class BundleProcess:
    """`start` it, wait until it is `listening`, `stop` it."""

    def __init__(
        self, name: str, argv: list[str], *, folder: Path, environment: list[str], socket: Path, tasks: TaskOwner
    ) -> None:
        self._name = name
        self._argv = argv
        self._folder = folder
        self._socket = socket
        given = dict(each.partition("=")[::2] for each in environment)
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), **given, SOCKET: str(socket)}
        self._tasks = tasks
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises OSError: it cannot be executed."""
        self._socket.unlink(missing_ok=True)
        self._process = await self._spawn()
        self._keeper = self._tasks.spawn(self._keep(), f"plug-in {self._name}")

    async def listening(self, timeout: float) -> str | None:
        """Wait for somebody at its socket; None, or why not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            try:
                async with asyncio.timeout(max(deadline - loop.time(), _LOOK)):
                    _, writer = await asyncio.open_unix_connection(str(self._socket))
            except OSError as error:
                if loop.time() >= deadline:
                    reason = os.strerror(error.errno).lower() if error.errno else "timed out"
                    return f"dial unix {self._socket}: connect: {reason}"
                await asyncio.sleep(_LOOK)
            else:
                writer.close()
                return None

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL. Idempotent."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        self._socket.unlink(missing_ok=True)

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._argv,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )

    async def _keep(self) -> None:
        pause = 1.0
        process = self._process
        try:
            while True:
                if process is not None:
                    await self._until_end(process)
                    log.warning("plug-in ended", plugin=self._name, status=process.returncode, again_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                try:
                    process = self._process = await self._spawn()
                except OSError as error:
                    log.warning("plug-in not started", plugin=self._name, error=str(error))
                    process = None
        finally:
            if process is not None:
                await self._end(process)

    async def _until_end(self, process: asyncio.subprocess.Process) -> None:
        """What it prints is the daemon's log."""
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the reader's limit
                continue
            if not line:
                break
            log.info("plug-in says", plugin=self._name, line=line.decode(errors="replace").rstrip())
        await process.wait()

    @staticmethod
    async def _end(process: asyncio.subprocess.Process) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await process.wait()
