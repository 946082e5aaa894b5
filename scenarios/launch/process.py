"""Which process is ours: a pid alone is not enough, the kernel gives it to a stranger once ours is gone.

A process is named by its pid *and* the moment it started (on Linux: boot id and clock ticks of `/proc/PID/stat`,
field 22, see proc(5)). Signals go through a pidfd where there is one, so that between the look and the shot
nobody else can slip into the number.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process of this machine. `started` is opaque: equal for as long as it is the same process."""

    pid: int
    started: str


def started(pid: int) -> str | None:
    """When `pid` started, or None if there is no such process or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _started_by_ps(pid)
    except (ProcessLookupError, PermissionError):
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return f"{_BOOT_ID.read_text().strip()}/{fields[19]}"


def _started_by_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(None, 1)
    return None if len(answer) < 2 or answer[0].startswith("Z") else answer[1].strip()


def identify(pid: int) -> ProcessId | None:
    """The process that has this pid now, or None."""
    since = started(pid)
    return None if since is None else ProcessId(pid, since)


def is_alive(process: ProcessId) -> bool:
    return process.pid > 0 and started(process.pid) == process.started


@contextlib.contextmanager
def _handle(process: ProcessId) -> Iterator[int | None]:
    """A pidfd that is surely of this process, None if it is gone; -1 where the system has no pidfds."""
    if not hasattr(os, "pidfd_open"):
        yield -1 if is_alive(process) else None
        return
    try:
        fd = os.pidfd_open(process.pid)
    except (ProcessLookupError, OverflowError, ValueError, OSError):
        yield -1 if is_alive(process) else None
        return
    try:
        yield fd if is_alive(process) else None
    finally:
        os.close(fd)


def send_signal(process: ProcessId, number: signal.Signals) -> bool:
    """True if the process was there to get it."""
    with _handle(process) as fd:
        if fd is None:
            return False
        try:
            if fd >= 0:
                signal.pidfd_send_signal(fd, number)
            else:
                os.kill(process.pid, number)
        except ProcessLookupError:
            return False
        return True


def wait_gone(process: ProcessId, timeout: float) -> bool:
    """Waits up to `timeout` seconds for the end of a process, a child or not; True when it is gone."""
    deadline = time.monotonic() + timeout
    with _handle(process) as fd:
        if fd is not None and fd >= 0:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll(max(0.0, timeout) * 1000)
    while is_alive(process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    with contextlib.suppress(ChildProcessError):  # our own child: leave no zombie
        if hasattr(os, "WNOHANG"):
            os.waitpid(process.pid, os.WNOHANG)
    return True


KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""Where there is no SIGKILL (Windows) SIGTERM is as final."""


def stop(processes: Iterable[ProcessId], *, grace: float) -> list[ProcessId]:
    """SIGTERM to all, SIGKILL to those that are still there after `grace` seconds; returns the ones that needed it.

    Raises PermissionError when a process is another user's.
    """
    asked = [process for process in processes if send_signal(process, signal.SIGTERM)]
    deadline = time.monotonic() + grace
    killed: list[ProcessId] = []
    for process in asked:
        if hasattr(signal, "SIGCONT"):
            send_signal(process, signal.SIGCONT)  # a paused daemon hears SIGTERM only when it runs
        if not wait_gone(process, deadline - time.monotonic()):
            killed.append(process)
            send_signal(process, KILL)
    for process in killed:
        wait_gone(process, 5.0)
    return killed
