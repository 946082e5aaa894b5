"""`shoal`: the commands that need no Docker API, and the way to those that do.

Everything heavy (aiohttp, rich, the demo) is imported by the command that needs it, so that `shoal ls` and
`shoal --help` answer at once.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from scenarios.cli import chaos, explore, scenario, sim, wounds
from scenarios.cli.arguments import HostName, State
from scenarios.cli.verbs import on
from scenarios.launch import record
from scenarios.launch.errors import LaunchError

app = typer.Typer(
    name="shoal",
    help="A swarm of container hosts on this machine, without Docker and without root.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(on.app, name="on")
app.add_typer(chaos.app, name="chaos")
app.add_typer(scenario.app, name="scenario")
app.command("sim")(sim.sim)
app.command("wounds")(wounds.wounds)
app.command("explore")(explore.explore)
scenario.app.command("sim")(sim.sim)


class Addresses(StrEnum):
    """Which real addresses stand for the hosts."""

    loopback = "loopback"
    ports = "ports"


class Api(StrEnum):
    """Where the daemons serve their APIs."""

    unix = "unix"
    tcp = "tcp"


def _systems(texts: list[str], names: list[str]) -> dict[str, str]:
    """ "windows" is for all hosts, "h2=windows" for one."""
    found: dict[str, str] = {}
    for text in texts:
        name, _, system = text.rpartition("=")
        if system not in ("linux", "windows"):
            raise LaunchError(f"--os {text!r}: linux or windows expected, or for one host h2=windows")
        found |= dict.fromkeys([name] if name else names, system)
    return found


def _host_addresses(texts: list[str]) -> dict[str, list[str]]:
    import ipaddress

    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, address = text.partition("=")
        try:
            if not equals:
                raise ValueError
            ipaddress.IPv4Address(address)
        except ValueError:
            raise LaunchError(f"--host-address {text!r}: HOST=IPv4 expected, as in h1=192.168.1.100") from None
        found.setdefault(name, []).append(address)
    return found


@app.command()
def up(
    hosts: Annotated[int, typer.Argument(metavar="[N]", help="How many daemons.")] = 3,
    prefix: Annotated[str, typer.Option(help="Hosts are called PREFIX1, PREFIX2, …")] = "h",
    state: State = None,
    no_swarm: Annotated[bool, typer.Option("--no-swarm", help="Leave them as engines of their own.")] = False,
    addresses: Annotated[
        Addresses, typer.Option(help="loopback: 127.0.B.N for host N; ports: all on 127.0.0.1.")
    ] = Addresses.loopback,
    host_address: Annotated[
        list[str] | None, typer.Option(metavar="HOST=IP", help="Give a host one more address; repeatable.")
    ] = None,
    die_with: Annotated[int | None, typer.Option(metavar="PID", help="The daemons end when this process does.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    api: Annotated[
        Api, typer.Option(help="unix: a socket file a host; tcp: on 127.0.0.1, open to every user of this machine.")
    ] = Api.unix,
    uplink: Annotated[
        bool, typer.Option("--uplink", help="The LAN's router forwards to this machine's network; itself it is .254.")
    ] = False,
    system: Annotated[
        list[str] | None,
        typer.Option("--os", metavar="[HOST=]OS", help="Declare hosts to be linux or windows; repeatable."),
    ] = None,
) -> None:
    """Start N daemons, make them one swarm, and return when every one sees every other."""
    from scenarios.launch import launcher

    swarm = launcher.up(
        hosts,
        directory=record.resolve(state),
        prefix=prefix,
        swarm=not no_swarm,
        addresses=addresses.value,
        host_addresses=_host_addresses(host_address or []),
        die_with=die_with,
        log_level=log_level,
        tcp=api is Api.tcp,
        uplink=uplink,
        systems=_systems(system or [], [f"{prefix}{n}" for n in range(1, hosts + 1)]),
    )
    for host in swarm.hosts:
        print(f"{host.name}\t{host.address}\tDOCKER_HOST={host.docker_host}")


@app.command()
def down(state: State = None) -> None:
    """Stop the daemons of a state directory and leave nothing behind."""
    from scenarios.launch import launcher

    swarm = launcher.down(record.resolve(state))
    print(f"stopped {', '.join(host.name for host in swarm.hosts)}")


@app.command("ls")
def list_hosts(
    state: State = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Names only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """The hosts: addresses, whom each sees, and where published ports are on this machine, or why not."""
    from scenarios.cli import hosts

    hosts.show(record.running(record.resolve(state)), quiet=quiet, as_json=as_json)


@app.command()
def nat(
    host: HostName,
    state: State = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What a host translates and filters: published ports, masquerading, isolation, in the order it is asked."""
    from scenarios.cli import hosts

    hosts.show_nat(record.running(record.resolve(state)).host(host), as_json=as_json)


