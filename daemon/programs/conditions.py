"""test, [ and expr: conditions for scripts."""

from __future__ import annotations

import re

from daemon.programs.options import Failure, UsageError, applet, program
from daemon.programs.shell.pattern import match
from daemon.runtime.context import ProcessContext

STRING = {"=": str.__eq__, "==": str.__eq__, "!=": str.__ne__, "<": str.__lt__, ">": str.__gt__}
NUMBER = {
    "-eq": int.__eq__,
    "-ne": int.__ne__,
    "-lt": int.__lt__,
    "-le": int.__le__,
    "-gt": int.__gt__,
    "-ge": int.__ge__,
}
FILES = ("-nt", "-ot", "-ef")
UNARY = (
    "-b",
    "-c",
    "-d",
    "-e",
    "-f",
    "-g",
    "-h",
    "-k",
    "-L",
    "-n",
    "-p",
    "-r",
    "-s",
    "-S",
    "-t",
    "-u",
    "-w",
    "-x",
    "-z",
    "-O",
    "-G",
)


class _Wrong(Exception):
    """The expression makes no sense: status 2."""


async def test(p: ProcessContext) -> int:
    """test EXPRESSION, [ EXPRESSION ]"""
    name = p.argv[0].rsplit("/", 1)[-1]
    words = p.argv[1:]
    if name in ("[", "[["):
        closing = "]" if name == "[" else "]]"
        if not words or words[-1] != closing:
            await p.error(f"{applet(p)}: missing {closing}")
            return 2
        words = words[:-1]
    try:
        if not words:
            return 1
        expression = _Test(p, words, patterns=name == "[[")
        value = expression.either()
        if expression.at < len(words):
            raise _Wrong(f"{words[expression.at]}: unknown operand")
        return 0 if value else 1
    except _Wrong as problem:
        await p.error(f"{applet(p)}: {problem}")
        return 2


class _Test:
    def __init__(self, p: ProcessContext, words: list[str], *, patterns: bool) -> None:
        self.p = p
        self.patterns = patterns  # [[ a == b* ]]
        self.words = words
        self.at = 0

    def _peek(self, ahead: int = 0) -> str | None:
        return self.words[self.at + ahead] if self.at + ahead < len(self.words) else None

    def either(self) -> bool:
        value = self.both()
        while self._peek() in ("-o", "||"):
            self.at += 1
            value = self.both() or value
        return value

    def both(self) -> bool:
        value = self.negated()
        while self._peek() in ("-a", "&&"):
            self.at += 1
            value = self.negated() and value
        return value

    def negated(self) -> bool:
        if self._peek() == "!" and self._peek(1) is not None:
            self.at += 1
            return not self.negated()
        return self.primary()

    def primary(self) -> bool:
        word = self._peek()
        operator = self._peek(1)
        if word is None:
            raise _Wrong("argument expected")
        if (
            operator is not None
            and (operator in STRING or operator in NUMBER or operator in FILES)
            and self._peek(2) is not None
        ):
            other = self._peek(2) or ""
            self.at += 3
            if operator in STRING:
                if self.patterns and "=" in operator:
                    return match(((other, False),), word) != (operator == "!=")
                return bool(STRING[operator](word, other))
            if operator in NUMBER:
                return bool(NUMBER[operator](_integer(word), _integer(other)))
            return self._compare(word, operator, other)
        if word == "(" and operator is not None:
            self.at += 1
            value = self.either()
            if self._peek() != ")":
                raise _Wrong("closing paren expected")
            self.at += 1
            return value
        if word in UNARY and operator is not None:
            self.at += 2
            return self._unary(word, operator)
        self.at += 1
        return word != ""

    def _compare(self, one: str, operator: str, other: str) -> bool:
        files, path = self.p.files, self.p.path
        if not files.exists(path(one)) or not files.exists(path(other)):
            return (operator == "-nt" and files.exists(path(one))) or (operator == "-ot" and files.exists(path(other)))
        a, b = files.stat(path(one)), files.stat(path(other))
        return {"-nt": a.mtime > b.mtime, "-ot": a.mtime < b.mtime, "-ef": a.identity == b.identity}[operator]

    def _unary(self, operator: str, word: str) -> bool:
        if operator == "-n":
            return word != ""
        if operator == "-z":
            return word == ""
        if operator == "-t":
            return self.p.process.descriptor(_integer(word)).isatty()
        try:
            stat = self.p.files.stat(self.p.path(word), follow=operator not in ("-h", "-L"))
        except OSError:
            return False
        return {
            "-d": stat.kind == "d",
            "-f": stat.kind == "-",
            "-c": stat.kind == "c",
            "-h": stat.kind == "l",
            "-L": stat.kind == "l",
            "-s": stat.size > 0,
            "-x": bool(stat.mode & 0o111),
            "-b": False,
            "-p": False,
            "-S": False,
            "-u": bool(stat.mode & 0o4000),
            "-g": bool(stat.mode & 0o2000),
            "-k": bool(stat.mode & 0o1000),
        }.get(operator, True)


