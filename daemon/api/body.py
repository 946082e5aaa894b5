"""Request bodies: JSON objects, with Docker's answers to what is none.

Docker reads a body with Go's decoder into a struct: keys match without regard to case, unknown ones are ignored, a
value of the wrong kind is an error that names the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from daemon.api import gojson
from daemon.engine.documents import JsonObject
from daemon.errors import ApiError, BadParameter
from daemon.runtime.nodes import LIMIT

# A schema: field -> Go type, as Go's error prints it ("[]string"); of structs (type, schema), the type perhaps with
# "[]" or "map[string]" before it.
Schema = Mapping[str, "str | tuple[str, Schema]"]

MAX_ARCHIVE = 2 * LIMIT  # bytes, compressed or not
MAX_BODY = 4 << 20  # bytes; Docker's own limit for most endpoints


async def read_json(request: web.Request, struct: str = "", schema: Schema | None = None) -> JsonObject:
    """The body as an object; {} when there is none. Values of the fields in `schema` have the right type or are None.

    Raises BadParameter with Go's texts; status 400 for a wrong Content-Type, 413 for more than MAX_BODY.
    """
    body = await _read(request)
    if not body:
        return {}
    check_content_type(request)
    try:
        value = gojson.loads(body.decode("utf-8", errors="replace"))
    except gojson.GoJsonError as error:
        text = str(error)
        raise BadParameter("got EOF while reading request body" if text == "EOF" else text) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadParameter(f"json: cannot unmarshal {_kind(value)} into Go value of type {struct or 'types.Request'}")
    return checked(value, struct or "Request", schema) if schema is not None else value


async def read_archive(request: web.Request) -> bytes:
    """A tar archive, which may be larger than other bodies. ApiError when it is larger than a container may be."""
    data = bytearray()
    async for piece in request.content.iter_any():
        data += piece
        if len(data) > MAX_ARCHIVE:
            raise ApiError("no space left on device", 500)
    return bytes(data)


def check_content_type(request: web.Request) -> None:
    """Docker reads JSON only from application/json."""
    content_type = request.headers.get("Content-Type", "")
    if request.content_type != "application/json" or not content_type:
        raise BadParameter(f"Content-Type specified ({content_type}) must be 'application/json'")


async def _read(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError("http: request body too large", 413) from None


def checked(value: JsonObject, struct: str, schema: Schema, path: str = "") -> JsonObject:
    """`value` with its keys spelled as in `schema` and their types checked. Unknown keys stay."""
    folded = {name.lower(): name for name in schema}
    result: JsonObject = {}
    for key, item in value.items():
        name = folded.get(key.lower())
        if name is None:
            result[key] = item
            continue
        wanted = schema[name]
        where = f"{path}.{name}" if path else name
        if isinstance(wanted, tuple):
            result[name] = _nested(item, struct, where, *wanted)
        else:
            if item is not None:
                _check(item, struct, where, wanted)
            result[name] = item
    return result


def _nested(item: Any, struct: str, where: str, wanted: str, schema: Schema) -> Any:
    """A struct, or a list or map of them."""
    if item is None:
        return None
    if wanted.startswith("[]"):
        if not isinstance(item, list):
            raise _mismatch(item, struct, where, wanted)
        return [_nested(element, struct, where, wanted[2:], schema) for element in item]
    if not isinstance(item, dict):
        raise _mismatch(item, struct, where, wanted)
    if wanted.startswith("map[string]"):
        inner = wanted.removeprefix("map[string]")
        return {key: _nested(element, struct, where, inner, schema) for key, element in item.items()}
    return checked(item, struct, schema, where)


def _check(item: Any, struct: str, where: str, wanted: str) -> None:
    if wanted.startswith("[]"):
        if not isinstance(item, list):
            raise _mismatch(item, struct, where, wanted)
        for element in item:
            if element is not None:
                _check(element, struct, where, wanted[2:])
    elif wanted.startswith("map[string]"):
        if not isinstance(item, dict):
            raise _mismatch(item, struct, where, wanted)
        for element in item.values():
            if element is not None:
                _check(element, struct, where, wanted.removeprefix("map[string]"))
    elif not fits(item, wanted):
        raise _mismatch(item, struct, where, wanted)


def fits(item: Any, wanted: str) -> bool:
    """Would Go's decoder put `item` into a field of type `wanted`?"""
    match wanted:
        case "string":
            return isinstance(item, str)
        case "bool":
            return isinstance(item, bool)
        case "strslice.StrSlice":  # Docker's: a string or a list of strings
            return isinstance(item, str) or (isinstance(item, list) and all(isinstance(e, str) for e in item))
        case "uint16":
            return _integer(item) and 0 <= item < 1 << 16
        case "float64":
            return isinstance(item, int | float) and not isinstance(item, bool)
        case "int" | "int64" | "uint" | "uint64":
            return _integer(item)
        case _:  # a struct
            return isinstance(item, dict)


def _mismatch(item: Any, struct: str, where: str, wanted: str) -> BadParameter:
    return BadParameter(f"json: cannot unmarshal {_kind(item)} into Go struct field {struct}.{where} of type {wanted}")


def _kind(item: Any) -> str:
    """What Go calls a JSON value that does not fit."""
    if isinstance(item, bool):
        return "bool"
    if isinstance(item, int | float):
        return "number" if _integer(item) else f"number {item}"
    if isinstance(item, str):
        return "string"
    return "array" if isinstance(item, list) else "object"


def _integer(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)
