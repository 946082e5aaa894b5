"""`swarm …` and `node …`: who is in the cluster, and who may be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli.formats import Columns
from scenarios.cli.on import app, each, talk
from scenarios.cli.verbs.containers import Filters, Format, Quiet, filters
from scenarios.cli.verbs.inspecting import Kind, inspect_each
from scenarios.gotemplate import documents

if TYPE_CHECKING:
    from scenarios.client import Document, HostClient

swarm = typer.Typer(help="The cluster.", no_args_is_help=True, rich_markup_mode=None)
node = typer.Typer(help="The cluster's hosts.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(swarm, name="swarm")
app.add_typer(node, name="node")

_TABLE = "table {{.ID}} {{if .Self}}*{{else}} {{end}}\\t" + "\\t".join(
    f"{{{{.{name}}}}}" for name in ("Hostname", "Status", "Availability", "ManagerStatus", "EngineVersion")
)
_NODES = Columns(
    "*node.nodeContext",
    {"ID": "ID", "Hostname": "HOSTNAME", "Status": "STATUS", "Availability": "AVAILABILITY",
     "ManagerStatus": "MANAGER STATUS", "EngineVersion": "ENGINE VERSION"},
    {"Self": "", "TLSStatus": "TLS STATUS"},
)  # fmt: skip

Advertise = Annotated[str | None, typer.Option("--advertise-addr", help="The address that others reach it at.")]
Listen = Annotated[str, typer.Option("--listen-addr")]


def _hint(role: str, token: str, address: str) -> str:
    return (
        f"To add a {role} to this swarm, run the following command:\n\n"
        f"    docker swarm join --token {token} {address}\n"
    )


async def _manager_address(client: HostClient) -> str:
    info = (await client.get("info"))["Swarm"]
    managers: list[Document] = info.get("RemoteManagers") or []
    own = next((m["Addr"] for m in managers if m["NodeID"] == info["NodeID"]), None)
    return str(own or f"{info['NodeAddr']}:2377")


@swarm.command()
def init(
    context: typer.Context, advertise_addr: Advertise = None, listen_addr: Listen = "0.0.0.0:2377",
    force_new_cluster: Annotated[bool, typer.Option("--force-new-cluster")] = False,
    default_addr_pool: Annotated[list[str] | None, typer.Option("--default-addr-pool")] = None,
    default_addr_pool_mask_length: Annotated[int, typer.Option("--default-addr-pool-mask-length")] = 24,
) -> None:  # fmt: skip
    """Make this host the first manager of a new swarm."""

    async def work(client: HostClient) -> None:
        node_id = await client.post("swarm/init", {
            "ListenAddr": listen_addr, "AdvertiseAddr": advertise_addr or "", "ForceNewCluster": force_new_cluster,
            "DefaultAddrPool": default_addr_pool, "SubnetSize": default_addr_pool_mask_length, "Spec": {},
        })  # fmt: skip
        print(f"Swarm initialized: current node ({node_id}) is now a manager.\n")
        token = (await client.get("swarm"))["JoinTokens"]["Worker"]
        print(_hint("worker", token, await _manager_address(client)))
        print("To add a manager to this swarm, run 'docker swarm join-token manager' and follow the instructions.\n")

    talk(context, work)


@swarm.command()
def join(
    context: typer.Context, remote: Annotated[str, typer.Argument(metavar="HOST:PORT")],
    token: Annotated[str, typer.Option("--token", help="As swarm join-token prints it.")] = "",
    advertise_addr: Advertise = None, listen_addr: Listen = "0.0.0.0:2377",
) -> None:  # fmt: skip
    """Join this host to a swarm."""

    async def work(client: HostClient) -> None:
        await client.post("swarm/join", {
            "RemoteAddrs": [remote], "JoinToken": token, "AdvertiseAddr": advertise_addr or "",
            "ListenAddr": listen_addr,
        })  # fmt: skip
        manager = (await client.get("info"))["Swarm"]["ControlAvailable"]
        print(f"This node joined a swarm as a {'manager' if manager else 'worker'}.")

    talk(context, work)


@swarm.command()
def leave(context: typer.Context, force: Annotated[bool, typer.Option("-f", "--force")] = False) -> None:
    """Take this host out of the swarm."""

    async def work(client: HostClient) -> None:
        await client.post("swarm/leave", force=force)
        print("Node left the swarm.")

    talk(context, work)


@swarm.command("join-token")
def join_token(
    context: typer.Context, role: Annotated[str, typer.Argument(metavar="worker|manager")],
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="The token only.")] = False,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make the old one void.")] = False,
) -> None:  # fmt: skip
    """The token with which a worker or manager joins."""

    async def work(client: HostClient) -> int:
        if role not in ("worker", "manager"):
            print("unknown role " + role, file=sys.stderr)
            return 1
        state = await client.get("swarm")
        if rotate:
            flag = {"rotateWorkerToken": True} if role == "worker" else {"rotateManagerToken": True}
            await client.post("swarm/update", state["Spec"], version=state["Version"]["Index"], **flag)
            state = await client.get("swarm")
            if not quiet:
                print(f"Successfully rotated {role} join token.\n")
        token = state["JoinTokens"][role.capitalize()]
        print(token if quiet else _hint(role, token, await _manager_address(client)))
        return 0

    talk(context, work)


def _node_row(found: Document, own: str) -> dict[str, str | bool]:
    manager = found.get("ManagerStatus") or {}
    status = "Leader" if manager.get("Leader") else manager.get("Reachability", "").capitalize()
    return {
        "ID": found["ID"],
        "Self": found["ID"] == own,
        "Hostname": found["Description"]["Hostname"],
        "Status": found["Status"]["State"].capitalize(),
        "Availability": found["Spec"]["Availability"].capitalize(),
        "ManagerStatus": status,
        "EngineVersion": found["Description"]["Engine"]["EngineVersion"],
        "TLSStatus": "Ready",
    }


@node.command("ls")
def list_nodes(context: typer.Context, quiet: Quiet = False, filter_: Filters = None, format_: Format = None) -> None:
    """List the cluster's hosts."""

    async def work(client: HostClient) -> None:
        found = await client.get("nodes", filters=filters(filter_))
        own = (await client.get("info"))["Swarm"]["NodeID"]
        rows = sorted((_node_row(n, own) for n in found), key=lambda row: row["Hostname"])
        form = _TABLE if format_ in (None, "", "table") else format_
        text = _NODES.render(rows, form, quiet="ID" if quiet else None)
        if text:
            print(text)

    talk(context, work)


