"""Functions of templates: Go's own (text/template/funcs.go) and the docker command's (cli/templates)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from scenarios.gotemplate.errors import WrongValue
from scenarios.gotemplate.values import Missing, Nil, encoded, is_true, item, length, printed, type_of


@dataclass(frozen=True, slots=True)
class Function:
    """`takes` names the parameters' Go types, `any` for whatever; a last `...` stands for more of the one before."""

    call: Callable[..., object]
    takes: tuple[str, ...] = ("any",)


def fits(value: object, wanted: str) -> bool:
    """Whether a parameter of that type takes the value."""
    match wanted:
        case "string":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "[]string":
            return value == Nil("slice") or (isinstance(value, list) and all(isinstance(v, str) for v in value))
    return True


# ---------------------------------------------------------------------- comparisons


def _kind(value: object) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "integer"
        case float():
            return "float"
        case str():
            return "string"
    return ""


def equal(first: object, *others: object) -> bool:
    """`eq`: whether the first is one of the others. Raises WrongValue."""
    if not others:
        raise WrongValue("missing argument for comparison")
    found = False
    for other in others:
        if isinstance(first, Missing | Nil | None) or isinstance(other, Missing | Nil | None):
            found |= type(first) is type(other)
            continue
        if not _kind(first) or not _kind(other):
            raise WrongValue("non-comparable type")
        if _kind(first) != _kind(other):
            raise WrongValue("incompatible types for comparison")
        found |= first == other
    return found


def _below(first: object, second: object) -> bool:
    for value in (first, second):
        if _kind(value) in ("", "bool"):
            raise WrongValue("invalid type for comparison")
    if _kind(first) != _kind(second):
        raise WrongValue("incompatible types for comparison")
    assert isinstance(first, str | int | float)
    return first < second  # type: ignore[operator]


# ---------------------------------------------------------------------- printing

_VERB = re.compile(r"%([-+# 0]*)(\d+|\*)?(?:\.(\d+|\*)?)?(.)", re.DOTALL)


def quoted(text: str) -> str:
    """As %q."""
    return json.dumps(text, ensure_ascii=False)


def _verb(flags: str, width: str, precision: str | None, verb: str, value: object) -> str:
    bad = f"%!{verb}({type_of(value)}={printed(value)})"
    kind = _kind(value)
    match verb:
        case "v":
            text = printed(value)
        case "s":
            text = printed(value) if kind in ("string", "") else bad
        case "q":
            text = quoted(value) if isinstance(value, str) else bad
        case "t":
            text = printed(value) if kind == "bool" else bad
        case "T":
            text = type_of(value)
        case "d" | "o" | "x" | "X" | "c" | "b" if isinstance(value, int) and kind == "integer":
            if verb == "b":
                text = f"{value:b}"
            else:
                number = "%" + flags.replace("-", "") + ("" if "-" in flags else width) + verb
                text = number % value
        case "x" | "X" if isinstance(value, str):
            text = value.encode().hex() if verb == "x" else value.encode().hex().upper()
        case "f" | "F" | "e" | "E" | "g" | "G" if isinstance(value, float):
            digits = "" if precision is None else f".{precision}"
            text = ("%" + flags.replace("-", "") + ("" if "-" in flags else width) + digits + verb) % value
        case _:
            text = bad
    if precision is not None and verb in "sv" and kind == "string":
        text = text[: int(precision or 0)]
    return text.ljust(int(width or 0)) if "-" in flags else text.rjust(int(width or 0))


def printf(form: str, *values: object) -> str:
    """Go's fmt.Sprintf; `%!d(string=x)` where a verb and its value do not go together, as there."""
    left = list(values)

    def fill(match: re.Match[str]) -> str:
        flags, width, precision, verb = match[1], match[2] or "", match[3], match[4]
        if "." in match[0][:-1] and precision is None:
            precision = "0"
        if verb == "%":
            return "%"
        if width == "*":
            width = str(left.pop(0)) if left else ""
        if not left:
            return f"%!{verb}(MISSING)"
        return _verb(flags, width, precision, verb, left.pop(0))

    text = _VERB.sub(fill, form)
    if left:
        text += "%!(EXTRA " + ", ".join(f"{type_of(v)}={printed(v)}" for v in left) + ")"
    return text


