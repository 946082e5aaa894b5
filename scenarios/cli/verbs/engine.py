"""info, version, events, images: the verbs on a host as a whole."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.version import VERSION
from scenarios.cli import table
from scenarios.cli.formats import Columns, show
from scenarios.cli.on import app, talk
from scenarios.cli.verbs.containers import Filters, Format, NoTrunc, Quiet, filters
from scenarios.gotemplate import Template, TemplateError, documents
from scenarios.gotemplate.documents import go_time

if TYPE_CHECKING:
    from scenarios.client import Document, HostClient

_IMAGES = Columns(
    "*formatter.imageContext",
    {"Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED", "Size": "SIZE"},
    {"CreatedAt": "CREATED AT", "Digest": "DIGEST", "VirtualSize": "SIZE", "SharedSize": "SHARED SIZE",
     "UniqueSize": "UNIQUE SIZE", "Containers": "CONTAINERS"},
)  # fmt: skip


@app.command()
def version(context: typer.Context, format_: Annotated[str | None, typer.Option("-f", "--format")] = None) -> None:
    """The engine's version."""

    async def work(client: HostClient) -> int:
        found = await client.get("version")
        if format_:
            ours = {"Version": VERSION, "ApiVersion": found["ApiVersion"], "DefaultAPIVersion": found["ApiVersion"],
                    "Os": sys.platform, "Arch": found["Arch"]}  # fmt: skip
            return show(format_, {"Client": ours, "Server": found}, documents.VERSION, name="version")
        print("Server:")
        print(" Engine:")
        for label, key in (("Version", "Version"), ("API version", "ApiVersion"), ("Go version", "GoVersion"),
                           ("Git commit", "GitCommit"), ("Built", "BuildTime")):  # fmt: skip
            minimum = f" (minimum version {found['MinAPIVersion']})" if key == "ApiVersion" else ""
            print(f"  {label + ':':<17} {found.get(key, '')}{minimum}")
        print(f"  {'OS/Arch:':<17} {found['Os']}/{found['Arch']}")
        return 0

    talk(context, work)


@app.command()
def info(context: typer.Context, format_: Annotated[str | None, typer.Option("-f", "--format")] = None) -> None:
    """What the engine knows of itself."""

    async def work(client: HostClient) -> int:
        found = await client.get("info")
        if format_:
            return show(format_, found, documents.INFO)
        print("\n".join(_info_lines(found)))
        return 0

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
                    "CreatedSince": table.ago(image["Created"], client.wall()), "Size": table.human_size(image["Size"]),
                    "CreatedAt": go_time(datetime.fromtimestamp(image["Created"], UTC).astimezone()),
                    "VirtualSize": table.human_size(image["Size"]), "Digest": "<none>", "SharedSize": "N/A",
                    "UniqueSize": "N/A", "Containers": "N/A",
                })  # fmt: skip
        print(_IMAGES.render(rows, format_, quiet="ID" if quiet else None))

    talk(context, work)


@app.command()
def events(
    context: typer.Context, filter_: Filters = None, format_: Format = None,
    since: Annotated[str | None, typer.Option("--since")] = None,
    until: Annotated[str | None, typer.Option("--until")] = None,
) -> None:  # fmt: skip
    """What happens on the host, as it happens."""

    async def work(client: HostClient) -> int:
        from scenarios.cli.moment import moment

        template = None
        if format_:
            try:
                template = Template("{{json .}}" if format_ == "json" else format_)
                template.execute(documents.typed({}, documents.EVENT))
            except TemplateError as error:
                print(f"Error parsing format: {error}", file=sys.stderr)
                return 64
        now = client.wall()
        span = {"since": moment(since, now), "until": moment(until, now)}
        stream = client.json_lines("events", **span, filters=filters(filter_))
        async for event in stream:
            seen = documents.typed(event, documents.EVENT)
            print(_event_line(event) if template is None else template.execute(seen))
            sys.stdout.flush()
        return 0

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
