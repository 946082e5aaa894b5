"""Tokens as a tree (Go's text/template/parse/parse.go)."""

from __future__ import annotations

import ast
from collections.abc import Container

from scenarios.gotemplate.errors import TemplateError
from scenarios.gotemplate.lexing import LexError, Token, lex
from scenarios.gotemplate.tree import (
    Action,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Identifier,
    Jump,
    Literal,
    Node,
    Operand,
    Pipe,
    Text,
    Variable,
)

_OPERANDS = frozenset(
    ["bool", "char", "dot", "field", "identifier", "left", "nil", "number", "raw", "string", "variable"]
)
_STAGES = (Identifier, Field, Variable, Chain, Pipe)


def parse(text: str, name: str, functions: Container[str]) -> tuple[Node, ...]:
    """Raises TemplateError."""
    parser = _Parser(text, name, functions)
    try:
        parser.tokens = list(lex(text))
    except LexError as error:
        # What stands before it may be wrong too, and Go says what comes first.
        parser.tokens = []
        parser.broken = error
        _before(parser, text)
    return parser.whole()


def _before(parser: _Parser, text: str) -> None:
    tokens = lex(text)
    while True:
        try:
            parser.tokens.append(next(tokens))
        except (LexError, StopIteration):
            return


class _Parser:
    def __init__(self, text: str, name: str, functions: Container[str]) -> None:
        self.text = text
        self.name = name
        self.functions = functions
        self.tokens: list[Token] = []
        self.broken: LexError | None = None
        self.i = 0
        self.variables = ["$"]
        self.ranges = 0

    # ------------------------------------------------------------------ tokens

    def peek(self) -> Token:
        if self.i >= len(self.tokens):
            assert self.broken is not None
            raise self.error(str(self.broken), self.broken.at)
        return self.tokens[self.i]

    def next(self) -> Token:
        token = self.peek()
        self.i += 1
        return token

    def peek_solid(self) -> Token:
        """The next that is no space."""
        while self.peek().kind == "space":
            self.i += 1
        return self.peek()

    def next_solid(self) -> Token:
        self.peek_solid()
        return self.next()

    def error(self, message: str, at: int | None = None) -> TemplateError:
        if at is None:
            at = self.tokens[max(0, self.i - 1)].at if self.tokens else 0
        return TemplateError(f"template: {self.name}:{self.text.count(chr(10), 0, at) + 1}: {message}")

    # ------------------------------------------------------------------ lists

    def whole(self) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while self.peek().kind != "eof":
            node = self.node()
            if isinstance(node, str):
                raise self.error(f"unexpected {{{{{node}}}}}")
            nodes.append(node)
        return tuple(nodes)

    def node(self) -> Node | str:
        """A node, or the word `end` or `else` whose action is next to be read to its end."""
        token = self.next_solid()
        if token.kind == "text":
            return Text(token.at, token.text)
        token = self.peek_solid()
        if token.kind != "keyword":
            return Action(token.at, self.pipe("command", "end"))
        self.i += 1
        if token.text in ("if", "range", "with"):
            return self.branch(token)
        if token.text in ("end", "else"):
            return token.text
        if token.text in ("break", "continue"):
            if not self.ranges:
                raise self.error(f"{{{{{token.text}}}}} outside {{{{range}}}}")
            self.close(token.text)
            return Jump(token.at, token.text)
        raise self.error(f"{{{{{token.text}}}}} is not known here")

    def close(self, context: str) -> None:
        token = self.next_solid()
        if token.kind != "end":
            raise self.error(f"unexpected {token} in {context}")

    def nodes(self) -> tuple[tuple[Node, ...], str]:
        found: list[Node] = []
        while self.peek().kind != "eof":
            node = self.node()
            if isinstance(node, str):
                return tuple(found), node
            found.append(node)
        raise self.error("unexpected EOF")

    def branch(self, token: Token) -> Branch:
        known = len(self.variables)
        pipe = self.pipe(token.text, "end")
        self.ranges += token.text == "range"
        body, stopped = self.nodes()
        self.ranges -= token.text == "range"
        otherwise: tuple[Node, ...] = ()
        if stopped == "else":
            chained = self.peek_solid()
            if chained.kind == "keyword" and chained.text == token.text and token.text in ("if", "with"):
                self.i += 1
                otherwise = (self.branch(chained),)  # which reads the one end of both
                del self.variables[known:]
                return Branch(token.at, token.text, pipe, body, otherwise)
            self.close("else")
            otherwise, stopped = self.nodes()
            if stopped != "end":
                raise self.error("expected end; found {{else}}")
        self.close("end")
        del self.variables[known:]
        return Branch(token.at, token.text, pipe, body, otherwise)

    # ------------------------------------------------------------------ pipelines

    def pipe(self, context: str, end: str) -> Pipe:
        begin = self.peek_solid()
        declares, assigns = self.declarations(context)
        commands: list[Command] = []
        while True:
            token = self.next_solid()
            if token.kind == end:
                break
            if token.kind not in _OPERANDS:
                raise self.error(f"unexpected {token} in {context}")
            self.i -= 1
            commands.append(self.command())
        if not commands:
            raise self.error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if not isinstance(command.operands[0], _STAGES):
                raise self.error(f"non executable command in pipeline stage {stage}")
        return Pipe(begin.at, declares, assigns, tuple(commands))

    def declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        found: list[str] = []
        while self.peek_solid().kind == "variable":
            before = self.i
            name = self.next().text
            token = self.peek_solid()
            if token.kind in ("declare", "assign"):
                self.i += 1
                if token.kind == "assign" and name not in self.variables:
                    raise self.error(f'undefined variable "{name}"')
                self.variables.append(name)
                return (*found, name), token.kind == "assign"
            if token.kind != "comma":
                self.i = before
                break
            self.i += 1
            found.append(name)
            self.variables.append(name)
            if context != "range" or len(found) > 1:
                raise self.error(f"too many declarations in {context}")
            if self.peek_solid().kind != "variable":
                raise self.error("range can only initialize variables")
        return tuple(found), False

    def command(self) -> Command:
        begin = self.peek_solid()
        operands: list[Operand] = []
        while True:
            self.peek_solid()
            operand = self.operand()
            if operand is not None:
                operands.append(operand)
            token = self.next()
            if token.kind == "space":
                continue
            if token.kind in ("end", "right"):
                self.i -= 1
            elif token.kind != "pipe":
                raise self.error(f"unexpected {token} in operand")
            break
        if not operands:
            raise self.error("empty command")
        return Command(begin.at, tuple(operands))

    def operand(self) -> Operand | None:
        node = self.term()
        if node is None or self.peek().kind != "field":
            return node
        at = self.peek().at
        names: list[str] = []
        while self.peek().kind == "field":
            names.append(self.next().text[1:])
        match node:
            case Field():
                return Field(at, (*node.names, *names))
            case Variable():
                return Variable(at, node.name, tuple(names))
            case Pipe():
                return Chain(at, node, tuple(names))
            case Identifier():
                return Chain(at, Pipe(node.at, (), False, (Command(node.at, (node,)),)), tuple(names))
        raise self.error(f'unexpected . after term "{node}"')

    def term(self) -> Operand | None:
        token = self.next_solid()
        match token.kind:
            case "identifier":
                if token.text not in self.functions:
                    raise self.error(f'function "{token.text}" not defined')
                return Identifier(token.at, token.text)
            case "dot":
                return Dot(token.at)
            case "nil":
                return Literal(token.at, None, "nil")
            case "bool":
                return Literal(token.at, token.text == "true", token.text)
            case "field":
                return Field(token.at, (token.text[1:],))
            case "variable":
                if token.text not in self.variables:
                    raise self.error(f'undefined variable "{token.text}"')
                return Variable(token.at, token.text)
            case "left":
                return self.pipe("parenthesized pipeline", "right")
            case "string" | "char" | "raw" | "number":
                return Literal(token.at, self.constant(token), token.text)
        self.i -= 1
        return None

    def constant(self, token: Token) -> object:
        if token.kind == "raw":
            return token.text[1:-1]
        if token.kind == "number":
            return self.number(token)
        try:
            value = ast.literal_eval(token.text)  # Go's escapes are among Python's
        except (SyntaxError, ValueError):
            raise self.error("invalid syntax") from None
        if token.kind == "string":
            return value
        if len(value) != 1:
            raise self.error(f"malformed character constant: {token.text}")
        return ord(value)

    def number(self, token: Token) -> int | float:
        text = token.text
        for read in (lambda t: int(t, 0), lambda t: int(t, 8) if t.lstrip("+-").startswith("0") else int(t), float):
            try:
                return read(text)
            except ValueError:
                continue
        raise self.error(f'bad number syntax: "{text}"')
