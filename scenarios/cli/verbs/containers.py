"""ps, rm, start, stop, kill, restart, pause, unpause, rename, update, logs, port, wait, top: the verbs on containers
that exist."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli import table
from scenarios.cli.formats import Columns, told
from scenarios.cli.on import app, each, talk
from scenarios.gotemplate.documents import go_time

if TYPE_CHECKING:
    from scenarios.client import Document, HostClient, Query

Containers = Annotated[list[str], typer.Argument(metavar="CONTAINER...")]
Filters = Annotated[list[str] | None, typer.Option("-f", "--filter", help="KEY=VALUE.")]
Format = Annotated[str | None, typer.Option("--format", help="table, json, or a template: '{{.Names}}'.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Ids only.")]
NoTrunc = Annotated[bool, typer.Option("--no-trunc", help="Nothing shortened.")]
Grace = Annotated[int | None, typer.Option("-t", "--time", "--timeout", help="Seconds until SIGKILL.")]

_PS = Columns(
    "*formatter.ContainerContext",
    {"ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "RunningFor": "CREATED", "Status": "STATUS",
     "Ports": "PORTS", "Names": "NAMES"},
    {"CreatedAt": "CREATED AT", "State": "STATE", "Networks": "NETWORKS", "Labels": "LABELS", "Mounts": "MOUNTS",
     "LocalVolumes": "LOCAL VOLUMES", "Size": "SIZE"},
)  # fmt: skip
_SIZED = re.compile(r"{{.*(\.Size\b|json \.\s*}})")
"""A format that asks for sizes, which a daemon reckons only when told to."""


def filters(texts: list[str] | None) -> str | None:
    """`--filter` texts as the API's JSON. Raises ValueError with Docker's wording."""
    if not texts:
        return None
    found: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError('invalid argument "' + text + '" for "-f, --filter" flag: bad format of filter')
        found.setdefault(key.strip().lower(), []).append(value)
    return json.dumps(found)


def _ports(ports: list[Document]) -> str:
    shown = []
    for port in sorted(ports, key=lambda p: (p["PrivatePort"], p["Type"], p.get("IP", ""))):
        inner = f"{port['PrivatePort']}/{port['Type']}"
        if port.get("PublicPort"):
            ip = port.get("IP") or "0.0.0.0"
            inner = f"{f'[{ip}]' if ':' in ip else ip}:{port['PublicPort']}->{inner}"
        shown.append(inner)
    return ", ".join(shown)


def _row(container: Document, no_trunc: bool, now: float) -> dict[str, str]:
    command = container["Command"] if no_trunc else table.shorten(container["Command"], 20)
    mounts = container.get("Mounts") or []
    names = [mount.get("Name") or mount["Source"] for mount in mounts]
    size, whole = container.get("SizeRw") or 0, container.get("SizeRootFs") or 0
    return {
        "ID": container["Id"] if no_trunc else container["Id"][:12],
        "Image": container["Image"],
        "Command": json.dumps(command, ensure_ascii=False),
        "CreatedAt": go_time(datetime.fromtimestamp(container["Created"], UTC).astimezone()),
        "RunningFor": table.ago(container["Created"], now),
        "Status": container["Status"],
        "State": container["State"],
        "Ports": _ports(container["Ports"]),
        "Names": ",".join(name.removeprefix("/") for name in container["Names"] if name.count("/") == 1),
        "Networks": ",".join(container["NetworkSettings"]["Networks"]),
        "Labels": told(container["Labels"]),
        "Mounts": ",".join(names if no_trunc else (table.shorten(name, 15) for name in names)),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in mounts)),
        "Size": table.human_size(size) + (f" (virtual {table.human_size(whole)})" if whole else ""),
    }


@app.command()
def ps(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("-a", "--all", help="Stopped ones too.")] = False,
    quiet: Quiet = False, no_trunc: NoTrunc = False, filter_: Filters = None, format_: Format = None,
    last: Annotated[int | None, typer.Option("-n", "--last")] = None,
    latest: Annotated[bool, typer.Option("-l", "--latest")] = False,
) -> None:  # fmt: skip
    """List containers."""

    async def work(client: HostClient) -> None:
        limit = 1 if latest else last
        found = await client.get(
            "containers/json", all=all_ or limit is not None, limit=limit, filters=filters(filter_),
            size=bool(_SIZED.search(format_ or "")) or None,
        )  # fmt: skip
        text = _PS.render(
            [_row(c, no_trunc, client.wall()) for c in found], format_, quiet="ID" if quiet else None,
            labels=[c["Labels"] for c in found],
        )  # fmt: skip
        if text:
            print(text)

    talk(context, work)


@app.command()
def rm(
    context: typer.Context, containers: Containers,
    force: Annotated[bool, typer.Option("-f", "--force", help="Kill it first.")] = False,
    volumes: Annotated[bool, typer.Option("-v", "--volumes")] = False,
) -> None:  # fmt: skip
    """Remove containers."""

    async def work(client: HostClient) -> int:
        return await each(
            containers, lambda c: client.delete(f"containers/{c}", force=force, v=volumes),
            forgiven=404 if force else None,
        )  # fmt: skip

    talk(context, work)


@app.command()
def start(context: typer.Context, containers: Containers) -> None:
    """Start stopped containers."""

    async def work(client: HostClient) -> int:
        return await each(containers, lambda c: client.post(f"containers/{c}/start"))

    talk(context, work)


@app.command()
def stop(context: typer.Context, containers: Containers, time: Grace = None) -> None:
    """Stop running containers: SIGTERM, then SIGKILL."""

    async def work(client: HostClient) -> int:
        return await each(containers, lambda c: client.post(f"containers/{c}/stop", t=time))

    talk(context, work)


@app.command()
def restart(context: typer.Context, containers: Containers, time: Grace = None) -> None:
    """Stop containers and start them again."""

    async def work(client: HostClient) -> int:
        return await each(containers, lambda c: client.post(f"containers/{c}/restart", t=time))

    talk(context, work)


@app.command()
def kill(
    context: typer.Context, containers: Containers,
    signal: Annotated[str | None, typer.Option("-s", "--signal", help="KILL unless told.")] = None,
) -> None:  # fmt: skip
    """Send a signal to running containers."""

    async def work(client: HostClient) -> int:
        return await each(containers, lambda c: client.post(f"containers/{c}/kill", signal=signal))

    talk(context, work)


@app.command()
def pause(context: typer.Context, containers: Containers) -> None:
    """No process of these containers takes another step."""

    async def work(client: HostClient) -> int:
        return await each(containers, lambda c: client.post(f"containers/{c}/pause"))

    talk(context, work)


@app.command()
def unpause(context: typer.Context, containers: Containers) -> None:
    """Let paused containers go on."""

    async def work(client: HostClient) -> int:
        return await each(containers, lambda c: client.post(f"containers/{c}/unpause"))

    talk(context, work)


@app.command()
def rename(context: typer.Context, container: str, new_name: str) -> None:
    """Give a container another name."""

    async def work(client: HostClient) -> None:
        await client.post(f"containers/{container}/rename", name=new_name)

    talk(context, work)


@app.command()
def update(
    context: typer.Context, containers: Containers,
    restart: Annotated[str | None, typer.Option("--restart", help="no, always, unless-stopped, on-failure:3.")] = None,
) -> None:  # fmt: skip
    """Change a container's restart policy."""

    async def work(client: HostClient) -> int:
        from scenarios.cli.runflags import restart_policy

        if restart is None:
            print("you must provide one or more flags when using this command", file=sys.stderr)
            return 1
        body = {"RestartPolicy": restart_policy(restart)}

        async def one(container: str) -> None:
            await client.post(f"containers/{container}/update", body)

        return await each(containers, one)

    talk(context, work)


