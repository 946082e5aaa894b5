"""A template's execution (Go's text/template/exec.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scenarios.gotemplate import tree
from scenarios.gotemplate.errors import TemplateError, WrongValue
from scenarios.gotemplate.functions import FUNCTIONS, LAZY, Function, fits
from scenarios.gotemplate.parsing import parse
from scenarios.gotemplate.values import (
    MISSING,
    GoMap,
    Listed,
    Missing,
    Nil,
    is_true,
    printed,
    type_of,
    typed_field,
)


class Template:
    """A text that was understood. `name` stands in errors."""

    def __init__(self, text: str, *, name: str = "") -> None:
        """Raises TemplateError."""
        self.text = text
        self.name = name
        self._nodes = parse(text, name, FUNCTIONS.keys() | LAZY)

    def execute(self, value: object, *, functions: Mapping[str, Function] = FUNCTIONS, strict: bool = False) -> str:
        """What it makes of `value` (see `scenarios.gotemplate.values`). `strict`: a map's key that is not there is an
        error. Raises TemplateError."""
        run = _Run(self, value, functions, strict)
        run.walk(value, self._nodes)
        return "".join(run.out)


class _Jumped(Exception):
    """{{break}} or {{continue}}."""

    def __init__(self, word: str) -> None:
        self.word = word


_NOTHING = object()
"""No value came from a stage before."""


class _Run:
    def __init__(self, template: Template, value: object, functions: Mapping[str, Function], strict: bool) -> None:
        self.template = template
        self.functions = functions
        self.strict = strict
        self.out: list[str] = []
        self.variables: list[list[object]] = [["$", value]]

    def error(self, node: object, message: str) -> TemplateError:
        at = node.at  # type: ignore[attr-defined]
        before = self.template.text[:at]
        line = before.count("\n") + 1
        column = len(before.rpartition("\n")[2].encode())
        name = self.template.name
        return TemplateError(f'template: {name}:{line}:{column}: executing "{name}" at <{node}>: {message}')

    # ------------------------------------------------------------------ statements

    def walk(self, dot: object, nodes: tuple[tree.Node, ...]) -> None:
        for node in nodes:
            match node:
                case tree.Text():
                    self.out.append(node.text)
                case tree.Action():
                    value = self.pipe(dot, node.pipe)
                    if not node.pipe.declares:
                        self.out.append(printed(value))
                case tree.Jump():
                    raise _Jumped(node.word)
                case tree.Branch(word="range"):
                    self.range(dot, node)
                case tree.Branch():
                    depth = len(self.variables)
                    value = self.pipe(dot, node.pipe)
                    inner = value if node.word == "with" else dot
                    if is_true(value):
                        self.walk(inner, node.body)
                    else:
                        self.walk(dot, node.otherwise)
                    del self.variables[depth:]

    def range(self, dot: object, node: tree.Branch) -> None:
        depth = len(self.variables)
        value = self.pipe(dot, node.pipe)
        inner = len(self.variables)
        once = False
        for key, each in self.elements(node, value):
            once = True
            if node.pipe.declares:
                if len(node.pipe.declares) == 1:
                    self.variables[-1][1] = each
                else:
                    self.variables[-1][1] = each
                    self.variables[-2][1] = key
            try:
                self.walk(each, node.body)
            except _Jumped as jumped:
                if jumped.word == "break":
                    break
            finally:
                del self.variables[inner:]
        if not once:
            self.walk(dot, node.otherwise)
        del self.variables[depth:]

    def elements(self, node: tree.Branch, value: object) -> Iterator[tuple[object, object]]:
        match value:
            case list():
                yield from enumerate(value)
            case GoMap():
                yield from sorted(value.items.items())
            case int() if not isinstance(value, bool):
                yield from ((n, n) for n in range(value))
            case Missing() | Nil(kind="slice" | "map"):
                return
            case _:
                last = node.pipe.commands[-1].operands[-1]
                raise self.error(last, f"range can't iterate over {printed(value)}")

    # ------------------------------------------------------------------ expressions

    def pipe(self, dot: object, pipe: tree.Pipe) -> object:
        value: object = _NOTHING
        for command in pipe.commands:
            value = self.command(dot, command, value)
        for name in pipe.declares:
            if pipe.assigns:
                self.variable(name)[1] = value
            else:
                self.variables.append([name, value])
        return value

    def variable(self, name: str) -> list[object]:
        return next(held for held in reversed(self.variables) if held[0] == name)

    def command(self, dot: object, command: tree.Command, final: object) -> object:
        first, arguments = command.operands[0], command.operands[1:]
        match first:
            case tree.Field():
                return self.chain(dot, dot, first, first.names, arguments, final)
            case tree.Variable():
                value = self.variable(first.name)[1]
                if first.names:
                    return self.chain(dot, value, first, first.names, arguments, final)
            case tree.Chain():
                value = self.pipe(dot, first.of)
                return self.chain(dot, value, first, first.names, arguments, final)
            case tree.Identifier():
                return self.function(dot, first, command, arguments, final)
        if arguments or final is not _NOTHING:
            raise self.error(first, f"can't give argument to non-function {first}")
        if isinstance(first, tree.Literal) and first.value is None:
            raise self.error(first, "nil is not a command")
        return self.operand(dot, first)

    def operand(self, dot: object, node: tree.Operand) -> object:
        match node:
            case tree.Dot():
                return dot
            case tree.Literal():
                return MISSING if node.value is None else node.value
            case tree.Pipe():
                return self.pipe(dot, node)
            case tree.Variable():
                value = self.variable(node.name)[1]
                return self.chain(dot, value, node, node.names, (), _NOTHING)
            case tree.Field():
                return self.chain(dot, dot, node, node.names, (), _NOTHING)
            case tree.Chain():
                return self.chain(dot, self.pipe(dot, node.of), node, node.names, (), _NOTHING)
            case tree.Identifier():
                return self.function(dot, node, node, (), _NOTHING)

    def chain(
        self, dot: object, value: object, node: tree.Operand, names: tuple[str, ...],
        arguments: tuple[tree.Operand, ...], final: object,
    ) -> object:  # fmt: skip
        """Fields one after the other; the last may be a method, with arguments."""
        for i, name in enumerate(names):
            if i == len(names) - 1 and isinstance(value, Listed) and name in value.methods:
                given = [self.operand(dot, each) for each in arguments]
                given += [] if final is _NOTHING else [final]
                return self.call(node, node, name, Function(value.methods[name], ("string",)), arguments, given)
            try:
                value = typed_field(value, name, strict=self.strict)
            except WrongValue as wrong:
                raise self.error(node, str(wrong)) from None
        if names and (arguments or final is not _NOTHING):
            no_map = "has arguments but cannot be invoked as function"
            raise self.error(node, f"{names[-1]} {'is not a method but has arguments' if self.strict else no_map}")
        return value

    def function(
        self, dot: object, node: tree.Identifier, at: object, arguments: tuple[tree.Operand, ...], final: object
    ) -> object:
        if node.name in LAZY:
            return self.lazy(dot, node, at, arguments, final)
        given = [self.operand(dot, each) for each in arguments]
        if final is not _NOTHING:
            given.append(final)
        return self.call(at, node, node.name, self.functions[node.name], arguments, given)

    def lazy(
        self, dot: object, node: tree.Identifier, at: object, arguments: tuple[tree.Operand, ...], final: object
    ) -> object:
        if not arguments and final is _NOTHING:
            raise self.error(node, f"wrong number of args for {node.name}: want at least 1 got 0")
        value: object = MISSING
        for each in arguments:
            value = self.operand(dot, each)
            if is_true(value) == (node.name == "or"):
                return value
        return value if final is _NOTHING else final

    def call(
        self, at: object, node: tree.Operand, name: str, function: Function, arguments: tuple[tree.Operand, ...],
        given: list[object],
    ) -> object:  # fmt: skip
        takes = function.takes
        if takes[-1] == "...":
            least = len(takes) - 2
            if len(given) < least:
                raise self.error(node, f"wrong number of args for {name}: want at least {least} got {len(given)}")
            takes = takes[:least] + takes[-2:-1] * (len(given) - least)
        elif len(given) != len(takes):
            raise self.error(node, f"wrong number of args for {name}: want {len(takes)} got {len(given)}")
        for i, (value, wanted) in enumerate(zip(given, takes, strict=True)):
            if not fits(value, wanted):
                where = arguments[i] if i < len(arguments) else at
                raise self.error(where, f"wrong type for value; expected {wanted}; got {type_of(value)}")
        try:
            return function.call(*given)
        except WrongValue as wrong:
            raise self.error(at, f"error calling {name}: {wrong}") from None
