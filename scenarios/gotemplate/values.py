"""What templates work on, and how Go prints it.

A value is a str, bool, int, float, a list of values, or one of the classes here; MISSING is what Go calls an invalid
value and prints as `<no value>`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from scenarios.gotemplate.errors import WrongValue


class Missing(Enum):
    """Of one value, so that `value is MISSING` narrows types."""

    MISSING = "<no value>"


MISSING = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Nil:
    """A nil slice, map or pointer of a Go type."""

    kind: Literal["slice", "map", "pointer"]


@dataclass(frozen=True, slots=True)
class GoMap:
    """A map. `zero`: what `index` gives for a key that is not there; `key`: Go's type of its keys, which a text does
    not fit that is not of it."""

    items: Mapping[str, object]
    zero: object = MISSING
    key: str = "string"


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct: fields in their order by Go's names; `named` are those that JSON shows, by JSON's names."""

    fields: Mapping[str, object]
    named: Mapping[str, str]
    type_name: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """A Go time: JSON's text of it, and how %v prints it."""

    text: str
    printed: str


@dataclass(frozen=True, slots=True)
class Listed:
    """What the docker command makes of one line of a list, or of its heading: fields, and methods that take texts. A
    field that is not there is an error of `type_name`; without one it is MISSING."""

    fields: Mapping[str, object]
    methods: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    type_name: str | None = None


def type_of(value: object) -> str:
    """Go's name of the type, as errors tell it."""
    match value:
        case Missing():
            return "<nil>"
        case bool():
            return "bool"
        case str():
            return "string"
        case int():
            return "int"
        case float():
            return "float64"
        case list() if value and all(isinstance(item, str) for item in value):
            return "[]string"
        case list():
            return "[]interface {}"
        case GoMap():
            return "map[string]interface {}"
        case Struct() | Listed():
            return value.type_name or "struct"
        case Moment():
            return "time.Time"
        case Nil():
            return {"slice": "[]string", "map": "map[string]interface {}", "pointer": "*struct"}[value.kind]
    return type(value).__name__


def is_true(value: object) -> bool:
    """Whether {{if}} takes it: no number 0, nothing empty, nil or missing."""
    match value:
        case Missing() | Nil():
            return False
        case GoMap():
            return bool(value.items)
        case str() | bool() | int() | float() | list():
            return bool(value)
    return value is not None


def _number(value: float) -> str:
    text = repr(value)
    mantissa, _, exponent = f"{value:e}".partition("e")
    if -5 < int(exponent) < 21:
        return text.removesuffix(".0") if "e" not in text else f"{value:.0f}"
    shortest = text.partition("e")[0] if "e" in text else mantissa.rstrip("0").rstrip(".")
    return f"{shortest}e{int(exponent):+03d}"


def printed(value: object) -> str:
    """As %v prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return _number(value)
        case list():
            return "[" + " ".join(map(printed, value)) + "]"
        case GoMap():
            return "map[" + " ".join(f"{k}:{printed(v)}" for k, v in sorted(value.items.items())) + "]"
        case Struct() | Listed():
            return "{" + " ".join(map(printed, value.fields.values())) + "}"
        case Missing():
            return "<no value>"
        case Nil():
            return {"slice": "[]", "map": "map[]", "pointer": "<nil>"}[value.kind]
        case Moment():
            return value.printed
    return str(value)


def encoded(value: object) -> str:
    """As JSON: maps by key, structs in their order, no blanks."""
    match value:
        case list():
            return "[" + ",".join(map(encoded, value)) + "]"
        case GoMap():
            return _object(sorted(value.items.items()))
        case Struct():
            return _object((name, value.fields[go]) for name, go in value.named.items())
        case Listed():  # which has a MarshalJSON of its own, and that escapes what HTML would read
            text = _object(sorted(value.fields.items()))
            return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        case Missing() | Nil():
            return "null"
        case Moment():
            return json.dumps(value.text)
    return json.dumps(value, ensure_ascii=False)


def _object(items: Iterable[tuple[str, object]]) -> str:
    return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{encoded(value)}" for name, value in items) + "}"


def length(value: object) -> int:
    """Raises WrongValue."""
    match value:
        case str():
            return len(value.encode())
        case list():
            return len(value)
        case GoMap():
            return len(value.items)
        case Nil(kind="slice" | "map"):
            return 0
        case Missing():
            raise WrongValue("len of nil pointer")
    raise WrongValue(f"len of type {type_of(value)}")


def item(value: object, key: object) -> object:
    """`index VALUE KEY`. Raises WrongValue."""
    match value:
        case Missing():
            raise WrongValue("index of untyped nil")
        case Nil(kind="pointer"):
            raise WrongValue("index of nil pointer")
        case GoMap() | Nil(kind="map"):
            wanted = value.key if isinstance(value, GoMap) else "string"
            if type_of(key) != wanted:
                raise WrongValue(f"value has type {type_of(key)}; should be {wanted}")
            assert isinstance(key, str)
            return value.items.get(key, value.zero) if isinstance(value, GoMap) else ""
        case list() | str() | Nil():
            if isinstance(key, bool) or not isinstance(key, int):
                raise WrongValue(f"cannot index slice/array with type {type_of(key)}")
            held = [] if isinstance(value, Nil) else list(value.encode()) if isinstance(value, str) else value
            if not 0 <= key < len(held):
                raise WrongValue(f"index out of range: {key}")
            return held[key]
    raise WrongValue(f"can't index item of type {type_of(value)}")


def typed_field(value: object, name: str, *, strict: bool) -> object:
    """`.NAME` of a value. `strict`: a map's key that is not there is an error, as with missingkey=error. Raises
    WrongValue."""
    match value:
        case Missing():
            if strict:
                raise WrongValue(f'nil data; no entry for key "{name}"')
            return MISSING
        case GoMap():
            if name in value.items:
                return value.items[name]
            if strict:
                raise WrongValue(f'map has no entry for key "{name}"')
            return MISSING
        case Nil(kind="map"):
            return MISSING
        case Nil(kind="pointer"):
            raise WrongValue(f"nil pointer evaluating *struct.{name}")
        case Struct() | Listed():
            if name in value.fields:
                return value.fields[name]
            if value.type_name is None:
                return MISSING
    raise WrongValue(f"can't evaluate field {name} in type {'interface {}' if strict else type_of(value)}")