def sprint(*values: object) -> str:
    """Go's fmt.Sprint: a blank between two that are no texts."""
    text = ""
    for i, value in enumerate(values):
        if i and not isinstance(value, str) and not isinstance(values[i - 1], str):
            text += " "
        text += printed(value)
    return text


# ---------------------------------------------------------------------- the rest


def _index(value: object, *keys: object) -> object:
    for key in keys:
        value = item(value, key)
    return value


def _slice(value: object, *bounds: object) -> object:
    if isinstance(value, Missing):
        raise WrongValue("slice of untyped nil")
    held = [] if value == Nil("slice") else value
    if not isinstance(held, str | list):
        raise WrongValue(f"can't slice item of type {type_of(value)}")
    if len(bounds) > 3:
        raise WrongValue(f"too many slice indexes: {len(bounds)}")
    for bound in bounds:
        if not isinstance(bound, int) or not 0 <= bound <= len(held):
            raise WrongValue(f"index out of range: {printed(bound)}")
    begin, end = (*bounds, 0, len(held))[0] if bounds else 0, bounds[1] if len(bounds) > 1 else len(held)
    assert isinstance(begin, int) and isinstance(end, int)
    if begin > end:
        raise WrongValue(f"invalid slice index: {begin} > {end}")
    return held[begin:end]


def _join(parts: list[str] | Nil, between: str) -> str:
    return "" if isinstance(parts, Nil) else between.join(parts)


def _split(text: str, at: str) -> list[str]:
    return text.split(at) if at else list(text)


def _title(text: str) -> str:
    return re.sub(r"(?<!\w)\w", lambda letter: letter[0].upper(), text)


def _pad(text: str, before: int, after: int) -> str:
    return text and " " * before + text + " " * after


def _truncate(text: str, size: int) -> str:
    return text[:size]


FUNCTIONS = {
    "eq": Function(equal, ("any", "any", "...")),
    "ge": Function(lambda a, b: not _below(a, b), ("any", "any")),
    "gt": Function(lambda a, b: not _below(a, b) and not equal(a, b), ("any", "any")),
    "index": Function(_index, ("any", "any", "...")),
    "join": Function(_join, ("[]string", "string")),
    "json": Function(encoded),
    "le": Function(lambda a, b: _below(a, b) or equal(a, b), ("any", "any")),
    "len": Function(length),
    "lower": Function(str.lower, ("string",)),
    "lt": Function(_below, ("any", "any")),
    "ne": Function(lambda a, b: not equal(a, b), ("any", "any")),
    "not": Function(lambda value: not is_true(value)),
    "pad": Function(_pad, ("string", "int", "int")),
    "print": Function(sprint, ("any", "...")),
    "printf": Function(printf, ("string", "any", "...")),
    "println": Function(lambda *values: " ".join(map(printed, values)) + "\n", ("any", "...")),
    "slice": Function(_slice, ("any", "any", "...")),
    "split": Function(_split, ("string", "string")),
    "title": Function(_title, ("string",)),
    "truncate": Function(_truncate, ("string", "int")),
    "upper": Function(str.upper, ("string",)),
}

LAZY = frozenset(["and", "or"])
"""Whose later arguments are not looked at once an earlier one decides."""

HEADINGS = FUNCTIONS | {
    name: Function(lambda text, *_: text, ("string", *FUNCTIONS[name].takes[1:]))
    for name in ("join", "json", "lower", "pad", "split", "title", "truncate", "upper")
}
"""For a table's heading, which they leave as it is."""