@app.command()
def wait(context: typer.Context, containers: Containers) -> None:
    """Wait until containers stop, and print their exit codes."""

    async def work(client: HostClient) -> int:
        async def one(container: str) -> str:
            return str((await client.post(f"containers/{container}/wait"))["StatusCode"])

        return await each(containers, one)

    talk(context, work)


@app.command()
def logs(
    context: typer.Context, container: str,
    follow: Annotated[bool, typer.Option("-f", "--follow")] = False,
    tail: Annotated[str, typer.Option("-n", "--tail")] = "all",
    timestamps: Annotated[bool, typer.Option("-t", "--timestamps")] = False,
    since: Annotated[str | None, typer.Option("--since", help="A time, or how long ago: 10m.")] = None,
    until: Annotated[str | None, typer.Option("--until")] = None,
) -> None:  # fmt: skip
    """What a container printed."""

    async def work(client: HostClient) -> None:
        from scenarios.cli.moment import moment
        from scenarios.cli.terminal import write_out
        from scenarios.client import demultiplex

        tty = bool((await client.get(f"containers/{container}/json"))["Config"]["Tty"])
        query: Query = {"stdout": 1, "stderr": 1, "follow": int(follow), "tail": tail, "timestamps": int(timestamps),
                 "since": moment(since, client.wall()), "until": moment(until, client.wall())}  # fmt: skip
        async with client.response("GET", f"containers/{container}/logs", query) as answer:
            async for kind, data in demultiplex(answer.content, raw=tty):  # type: ignore[arg-type]
                write_out(kind, data)

    talk(context, work)


@app.command()
def port(
    context: typer.Context, container: str,
    private: Annotated[str | None, typer.Argument(metavar="[PORT[/PROTO]]")] = None,
) -> None:  # fmt: skip
    """A container's published ports."""

    async def work(client: HostClient) -> int:
        ports = (await client.get(f"containers/{container}/json"))["NetworkSettings"]["Ports"] or {}
        wanted = None if private is None else private if "/" in private else f"{private}/tcp"
        if wanted is not None and not ports.get(wanted):
            print(f"Error: No public port '{wanted}' published for {container}", file=sys.stderr)
            return 1
        for inner, bindings in sorted(ports.items()):
            for binding in bindings or ():
                ip = binding["HostIp"]
                outer = f"{f'[{ip}]' if ':' in ip else ip}:{binding['HostPort']}"
                if wanted is None:
                    print(f"{inner} -> {outer}")
                elif wanted == inner:
                    print(outer)
        return 0

    talk(context, work)


@app.command()
def top(
    context: typer.Context, container: str,
    options: Annotated[list[str] | None, typer.Argument(metavar="[ps OPTIONS]")] = None,
) -> None:  # fmt: skip
    """A container's processes."""

    async def work(client: HostClient) -> None:
        answer = await client.get(f"containers/{container}/top", ps_args=" ".join(options) if options else None)
        print(table.render(answer["Titles"], answer["Processes"]))

    talk(context, work)
