"""`shoal on HOST …`: Docker's verbs on one of the swarm's hosts, without a docker command on the machine.

This module chooses the host and turns the API's errors into Docker's words and exit statuses; the verbs are in
`scenarios.cli.verbs`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scenarios.cli.arguments import HostName, State
from scenarios.launch import record
from scenarios.launch.record import Host

if TYPE_CHECKING:
    from scenarios.client import HostClient

app = typer.Typer(
    help="Docker's verbs on a host: shoal on h1 run -d --name web nginx.", no_args_is_help=True, rich_markup_mode=None,
    subcommand_metavar="VERB [ARGS]...",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deferred:
    """What a verb would do with a client, and the exit status of an error of the daemon's."""

    work: Callable[[HostClient], Awaitable[int | None]]
    failure: int


DEFERRED: ContextVar[list[Deferred] | None] = ContextVar("deferred", default=None)
"""Where it is set (`scenarios.cli.lines`), verbs are only read: what they would do goes there."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the verb goes. Looked up when the verb runs, not before: its --help needs no swarm."""

    host: str
    state: Path | None

    def find(self) -> Host:
        """Raises NotRunning."""
        return record.running(record.resolve(self.state)).host(self.host)


@app.callback()
def choose(
    context: typer.Context,
    host: HostName,
    state: State = None,
) -> None:
    """Docker's verbs on a host: shoal on h1 run -d --name web nginx."""
    context.obj = Target(host, state)


def talk(context: typer.Context, work: Callable[[HostClient], Awaitable[int | None]], *, failure: int = 1) -> None:
    """Runs `work` with a client of the chosen host; its result is the exit status.

    The daemon's errors are printed as docker prints them, with exit status `failure`.
    """
    if (deferred := DEFERRED.get()) is not None:
        deferred.append(Deferred(work, failure))
        return
    import asyncio

    from scenarios.client import HostClient

    target: Target = context.obj
    host = target.find()

    async def session() -> int:
        async with HostClient(host.docker_api) as client:
            return await perform(client, work, failure)

    raise typer.Exit(asyncio.run(session()))


async def perform(client: HostClient, work: Callable[[HostClient], Awaitable[int | None]], failure: int) -> int:
    """The exit status of a verb's work; errors are printed."""
    from aiodocker.exceptions import DockerError

    try:
        return await work(client) or 0
    except DockerError as error:
        return complain(error.status, error.message, failure)
    except ValueError as error:
        print(error, file=sys.stderr)
        return failure


def complain(status: int, message: str, failure: int) -> int:
    """Prints an error of the daemon; returns the exit status, Docker's 126 and 127 for programs that cannot start."""
    text = message if status == 900 else f"Error response from daemon: {message}"
    print(f"docker: {text}" if failure == 125 else text, file=sys.stderr)  # of `run`, docker says so itself
    if failure == 125:
        if "executable file not found" in message or "no such file or directory" in message:
            return 127
        if "permission denied" in message or "is a directory" in message:
            return 126
    return failure


async def each(names: list[str], action: Callable[[str], Awaitable[str | None]], *, forgiven: int | None = None) -> int:
    """Does `action` to every name, prints what it returns (None: the name); errors do not stop the rest, and those of
    the status `forgiven` are only printed."""
    from aiodocker.exceptions import DockerError

    failed = 0
    for name in names:
        try:
            print(await action(name) or name)
        except DockerError as error:
            status = complain(error.status, error.message, 1)
            failed = failed if error.status == forgiven else status
    return failed
