"""From a file to scenarios: YAML, variables, the model, and what the model cannot see. Nothing is started here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from scenarios.language import model
from scenarios.language.checking import check
from scenarios.language.errors import ScenarioError
from scenarios.language.marks import Marked, load
from scenarios.language.marks import Path as Where
from scenarios.language.variables import UnknownVariable, combinations, filled

_DURING = ("n", "seed")
"""Variables that a run gives itself."""


@dataclass(frozen=True, slots=True)
class Source:
    """A scenario with one choice of its matrix, and the lines of its parts."""

    file: str
    text: str
    name: str
    scenario: model.Scenario
    variables: dict[str, Any]
    choice: dict[str, Any]
    marked: Marked

    def line(self, *path: str | int) -> int:
        return self.marked.line(path)


def read(path: Path, *, variables: Mapping[str, Any] | None = None) -> list[Source]:
    """The scenarios of a file, one for each choice of its matrix. Raises ScenarioError."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise ScenarioError(str(path), 0, "there is no such file") from None
    except IsADirectoryError:
        raise ScenarioError(str(path), 0, "a file expected, this is a directory") from None
    except UnicodeDecodeError:
        raise ScenarioError(str(path), 0, "not text in UTF-8") from None
    except OSError as error:
        raise ScenarioError(str(path), 0, f"cannot be read: {error.strerror}") from None
    return parse(text, file=str(path), variables=variables)


def parse(text: str, *, file: str = "scenario", variables: Mapping[str, Any] | None = None) -> list[Source]:
    """As `read`, from a text. `variables` go before those of the file."""
    marked = load(file, text)
    document = marked.value
    if not isinstance(document, dict):
        raise ScenarioError(file, 1, "a mapping with hosts and steps expected")
    own = _mapping(marked, document, "variables")
    matrix = _mapping(marked, document, "matrix")
    for name, values in matrix.items():
        if not isinstance(values, list) or not values:
            raise marked.error(("matrix", name), f"matrix.{name}: a list of values expected")
    given = dict(variables or {})
    for name in given:
        if name not in own and name not in matrix:
            there = ", ".join([*own, *matrix]) or "none"
            raise ScenarioError(file, 0, f"there is no variable {name!r} to set; the file's are: {there}")
    matrix = {name: values for name, values in matrix.items() if name not in given}
    later = [*_DURING, *_captures(document)]
    found: list[Source] = []
    for choice in combinations(matrix):
        known = {**own, **choice, **given}
        body: dict[str, Any] = {k: v for k, v in document.items() if k not in ("variables", "matrix")}
        body = {key: _filled(value, known, later, marked, (key,)) for key, value in body.items()}
        scenario = _validated(body, marked)
        check(scenario, marked, known)
        suffix = ",".join(f"{key}={value}" for key, value in choice.items())
        name = scenario.name or Path(file).stem
        found.append(Source(file, text, f"{name}[{suffix}]" if suffix else name, scenario, known, choice, marked))
    return found


def _mapping(marked: Marked, document: dict[str, object], key: str) -> dict[str, Any]:
    found = document.get(key, {})
    if not isinstance(found, dict):
        raise marked.error((key,), f"{key}: a mapping of names to values expected")
    return found


def _captures(value: object) -> list[str]:
    """The names that some step gives a value to."""
    found: list[str] = []
    if isinstance(value, dict):
        if isinstance(value.get("capture"), str):
            found.append(value["capture"])
        if isinstance(value.get("set"), dict):
            found += value["set"]
        for part in value.values():
            found += _captures(part)
    elif isinstance(value, list):
        for part in value:
            found += _captures(part)
    return found


def _filled(value: Any, known: Mapping[str, Any], later: list[str], marked: Marked, path: Where) -> Any:
    if isinstance(value, dict):
        return {key: _filled(part, known, later, marked, (*path, key)) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, known, later, marked, (*path, i)) for i, part in enumerate(value)]
    if isinstance(value, str) and path and path[0] != "story":
        try:
            return filled(value, known, later=lambda name: name in later)
        except UnknownVariable as error:
            names = sorted({*known, *later})
            raise marked.error(
                path, f"no variable {error.args[0]!r}; known here: {', '.join(names)} ($${{…}} is left to a shell)"
            ) from None
    return value


def _validated(body: dict[str, Any], marked: Marked) -> model.Scenario:
    try:
        return model.Scenario.model_validate(body)
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: (e["type"] != "extra_forbidden", marked.line(_path(e["loc"], body))))
        path = _path(first["loc"], body)
        raise marked.error(path, _sentence(dict(first), path)) from None


def _path(loc: tuple[int | str, ...], body: object) -> Where:
    """The part of pydantic's location that is in the document: its names of types and validators are left out."""
    found: list[str | int] = []
    here: Any = body
    last = len(loc) - 1
    for n, part in enumerate(loc):
        in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if in_list or (isinstance(here, dict) and part in here):
            here = here[part]
        elif n != last or not isinstance(here, dict):
            continue
        found.append(part)
    return tuple(found)


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "float_type": "a number",
    "float_parsing": "a number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


_PATTERNS = {
    "application": "MODULE:FUNCTION, as in my.plugin:application,",
    "restart": "no, always, unless-stopped or on-failure[:TIMES]",
}


def _sentence(error: dict[str, Any], path: Where) -> str:
    where = ".".join(str(part) for part in path)
    kind = error["type"]
    context = error.get("ctx") or {}
    value = error.get("input")
    if kind == "extra_forbidden":
        known = _known_keys(path)
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        if value is None:
            hint = "(a text with commas inside {…} needs quotes) "
        return f"unknown key {path[-1]!r}: {hint}expected one of {', '.join(known)}"
    if kind == "missing":
        return f"{where}: missing"
    if kind == "value_error":
        return f"{where}: {context['error']}"
    expected = _EXPECTED.get(kind)
    if kind == "literal_error":
        expected = f"one of {context['expected']}"
    if kind == "string_pattern_mismatch":
        expected = _PATTERNS.get(str(path[-1]) if path else "", "HOST or HOST/CONTAINER")
        if "->" in str(context.get("pattern")):
            expected = "HOST/CONTAINER -> TARGET, as in h1/c1 -> web:80,"
    return f"{where}: {expected or error['msg']} expected, not {value!r}"


def _known_keys(path: Where) -> list[str]:
    """The keys of the model's part at a path."""
    part: type[BaseModel] = model.Scenario
    for step in path[:-1]:
        fields = {(f.alias or name): f for name, f in part.model_fields.items()}
        if isinstance(step, str) and step in fields and (inner := _model_in(fields[step].annotation)) is not None:
            part = inner
    return [f.alias or name for name, f in part.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None
