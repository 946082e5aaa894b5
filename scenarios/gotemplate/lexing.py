"""A template's text as tokens (Go's text/template/parse/lex.go)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_KEYWORDS = ("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with")
_WORDS = {"nil": "nil", "true": "bool", "false": "bool"} | dict.fromkeys(_KEYWORDS, "keyword")
_BLANK = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)|(?P<declare>:=)|(?P<assign>=)|(?P<pipe>\|)|(?P<left>\()|(?P<right>\))|(?P<comma>,)
    |(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<raw>`[^`]*`)|(?P<char>'(?:[^'\\\n]|\\.)+')
    |(?P<variable>\$\w*)|(?P<number>[+-]?(?:[0-9]|\.[0-9])[\w.]*(?:(?<=[eEpP])[+-][\w.]*)?)
    |(?P<field>\.[^\W\d]\w*)|(?P<dot>\.)|(?P<word>[^\W\d]\w*)
    |(?P<other>[!#$%&*+\-/;<>?@\[\\\]^_{}~])""",
    re.VERBOSE,
)
_UNTERMINATED = {'"': "quoted string", "`": "raw quoted string", "'": "character constant"}
_ENDS_A_WORD = " \t\r\n.,|:()"


class LexError(ValueError):
    """With the text and the offset where it went wrong."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Token:
    """kind: text, begin, end, eof, keyword, bool, nil, identifier, or a name of the grammar above."""

    kind: str
    text: str
    at: int

    def __str__(self) -> str:
        if self.kind == "eof":
            return "EOF"
        if self.kind == "keyword":
            return f"<{self.text}>"
        shown = '"' + self.text[:10].replace("\\", "\\\\").replace('"', '\\"') + '"'
        return shown + "..." if len(self.text) > 10 else shown


def lex(text: str) -> Iterator[Token]:
    """Ends with a token `eof`. Raises LexError."""
    at = 0
    trim = False
    while True:
        begin = text.find("{{", at)
        if begin < 0:
            literal = text[at:].lstrip(_BLANK) if trim else text[at:]
            if literal:
                yield Token("text", literal, at)
            yield Token("eof", "", len(text))
            return
        literal = text[at:begin].lstrip(_BLANK) if trim else text[at:begin]
        inside = begin + 2
        if text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in tuple(_BLANK):
            literal = literal.rstrip(_BLANK)
            inside += 2
        if literal:
            yield Token("text", literal, at)
        if text.startswith("/*", inside):
            at, trim = _after_comment(text, inside)
            continue
        yield Token("begin", "{{", begin)
        depth = 0
        at = inside
        while True:
            right = re.compile(r"[ \t\r\n]-\}\}|\}\}").match(text, at)
            if right:
                if depth:
                    raise LexError("unclosed left paren", at)
                trim = right[0] != "}}"
                yield Token("end", "}}", at)
                at = right.end()
                break
            token = _token(text, at)
            depth += {"left": 1, "right": -1}.get(token.kind, 0)
            if depth < 0:
                raise LexError("unexpected right paren", at)
            yield token
            at += len(token.text)


def _after_comment(text: str, at: int) -> tuple[int, bool]:
    closed = text.find("*/", at)
    if closed < 0:
        raise LexError("unclosed comment", at)
    right = re.compile(r"[ \t\r\n]-\}\}|\}\}").match(text, closed + 2)
    if right is None:
        raise LexError("comment ends before closing delimiter", closed + 2)
    return right.end(), right[0] != "}}"


def _token(text: str, at: int) -> Token:
    if at >= len(text):
        raise LexError("unclosed action", at)
    if text[at:] == ".":
        raise LexError('illegal number syntax: "."', at)
    match = _TOKEN.match(text, at)
    if match is None:
        if text[at] in _UNTERMINATED:
            raise LexError(f"unterminated {_UNTERMINATED[text[at]]}", at)
        raise LexError(f"unrecognized character in action: U+{ord(text[at]):04X} '{text[at]}'", at)
    kind = str(match.lastgroup)
    end = match.end()
    ended = end == len(text) or text[end] in _ENDS_A_WORD or text.startswith("}}", end)
    if kind in ("word", "field", "variable") and not ended:
        raise LexError(f"bad character U+{ord(text[end]):04X} '{text[end]}'", end)
    return Token(_WORDS.get(match[0], "identifier") if kind == "word" else kind, match[0], at)
