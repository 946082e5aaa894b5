"""The shell's syntax tree (POSIX.1-2017, Shell Command Language, 2.10). Data only.

Redirections are lists because a here-document is read after the command that it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True, slots=True)
class Literal:
    """Characters as written; `quoted` ones are neither split nor globbed."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """${name}, ${#name}, ${name OP word}."""

    name: str
    operator: str = ""
    word: Word | None = None
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Substitution:
    """$(…) or `…`."""

    script: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """$((…))."""

    word: Word
    quoted: bool = False


Part = Union[Literal, Parameter, Substitution, Arithmetic]  # noqa: UP007 - used before all of it is defined
Word = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """`[fd] op target`; for << `target` is the document."""

    descriptor: int
    operator: str
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: list[Redirect]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AndOr:
    first: Pipeline
    rest: tuple[tuple[str, Pipeline], ...] = ()


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list: each item with whether it ended in `&`."""

    items: tuple[tuple[AndOr, bool], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """{ …; } or, with `fork`, ( … )."""

    body: Sequence
    fork: bool = False


@dataclass(frozen=True, slots=True)
class If:
    clauses: tuple[tuple[Sequence, Sequence], ...]
    otherwise: Sequence | None


@dataclass(frozen=True, slots=True)
class For:
    name: str
    words: tuple[Word, ...] | None
    body: Sequence


@dataclass(frozen=True, slots=True)
class While:
    condition: Sequence
    body: Sequence
    until: bool


@dataclass(frozen=True, slots=True)
class Case:
    subject: Word
    items: tuple[tuple[tuple[Word, ...], Sequence], ...]


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    body: Command


@dataclass(frozen=True, slots=True)
class Redirected:
    """A compound command with redirections of its own."""

    command: Command
    redirects: list[Redirect]


Command = Union[Simple, Group, If, For, While, Case, Function, Redirected]  # noqa: UP007


class SyntaxProblem(Exception):
    """The script is wrong; the text is ash's."""


class Incomplete(SyntaxProblem):
    """The script stops in the middle of a command: more input may complete it."""
