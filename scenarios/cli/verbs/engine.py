"""info, version, events, images: the verbs on a host as a whole."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli import table
from scenarios.cli.on import app, talk
from scenarios.cli.verbs.containers import Filters, Format, NoTrunc, Quiet, filters

if TYPE_CHECKING:
    from scenarios.client import Document, HostClient

_IMAGES = {"Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED", "Size": "SIZE"}


@app.command()
def version(context: typer.Context, format_: Annotated[str | None, typer.Option("-f", "--format")] = None) -> None:
    """The engine's version."""

    async def work(client: HostClient) -> None:
        found = await client.get("version")
        if format_ is not None:
            print(table.template(format_, {"Server": found, **found}))
            return
        print("Server:")
        print(" Engine:")
        for label, key in (("Version", "Version"), ("API version", "ApiVersion"), ("Go version", "GoVersion"),
                           ("Git commit", "GitCommit"), ("Built", "BuildTime")):  # fmt: skip
            minimum = f" (minimum version {found['MinAPIVersion']})" if key == "ApiVersion" else ""
            print(f"  {label + ':':<17} {found.get(key, '')}{minimum}")
        print(f"  {'OS/Arch:':<17} {found['Os']}/{found['Arch']}")

    talk(context, work)


@app.command()
def info(context: typer.Context, format_: Annotated[str | None, typer.Option("-f", "--format")] = None) -> None:
    """What the engine knows of itself."""

    async def work(client: HostClient) -> None:
        found = await client.get("info")
        if format_ is not None:
            print(table.template(format_, found))
            return
        print("\n".join(_info_lines(found)))

    talk(context, work)


def _info_lines(found: Document) -> list[str]:
    swarm = found["Swarm"]
    lines = [
        "Server:",
        f" Containers: {found['Containers']}",
        f"  Running: {found['ContainersRunning']}",
        f"  Paused: {found['ContainersPaused']}",
        f"  Stopped: {found['ContainersStopped']}",
        f" Images: {found['Images']}",
        f" Server Version: {found['ServerVersion']}",
        " Plugins:",
        f"  Network: {' '.join(found['Plugins']['Network'])}",
        f" Swarm: {swarm['LocalNodeState']}",
    ]
    if swarm["LocalNodeState"] == "active":
        lines += [f"  NodeID: {swarm['NodeID']}", f"  Is Manager: {str(swarm['ControlAvailable']).lower()}"]
        if swarm["ControlAvailable"]:
            lines += [f"  ClusterID: {swarm['Cluster']['ID']}", f"  Managers: {swarm['Managers']}",
                      f"  Nodes: {swarm['Nodes']}"]  # fmt: skip
        lines.append(f"  Node Address: {swarm['NodeAddr']}")
    return [
        *lines,
        f" Default Runtime: {found.get('DefaultRuntime', '')}",
        f" Kernel Version: {found['KernelVersion']}",
        f" Operating System: {found['OperatingSystem']}",
        f" OSType: {found['OSType']}",
        f" Architecture: {found['Architecture']}",
        f" CPUs: {found['NCPU']}",
        f" Name: {found['Name']}",
        f" ID: {found['ID']}",
        f" Docker Root Dir: {found['DockerRootDir']}",
    ]


@app.command()
def images(
    context: typer.Context, quiet: Quiet = False, no_trunc: NoTrunc = False, filter_: Filters = None,
    format_: Format = None,
) -> None:  # fmt: skip
    """The images that containers can be made of."""

    async def work(client: HostClient) -> None:
        rows = []
        for image in await client.get("images/json", filters=filters(filter_)):
            full = image["Id"]
            for tag in image["RepoTags"] or ["<none>:<none>"]:
                repository, _, label = tag.rpartition(":")
                rows.append({
                    "Repository": repository, "Tag": label,
                    "ID": full if no_trunc else full.removeprefix("sha256:")[:12],
                    "CreatedSince": table.ago(image["Created"]), "Size": table.human_size(image["Size"]),
                })  # fmt: skip
        print(table.listing(_IMAGES, rows, form=format_, quiet="ID" if quiet else None, default=list(_IMAGES)))

    talk(context, work)


@app.command()
def events(
    context: typer.Context, filter_: Filters = None, format_: Format = None,
    since: Annotated[str | None, typer.Option("--since")] = None,
    until: Annotated[str | None, typer.Option("--until")] = None,
) -> None:  # fmt: skip
    """What happens on the host, as it happens."""

    async def work(client: HostClient) -> None:
        from scenarios.cli.moment import moment

        stream = client.json_lines("events", since=moment(since), until=moment(until), filters=filters(filter_))
        async for event in stream:
            print(table.template(format_, event) if format_ else _event_line(event))
            sys.stdout.flush()

    talk(context, work)


def _event_line(event: Document) -> str:
    stamp = datetime.fromtimestamp(event["time"]).astimezone()
    nanoseconds = event["timeNano"] % 1_000_000_000
    zone = stamp.strftime("%z")
    when = f"{stamp:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}{zone[:3]}:{zone[3:]}"
    attributes = event["Actor"].get("Attributes") or {}
    shown = ", ".join(f"{key}={value}" for key, value in sorted(attributes.items()))
    text = f"{when} {event['Type']} {event['Action']} {event['Actor']['ID']}"
    return f"{text} ({shown})" if shown else text