def _integer(text: str) -> int:
    if not re.fullmatch(r"\s*[-+]?\d+\s*", text):
        raise _Wrong(f"{text}: bad number")
    return int(text)


@program("expr EXPRESSION", code=2)
async def expr(p: ProcessContext) -> int:
    """expr EXPRESSION"""
    if len(p.argv) < 2:
        raise UsageError("")
    expression = _Expr(p.argv[1:])
    value = expression.level(0)
    if expression.at < len(expression.words):
        raise Failure("syntax error", 2)
    await p.print(value)
    return 1 if value in ("", "0") else 0


class _Expr:
    LEVELS = (("|",), ("&",), ("<", "<=", "=", "==", "!=", ">=", ">"), ("+", "-"), ("*", "/", "%"), (":",))

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0

    def _take(self) -> str:
        if self.at >= len(self.words):
            raise Failure("syntax error", 2)
        self.at += 1
        return self.words[self.at - 1]

    def level(self, depth: int) -> str:
        if depth == len(self.LEVELS):
            return self._primary()
        left = self.level(depth + 1)
        while self.at < len(self.words) and self.words[self.at] in self.LEVELS[depth]:
            operator = self._take()
            left = self._apply(operator, left, self.level(depth + 1))
        return left

    def _primary(self) -> str:
        word = self._take()
        if word == "(":
            value = self.level(0)
            if self._take() != ")":
                raise Failure("syntax error", 2)
            return value
        if word == "length":
            return str(len(self._primary()))
        if word == "match":
            text = self._primary()
            return self._apply(":", text, self._primary())
        if word == "substr":
            text, start, length = self._primary(), int(self._primary()), int(self._primary())
            return text[max(0, start - 1) : start - 1 + length] if start > 0 and length > 0 else ""
        if word == "index":
            text, chars = self._primary(), self._primary()
            return str(next((n + 1 for n, char in enumerate(text) if char in chars), 0))
        return word

    def _apply(self, operator: str, left: str, right: str) -> str:
        if operator == "|":
            return left if left not in ("", "0") else right
        if operator == "&":
            return left if left not in ("", "0") and right not in ("", "0") else "0"
        if operator == ":":
            from daemon.programs.patterns import compile_basic

            match = compile_basic(right).match(left)
            if match is None:
                return "" if r"\(" in right else "0"
            return (match.group(1) or "") if match.re.groups else str(match.end())
        numbers = bool(re.fullmatch(r"[-+]?\d+", left) and re.fullmatch(r"[-+]?\d+", right))
        if operator in self.LEVELS[2]:
            order = (int(left) > int(right)) - (int(left) < int(right)) if numbers else (left > right) - (left < right)
            return str(
                int(
                    {
                        "<": order < 0,
                        "<=": order <= 0,
                        "=": order == 0,
                        "==": order == 0,
                        "!=": order != 0,
                        ">=": order >= 0,
                        ">": order > 0,
                    }[operator]
                )
            )
        if not numbers:
            raise Failure("non-numeric argument", 2)
        a, b = int(left), int(right)
        if operator in ("/", "%"):
            if b == 0:
                raise Failure("division by zero", 2)
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            return str(quotient if operator == "/" else a - b * quotient)
        return str(a + b if operator == "+" else a - b if operator == "-" else a * b)
