"""inspect: everything about an object, as JSON or as a template has it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.cli.formats import inspected, parsed
from scenarios.cli.on import app, talk
from scenarios.gotemplate import TemplateError, documents

if TYPE_CHECKING:
    from scenarios.client import HostClient


@app.command()
def inspect(
    context: typer.Context, names: Annotated[list[str], typer.Argument(metavar="NAME...")],
    format_: Annotated[str | None, typer.Option("-f", "--format")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="container, network, image, node or volume.")] = None,
) -> None:  # fmt: skip
    """Everything about containers, networks, images, nodes or volumes, as JSON."""
    if type_ is not None and type_ not in OBJECTS:
        raise typer.BadParameter(f'"{type_}" is not a valid value for --type')
    chosen = [OBJECTS[type_]] if type_ else list(OBJECTS.values())
    missing = f"No such {type_ or 'object'}"
    talk(context, lambda client: inspect_each(client, names, chosen, format_, missing))


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be inspected: where the daemon has it, its shape, and whether a template that does not fit that shape is
    tried on plain JSON (docker's own verbs differ in it)."""

    path: str
    shape: documents.Shape
    plain: bool = True


OBJECTS = {
    "container": Kind("containers/{}/json", documents.CONTAINER),
    "network": Kind("networks/{}", documents.NETWORK),
    "image": Kind("images/{}/json", documents.IMAGE),
    "node": Kind("nodes/{}", documents.NODE),
    "volume": Kind("volumes/{}", documents.VOLUME),
}


async def inspect_each(
    client: HostClient, names: list[str], kinds: list[Kind], form: str | None, missing: str | None
) -> int:
    """Prints the documents found under the first of `kinds` that has them; what is missing is an error at the end, in
    the daemon's words unless `missing` says how."""
    from aiodocker.exceptions import DockerError

    if form not in (None, "", "json"):
        try:
            parsed(str(form))
        except TemplateError as error:
            print(error, file=sys.stderr)
            return 64
    found: list[tuple[object, documents.Shape, bool]] = []
    errors = []
    for name in names:
        for kind in kinds:
            try:
                found.append((await client.get(kind.path.format(name)), kind.shape, kind.plain))
                break
            except DockerError as error:
                if len(kinds) == 1 and (error.status != 404 or missing is None):
                    errors.append(f"Error response from daemon: {error.message}")
                    break
                if error.status not in (404, 406, 503):
                    raise
        else:
            errors.append(f"Error: {missing}: {name}")
    if not form:
        print(json.dumps([document for document, _, _ in found], indent=4, ensure_ascii=False))
    else:
        text, unfit = inspected(form, found)
        print(text)
        errors = unfit + errors
    for text in errors:
        print(text, file=sys.stderr)
    return 1 if errors else 0
