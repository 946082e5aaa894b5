"""`network …`: ls, create, rm, inspect, connect, disconnect, prune."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli.formats import Columns, told
from scenarios.cli.on import app, each, talk
from scenarios.cli.verbs.containers import Filters, Format, NoTrunc, Quiet, filters
from scenarios.cli.verbs.inspecting import Kind, inspect_each
from scenarios.cli.verbs.pruning import Force, PruneFilters, ask
from scenarios.gotemplate import documents

if TYPE_CHECKING:
    from scenarios.client import HostClient

network = typer.Typer(help="Networks.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(network, name="network")

Texts = list[str] | None
_LS = Columns(
    "*network.networkContext",
    {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE"},
    {"IPv4": "IPV4", "IPv6": "IPV6", "Internal": "INTERNAL", "Labels": "LABELS", "CreatedAt": "CREATED AT"},
)


@network.command("ls")
def list_networks(
    context: typer.Context, quiet: Quiet = False, no_trunc: NoTrunc = False, filter_: Filters = None,
    format_: Format = None,
) -> None:  # fmt: skip
    """List networks."""

    async def work(client: HostClient) -> None:
        found = sorted(await client.get("networks", filters=filters(filter_)), key=lambda n: n["Name"])
        rows = [
            {
                "ID": n["Id"] if no_trunc else n["Id"][:12], "Name": n["Name"], "Driver": n["Driver"],
                "Scope": n["Scope"], "IPv4": str(n.get("EnableIPv4", False)).lower(),
                "IPv6": str(n["EnableIPv6"]).lower(), "Internal": str(n["Internal"]).lower(),
                "Labels": told(n.get("Labels")),
                "CreatedAt": documents.go_moment(n["Created"]),
            }
            for n in found
        ]  # fmt: skip
        text = _LS.render(rows, format_, quiet="ID" if quiet else None, labels=[n.get("Labels") or {} for n in found])
        if text:
            print(text)

    talk(context, work)


@network.command()
def create(
    context: typer.Context, name: str,
    driver: Annotated[str, typer.Option("-d", "--driver", help="bridge or overlay.")] = "bridge",
    attachable: Annotated[bool, typer.Option("--attachable", help="Containers may join it by hand.")] = False,
    internal: Annotated[bool, typer.Option("--internal", help="No way out.")] = False,
    ipv6: Annotated[bool, typer.Option("--ipv6")] = False,
    ingress: Annotated[bool, typer.Option("--ingress")] = False,
    scope: Annotated[str | None, typer.Option("--scope")] = None,
    subnet: Annotated[Texts, typer.Option("--subnet", help="CIDR; repeatable.")] = None,
    gateway: Annotated[Texts, typer.Option("--gateway")] = None,
    ip_range: Annotated[Texts, typer.Option("--ip-range")] = None,
    aux_address: Annotated[Texts, typer.Option("--aux-address", help="NAME=IP.")] = None,
    ipam_driver: Annotated[str, typer.Option("--ipam-driver")] = "default",
    ipam_opt: Annotated[Texts, typer.Option("--ipam-opt", help="KEY=VALUE.")] = None,
    config_only: Annotated[bool, typer.Option("--config-only", help="A configuration for others, no network.")] = False,
    config_from: Annotated[str | None, typer.Option("--config-from", help="Whose configuration it has.")] = None,
    opt: Annotated[Texts, typer.Option("-o", "--opt", help="KEY=VALUE.")] = None,
    label: Annotated[Texts, typer.Option("--label", help="KEY=VALUE.")] = None,
) -> None:  # fmt: skip
    """Create a network."""

    async def work(client: HostClient) -> None:
        from scenarios.cli.pools import pools
        from scenarios.cli.runflags import labels

        created = await client.post("networks/create", {
            "Name": name, "CheckDuplicate": True, "Driver": driver, "Scope": scope or "", "EnableIPv6": ipv6,
            "Internal": internal, "Attachable": attachable, "Ingress": ingress, "Options": labels(opt or ()),
            "Labels": labels(label or ()), "ConfigOnly": config_only,
            "ConfigFrom": {"Network": config_from} if config_from else None,
            "IPAM": {"Driver": ipam_driver, "Options": labels(ipam_opt or ()),
                     "Config": pools(subnet or (), gateway or (), ip_range or (), aux_address or ())},
        })  # fmt: skip
        print(created["Id"])

    talk(context, work)


@network.command()
def rm(
    context: typer.Context, networks: Annotated[list[str], typer.Argument(metavar="NETWORK...")],
    force: Annotated[bool, typer.Option("-f", "--force", help="No error when it is not there.")] = False,
) -> None:  # fmt: skip
    """Remove networks."""

    async def work(client: HostClient) -> int:
        status = await each(networks, lambda n: client.delete(f"networks/{n}"))
        if force or not status:
            return 0
        print(f"exit status {status}", file=sys.stderr)  # as docker's own command has it
        return status

    talk(context, work)


@network.command()
def inspect(
    context: typer.Context, networks: Annotated[list[str], typer.Argument(metavar="NETWORK...")],
    format_: Annotated[str | None, typer.Option("-f", "--format")] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose")] = False,
) -> None:  # fmt: skip
    """Everything about networks, as JSON."""
    kind = Kind("networks/{}?verbose=true" if verbose else "networks/{}", documents.NETWORK)
    talk(context, lambda client: inspect_each(client, networks, [kind], format_, None))


@network.command()
def connect(
    context: typer.Context, network: str, container: str,
    alias: Annotated[Texts, typer.Option("--alias", help="Another name on this network.")] = None,
    ip: Annotated[str | None, typer.Option("--ip")] = None,
    ip6: Annotated[str | None, typer.Option("--ip6")] = None,
    link: Annotated[Texts, typer.Option("--link")] = None,
    link_local_ip: Annotated[Texts, typer.Option("--link-local-ip")] = None,
    driver_opt: Annotated[Texts, typer.Option("--driver-opt")] = None,
) -> None:  # fmt: skip
    """Connect a container to a network."""

    async def work(client: HostClient) -> None:
        from scenarios.cli.runflags import labels

        settings: dict[str, object] = {"Aliases": alias, "Links": link, "DriverOpts": labels(driver_opt or ()) or None}
        if ip or ip6 or link_local_ip:
            settings["IPAMConfig"] = {
                k: v for k, v in (("IPv4Address", ip), ("IPv6Address", ip6), ("LinkLocalIPs", link_local_ip)) if v
            }
        await client.post(f"networks/{network}/connect", {"Container": container, "EndpointConfig": settings})

    talk(context, work)


@network.command()
def disconnect(
    context: typer.Context, network: str, container: str,
    force: Annotated[bool, typer.Option("-f", "--force")] = False,
) -> None:  # fmt: skip
    """Disconnect a container from a network."""

    async def work(client: HostClient) -> None:
        await client.post(f"networks/{network}/disconnect", {"Container": container, "Force": force})

    talk(context, work)


@network.command()
def prune(
    context: typer.Context, filter_: PruneFilters = None,
    force: Force = False,
) -> None:  # fmt: skip
    """Remove all networks that nothing uses."""
    ask("all custom networks not used by at least one container", force)

    async def work(client: HostClient) -> None:
        deleted = (await client.post("networks/prune", filters=filters(filter_)))["NetworksDeleted"]
        if deleted:
            print("Deleted Networks:\n" + "\n".join(deleted) + "\n")

    talk(context, work)
