"""POSIX regular expressions (basic and extended) as Python's `re` understands them."""

from __future__ import annotations

import re

CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r" \t\n\r\f\v",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9A-Fa-f",
    "cntrl": r"\x00-\x1f\x7f",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
}


class BadPattern(Exception):
    """The expression is wrong."""


def compile_basic(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A basic regular expression (with GNU's \\+ \\? \\|)."""
    return _compile(translate(pattern, extended=False), flags)


def compile_extended(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """An extended regular expression."""
    return _compile(translate(pattern, extended=True), flags)


def _compile(expression: str, flags: int) -> re.Pattern[str]:
    try:
        return re.compile(expression, flags)
    except re.error as error:
        raise BadPattern(str(error)) from None


def translate(pattern: str, *, extended: bool) -> str:
    """The same expression in Python's syntax."""
    out: list[str] = []
    at = 0
    start = True  # at the start of a (sub)expression: * is itself there
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            following = pattern[at + 1]
            at += 2
            out.append(_escaped(following, extended))
            start = not extended and following in "(|"
            continue
        if char == "[":
            bracket, at = _bracket(pattern, at + 1)
            out.append(bracket)
        elif char == "*":
            out.append(r"\*" if start else "*")
            at += 1
        elif extended and char in "(){}+?|":
            at += 1
            if char == "{" and not re.match(r"\d*(,\d*)?\}", pattern[at:]):
                char = r"\{"
            elif char == "}" and "{" not in "".join(out[-8:]):
                char = r"\}"
            out.append(char)
            start = char in "(|"
            continue
        elif not extended and char in "(){}+?|":
            out.append("\\" + char)
            at += 1
        elif char == "^":
            anchor = start or extended
            out.append("^" if anchor else r"\^")
            at += 1
            start = True
            continue
        elif char == "$":
            tail = pattern[at + 1 :]
            anchor = extended or not tail or tail.startswith(("\\)", "\\|"))
            out.append(r"(?=\n?\Z)" if anchor else r"\$")
            at += 1
        elif char == ".":
            out.append(".")
            at += 1
        else:
            out.append(re.escape(char))
            at += 1
        start = False
    return "".join(out)


def _escaped(char: str, extended: bool) -> str:
    if not extended and char in "(){}|+?":
        return char
    if char in "<>":
        return r"\b(?=\w)" if char == "<" else r"\b(?<=\w)"
    if char in "wWsSbB":
        return "\\" + char
    if char in "nt":
        return {"n": "\n", "t": "\t"}[char]
    if char.isdigit() and char != "0":
        return "\\" + char
    if char == "`":
        return r"\A"
    if char == "'":
        return r"\Z"
    return re.escape(char)


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    out = "["
    if pattern[at : at + 1] == "^":
        out += "^"
        at += 1
    first = True
    while True:
        if at >= len(pattern):
            raise BadPattern("Unmatched [, [^, [:, [., or [=")
        char = pattern[at]
        if char == "]" and not first:
            return out + "]", at + 1
        first = False
        if pattern.startswith("[:", at):
            end = pattern.find(":]", at)
            name = pattern[at + 2 : end]
            if end < 0 or name not in CLASSES:
                raise BadPattern("Invalid character class name")
            out += CLASSES[name]
            at = end + 2
            continue
        out += "\\" + char if char in "\\[]^&~|" else char
        at += 1
