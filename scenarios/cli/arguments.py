"""Arguments and options that several commands share, with what a shell completes for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios.launch import record
from scenarios.launch.errors import LaunchError


def host_names(incomplete: str) -> list[str]:
    """The hosts of the swarm in the default state directory (or SHOAL_STATE)."""
    try:
        swarm = record.load(record.default_directory())
    except LaunchError:
        return []
    return [host.name for host in swarm.hosts if host.name.startswith(incomplete)] if swarm else []


State = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", envvar="SHOAL_STATE", help="The state directory.", show_default="XDG state"),
]
HostName = Annotated[str, typer.Argument(metavar="HOST", help="A host's name, such as h1.", autocompletion=host_names)]