@app.command()
def env(
    host: HostName,
    state: State = None,
    unset: Annotated[bool, typer.Option("--unset", "-u", help="Print what takes it back.")] = False,
) -> None:
    """Print what points the docker command at a host, for `eval "$(shoal env h1)"`."""
    import shlex

    if unset:
        print("unset DOCKER_HOST")
        return
    chosen = record.running(record.resolve(state)).host(host)
    print(f"export DOCKER_HOST={shlex.quote(chosen.docker_host)}")


@app.command()
def logs(
    host: HostName,
    state: State = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as more is written.")] = False,
    tail: Annotated[int | None, typer.Option("-n", "--tail", min=0, help="Only the last lines.")] = None,
) -> None:
    """The log of a host's daemon."""
    from scenarios.cli import hosts

    hosts.print_log(record.running(record.resolve(state)).host(host), follow=follow, tail=tail)


@app.command()
def attach(
    host: HostName,
    network: Annotated[str, typer.Option("--network", metavar="NETWORK", help="The container network to be in.")],
    command: Annotated[list[str] | None, typer.Argument(metavar="[-- CMD [ARG]...]", help="What to run.")] = None,
    state: State = None,
) -> None:
    """Run a program of this machine whose connections go into a network, by ALL_PROXY, HTTP_PROXY and HTTPS_PROXY."""
    from scenarios.cli.attach import attach as run

    raise typer.Exit(run(record.running(record.resolve(state)).host(host), network, command or []))


@app.command()
def version() -> None:
    """The versions of shoal and of Docker's API that it speaks."""
    from importlib.metadata import version as installed

    print(f"shoal {installed('shoal')}, Docker Engine API 1.24 to 1.47, Python {sys.version.split()[0]}")


@app.command()
def demo(
    step: Annotated[bool, typer.Option("--step", help="Wait for a key between chapters.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the swarm running at the end.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines, also on a terminal.")] = False,
    state: State = None,
) -> None:
    """Three hosts, an overlay, a partition and its end, each step checked. Exit status 0: everything held."""
    from scenarios.demo.play import main as play

    raise typer.Exit(play(step=step, keep=keep, plain=plain, directory=state))


@app.command()
def bench(
    runs: Annotated[int, typer.Option(min=5, help="Measurements of each figure.")] = 5,
    only: Annotated[str | None, typer.Option(help="Only figures whose name contains this.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Measure from outside, median and p95 beside each goal. Exit status 1: a goal was missed."""
    from scenarios.bench.report import main as measure

    raise typer.Exit(measure(runs=runs, only=only, as_json=as_json))


@app.command()
def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print the completion script of a shell, for `eval "$(shoal completion bash)"`."""
    from typer._completion_shared import get_completion_script

    if shell not in ("bash", "zsh", "fish"):
        raise LaunchError(f"no completion for {shell!r}: bash, zsh or fish")
    print(get_completion_script(prog_name="shoal", complete_var="_SHOAL_COMPLETE", shell=shell))


def main() -> None:
    """The console script: errors are one line, Ctrl-C is 130, a closed pipe is silence."""
    try:
        app(prog_name="shoal")
    except LaunchError as error:
        print(f"shoal: {error}", file=sys.stderr)
        sys.exit(error.status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        print(f"shoal: {error.filename or error}: {error.strerror}" if error.strerror else f"shoal: {error}",
              file=sys.stderr)  # fmt: skip
        sys.exit(1)
