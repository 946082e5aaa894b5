"""`container …` and `image …`: the verbs that docker has under both names."""

from __future__ import annotations

from typing import Annotated

import typer

from scenarios.cli.on import app, talk
from scenarios.cli.verbs import containers, engine, execution
from scenarios.cli.verbs.containers import Containers
from scenarios.cli.verbs.inspecting import OBJECTS, inspect_each
from scenarios.cli.verbs.pruning import Force, PruneFilters, prune

container = typer.Typer(help="Containers.", no_args_is_help=True, rich_markup_mode=None)
image = typer.Typer(help="Images.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(container, name="container")
app.add_typer(image, name="image")

_Template = Annotated[str | None, typer.Option("-f", "--format")]

for verb in (
    containers.kill, containers.logs, containers.pause, containers.port, containers.rename, containers.restart,
    containers.rm, containers.start, containers.stop, containers.top, containers.unpause, containers.update,
    containers.wait,
):  # fmt: skip
    container.command()(verb)
container.command("create", context_settings=execution.OWN_WORDS)(execution.create)
container.command("exec", context_settings=execution.OWN_WORDS)(execution.execute)
container.command("run", context_settings=execution.OWN_WORDS)(execution.run)
container.command("ls")(containers.ps)
image.command("ls")(engine.images)


@container.command("inspect")
def inspect_container(context: typer.Context, names: Containers, format_: _Template = None) -> None:
    """Everything about containers, as JSON."""
    talk(context, lambda client: inspect_each(client, names, [OBJECTS["container"]], format_, None))


@container.command("prune")
def prune_containers(context: typer.Context, filter_: PruneFilters = None, force: Force = False) -> None:
    """Remove all stopped containers."""
    prune(context, "containers", "all stopped containers", filter_ or [], force)


@image.command("inspect")
def inspect_image(
    context: typer.Context, names: Annotated[list[str], typer.Argument(metavar="IMAGE...")], format_: _Template = None
) -> None:
    """Everything about images, as JSON."""
    talk(context, lambda client: inspect_each(client, names, [OBJECTS["image"]], format_, None))
