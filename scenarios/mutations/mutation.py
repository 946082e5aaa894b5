"""A mutation: one place of the daemons' code, and what is written there instead."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""What the daemons' packages lie in."""


class DoesNotApply(Exception):
    """The text that a mutation replaces is not there, or not once."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """`old` stands once in `file` and becomes `new`. breaks: the promise that no longer holds."""

    name: str
    file: str
    old: str
    new: str
    breaks: str

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def applied(self, source: str) -> str:
        """The broken source. Raises DoesNotApply, SyntaxError."""
        found = source.count(self.old)
        if found != 1:
            raise DoesNotApply(f"{self.name}: {self.file} has {found} times, not once: {self.old!r}")
        broken = source.replace(self.old, self.new)
        if ast.dump(ast.parse(broken)) == ast.dump(ast.parse(source)):
            raise DoesNotApply(f"{self.name}: nothing of {self.file} changes")
        return broken


CORE = ("gossip", "overlay", "daemon/engine", "daemon/cluster")
"""Where mutations are made by the dozen."""

_SPARED = ("daemon/engine/plugins", "gossip/simulation", "gossip/serf")


def automatic(file: str, source: str) -> Iterator[Mutation]:
    """As `_automatic`, and the second of a kind in one line is called …:2."""
    seen: dict[str, int] = {}
    for mutation in _automatic(file, source):
        number = seen[mutation.name] = seen.get(mutation.name, 0) + 1
        yield mutation if number == 1 else replace(mutation, name=f"{mutation.name}:{number}")


def _automatic(file: str, source: str) -> Iterator[Mutation]:
    """All mutations of a file that a machine thinks of: conditions turned around, numbers off by one, statements that
    are left out, arguments that are swapped (DeMillo et al., 1978). Named auto:FILE:LINE:WHAT."""
    lines = source.splitlines(keepends=True)
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line.encode()))
    data = source.encode()

    def text(node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return begins[node.lineno - 1] + node.col_offset, begins[node.end_lineno - 1] + node.end_col_offset

    def made(node: ast.expr | ast.stmt, what: str, new: str) -> Mutation:
        start, end = text(node)
        broken = (data[:start] + new.encode() + data[end:]).decode()
        return Mutation(f"auto:{file}:{node.lineno}:{what}", file, source, broken, f"{what} at line {node.lineno}")

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If | ast.While | ast.IfExp) and not _is_typing(node.test):
            start, end = text(node.test)
            yield made(node.test, "negated", f"(not ({data[start:end].decode()}))")
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield from _compared(node, data, text, made)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
            yield made(node, "removed", "pass")
        elif isinstance(node, ast.Call) and len(node.args) == 2 and not node.keywords:
            (a, b), (c, d) = text(node.args[0]), text(node.args[1])
            start, end = text(node)
            swapped = data[start:a] + data[c:d] + data[b:c] + data[a:b] + data[d:end]
            yield made(node, "swapped", swapped.decode())
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            (a, b), (c, d) = text(node.left), text(node.right)
            sign = "-" if isinstance(node.op, ast.Add) else "+"
            yield made(node, "sign", f"({data[a:b].decode()}) {sign} ({data[c:d].decode()})")


def _compared(
    node: ast.Compare, data: bytes, text: Callable[[ast.expr], tuple[int, int]],
    made: Callable[[ast.expr, str, str], Mutation],
) -> Iterator[Mutation]:  # fmt: skip
    others = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in",
              ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is"}  # fmt: skip
    (a, b), (c, d) = text(node.left), text(node.comparators[0])
    other = others[type(node.ops[0])]
    yield made(node, "compared", f"({data[a:b].decode()}) {other} ({data[c:d].decode()})")


def _is_typing(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def of_core() -> list[Mutation]:
    """All automatic mutations of the core's modules, in order of file and place."""
    found: list[Mutation] = []
    for part in CORE:
        for path in sorted((ROOT / part).rglob("*.py")):
            file = path.relative_to(ROOT).as_posix()
            if not file.startswith(_SPARED):
                found += automatic(file, path.read_text())
    return found
