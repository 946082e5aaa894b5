"""`volume …`: ls, create, rm, inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli import table
from scenarios.cli.on import app, each, talk
from scenarios.cli.runflags import labels
from scenarios.cli.verbs.containers import Filters, Format, Quiet, filters, inspect_each

if TYPE_CHECKING:
    from scenarios.client import HostClient

volume = typer.Typer(help="Volumes.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(volume, name="volume")

_LS = {"Driver": "DRIVER", "Name": "VOLUME NAME", "Mountpoint": "MOUNTPOINT", "Labels": "LABELS"}


@volume.command("ls")
def list_volumes(context: typer.Context, quiet: Quiet = False, filter_: Filters = None, format_: Format = None) -> None:
    """List volumes."""

    async def work(client: HostClient) -> None:
        found = sorted((await client.get("volumes", filters=filters(filter_)))["Volumes"], key=lambda v: v["Name"])
        rows = [
            {
                "Driver": v["Driver"], "Name": v["Name"], "Mountpoint": v["Mountpoint"],
                "Labels": ",".join(f"{key}={text}" for key, text in sorted((v["Labels"] or {}).items())),
            }
            for v in found
        ]  # fmt: skip
        text = table.listing(_LS, rows, form=format_, quiet="Name" if quiet else None, default=["Driver", "Name"])
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


@volume.command()
def inspect(
    context: typer.Context, volumes: Annotated[list[str], typer.Argument(metavar="VOLUME...")],
    format_: Annotated[str | None, typer.Option("-f", "--format")] = None,
) -> None:  # fmt: skip
    """Everything about volumes, as JSON."""
    talk(context, lambda client: inspect_each(client, volumes, ["volumes/{}"], format_, None))
