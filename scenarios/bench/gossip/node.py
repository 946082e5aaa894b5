"""What a measurement needs of a running member, whoever made it: a process with a view of the others."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

GOSSIP_PORT = 7946


@dataclass(frozen=True, slots=True)
class Seen:
    """One member in another's eyes."""

    status: str
    """serf's words: alive (suspects count), leaving, left, failed."""
    tag: str
    """The value of the tag that the measurement changes."""


View = Mapping[str, Seen]
Condition = Callable[[View], bool]


class Node(Protocol):
    name: str
    address: str

    @property
    def pid(self) -> int: ...

    async def start(self) -> None:
        """Returns when the member runs, alone."""
        ...

    async def join(self, address: str) -> None: ...

    async def retag(self, value: str) -> None:
        """Change this member's own metadata."""
        ...

    async def until(self, condition: Condition) -> float:
        """The moment (CLOCK_MONOTONIC, seconds) from which this member's view meets ``condition``."""
        ...

    async def kill(self) -> None:
        """SIGKILL, and the corpse is collected. A member that is gone already is no error."""
        ...


async def end(process: asyncio.subprocess.Process | None) -> None:
    """SIGKILL to a child, stopped or not."""
    if process is not None and process.returncode is None:
        process.kill()
        await process.wait()


def stop(node: Node) -> None:
    os.kill(node.pid, signal.SIGSTOP)


def resume(node: Node) -> None:
    os.kill(node.pid, signal.SIGCONT)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    with open(f"/proc/{pid}/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