@node.command("inspect")
def inspect_node(
    context: typer.Context, nodes: Annotated[list[str], typer.Argument(metavar="self|NODE...")],
    format_: Annotated[str | None, typer.Option("-f", "--format")] = None,
) -> None:  # fmt: skip
    """Everything about nodes, as JSON."""

    async def work(client: HostClient) -> int:
        own = (await client.get("info"))["Swarm"]["NodeID"] if "self" in nodes else ""
        names = [own if name == "self" else name for name in nodes]
        kind = Kind("nodes/{}", documents.NODE, plain=False)
        return await inspect_each(client, names, [kind], format_, "No such node")

    talk(context, work)


@node.command("rm")
def remove_node(
    context: typer.Context, nodes: Annotated[list[str], typer.Argument(metavar="NODE...")],
    force: Annotated[
        bool, typer.Option("-f", "--force", help="Also one that cannot be reached, with whom it admits meanwhile.")
    ] = False,
) -> None:  # fmt: skip
    """Take nodes out of the cluster for good."""

    async def work(client: HostClient) -> int:
        return await each(nodes, lambda n: client.delete(f"nodes/{n}", force=force))

    talk(context, work)


async def _give_role(client: HostClient, ref: str, role: str) -> str:
    found = await client.get(f"nodes/{ref}")
    if found["Spec"]["Role"] == role:
        return f"Node {ref} is already a {role}."
    spec = {**found["Spec"], "Role": role}
    await client.post(f"nodes/{found['ID']}/update", spec, version=found["Version"]["Index"])
    if role == "manager":
        return f"Node {ref} promoted to a manager in the swarm."
    return f"Manager {ref} demoted in the swarm."


@node.command("promote")
def promote(context: typer.Context, nodes: Annotated[list[str], typer.Argument(metavar="NODE...")]) -> None:
    """Make nodes managers."""
    talk(context, lambda client: each(nodes, lambda n: _give_role(client, n, "manager")))


@node.command("demote")
def demote(context: typer.Context, nodes: Annotated[list[str], typer.Argument(metavar="NODE...")]) -> None:
    """Make nodes workers."""
    talk(context, lambda client: each(nodes, lambda n: _give_role(client, n, "worker")))
