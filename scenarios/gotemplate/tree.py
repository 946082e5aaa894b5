"""The parts of a template. `at` is the offset in the text that Go tells in errors; str() is Go's own writing of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, character or truth value as it was written, or nil."""

    at: int
    value: object
    written: str

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True)
class Dot:
    at: int

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Field:
    """`.A.B`, of dot."""

    at: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x.A.B`; `$` alone is what the template was given."""

    at: int
    name: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Chain:
    """`(…).A.B`."""

    at: int
    of: Pipe
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"({self.of})" + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Identifier:
    """The name of a function."""

    at: int
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Command:
    """Operands side by side: a value, or a function (or method) and its arguments."""

    at: int
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join(f"({o})" if isinstance(o, Pipe) else str(o) for o in self.operands)


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each but the first with the one before as its last argument; `declares` variables, or assigns."""

    at: int
    declares: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        head = ", ".join(self.declares) + (" = " if self.assigns else " := ") if self.declares else ""
        return head + " | ".join(map(str, self.commands))


Operand: TypeAlias = Literal | Dot | Field | Variable | Chain | Identifier | Pipe


@dataclass(frozen=True, slots=True)
class Action:
    at: int
    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Jump:
    """`{{break}}` or `{{continue}}`."""

    at: int
    word: str


@dataclass(frozen=True, slots=True)
class Branch:
    """`{{if}}`, `{{with}}` or `{{range}}`, and what comes instead."""

    at: int
    word: str
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...] = ()


Node: TypeAlias = Text | Action | Jump | Branch
