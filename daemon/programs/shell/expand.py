"""Word expansion (POSIX 2.6): tilde, parameters, command substitution, arithmetic, field splitting, file names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from daemon.programs.shell import pattern
from daemon.programs.shell.arithmetic import evaluate
from daemon.programs.shell.syntax import Arithmetic, Literal, Parameter, Substitution, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.programs.shell.pattern import Piece
    from daemon.runtime.filesystem import Filesystem

WHITE = " \t\n"


class ExpansionProblem(Exception):
    """An expansion failed: the text is ash's, and a script ends with status 2."""


class Variables(Protocol):
    """What expansion needs of a shell."""

    positional: list[str]

    @property
    def files(self) -> Filesystem: ...
    @property
    def directory(self) -> str: ...
    def get(self, name: str) -> str | None: ...
    def set(self, name: str, value: str) -> None: ...
    def option(self, letter: str) -> bool: ...
    def get_number(self, name: str) -> int: ...
    def set_number(self, name: str, value: int) -> None: ...
    async def substitute(self, script: str) -> str: ...


class _Fields:
    """Collects the fields that a word becomes."""

    def __init__(self, separators: str) -> None:
        self.separators = separators
        self.done: list[list[Piece]] = []
        self.current: list[Piece] | None = None

    def add(self, text: str, quoted: bool) -> None:
        if self.current is None:
            self.current = []
        self.current.append((text, quoted))

    def end(self, *, even_empty: bool = False) -> None:
        if self.current is not None or even_empty:
            self.done.append(self.current or [])
        self.current = None

    def split(self, text: str) -> None:
        """Add text that is split at IFS (2.6.5)."""
        at = 0
        while at < len(text):
            if text[at] not in self.separators:
                end = at
                while end < len(text) and text[end] not in self.separators:
                    end += 1
                self.add(text[at:end], False)
                at = end
                continue
            hard = False
            while at < len(text) and text[at] in self.separators:
                if text[at] not in WHITE:
                    if hard:
                        break
                    hard = True
                at += 1
            self.end(even_empty=hard)


class Expander:
    """Expands the words of one shell."""

    def __init__(self, shell: Variables) -> None:
        self.shell = shell

    async def fields(self, word: Word) -> list[str]:
        """All expansions: zero or more fields."""
        separators = self.shell.get("IFS")
        collected = _Fields(WHITE if separators is None else separators)
        await self._collect(word, collected, tilde=True)
        collected.end()
        result: list[str] = []
        for pieces in collected.done:
            if pattern.has_magic(pieces) and not self.shell.option("f"):
                names = pattern.expand_path(self.shell.files, self.shell.directory, pieces)
                if names:
                    result.extend(names)
                    continue
            result.append(pattern.literal(pieces))
        return result

    async def text(self, word: Word) -> str:
        """Expansion without splitting and file names: assignments, redirections, here-documents, case."""
        return pattern.literal(await self.pieces(word))

    async def pieces(self, word: Word) -> list[Piece]:
        """As `text`, but it keeps what was quoted: for patterns."""
        collected = _Fields("")
        await self._collect(word, collected, tilde=True)
        collected.end()
        joined: list[Piece] = []
        for number, pieces in enumerate(collected.done):
            if number:
                joined.append((" ", True))
            joined.extend(pieces)
        return joined

    async def _collect(self, word: Word, into: _Fields, *, tilde: bool = False, split: bool = False) -> None:
        for number, part in enumerate(word):
            if isinstance(part, Literal):
                text = part.text
                if tilde and number == 0 and not part.quoted and re.match(r"~(/|$)", text):
                    into.add(self.shell.get("HOME") or "~", True)
                    text = text[1:]
                if split and not part.quoted:
                    into.split(text)
                else:
                    into.add(text, part.quoted)
            elif isinstance(part, Parameter):
                await self._parameter(part, into)
            elif isinstance(part, Substitution):
                self._value(await self.shell.substitute(part.script), part.quoted, into)
            elif isinstance(part, Arithmetic):
                value = evaluate(await self.text(part.word), self.shell)
                self._value(str(value), part.quoted, into)

    def _value(self, text: str, quoted: bool, into: _Fields) -> None:
        if quoted:
            into.add(text, True)
        else:
            into.split(text)

    def _all(self, name: str, quoted: bool, values: Sequence[str], into: _Fields) -> None:
        if quoted and name == "*":
            separators = self.shell.get("IFS")
            into.add((" " if separators is None else separators[:1]).join(values), True)
            return
        for number, value in enumerate(values):
            if number:
                into.end(even_empty=quoted)
            self._value(value, quoted, into)

    async def _parameter(self, part: Parameter, into: _Fields) -> None:
        name, operator, word = part.name, part.operator, part.word or ()
        multiple = name in ("@", "*")
        value = self.shell.get(name)
        if operator.lstrip(":") in ("-", "=", "?", "+") and operator != ":":
            missing = (not self.shell.positional if multiple else value is None) or (
                operator.startswith(":") and not value
            )
            kind = operator[-1]
            if kind == "+":
                if not missing:
                    await self._collect(word, into, tilde=True, split=not part.quoted)
                elif part.quoted:
                    into.add("", True)
                return
            if missing:
                if kind == "?":
                    text = (
                        await self.text(word)
                        if word
                        else ("parameter not set or null" if operator == ":?" else "parameter not set")
                    )
                    raise ExpansionProblem(f"{name}: {text}")
                if kind == "=":
                    if not name.isidentifier():
                        raise ExpansionProblem("bad substitution")
                    assigned = await self.text(word)
                    self.shell.set(name, assigned)
                    self._value(assigned, part.quoted, into)
                    return
                if part.quoted:
                    into.add("", True)
                await self._collect(word, into, tilde=True, split=not part.quoted)
                return
            operator = ""
        if value is None and not multiple:
            if self.shell.option("u") and name not in "!-":
                raise ExpansionProblem(f"{name}: parameter not set")
            value = ""
        if operator == "length":
            length = len(self.shell.positional) if multiple else len(value or "")
            self._value(str(length), part.quoted, into)
        elif multiple and not operator:
            self._all(name, part.quoted, self.shell.positional, into)
        else:
            self._value(
                await self._changed(value or "", operator, word) if operator else value or "", part.quoted, into
            )

    async def _changed(self, value: str, operator: str, word: Word) -> str:
        if operator == ":":
            offset_text, colon, length_text = (await self.text(word)).partition(":")
            offset = evaluate(offset_text, self.shell)
            start = max(0, len(value) + offset) if offset < 0 else offset
            if not colon:
                return value[start:]
            length = evaluate(length_text, self.shell)
            return value[start : start + length] if length >= 0 else value[start:length]
        if operator in ("/", "//"):
            pieces = await self.pieces(word)
            target: list[Piece] = []
            replacement: list[Piece] = []
            into = target
            for text, quoted in pieces:
                if into is target and not quoted and "/" in text:
                    before, _, after = text.partition("/")
                    target.append((before, False))
                    into = replacement
                    text = after
                into.append((text, quoted))
            return re.sub(
                pattern.regex(target),
                lambda _: pattern.literal(replacement),
                value,
                count=1 if operator == "/" else 0,
                flags=re.DOTALL,
            )
        expression = re.compile(pattern.regex(await self.pieces(word)), re.DOTALL)
        prefix = operator[0] == "#"
        cuts = range(len(value) + 1)
        # shortest first for a single # or %, longest first for a double one
        for cut in cuts if (len(operator) == 1) == prefix else reversed(cuts):
            if expression.fullmatch(value[:cut] if prefix else value[cut:]):
                return value[cut:] if prefix else value[:cut]
        return value
