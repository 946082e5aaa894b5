"""A scenario's hosts as processes of this machine, in a state directory of their own that a janitor removes at last."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

import scenarios
from daemon.underlay.contract import VXLAN_PORT
from scenarios.chaos import faults as chaos
from scenarios.client import HostClient
from scenarios.launch import disks, launcher, record
from scenarios.launch.errors import LaunchError
from scenarios.launch.process import KILL, send_signal, wait_gone
from scenarios.launch.process import stop as stop_processes
from scenarios.running import plugins
from scenarios.running import swarm as common
from scenarios.running.record import DIRECTIONS, REAL, Packet
from scenarios.running.swarm import Frame, HostSilent, Sockets, SwarmFailed

_GRACE = 5.0
_LINES = 500
_LATEST = 30.0
_PLUG_IN = 10.0

Follow = Callable[[str], Coroutine[Any, Any, None]]
"""Reads something of a host as long as its daemon runs."""


class Processes:
    """The Swarm protocol on `scenarios.launch`."""

    mode = REAL

    def __init__(self, names: Sequence[str], *, directory: Path | None = None, log_level: str = "info") -> None:
        self._names = list(names)
        self._log_level = log_level
        self._parent = Path(tempfile.gettempdir(), f"shoal-run-{secrets.token_hex(4)}") if directory is None else None
        self._directory = directory or Path(str(self._parent), "s")
        self._swarm: record.Swarm | None = None
        self.addresses: Mapping[str, str] = {name: f"192.0.2.{n}" for n, name in enumerate(names, 1)}
        self._sockets = Sockets()
        self._began = asyncio.get_running_loop().time()
        self._watchers: list[Follow] = []
        self._dropped: dict[str, int] = {}
        self._plugins: list[asyncio.subprocess.Process] = []
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._janitor: subprocess.Popen[bytes] | None = None
        self._limits: dict[str, tuple[int, int]] = {}
        self._launching = asyncio.Lock()
        self._last_words: dict[str, list[str]] = {}
        self._paused: dict[str, Mapping[str, object] | None] = {}

    async def start(self) -> None:
        # The janitor first: whatever is made from now on, it knows of.
        self._janitor = _start_janitor(self._directory, self._parent)
        if self._parent is not None:
            self._parent.mkdir(mode=0o700)
        try:
            self._swarm = await asyncio.to_thread(
                launcher.up, directory=self._directory, swarm=False, die_with=os.getpid(), log_level=self._log_level,
                names=self._names,
            )  # fmt: skip
        except LaunchError as error:
            raise SwarmFailed(str(error)) from None
        self._began = asyncio.get_running_loop().time()

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._sockets.close()
        for name in self.addresses:
            self._last_words[name] = self.logs(name)
        with contextlib.suppress(LaunchError):
            await asyncio.to_thread(launcher.down, self._directory)
        await self._end_plugins()
        if self._parent is not None:
            shutil.rmtree(self._parent, ignore_errors=True)
        if self._janitor is not None and self._janitor.stdin is not None:
            self._janitor.stdin.close()
            await asyncio.to_thread(self._janitor.wait)

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    def _host(self, name: str) -> record.Host:
        if self._swarm is None:
            raise SwarmFailed("the hosts do not run")
        return self._swarm.host(name)

    def is_up(self, host: str) -> bool:
        return self._swarm is not None and self._host(host).alive

    def client(self, host: str) -> HostClient:
        return self._sockets.client(host, self._host(host).docker_api)

    async def control(self, host: str, method: str, path: str, body: object = None) -> Any:
        return await self._sockets.control(host, self._host(host).control_api, method, path, body)

    async def join(self, host: str, role: str) -> None:
        await common.join(self, host, role)

    async def kill(self, host: str) -> None:
        process = self._host(host).process
        self._paused.pop(host, None)
        if send_signal(process, KILL):
            await asyncio.to_thread(wait_gone, process, 5.0)
        await self._sockets.forget(host)

    async def end(self, host: str) -> None:
        self._paused.pop(host, None)
        await asyncio.to_thread(stop_processes, [self._host(host).process], grace=_GRACE)
        await self._sockets.forget(host)

    async def restart(self, host: str) -> None:
        try:
            async with self._launching:  # the launcher refuses two at once
                await self.kill(host)
                self._swarm = await asyncio.to_thread(launcher.restart, self._directory, host, die_with=os.getpid())
        except LaunchError as error:
            raise SwarmFailed(str(error)) from None
        for n in range(len(self._watchers)):
            self._follow(host, n)

    async def pause(self, host: str) -> None:
        self._paused.setdefault(host, None)
        send_signal(self._host(host).process, signal.SIGSTOP)

    async def resume(self, host: str) -> None:
        """What broke or healed meanwhile is told now: a stopped daemon hears nothing."""
        send_signal(self._host(host).process, signal.SIGCONT)
        if (faults := self._paused.pop(host, None)) is not None and self.is_up(host):
            await self.control(host, "PUT", "/v1/faults", faults)

    async def fill_disk(self, host: str, full: bool) -> None:
        """By a limit on the size of files that the kernel holds for this process: writes beyond it fail."""
        try:
            import resource

            pid = self._host(host).process.pid
            if full:
                self._limits[host] = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, self._limits[host][1]))
            elif host in self._limits and self.is_up(host):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, self._limits.pop(host))
        except (ImportError, AttributeError) as error:
            raise SwarmFailed("full_disk: this system cannot limit a process's files (prlimit); use sim") from error
        except ProcessLookupError:
            return
        except OSError as error:
            raise SwarmFailed(f"full_disk: {host}: {error.strerror}") from error

    async def lose_power(self, host: str) -> None:
        await asyncio.to_thread(disks.lose_power, Path(self._host(host).directory), random.Random(secrets.randbits(64)))

    async def lose_disk(self, host: str) -> None:
        await asyncio.to_thread(disks.lose, Path(self._host(host).directory))

    async def copy_disk(self, host: str) -> None:
        try:
            await asyncio.to_thread(disks.copy, Path(self._host(host).directory))
        except sqlite3.Error as error:
            raise SwarmFailed(f"old_disk: {host}: {error}") from error

    async def put_disk_back(self, host: str) -> None:
        await asyncio.to_thread(disks.put_back, Path(self._host(host).directory))

    async def set_clock(self, host: str, *, jump: float, skew: float) -> None:
        if self.is_up(host):
            await self.control(host, "PUT", "/v1/clock", {"jump": jump, "skew": skew})

    async def set_faults(self, faults: Mapping[str, object]) -> None:
        for host in self.addresses:
            if host in self._paused and self.is_up(host):
                self._paused[host] = faults
                continue
            if not self.is_up(host):
                chaos.leave_for(self._host(host), json.loads(json.dumps(faults)))
                continue
            try:
                await self.control(host, "PUT", "/v1/faults", faults)
            except HostSilent:
                if self.is_up(host):
                    raise
                chaos.leave_for(self._host(host), json.loads(json.dumps(faults)))

    def watch_packets(self, kinds: Sequence[str], see: Callable[[Packet], None]) -> None:
        self._watch(lambda host: self._packets(host, ",".join(kinds), see))

    def watch_frames(self, see: Callable[[Frame], None]) -> None:
        self._watch(lambda host: self._frames(host, see))

    def _watch(self, follow: Follow) -> None:
        self._watchers.append(follow)
        for host in self.addresses:
            self._follow(host, len(self._watchers) - 1)

    def _follow(self, host: str, number: int) -> None:
        if (old := self._tasks.get((host, number))) is not None:
            old.cancel()
        self._tasks[host, number] = asyncio.create_task(self._watchers[number](host))

    async def _packets(self, host: str, kinds: str, see: Callable[[Packet], None]) -> None:
        async for found in self._lines(host, f"/v1/capture?kind={kinds}"):
            if "dropped" in found:
                self._dropped[host] = self._dropped.get(host, 0) + found["dropped"]
                continue
            ends = [f"{address}:{port}" for address, port in (found["source"], found["target"])]
            direction = DIRECTIONS[found["direction"]]
            see(Packet(self._at(found["when"]), host, direction, found["kind"], ends[0], ends[1], found["data"],
                       found.get("stream", "")))  # fmt: skip

    async def plug_in(self, host: str, name: str, application: str) -> None:
        """A process of this machine; its standard input is held open by this one, so that it ends with it."""
        socket = Path(self._directory, host, "plugins", f"{name}.sock")
        socket.parent.mkdir(exist_ok=True)
        try:
            plugins.factory(application)  # a mistake is told here, not by a process
        except plugins.NoPlugin as error:
            raise SwarmFailed(str(error)) from None
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scenarios.running.plugins", application, str(socket), env=_environment(),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self._plugins.append(process)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_PLUG_IN):
                ready = await process.stdout.readline()
        except TimeoutError:
            ready = b""
        if ready != b"ready\n":
            raise SwarmFailed(f"the plug-in {name} ({application}) on {host} did not start")

    async def _end_plugins(self) -> None:
        for process in self._plugins:
            assert process.stdin is not None
            process.stdin.close()
            try:
                async with asyncio.timeout(_PLUG_IN):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def waiting(self, host: str = "") -> str:
        return ""

    def packets_dropped(self) -> int:
        return sum(self._dropped.values())

    async def _frames(self, host: str, see: Callable[[Frame], None]) -> None:
        async for found in self._lines(host, "/v1/frames"):
            data = bytes.fromhex(found["data"])
            see(Frame(self._at(found["when"]), host, found["container"], found["network"], found["outgoing"], data))

    async def _lines(self, host: str, path: str) -> AsyncIterator[dict[str, Any]]:
        """JSON lines of a control socket, until the daemon ends."""
        session, base = self._sockets.control_session(host, self._host(host).control_api)
        with contextlib.suppress(aiohttp.ClientError, OSError, ValueError, RuntimeError):
            async with session.get(base + path, timeout=aiohttp.ClientTimeout(total=None)) as answer:
                async for line in answer.content:
                    yield json.loads(line)

    def _at(self, wall: float) -> float:
        """A daemon's wall clock may be set off; nothing that it tells of was later than now, or long ago."""
        now = self.now()
        at = wall - (time.time() - now)
        return at if now - _LATEST < at <= now else now

    async def forge(self, source: str, target: str, data: bytes) -> None:
        """From the source's address of this machine, at a port of no daemon's."""
        ends = [self._host(name).real for name in (source, target)]
        if "127.0.0.1" in ends:
            return  # hosts that share an address are told apart by the ports that their daemons have
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
            forger.bind((ends[0], 0))
            forger.sendto(data, (ends[1], VXLAN_PORT))

    def logs(self, host: str) -> list[str]:
        if host in self._last_words:
            return self._last_words[host]
        try:
            lines = Path(self._directory, host, "shoald.log").read_text(errors="replace").splitlines()
        except OSError:
            return []
        return lines[-_LINES:]

    def left(self) -> list[str]:
        found = [f"the daemon of {host.name} (pid {host.process.pid})"
                 for host in (self._swarm.hosts if self._swarm else ()) if host.alive]  # fmt: skip
        return found + [f"the directory {path}" for path in (self._parent, self._directory) if path and path.exists()]

    def digest(self) -> str:
        return ""


def _environment() -> dict[str, str]:
    """In which Python finds what is found here, wherever a process starts."""
    root = str(Path(scenarios.__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def _start_janitor(directory: Path, parent: Path | None) -> subprocess.Popen[bytes]:
    """It outlives this process, whatever kills it, and stops and removes what is left."""
    return subprocess.Popen(
        [sys.executable, "-m", "scenarios.running.janitor", str(directory), str(parent or "")],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env=_environment(), cwd="/",
    )  # fmt: skip
