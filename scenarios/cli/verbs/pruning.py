"""prune: what nothing uses goes, after a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli import table
from scenarios.cli.on import DEFERRED, talk
from scenarios.cli.verbs.containers import filters

if TYPE_CHECKING:
    from scenarios.client import HostClient

PruneFilters = Annotated[list[str] | None, typer.Option("--filter", help="KEY=VALUE.")]
Force = Annotated[bool, typer.Option("-f", "--force", help="Do not ask.")]


def ask(loss: str, force: bool) -> None:
    """Whether to go on, unless `force` says so."""
    if force:
        return
    if DEFERRED.get() is not None:
        raise typer.BadParameter("nobody is here to be asked: -f expected")
    print(f"WARNING! This will remove {loss}.")
    typer.confirm("Are you sure you want to continue?", abort=True)


def prune(context: typer.Context, objects: str, loss: str, found: list[str], force: bool) -> None:
    """`container prune`, `volume prune`: removes what nothing uses and says what went. `loss` is what docker warns of;
    `found` are the filters."""
    ask(loss, force)

    async def work(client: HostClient) -> None:
        answer = await client.post(f"{objects}/prune", filters=filters(found))
        if gone := answer[f"{objects.capitalize()}Deleted"]:
            print(f"Deleted {objects.capitalize()}:\n" + "\n".join(gone) + "\n")
        print(f"Total reclaimed space: {table.human_size(answer['SpaceReclaimed'])}")

    talk(context, work)
