"""docs/promises.md says truly which tests hold which promise: every number is there, every test exists and names it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = [f"P{n}" for n in range(1, 33)]
_ROW = re.compile(r"^\| (P\d+) \|", re.M)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_CELL = re.compile(r"(?<!\\)\|")


def rows() -> dict[str, list[str]]:
    """Number -> its cells."""
    text = (ROOT / "docs" / "promises.md").read_text()
    lines = [line for line in text.splitlines() if _ROW.match(line)]
    cells = [[cell.strip() for cell in _CELL.split(line)[1:-1]] for line in lines]
    assert len({row[0] for row in cells}) == len(cells), "a number stands there twice"
    return {row[0]: row for row in cells}


@cache
def found_in(path: str) -> tuple[str, dict[str, str]]:
    """The module's docstring, and name -> docstring of its test functions."""
    module = ast.parse((ROOT / path).read_text())
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return ast.get_docstring(module) or "", {f.name: ast.get_docstring(f) or "" for f in functions}


def test_every_promise_is_there_in_order() -> None:
    assert list(rows()) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_its_tests_exist_and_name_it(number: str) -> None:
    row = rows().get(number)
    assert row is not None and len(row) == 4, "number, promise, tests, command"
    _, promise, held_by, command = row
    assert promise and command.startswith(("`", "as P"))
    if held_by == "not yet":
        return
    named = _TEST.findall(held_by)
    assert named, "a test, or \"not yet\""
    for path, name in named:
        assert (ROOT / path).exists(), f"{path} is not there"
        about, functions = found_in(path)
        assert name in functions and name.startswith("test_"), f"{path} has no {name}"
        says = re.findall(r"P\d+", " ".join((name.replace("_", " "), functions[name], about)))
        expanded = re.findall(r"P(\d+)[–-]P(\d+)", about + functions[name])
        ranges = [f"P{n}" for first, last in expanded for n in range(int(first), int(last) + 1)]
        assert number in [*says, *ranges], f"{path}::{name} does not name {number}"
