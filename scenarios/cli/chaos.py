"""`shoal chaos …`: break the running swarm and mend it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from scenarios.cli.arguments import HostName, State
from scenarios.launch import record

app = typer.Typer(help="Break the running swarm, and mend it.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def partition(groups: Annotated[list[str], typer.Argument(metavar="h1,h2 / h3")], state: State = None) -> None:
    """Cut groups of hosts off from one another, silently. One group alone is cut off from all others."""
    from scenarios.chaos import faults

    made = faults.partition(record.running(record.resolve(state)), groups)
    print(f"{made.id}: partition {made}")


@app.command()
def heal(ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None, state: State = None) -> None:
    """End the faults with these ids, or all."""
    from scenarios.chaos import faults

    ended = faults.heal(record.running(record.resolve(state)), ids or ())
    for one in ended:
        print(f"{one.id}: healed {one}")
    if not ended:
        print("nothing was broken")


@app.command("ls")
def list_faults(state: State = None) -> None:
    """The faults in force."""
    import time

    from scenarios.chaos import faults
    from scenarios.cli.table import human_duration, render

    found = faults.current(record.running(record.resolve(state)))
    rows = [[p.id, "partition", str(p), human_duration(max(0.0, time.time() - p.since))] for p in found]
    print(render(["ID", "FAULT", "GROUPS", "SINCE"], rows))


def _signal(host: str, state: Path | None, name: str, done: str) -> None:
    from scenarios.launch.errors import LaunchError
    from scenarios.launch.process import KILL, send_signal, wait_gone

    number = KILL if name == "SIGKILL" else getattr(signal, name, None)
    if number is None:
        raise LaunchError(f"this system has no {name}")
    chosen = record.running(record.resolve(state)).host(host)
    if not send_signal(chosen.process, number):
        raise LaunchError(f"{host} is not running")
    if number is KILL:
        wait_gone(chosen.process, 5.0)
    print(f"{host}: {done}")


@app.command()
def kill(host: HostName, state: State = None) -> None:
    """SIGKILL a host's daemon: it is gone at once, and its containers with it."""
    _signal(host, state, "SIGKILL", "killed")


@app.command()
def pause(host: HostName, state: State = None) -> None:
    """SIGSTOP a host's daemon: it hears and says nothing until resumed."""
    _signal(host, state, "SIGSTOP", "paused")


@app.command()
def resume(host: HostName, state: State = None) -> None:
    """SIGCONT a paused daemon."""
    _signal(host, state, "SIGCONT", "resumed")


@app.command()
def restart(host: HostName, state: State = None) -> None:
    """Start a killed host's daemon again, with the state that it had."""
    from scenarios.launch import launcher

    swarm = launcher.restart(record.resolve(state), host)
    print(f"{host}: running, pid {swarm.host(host).process.pid}")
