"""$((…)): C's integer expressions on 64 bits (POSIX 2.6.4)."""

from __future__ import annotations

import re
from typing import Protocol

TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|\*\*|<<=|>>=|\+\+|--|[-+*/%&|^]=|<<|>>|<=|>=|==|!=|&&|\|\|"
    r"|[-+*/%&|^~!<>=?:,()])"
)
BINARY = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", "<=", ">", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
    ("**",),
)


class Variables(Protocol):
    def get_number(self, name: str) -> int: ...
    def set_number(self, name: str, value: int) -> None: ...


class ArithmeticProblem(Exception):
    """The expression is wrong; the text is ash's."""


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def evaluate(expression: str, variables: Variables) -> int:
    """The value. Raises ArithmeticProblem."""
    return _Expression(expression, variables).value()


class _Expression:
    def __init__(self, text: str, variables: Variables) -> None:
        self.variables = variables
        self.tokens: list[str] = []
        self.at = 0
        self.skip = 0  # inside a branch that is not taken: nothing is assigned, nothing divides
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = TOKEN.match(text, position)
            if match is None:
                raise ArithmeticProblem("arithmetic syntax error")
            self.tokens.append(match.group(1))
            position = match.end()

    def value(self) -> int:
        if not self.tokens:
            return 0
        result = self._comma()
        if self.at < len(self.tokens):
            raise ArithmeticProblem("arithmetic syntax error")
        return result

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self.at += 1
        return token

    def _comma(self) -> int:
        result = self._assignment()
        while self._peek() == ",":
            self.at += 1
            result = self._assignment()
        return result

    def _assignment(self) -> int:
        name = self._peek()
        operator = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else ""
        if _is_name(name) and operator.endswith("=") and operator not in ("==", "!=", "<=", ">="):
            self.at += 2
            value = self._assignment()
            if operator != "=":
                value = self._apply(operator[:-1], self.variables.get_number(name), value)
            if not self.skip:
                self.variables.set_number(name, value)
            return value
        return self._conditional()

    def _conditional(self) -> int:
        condition = self._binary(0)
        if self._peek() != "?":
            return condition
        self.at += 1
        self.skip += not condition
        yes = self._assignment()
        self.skip -= not condition
        if self._take() != ":":
            raise ArithmeticProblem("arithmetic syntax error")
        self.skip += bool(condition)
        no = self._assignment()
        self.skip -= bool(condition)
        return yes if condition else no

    def _binary(self, level: int) -> int:
        if level == len(BINARY):
            return self._unary()
        left = self._binary(level + 1)
        while (operator := self._peek()) in BINARY[level]:
            self.at += 1
            settled = (operator == "&&" and not left) or (operator == "||" and left != 0)
            self.skip += settled
            right = self._binary(level if operator == "**" else level + 1)
            self.skip -= settled
            left = self._apply(operator, left, right)
        return left

    def _unary(self) -> int:
        token = self._take()
        if token == "-":
            return _signed(-self._unary())
        if token == "+":
            return self._unary()
        if token == "!":
            return int(not self._unary())
        if token == "~":
            return _signed(~self._unary())
        if token in ("++", "--"):
            name = self._take()
            if not _is_name(name):
                raise ArithmeticProblem("arithmetic syntax error")
            return self._step(name, 1 if token == "++" else -1)
        if token == "(":
            value = self._comma()
            if self._take() != ")":
                raise ArithmeticProblem("arithmetic syntax error")
            return value
        if token[:1].isdigit():
            if token[:2] in ("0x", "0X"):
                return _signed(int(token, 16))
            if len(token) > 1 and token[0] == "0":
                if not all(c in "01234567" for c in token):
                    raise ArithmeticProblem("arithmetic syntax error")
                return _signed(int(token, 8))
            return _signed(int(token))
        if _is_name(token):
            value = self.variables.get_number(token)
            if self._peek() in ("++", "--"):
                self._step(token, 1 if self._take() == "++" else -1)
            return value
        raise ArithmeticProblem("arithmetic syntax error")

    def _step(self, name: str, by: int) -> int:
        value = _signed(self.variables.get_number(name) + by)
        if not self.skip:
            self.variables.set_number(name, value)
        return value

    def _apply(self, operator: str, left: int, right: int) -> int:
        if operator in ("/", "%"):
            if right == 0:
                if self.skip:
                    return 0
                raise ArithmeticProblem("divide by zero")
            quotient = abs(left) // abs(right)
            quotient = quotient if (left < 0) == (right < 0) else -quotient
            return _signed(quotient if operator == "/" else left - quotient * right)
        if operator == "**":
            if right < 0:
                raise ArithmeticProblem("exponent less than 0")
            return _signed(pow(left, min(right, 4096)))
        if operator == "+":
            return _signed(left + right)
        if operator == "-":
            return _signed(left - right)
        if operator == "*":
            return _signed(left * right)
        if operator == "<<":
            return _signed(left << (right & 63))
        if operator == ">>":
            return left >> (right & 63)
        if operator == "&":
            return left & right
        if operator == "|":
            return left | right
        if operator == "^":
            return left ^ right
        return int(
            {
                "&&": left != 0 and right != 0,
                "||": left != 0 or right != 0,
                "==": left == right,
                "!=": left != right,
                "<": left < right,
                "<=": left <= right,
                ">": left > right,
                ">=": left >= right,
            }[operator]
        )


def _is_name(token: str) -> bool:
    return token[:1].isalpha() or token[:1] == "_"
