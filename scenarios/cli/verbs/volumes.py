"""`volume …`: ls, create, rm, inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli.formats import Columns, told
from scenarios.cli.on import app, each, talk
from scenarios.cli.runflags import labels
from scenarios.cli.verbs.containers import Filters, Format, Quiet, filters
from scenarios.cli.verbs.inspecting import Kind, inspect_each
from scenarios.cli.verbs.pruning import Force, PruneFilters, prune
from scenarios.gotemplate import documents

if TYPE_CHECKING:
    from scenarios.client import HostClient

volume = typer.Typer(help="Volumes.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(volume, name="volume")

_LS = Columns(
    "*formatter.volumeContext",
    {"Driver": "DRIVER", "Name": "VOLUME NAME"},
    {"Mountpoint": "MOUNTPOINT", "Labels": "LABELS", "Scope": "SCOPE"},
)


@volume.command("ls")
def list_volumes(context: typer.Context, quiet: Quiet = False, filter_: Filters = None, format_: Format = None) -> None:
    """List volumes."""

    async def work(client: HostClient) -> None:
        found = sorted((await client.get("volumes", filters=filters(filter_)))["Volumes"], key=lambda v: v["Name"])
        rows = [
            {
                "Driver": v["Driver"], "Name": v["Name"], "Mountpoint": v["Mountpoint"],
                "Scope": v["Scope"], "Labels": told(v["Labels"]),
            }
            for v in found
        ]  # fmt: skip
        labels = [v["Labels"] or {} for v in found]
        text = _LS.render(rows, format_, quiet="Name" if quiet else None, labels=labels)
        if text:
            print(text)

    talk(context, work)


@volume.command()
def create(
    context: typer.Context, name: Annotated[str, typer.Argument(metavar="[VOLUME]")] = "",
    driver: Annotated[str, typer.Option("-d", "--driver")] = "local",
    opt: Annotated[list[str] | None, typer.Option("-o", "--opt", help="KEY=VALUE.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="KEY=VALUE.")] = None,
) -> None:  # fmt: skip
    """Create a volume."""

    async def work(client: HostClient) -> None:
        body = {"Name": name, "Driver": driver, "DriverOpts": labels(opt or ()), "Labels": labels(label or ())}
        print((await client.post("volumes/create", body))["Name"])

    talk(context, work)


@volume.command()
def rm(
    context: typer.Context, volumes: Annotated[list[str], typer.Argument(metavar="VOLUME...")],
    force: Annotated[bool, typer.Option("-f", "--force", help="No error when it is not there.")] = False,
) -> None:  # fmt: skip
    """Remove volumes."""

    async def work(client: HostClient) -> int:
        return await each(volumes, lambda v: client.delete(f"volumes/{v}", force=force))

    talk(context, work)


@volume.command("prune")
def prune_volumes(
    context: typer.Context, filter_: PruneFilters = None, force: Force = False,
    all_: Annotated[bool, typer.Option("-a", "--all", help="Those with a name too.")] = False,
) -> None:  # fmt: skip
    """Remove volumes that nothing uses: those without a name of their own, unless told."""
    loss = f"{'all' if all_ else 'anonymous local'} volumes not used by at least one container"
    prune(context, "volumes", loss, [*(filter_ or ()), *(["all=true"] if all_ else ())], force)


@volume.command()
def inspect(
    context: typer.Context, volumes: Annotated[list[str], typer.Argument(metavar="VOLUME...")],
    format_: Annotated[str | None, typer.Option("-f", "--format")] = None,
) -> None:  # fmt: skip
    """Everything about volumes, as JSON."""
    talk(context, lambda client: inspect_each(client, volumes, [Kind("volumes/{}", documents.VOLUME)], format_, None))
