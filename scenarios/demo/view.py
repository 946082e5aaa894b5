"""How the demo is shown: plain lines, or on a terminal the same lines above a live panel of the whole swarm."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from scenarios.cli.hosts import members, status
from scenarios.launch.localhttp import JSON
from scenarios.launch.record import Host

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

_REFRESH = 0.4


class View(Protocol):
    """What the chapters write to."""

    def chapter(self, number: int, title: str) -> None: ...
    def say(self, text: str) -> None: ...
    def result(self, held: bool, text: str) -> None: ...
    async def watch(self, hosts: Sequence[Host]) -> None: ...
    async def pause(self) -> None: ...
    async def close(self) -> None: ...


class PlainView:
    """Lines on standard output, for files, pipes and CI."""

    def __init__(self, *, step: bool) -> None:
        self._step = step
        self._started = time.monotonic()

    def chapter(self, number: int, title: str) -> None:
        print(f"\n[{time.monotonic() - self._started:5.1f} s] {number}. {title}", flush=True)

    def say(self, text: str) -> None:
        for line in text.splitlines():
            print(f"    {line}", flush=True)

    def result(self, held: bool, text: str) -> None:
        print(f"  {'ok  ' if held else 'FAIL'}  {text}", flush=True)

    async def watch(self, hosts: Sequence[Host]) -> None:
        pass

    async def pause(self) -> None:
        await wait_for_key(self._step)

    async def close(self) -> None:
        pass


async def wait_for_key(wanted: bool) -> None:
    """Enter goes on; without a terminal to type at there is nothing to wait for."""
    if not wanted or not sys.stdin.isatty():
        return
    print("    -- Enter goes on --", end="", flush=True)
    loop = asyncio.get_running_loop()
    pressed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), pressed.set)
    try:
        await pressed.wait()
        sys.stdin.readline()
    finally:
        loop.remove_reader(sys.stdin.fileno())


class LiveView:
    """Lines scroll above a panel of hosts, members' states as each host sees them, packets by kind, and faults."""

    def __init__(self, *, step: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._step = step
        self._console: Console = Console(highlight=False)
        self._live: Live = Live(console=self._console, refresh_per_second=8, transient=True)
        self._live.start()
        self._started = time.monotonic()
        self._watcher: asyncio.Task[None] | None = None

    def chapter(self, number: int, title: str) -> None:
        self._console.print(f"\n[bold cyan]{number}. {title}[/] [dim]{time.monotonic() - self._started:.1f} s[/]")

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self._console.print(f"    {line}", style="dim", markup=False)

    def result(self, held: bool, text: str) -> None:
        from rich.text import Text

        mark = ("ok  ", "green") if held else ("FAIL", "bold red")
        self._console.print(Text.assemble("  ", mark, "  ", text))

    async def watch(self, hosts: Sequence[Host]) -> None:
        self._watcher = asyncio.create_task(self._follow(list(hosts)))

    async def _follow(self, hosts: list[Host]) -> None:
        while True:
            found = await asyncio.gather(*(asyncio.to_thread(status, host) for host in hosts))
            self._live.update(panel(hosts, found))
            await asyncio.sleep(_REFRESH)

    async def pause(self) -> None:
        if not self._step:
            return
        self._live.stop()
        await wait_for_key(True)
        self._live.start()

    async def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        with contextlib.suppress(Exception):
            self._live.stop()


_COLOURS = {"alive": "green", "suspect": "yellow", "dead": "red", "left": "dim"}
_KINDS = ("gossip", "vxlan", "lan")


def panel(hosts: Sequence[Host], found: Sequence[dict[str, JSON]]) -> Table:
    """The whole swarm at a glance: a row a host, a column for each member as that host sees it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.ROUNDED, title="the swarm", title_style="bold", expand=False)
    table.add_column("host")
    table.add_column("process")
    for host in hosts:
        table.add_column(f"sees {host.name}")
    for kind in _KINDS:
        table.add_column(f"{kind} out/in", justify="right")
    table.add_column("2377 streams", justify="right")
    table.add_column("faults")
    for host, state in zip(hosts, found, strict=True):
        seen = {str(m.get("hostname")): str(m.get("state")) for m in members(state)}
        cells: list[Text | str] = [host.name, str(host.process.pid) if state else "no answer"]
        for other in hosts:
            word = seen.get(other.name, "-")
            cells.append(Text(word, style=_COLOURS.get(word, "dim")))
        traffic = state.get("traffic")
        for kind in _KINDS:
            counts = traffic.get(kind) if isinstance(traffic, dict) else None
            both = (counts.get("sent", 0), counts.get("received", 0)) if isinstance(counts, dict) else ("-", "-")
            cells.append(f"{both[0]}/{both[1]}")
        cluster = traffic.get("cluster") if isinstance(traffic, dict) else None
        cells.append(str(cluster.get("streams", 0)) if isinstance(cluster, dict) else "-")
        faults = state.get("faults")
        cuts = faults.get("partitions") if isinstance(faults, dict) else None
        cells.append(Text("cut" if cuts else "-", style="bold red" if cuts else "dim"))
        table.add_row(*cells)
    return table
