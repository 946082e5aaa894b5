"""What awk computes: values, the record and its fields, variables, expressions and functions."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from daemon.programs.awk_syntax import Node, Program
from daemon.programs.options import Failure
from daemon.programs.patterns import BadPattern, compile_extended

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext

NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
FORMAT = re.compile(r"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?([a-zA-Z%])")


class Field(str):
    """A string from input: it compares as a number when it looks like one (POSIX: a numeric string)."""

    __slots__ = ()


Value = float | str


class Returned(Exception):
    """A function's end, with what it gives."""

    def __init__(self, value: Value) -> None:
        self.value = value


def number(value: Value) -> float:
    if isinstance(value, float):
        return value
    match = NUMBER.match(value)
    return float(match.group()) if match is not None else 0.0


def numeric(value: Value) -> bool:
    return isinstance(value, float) or (isinstance(value, Field) and NUMBER.fullmatch(value.rstrip()) is not None)


class Expressions(ABC):
    """Variables, arrays, the record and its fields, and expressions over them. What a function's body does is not
    known here."""

    def __init__(self, p: ProcessContext, code: Program) -> None:
        self.p = p
        self.code = code
        self.globals: dict[str, Value] = {
            "FS": " ", "OFS": " ", "ORS": "\n", "RS": "\n", "NR": 0.0, "FNR": 0.0, "NF": 0.0, "SUBSEP": "\x1c",
            "CONVFMT": "%.6g", "OFMT": "%.6g", "RSTART": 0.0, "RLENGTH": -1.0, "FILENAME": "",
        }  # fmt: skip
        self.arrays: dict[str, dict[str, Value]] = {"ENVIRON": {k: Field(v) for k, v in p.env.items()}}
        self.frames: list[dict[str, Any]] = []
        self.fields: list[str] = [""]
        self.readers: dict[str, list[str]] = {}
        self.records: list[str] = []
        self.regexes: dict[str, re.Pattern[str]] = {}

    @abstractmethod
    def execute(self, node: Node) -> None:
        """Do a statement; a function's body raises Returned."""

    # -- records ---------------------------------------------------------------------------------------------------

    def set_record(self, record: str) -> None:
        self.fields = [record, *self.split(record, str(self.globals["FS"]))]
        self.globals["NF"] = float(len(self.fields) - 1)

    def split(self, text: str, separator: str) -> list[str]:
        if separator == " ":
            return text.split()
        if not text:
            return []
        if separator == "":
            return list(text)
        if len(separator) == 1 and separator != "\\":
            return text.split(separator)
        return re.split(self.regex(separator), text)

    # -- values ---------------------------------------------------------------------------------------------------

    def text(self, value: Value, form: str = "CONVFMT") -> str:
        if isinstance(value, str):
            return str(value)
        if math.isfinite(value) and value == int(value):
            return str(int(value))
        return str(self.globals[form]) % value

    def true(self, value: Value) -> bool:
        return number(value) != 0 if numeric(value) else value != ""

    def regex(self, source: str) -> re.Pattern[str]:
        if source not in self.regexes:
            try:
                self.regexes[source] = compile_extended(source)
            except BadPattern as error:
                raise Failure(f"bad regex '{source}': {error}") from None
        return self.regexes[source]

    def _pattern(self, node: Node) -> re.Pattern[str]:
        return self.regex(node[1] if node[0] == "regex" else self.text(self.value(node)))

    def array(self, name: str) -> dict[str, Value]:
        if self.frames and name in self.frames[-1]:
            found = self.frames[-1][name]
            if not isinstance(found, dict):
                found = self.frames[-1][name] = {}
            return found
        return self.arrays.setdefault(name, {})

    def key(self, nodes: list[Node]) -> str:
        return self.text(self.globals["SUBSEP"]).join(self.text(self.value(node)) for node in nodes)

    def value(self, node: Node) -> Value:
        return getattr(self, _METHODS[node[0]])(node)  # type: ignore[no-any-return]

    def _const(self, node: Node) -> Value:
        constant: Value = node[1]
        return constant

    def _regex_value(self, node: Node) -> Value:
        return float(self.regex(node[1]).search(self.fields[0]) is not None)

    def _group(self, node: Node) -> Value:
        return self.value(node[1][0]) if len(node[1]) == 1 else self.key(node[1])

    def _var(self, node: Node) -> Value:
        if self.frames and node[1] in self.frames[-1]:
            found: Value = self.frames[-1][node[1]]
            return found
        return self.globals.get(node[1], Field(""))

    def _field(self, node: Node) -> Value:
        index = int(number(self.value(node[1])))
        if index < 0:
            raise Failure("access to negative field", 2)
        return Field(self.fields[index]) if index < len(self.fields) else Field("")

    def _index(self, node: Node) -> Value:
        return self.array(node[1]).setdefault(self.key(node[2]), Field(""))

    def _in(self, node: Node) -> Value:
        return float(self.key(node[1]) in self.array(node[2]))

    def store(self, node: Node, value: Value) -> Value:
        if node[0] == "index":
            self.array(node[1])[self.key(node[2])] = value
        elif node[0] == "field":
            index = int(number(self.value(node[1])))
            if index == 0:
                self.set_record(self.text(value))
            else:
                self.fields += [""] * (index + 1 - len(self.fields))
                self.fields[index] = self.text(value)
                self._rebuild()
        elif self.frames and node[1] in self.frames[-1]:
            self.frames[-1][node[1]] = value
        else:
            self.globals[node[1]] = value
            if node[1] == "NF":
                count = int(number(value))
                self.fields = (self.fields + [""] * count)[: count + 1]
                self._rebuild()
        return value

    def _rebuild(self) -> None:
        self.fields[0] = self.text(self.globals["OFS"]).join(self.fields[1:])
        self.globals["NF"] = float(len(self.fields) - 1)

    def _assign(self, node: Node) -> Value:
        _, target, operator, source = node
        value = self.value(source)
        if operator:
            value = self._arithmetic(operator, number(self.value(target)), number(value))
        return self.store(target, value)

    def _arithmetic(self, operator: str, a: float, b: float) -> float:
        if operator in ("/", "%") and b == 0:
            raise Failure("Division by zero", 2)
        if operator == "+":
            return a + b
        if operator == "-":
            return a - b
        if operator == "*":
            return a * b
        if operator == "/":
            return a / b
        return math.fmod(a, b) if operator == "%" else float(a**b)

    def _num(self, node: Node) -> Value:
        return self._arithmetic(node[1], number(self.value(node[2])), number(self.value(node[3])))

    def _unary(self, node: Node) -> Value:
        value = self.value(node[2])
        if node[1] == "!":
            return float(not self.true(value))
        return -number(value) if node[1] == "-" else number(value)

    def _step(self, node: Node) -> Value:
        before = number(self.value(node[2]))
        after = before + (1.0 if node[1] == "++" else -1.0)
        self.store(node[2], after)
        return before if node[0] == "post" else after

    def _cmp(self, node: Node) -> Value:
        a, b = self.value(node[2]), self.value(node[3])
        one: Any = a
        other: Any = b
        if (
            (numeric(a) and numeric(b))
            or (numeric(a) and b == "" and isinstance(b, Field))
            or (numeric(b) and a == "" and isinstance(a, Field))
        ):
            one, other = number(a), number(b)
        else:
            one, other = self.text(a), self.text(b)
        order = (one > other) - (one < other)
        operator = node[1]
        return float({"<": order < 0, "<=": order <= 0, "==": order == 0, "!=": order != 0, ">=": order >= 0,
                      ">": order > 0}[operator])  # fmt: skip

    def _logic(self, node: Node) -> Value:
        kind = node[0]
        if kind == "?":
            return self.value(node[2] if self.true(self.value(node[1])) else node[3])
        left = self.true(self.value(node[1]))
        if left == (kind == "||"):
            return float(left)
        return float(self.true(self.value(node[2])))

    def _match(self, node: Node) -> Value:
        found = self._pattern(node[2]).search(self.text(self.value(node[1]))) is not None
        return float(found == (node[0] == "~"))

    def _cat(self, node: Node) -> Value:
        return self.text(self.value(node[1])) + self.text(self.value(node[2]))

    def _getline(self, node: Node) -> Value:
        _, target, source = node
        if source is None:
            if not self.records:
                return 0.0
            line = self.records.pop(0)
            self.globals["NR"] = number(self.globals["NR"]) + 1
        else:
            name = self.text(self.value(source))
            if name not in self.readers:
                try:
                    self.readers[name] = self.p.files.text(self.p.path(name)).splitlines()
                except OSError:
                    return -1.0
            if not self.readers[name]:
                return 0.0
            line = self.readers[name].pop(0)
        if target is None:
            self.set_record(line)
        else:
            self.store(target, Field(line))
        return 1.0

    def _call(self, node: Node) -> Value:
        if node[1] not in self.code.functions:
            raise Failure("cmd. line:1: Call to undefined function", 1)
        if len(self.frames) > 200:
            raise Failure("too many nested calls", 2)
        parameters, body = self.code.functions[node[1]]
        frame: dict[str, Any] = dict.fromkeys(parameters, Field(""))
        for name, argument in zip(parameters, node[2], strict=False):
            if argument[0] == "var" and (argument[1] in self.arrays or (
                self.frames and isinstance(self.frames[-1].get(argument[1]), dict))):  # fmt: skip
                frame[name] = self.array(argument[1])
            else:
                frame[name] = self.value(argument)
        self.frames.append(frame)
        try:
            self.execute(body)
        except Returned as back:
            return back.value
        finally:
            self.frames.pop()
        return Field("")

    def _builtin(self, node: Node) -> Value:
        _, name, nodes = node
        if name == "length":
            if nodes and nodes[0][0] == "var" and nodes[0][1] in self.arrays:
                return float(len(self.arrays[nodes[0][1]]))
            return float(len(self.text(self.value(nodes[0])) if nodes else self.fields[0]))
        if name in ("sub", "gsub"):
            return self._substitute(name, nodes)
        if name == "match":
            found = self._pattern(nodes[1]).search(self.text(self.value(nodes[0])))
            self.globals["RSTART"] = float(found.start() + 1 if found else 0)
            self.globals["RLENGTH"] = float(found.end() - found.start() if found else -1)
            return self.globals["RSTART"]
        if name == "split":
            text = self.text(self.value(nodes[0]))
            separator = self.text(self.globals["FS"]) if len(nodes) < 3 else (
                nodes[2][1] if nodes[2][0] == "regex" else self.text(self.value(nodes[2])))  # fmt: skip
            array = self.array(nodes[1][1])
            array.clear()
            array.update({str(n): Field(part) for n, part in enumerate(self.split(text, separator), 1)})
            return float(len(array))
        values = [self.value(argument) for argument in nodes]
        texts = [self.text(value) for value in values]
        first = number(values[0]) if values else 0.0
        if name == "substr":
            start = round(number(values[1]))
            end = len(texts[0]) + 1 if len(values) < 3 else start + round(number(values[2]))
            return texts[0][max(start, 1) - 1 : max(end - 1, 0)]
        if name == "index":
            return float(texts[0].find(texts[1]) + 1)
        if name == "sprintf":
            return self.format(texts[0], values[1:])
        if name in ("tolower", "toupper"):
            return texts[0].lower() if name == "tolower" else texts[0].upper()
        if name == "rand":
            return self.p.random.random()
        if name == "system":
            raise Failure("system() is not there in the simulated runtime", 2)
        if name in ("srand", "fflush", "close"):
            if name == "close":
                self.readers.pop(texts[0], None)
            return 0.0
        if name == "atan2":
            return math.atan2(first, number(values[1]))
        if name == "int":
            return float(int(first))
        try:
            return float(getattr(math, name)(first))
        except (ValueError, OverflowError):
            return math.nan

    def _substitute(self, name: str, nodes: list[Node]) -> Value:
        target = nodes[2] if len(nodes) > 2 else ("field", ("const", 0.0))
        template = self.text(self.value(nodes[1]))

        def replace(match: re.Match[str]) -> str:
            return re.sub(
                r"\\\\|\\&|&", lambda part: {"\\\\": "\\", "\\&": "&"}.get(part.group(), match.group()), template
            )

        text, count = self._pattern(nodes[0]).subn(replace, self.text(self.value(target)), 1 if name == "sub" else 0)
        if count:
            self.store(target, text)
        return float(count)

    def format(self, template: str, values: list[Value]) -> str:
        queue = list(values)

        def one(match: re.Match[str]) -> str:
            flags, width, precision, kind = match.groups()
            if kind == "%":
                return "%"
            width = str(int(number(queue.pop(0)))) if width == "*" and queue else (width or "")
            precision = str(int(number(queue.pop(0)))) if precision == "*" and queue else precision
            spec = f"%{flags}{width}" + ("" if precision is None else f".{precision}")
            value: Value = queue.pop(0) if queue else Field("")
            if kind in "di":
                return (spec + "d") % int(number(value))
            if kind in "ouxX":
                return (spec + ("d" if kind == "u" else kind)) % (int(number(value)) & ((1 << 64) - 1))
            if kind in "eEfFgG":
                return (spec + kind) % number(value)
            if kind == "c":
                return (spec + "s") % (chr(int(value)) if isinstance(value, float) else str(value)[:1])
            return (spec + "s") % self.text(value)

        return FORMAT.sub(one, template)


_METHODS = {"const": "_const", "regex": "_regex_value", "group": "_group", "var": "_var", "field": "_field",
            "index": "_index", "in": "_in", "assign": "_assign", "num": "_num", "unary": "_unary", "pre": "_step",
            "post": "_step", "cmp": "_cmp", "?": "_logic", "&&": "_logic", "||": "_logic", "~": "_match",
            "!~": "_match", "cat": "_cat", "getline": "_getline", "call": "_call", "builtin": "_builtin"}  # fmt: skip
