"""run, create, exec, attach: the verbs that put a program into a container and talk to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli.on import app, complain, talk

if TYPE_CHECKING:
    from scenarios.cli.runflags import RunFlags
    from scenarios.client import HostClient

OWN_WORDS = {"allow_interspersed_args": False, "ignore_unknown_options": False, "help_option_names": ["--help"]}
"""Of verbs whose last operands are a command with options of its own."""

Texts = list[str] | None

Detach = Annotated[bool, typer.Option("-d", "--detach", help="Run in the background and print the id.")]
Interactive = Annotated[bool, typer.Option("-i", "--interactive", help="Keep standard input open.")]
Tty = Annotated[bool, typer.Option("-t", "--tty", help="Give it a terminal.")]
Rm = Annotated[bool, typer.Option("--rm", help="Remove the container when it exits.")]
Name = Annotated[str | None, typer.Option("--name", help="The container's name.")]
Network = Annotated[Texts, typer.Option("--network", "--net", help="Networks to join; name=N,alias=A,ip=I too.")]
Alias = Annotated[Texts, typer.Option("--network-alias", "--net-alias", help="Another name on the network.")]
Ip = Annotated[str | None, typer.Option("--ip", help="Its IPv4 address.")]
Ip6 = Annotated[str | None, typer.Option("--ip6", help="Its IPv6 address.")]
Link = Annotated[Texts, typer.Option("--link", help="CONTAINER[:NAME].")]
Mac = Annotated[str | None, typer.Option("--mac-address", help="Its MAC address.")]
Publish = Annotated[Texts, typer.Option("-p", "--publish", help="[[IP:]HOSTPORT:]PORT[/udp].")]
PublishAll = Annotated[bool, typer.Option("-P", "--publish-all", help="Publish all exposed ports.")]
Expose = Annotated[Texts, typer.Option("--expose", help="Expose a port.")]
Env = Annotated[Texts, typer.Option("-e", "--env", help="NAME=VALUE.")]
EnvFile = Annotated[list[Path] | None, typer.Option("--env-file", exists=True, dir_okay=False)]
Label = Annotated[Texts, typer.Option("-l", "--label", help="KEY=VALUE.")]
Hostname = Annotated[str | None, typer.Option("-h", "--hostname", help="Its hostname.")]
Entrypoint = Annotated[str | None, typer.Option("--entrypoint", help="Overrides the image's.")]
Workdir = Annotated[str | None, typer.Option("-w", "--workdir", help="The working directory.")]
User = Annotated[str | None, typer.Option("-u", "--user")]
Restart = Annotated[str, typer.Option("--restart", help="no, always, unless-stopped, on-failure[:N].")]
AddHost = Annotated[Texts, typer.Option("--add-host", help="NAME:IP.")]
Dns = Annotated[Texts, typer.Option("--dns")]
DnsSearch = Annotated[Texts, typer.Option("--dns-search")]
DnsOption = Annotated[Texts, typer.Option("--dns-option", "--dns-opt")]
CapAdd = Annotated[Texts, typer.Option("--cap-add")]
CapDrop = Annotated[Texts, typer.Option("--cap-drop")]
Sysctl = Annotated[Texts, typer.Option("--sysctl")]
Privileged = Annotated[bool, typer.Option("--privileged")]
Init = Annotated[bool, typer.Option("--init")]
StopSignal = Annotated[str | None, typer.Option("--stop-signal")]
StopTimeout = Annotated[int | None, typer.Option("--stop-timeout")]
Volume = Annotated[Texts, typer.Option("-v", "--volume", help="VOLUME|FOLDER:PATH[:ro], or a PATH alone.")]
HealthCmd = Annotated[str | None, typer.Option("--health-cmd", help="Tells whether it is well.")]
HealthInterval = Annotated[str | None, typer.Option("--health-interval", help="As in 30s, 1m30s.")]
HealthTimeout = Annotated[str | None, typer.Option("--health-timeout")]
HealthStart = Annotated[str | None, typer.Option("--health-start-period")]
HealthRetries = Annotated[int | None, typer.Option("--health-retries")]
Image = Annotated[str, typer.Argument(metavar="IMAGE", show_default=False)]
Command = Annotated[Texts, typer.Argument(metavar="[COMMAND] [ARG]...", show_default=False)]


async def _create(client: HostClient, flags: RunFlags, name: str | None) -> str:
    from aiodocker.exceptions import DockerError

    from scenarios.cli.runflags import body

    document = body(flags)
    try:
        created = await client.post("containers/create", document, name=name)
    except DockerError as error:
        if error.status != 404 or "o such image" not in error.message:
            raise
        image, _, tag = flags.image.partition(":")
        print(f"Unable to find image '{image}:{tag or 'latest'}' locally", file=sys.stderr)
        await client.post("images/create", fromImage=image, tag=tag or "latest")
        created = await client.post("containers/create", document, name=name)
    for warning in created.get("Warnings") or ():
        print(f"WARNING: {warning}", file=sys.stderr)
    return str(created["Id"])


async def _run(client: HostClient, flags: RunFlags, name: str | None) -> int:
    from aiodocker.exceptions import DockerError

    from scenarios.cli.terminal import converse, forwarded_signals

    container = await _create(client, flags, name)
    path = f"containers/{container}"
    if flags.detach:
        await client.post(f"{path}/start")
        print(container)
        return 0
    stream = await client.hijack(f"{path}/attach", stream=1, stdout=1, stderr=1, stdin=int(flags.interactive))
    condition = "removed" if flags.rm else "next-exit"
    async with client.response("POST", f"{path}/wait", {"condition": condition}) as waiting:
        try:
            await client.post(f"{path}/start")
        except DockerError as error:
            stream.close()
            return complain(error.status, error.message, 125)
        with forwarded_signals(lambda signal: client.post(f"{path}/kill", signal=signal)):
            ended = await converse(
                stream, tty=flags.tty, stdin=flags.interactive,
                resize=lambda h, w: client.post(f"{path}/resize", h=h, w=w),
            )  # fmt: skip
            return int((await waiting.json())["StatusCode"]) if ended else 0


def _flags(values: dict[str, object]) -> RunFlags:
    from scenarios.cli.runflags import RunFlags

    return RunFlags(**{key: () if value is None and key in _MANY else value for key, value in values.items()})  # type: ignore[arg-type]


_MANY = ("command", "network", "network_alias", "link", "publish", "expose", "env", "env_file", "label", "add_host",
         "dns", "dns_search", "dns_option", "cap_add", "cap_drop", "sysctl", "volume")  # fmt: skip


@app.command(context_settings=OWN_WORDS)
def run(
    context: typer.Context, image: Image, command: Command = None, detach: Detach = False,
    interactive: Interactive = False, tty: Tty = False, rm: Rm = False, name: Name = None, network: Network = None,
    network_alias: Alias = None, ip: Ip = None, ip6: Ip6 = None, link: Link = None, mac_address: Mac = None,
    publish: Publish = None, publish_all: PublishAll = False, expose: Expose = None, env: Env = None,
    env_file: EnvFile = None, label: Label = None, hostname: Hostname = None, entrypoint: Entrypoint = None,
    workdir: Workdir = None, user: User = None, restart: Restart = "no", add_host: AddHost = None, dns: Dns = None,
    dns_search: DnsSearch = None, dns_option: DnsOption = None, cap_add: CapAdd = None, cap_drop: CapDrop = None,
    sysctl: Sysctl = None, privileged: Privileged = False, init: Init = False, stop_signal: StopSignal = None,
    stop_timeout: StopTimeout = None, volume: Volume = None, health_cmd: HealthCmd = None,
    health_interval: HealthInterval = None, health_timeout: HealthTimeout = None,
    health_start_period: HealthStart = None, health_retries: HealthRetries = None,
) -> None:  # fmt: skip
    """Create a container and start it."""
    values = {key: value for key, value in locals().items() if key not in ("context", "name")}
    talk(context, lambda client: _run(client, _flags(values), name), failure=125)


@app.command(context_settings=OWN_WORDS)
def create(
    context: typer.Context, image: Image, command: Command = None, interactive: Interactive = False, tty: Tty = False,
    rm: Rm = False, name: Name = None, network: Network = None, network_alias: Alias = None, ip: Ip = None,
    ip6: Ip6 = None, link: Link = None, mac_address: Mac = None, publish: Publish = None,
    publish_all: PublishAll = False, expose: Expose = None, env: Env = None, env_file: EnvFile = None,
    label: Label = None, hostname: Hostname = None, entrypoint: Entrypoint = None, workdir: Workdir = None,
    user: User = None, restart: Restart = "no", add_host: AddHost = None, dns: Dns = None,
    dns_search: DnsSearch = None, dns_option: DnsOption = None, cap_add: CapAdd = None, cap_drop: CapDrop = None,
    sysctl: Sysctl = None, privileged: Privileged = False, init: Init = False, stop_signal: StopSignal = None,
    stop_timeout: StopTimeout = None, volume: Volume = None, health_cmd: HealthCmd = None,
    health_interval: HealthInterval = None, health_timeout: HealthTimeout = None,
    health_start_period: HealthStart = None, health_retries: HealthRetries = None,
) -> None:  # fmt: skip
    """Create a container without starting it."""
    values = {key: value for key, value in locals().items() if key not in ("context", "name")}

    async def work(client: HostClient) -> None:
        print(await _create(client, _flags(values), name))

    talk(context, work)


@app.command("exec", context_settings=OWN_WORDS)
def execute(
    context: typer.Context, container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND [ARG]...")], detach: Detach = False,
    interactive: Interactive = False, tty: Tty = False, env: Env = None, workdir: Workdir = None, user: User = None,
    privileged: Privileged = False,
) -> None:  # fmt: skip
    """Run a command in a running container."""

    async def work(client: HostClient) -> int:
        from scenarios.cli.runflags import environment
        from scenarios.cli.terminal import converse

        created = await client.post(f"containers/{container}/exec", {
            "AttachStdin": interactive and not detach, "AttachStdout": not detach, "AttachStderr": not detach,
            "Tty": tty, "Cmd": command, "Env": environment(env or ()), "WorkingDir": workdir or "",
            "User": user or "", "Privileged": privileged,
        })  # fmt: skip
        path = f"exec/{created['Id']}"
        if detach:
            await client.post(f"{path}/start", {"Detach": True, "Tty": tty})
            return 0
        stream = await client.hijack(f"{path}/start", {"Detach": False, "Tty": tty})
        ended = await converse(
            stream, tty=tty, stdin=interactive, resize=lambda h, w: client.post(f"{path}/resize", h=h, w=w)
        )
        return int((await client.get(f"{path}/json"))["ExitCode"]) if ended else 0

    talk(context, work)


@app.command()
def attach(
    context: typer.Context, container: str,
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="Do not attach standard input.")] = False,
) -> None:  # fmt: skip
    """Attach to a running container's standard input and output."""

    async def work(client: HostClient) -> int:
        from aiodocker.exceptions import DockerError

        from scenarios.cli.terminal import converse, forwarded_signals

        path = f"containers/{container}"
        state = await client.get(f"{path}/json")
        if not state["State"]["Running"]:
            raise DockerError(900, "cannot attach to a stopped container, start it first")
        config = state["Config"]
        stdin = bool(config["OpenStdin"]) and not no_stdin
        async with client.response("POST", f"{path}/wait", {}) as waiting:
            stream = await client.hijack(f"{path}/attach", stream=1, stdout=1, stderr=1, stdin=int(stdin))
            with forwarded_signals(lambda signal: client.post(f"{path}/kill", signal=signal)):
                ended = await converse(
                    stream, tty=bool(config["Tty"]), stdin=stdin,
                    resize=lambda h, w: client.post(f"{path}/resize", h=h, w=w),
                )  # fmt: skip
                return int((await waiting.json())["StatusCode"]) if ended else 0

    talk(context, work)
