"""`node update`, `swarm update`, `swarm ca`, `swarm unlock`…: what managers decide about nodes and the whole swarm."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli.on import talk
from scenarios.cli.terminal import SCRIPTED
from scenarios.cli.verbs.containers import Quiet
from scenarios.cli.verbs.swarm import node, swarm

if TYPE_CHECKING:
    from scenarios.client import HostClient

_UNLOCK = (
    "To unlock a swarm manager after it restarts, run the `docker swarm unlock`\ncommand and provide the following "
    "key:\n\n    {}\n\nPlease remember to store this key in a password manager, since without it you\nwill not be able "
    "to restart the manager.\n"
)


@node.command("update")
def update_node(
    context: typer.Context, ref: Annotated[str, typer.Argument(metavar="NODE")],
    availability: Annotated[str | None, typer.Option("--availability", help="active, pause or drain.")] = None,
    role: Annotated[str | None, typer.Option("--role", help="worker or manager.")] = None,
    label_add: Annotated[list[str] | None, typer.Option("--label-add", metavar="KEY=VALUE")] = None,
    label_rm: Annotated[list[str] | None, typer.Option("--label-rm", metavar="KEY")] = None,
) -> None:  # fmt: skip
    """Change a node's labels, role or availability."""

    async def work(client: HostClient) -> None:
        found = await client.get(f"nodes/{ref}")
        spec = dict(found["Spec"])
        labels = {key: value for key, value in (spec.get("Labels") or {}).items() if key not in (label_rm or ())}
        for text in label_add or ():
            key, _, labels[key] = text.partition("=")
        spec |= {"Labels": labels, "Role": role or spec["Role"], "Availability": availability or spec["Availability"]}
        await client.post(f"nodes/{found['ID']}/update", spec, version=found["Version"]["Index"])
        print(ref)

    talk(context, work)


@swarm.command("update")
def update_swarm(
    context: typer.Context,
    autolock: Annotated[
        bool | None, typer.Option("--autolock/--no-autolock", help="A manager that restarts asks for a key.")
    ] = None,
) -> None:
    """Change the swarm's settings."""

    async def work(client: HostClient) -> None:
        state = await client.get("swarm")
        spec = dict(state["Spec"])
        if autolock is not None:
            spec["EncryptionConfig"] = {"AutoLockManagers": autolock}
        await client.post("swarm/update", spec, version=state["Version"]["Index"])
        print("Swarm updated.")
        if autolock:
            print(_UNLOCK.format((await client.get("swarm/unlockkey"))["UnlockKey"]))

    talk(context, work)


@swarm.command("unlock-key")
def unlock_key(
    context: typer.Context, quiet: Quiet = False,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make the old one void.")] = False,
) -> None:  # fmt: skip
    """The key that a manager asks for after a restart."""

    async def work(client: HostClient) -> int:
        if rotate:
            state = await client.get("swarm")
            await client.post("swarm/update", state["Spec"], version=state["Version"]["Index"],
                              rotateManagerUnlockKey=True)  # fmt: skip
            if not quiet:
                print("Successfully rotated manager unlock key.\n")
        key = (await client.get("swarm/unlockkey"))["UnlockKey"]
        if not key:
            print("no unlock key is set", file=sys.stderr)
            return 1
        print(key if quiet else _UNLOCK.format(key))
        return 0

    talk(context, work)


@swarm.command("unlock")
def unlock(context: typer.Context) -> None:
    """Unlock this manager; the key is read from standard input."""

    async def work(client: HostClient) -> None:
        scripted = SCRIPTED.get()
        key = scripted.decode() if scripted is not None else sys.stdin.readline()
        await client.post("swarm/unlock", {"UnlockKey": key.strip()})

    talk(context, work)


@swarm.command("ca")
def certificate_authority(
    context: typer.Context,
    rotate: Annotated[bool, typer.Option("--rotate", help="Replace the root CA.")] = False,
    detach: Annotated[bool, typer.Option("-d", "--detach", help="Do not wait until all nodes have followed.")] = False,
) -> None:  # fmt: skip
    """The swarm's root CA; `--rotate --detach` begins to replace it."""

    async def work(client: HostClient) -> int:
        state = await client.get("swarm")
        if not rotate:
            print(state["TLSInfo"]["TrustRoot"], end="")
            return 0
        if not detach:
            print("--rotate waits for nobody here: say --detach as well", file=sys.stderr)
            return 1
        spec = dict(state["Spec"])
        authority = dict(spec.get("CAConfig") or {})
        spec["CAConfig"] = authority | {"ForceRotate": int(authority.get("ForceRotate") or 0) + 1}
        await client.post("swarm/update", spec, version=state["Version"]["Index"])
        return 0

    talk(context, work)
