"""`shoal chaos …`: break the running swarm and mend it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli.arguments import HostName, State
from scenarios.launch import record

if TYPE_CHECKING:
    from scenarios.chaos.faults import Fault

app = typer.Typer(help="Break the running swarm, and mend it.", no_args_is_help=True, rich_markup_mode=None)


Traffic = Annotated[
    list[str] | None,
    typer.Option("--traffic", help="Only gossip, vxlan, lan, cluster, other, udp or tcp; repeatable."),
]
For = Annotated[
    str | None, typer.Option("--for", metavar="DURATION", help="Wait so long (5s, 1m) and heal it; also on Ctrl-C.")
]


def _last(made: Fault, given: str | None, state: Path | None) -> None:
    """Tells what was broken, and mends it after its time."""
    import time

    from scenarios.chaos import faults

    print(f"{made.id}: {made.kind} {made}", flush=True)
    if given is None:
        return
    try:
        time.sleep(_quantity("--for", "duration", given))
    finally:
        faults.heal(record.running(record.resolve(state)), [made.id])
        print(f"{made.id}: healed")


def _quantity(option: str, kind: str, text: str) -> float:
    from scenarios.language import quantities
    from scenarios.launch.errors import LaunchError

    read = {"duration": quantities.duration, "probability": quantities.probability, "rate": quantities.rate}[kind]
    for value in (text, *([float(text)] if text.replace(".", "", 1).isdigit() else [])):
        try:
            return read(value)
        except ValueError as error:
            wrong = error
    raise LaunchError(f"{option}: {wrong}")


@app.command()
def partition(
    groups: Annotated[list[str], typer.Argument(metavar="h1,h2 / h3")], state: State = None,
    oneway: Annotated[bool, typer.Option("--oneway", help="Only the way from an earlier group to a later.")] = False,
    traffic: Traffic = None, lasting: For = None,
) -> None:  # fmt: skip
    """Cut groups of hosts off from one another, silently. One group alone is cut off from all others."""
    from scenarios.chaos import faults

    if lasting is not None:
        _quantity("--for", "duration", lasting)
    swarm = record.running(record.resolve(state))
    _last(faults.partition(swarm, groups, oneway=oneway, traffic=traffic or ()), lasting, state)


@app.command()
def impair(
    delay: Annotated[str | None, typer.Option(metavar="DURATION", help="Later by this.")] = None,
    jitter: Annotated[str | None, typer.Option(metavar="DURATION", help="More or less of it.")] = None,
    distribution: Annotated[str | None, typer.Option(help="Of the jitter: uniform, normal or pareto.")] = None,
    loss: Annotated[str | None, typer.Option(metavar="SHARE", help="Lost: 30% or 0.3.")] = None,
    duplicate: Annotated[str | None, typer.Option(metavar="SHARE", help="Sent twice.")] = None,
    reorder: Annotated[str | None, typer.Option(metavar="SHARE", help="Overtakes others.")] = None,
    corrupt: Annotated[str | None, typer.Option(metavar="SHARE", help="With a bit turned.")] = None,
    rate: Annotated[str | None, typer.Option(metavar="RATE", help="No faster than 10mbit or 1MB/s.")] = None,
    queue: Annotated[int | None, typer.Option(metavar="BYTES", help="Wait at most, at a rate.")] = None,
    mtu: Annotated[int | None, typer.Option(metavar="BYTES", help="Datagrams with more vanish.")] = None,
    sources: Annotated[str, typer.Option("--from", metavar="HOSTS", help="Only what these send: h1,h2.")] = "",
    targets: Annotated[str, typer.Option("--to", metavar="HOSTS", help="Only what is sent to these.")] = "",
    traffic: Traffic = None, lasting: For = None, state: State = None,
) -> None:  # fmt: skip
    """Make ways between hosts slow, lossy or wrong; several at once are possible."""
    from scenarios.chaos import faults
    from scenarios.launch.errors import LaunchError

    amounts: dict[str, float | str] = {}
    for option, kind, text in (
        ("delay", "duration", delay), ("jitter", "duration", jitter), ("loss", "probability", loss),
        ("duplicate", "probability", duplicate), ("reorder", "probability", reorder),
        ("corrupt", "probability", corrupt), ("rate", "rate", rate),
    ):  # fmt: skip
        if text is not None:
            amounts[option] = _quantity(f"--{option}", kind, text)
    if not amounts and mtu is None:
        options = "--delay, --jitter, --loss, --duplicate, --reorder, --corrupt, --rate or --mtu"
        raise LaunchError(f"nothing to impair: give {options}")
    amounts |= {k: v for k, v in (("queue", queue), ("mtu", mtu), ("distribution", distribution)) if v is not None}
    if lasting is not None:
        _quantity("--for", "duration", lasting)
    ends = [[name.strip() for name in text.split(",") if name.strip()] for text in (sources, targets)]
    swarm = record.running(record.resolve(state))
    _last(faults.impair(swarm, amounts, sources=ends[0], targets=ends[1], traffic=traffic or ()), lasting, state)


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
    rows = [[f.id, f.kind, str(f), human_duration(max(0.0, time.time() - f.since))] for f in found]
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
