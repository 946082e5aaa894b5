"""JSON as Go's encoding/json reads it: the same documents, and Go's words for what is wrong with a bad one.

Clients print these words, and tests of Docker's own compare them, so Python's are of no use here.
"""

from __future__ import annotations

import json
from typing import Any

_SPACE = " \t\r\n"
_ESCAPES = '"\\/bfnrt'
_HEX = "0123456789abcdefABCDEF"


class GoJsonError(ValueError):
    """What Go's decoder would say; `at` is the offset of the character that it stumbled over."""


def loads(text: str) -> Any:
    """The first JSON value of `text`; what follows it is not looked at (Docker reads with a streaming decoder)."""
    stripped = text.lstrip(_SPACE)
    if not stripped:
        raise GoJsonError("EOF")
    try:
        value, _ = json.JSONDecoder(parse_constant=_no_constant, strict=True).raw_decode(stripped)
        return value
    except RecursionError:
        raise GoJsonError("exceeded max depth") from None
    except ValueError as error:
        raise GoJsonError(_Scanner(stripped).complaint() or "unexpected EOF") from error


def _no_constant(name: str) -> Any:
    raise ValueError(name)  # NaN, Infinity: JSON has none


class _End(Exception):
    """The text ended in the middle of a value."""


class _Scanner:
    """Walks over a bad document as Go's scanner does, to find what Go would complain about."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def complaint(self) -> str | None:
        try:
            self._value()
        except GoJsonError as error:
            return str(error)
        except RecursionError:
            return "exceeded max depth"
        except _End:
            return "unexpected EOF"
        return None

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise _End
        character = self._text[self._at]
        self._at += 1
        return character

    def _next_solid(self) -> str:
        while (character := self._next()) in _SPACE:
            pass
        return character

    def _invalid(self, character: str, context: str) -> GoJsonError:
        return GoJsonError(f"invalid character {_quoted(character)} {context}")

    def _value(self, first: str | None = None) -> None:
        character = first or self._next_solid()
        if character == "{":
            self._object()
        elif character == "[":
            self._array()
        elif character == '"':
            self._string()
        elif character in "-0123456789":
            self._number(character)
        elif character in "tfn":
            word = {"t": "true", "f": "false", "n": "null"}[character]
            for expected in word[1:]:
                got = self._next()
                if got != expected:
                    raise self._invalid(got, f"in literal {word} (expecting '{expected}')")
        else:
            raise self._invalid(character, "looking for beginning of value")

    def _object(self) -> None:
        character = self._next_solid()
        if character == "}":
            return
        while True:
            if character != '"':
                raise self._invalid(character, "looking for beginning of object key string")
            self._string()
            character = self._next_solid()
            if character != ":":
                raise self._invalid(character, "after object key")
            self._value()
            character = self._next_solid()
            if character == "}":
                return
            if character != ",":
                raise self._invalid(character, "after object key:value pair")
            character = self._next_solid()

    def _array(self) -> None:
        character = self._next_solid()
        if character == "]":
            return
        while True:
            self._value(character)
            character = self._next_solid()
            if character == "]":
                return
            if character != ",":
                raise self._invalid(character, "after array element")
            character = self._next_solid()

    def _string(self) -> None:
        while (character := self._next()) != '"':
            if character == "\\":
                escape = self._next()
                if escape == "u":
                    for _ in range(4):
                        digit = self._next()
                        if digit not in _HEX:
                            raise self._invalid(digit, "in \\u hexadecimal character escape")
                elif escape not in _ESCAPES:
                    raise self._invalid(escape, "in string escape code")
            elif character < " ":
                raise self._invalid(character, "in string literal")

    def _number(self, character: str) -> None:
        if character == "-":
            character = self._next()
            if character not in "0123456789":
                raise self._invalid(character, "in numeric literal")
        digits = character != "0"
        while digits and self._peek() in "0123456789":
            self._at += 1
        if self._peek() == ".":
            self._at += 1
            if (character := self._next()) not in "0123456789":
                raise self._invalid(character, "after decimal point in numeric literal")
            while self._peek() in "0123456789":
                self._at += 1
        if self._peek() in "eE":
            self._at += 1
            character = self._next()
            if character in "+-":
                character = self._next()
            if character not in "0123456789":
                raise self._invalid(character, "in exponent of numeric literal")
            while self._peek() in "0123456789":
                self._at += 1

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else "\0"


def _quoted(character: str) -> str:
    """A character between single quotes, as Go's quoteChar."""
    if character == "'":
        return r"'\''"
    if character == '"':
        return "'\"'"
    return "'" + json.dumps(character)[1:-1] + "'"
