"""awk's grammar: text to a tree of tuples, each `(kind, …)`; `awk` runs it (POSIX awk, the language of scripts)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from daemon.programs.options import Failure

Node = tuple[Any, ...]
TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|\\\n|#[^\n]*)|(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r'|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<name>[A-Za-z_]\w*)'
    r"|(?P<op>\n|&&|\|\||\+\+|--|\*\*=|\*\*|[-+*/%^=!<>]=|>>|!~|[-+*/%^=!<>~?:,;(){}\[\]$|])",
    re.DOTALL,
)
KEYWORDS = ("BEGIN", "END", "function", "func", "if", "else", "while", "for", "do", "break", "continue", "next", "exit",
            "return", "delete", "in", "getline", "print", "printf")  # fmt: skip
FUNCTIONS = ("length", "substr", "index", "split", "sub", "gsub", "match", "sprintf", "sin", "cos", "atan2", "exp",
             "log", "sqrt", "int", "rand", "srand", "tolower", "toupper", "close", "fflush", "system")  # fmt: skip
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"', "/": "/"}


@dataclass(slots=True)
class Program:
    begin: list[Node] = field(default_factory=list)
    end: list[Node] = field(default_factory=list)
    rules: list[tuple[Node | None, Node | None, Node | None]] = field(default_factory=list)  # from, to, action
    functions: dict[str, tuple[list[str], Node]] = field(default_factory=dict)


def unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] in "01234567":
            return chr(int(code, 8))
        return ESCAPES.get(code, "\\" + code)

    return re.sub(r"\\([0-7]{1,3}|.)", one, text, flags=re.DOTALL)


class Parser:
    """Recursive descent; the lexer runs on demand because / is a division or a regular expression by place."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.kind = ""
        self.token = ""
        self.before = False  # white space stood before the token: f (x) is no call
        self.in_depth = 0  # inside parentheses > and `in` are ordinary operators again
        self.no_in = False
        self.no_greater = False
        self._advance()

    def _advance(self) -> str:
        old = self.token
        self.before = False
        while self.at < len(self.text):
            match = TOKEN.match(self.text, self.at)
            if match is None:
                raise Failure(f"cmd. line:{self._line()}: Unexpected token", 1)
            self.at = match.end()
            if match.lastgroup == "space":
                self.before = True
                continue
            self.kind, self.token = match.lastgroup or "", match.group()
            return old
        self.kind, self.token = "end", ""
        return old

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _fail(self) -> Failure:
        if not self.token:
            return Failure("cmd. line:1: Unexpected end of string", 1)
        return Failure(f"cmd. line:{self._line()}: Unexpected token", 1)

    def _expect(self, token: str) -> None:
        if self.token != token or self.kind == "string":
            raise self._fail()
        self._advance()

    def _accept(self, *tokens: str) -> str:
        if self.kind != "string" and self.token in tokens:
            return self._advance()
        return ""

    def _newlines(self) -> None:
        while self._accept("\n", ";"):
            pass

    def program(self) -> Program:
        found = Program()
        self._newlines()
        while self.kind != "end":
            if self._accept("BEGIN"):
                found.begin.append(self._block())
            elif self._accept("END"):
                found.end.append(self._block())
            elif self._accept("function", "func"):
                name = self._advance()
                self._expect("(")
                parameters: list[str] = []
                while not self._accept(")"):
                    parameters.append(self._advance())
                    self._accept(",")
                self._skip_lines()
                found.functions[name] = (parameters, self._block())
            else:
                first = second = None
                if self.token != "{":
                    first = self._expression()
                    if self._accept(","):
                        self._skip_lines()
                        second = self._expression()
                found.rules.append((first, second, self._block() if self.token == "{" else None))
            self._newlines()
        return found

    def _skip_lines(self) -> None:
        while self._accept("\n"):
            pass

    def _block(self) -> Node:
        self._expect("{")
        body: list[Node] = []
        self._newlines()
        while not self._accept("}"):
            body.append(self._statement())
            self._newlines()
        return ("block", body)

    def _ended(self) -> None:
        if self.token not in ("}", "") and not self._accept(";", "\n"):
            raise self._fail()

    def _statement(self) -> Node:
        if self.token == "{" and self.kind == "op":
            return self._block()
        if self.kind == "name":
            word = self.token
            if word == "if":
                return self._if()
            if word == "while":
                self._advance()
                condition = self._parenthesised()
                if self._accept(";"):
                    return ("while", condition, ("block", []))
                self._skip_lines()
                return ("while", condition, self._statement())
            if word == "do":
                self._advance()
                self._newlines()
                body = self._statement()
                self._newlines()
                self._expect("while")
                condition = self._parenthesised()
                self._ended()
                return ("do", body, condition)
            if word == "for":
                return self._for()
        simple = self._simple()
        self._ended()
        return simple

    def _parenthesised(self) -> Node:
        self._expect("(")
        inner = self._inside()
        self._expect(")")
        return inner

    def _inside(self) -> Node:
        """An expression inside parentheses, where > and `in` mean themselves."""
        saved = self.no_in, self.no_greater
        self.no_in = self.no_greater = False
        found = self._expression()
        self.no_in, self.no_greater = saved
        return found

    def _if(self) -> Node:
        self._advance()
        condition = self._parenthesised()
        self._skip_lines()
        yes: Node = ("block", []) if self._accept(";") else self._statement()
        mark = self.at, self.kind, self.token, self.before
        self._newlines()
        if self._accept("else"):
            self._skip_lines()
            return ("if", condition, yes, self._statement())
        self.at, self.kind, self.token, self.before = mark
        return ("if", condition, yes, None)

    def _for(self) -> Node:
        self._advance()
        self._expect("(")
        match = re.match(r"\s*in\s+(\w+)\s*\)", self.text[self.at :]) if self.kind == "name" else None
        if match is not None:
            variable = self._advance()
            self._advance()
            array = self._advance()
            self._expect(")")
            self._skip_lines()
            return ("forin", variable, array, self._statement())
        first = None if self.token == ";" else self._simple()
        self._expect(";")
        condition = None if self.token == ";" else self._inside()
        self._expect(";")
        step = None if self.token == ")" else self._simple()
        self._expect(")")
        if self._accept(";"):
            return ("for", first, condition, step, ("block", []))
        self._skip_lines()
        return ("for", first, condition, step, self._statement())

    def _simple(self) -> Node:
        word = self.token if self.kind == "name" else ""
        if word in ("print", "printf"):
            return self._print()
        if word in ("next", "break", "continue"):
            self._advance()
            return (word,)
        if word in ("exit", "return"):
            self._advance()
            return (word, None if self.token in (";", "}", "\n", "") else self._expression())
        if word == "delete":
            self._advance()
            name = self._advance()
            if self._accept("["):
                return ("delete", name, self._subscript())
            return ("delete", name, None)
        return ("expr", self._expression())

    def _print(self) -> Node:
        kind = self._advance()
        self.no_greater = True
        values: list[Node] = []
        if self.token not in (";", "}", "\n", "", ">", ">>", "|"):
            values = self._list()
            if len(values) == 1 and values[0][0] == "group":
                values = values[0][1]
        self.no_greater = False
        mode = self._accept(">", ">>", "|")
        target = self._concatenation() if mode else None
        return (kind, values, mode, target)

    def _list(self) -> list[Node]:
        values = [self._expression()]
        while self._accept(","):
            self._skip_lines()
            values.append(self._expression())
        return values

    def _subscript(self) -> list[Node]:
        saved = self.no_in, self.no_greater
        self.no_in = self.no_greater = False
        found = self._list()
        self.no_in, self.no_greater = saved
        self._expect("]")
        return found

    # -- expressions, loosest first --------------------------------------------------------------------------------

    def _expression(self) -> Node:
        left = self._conditional()
        if self.kind == "op" and self.token in ("=", "+=", "-=", "*=", "/=", "%=", "^=", "**="):
            if left[0] not in ("var", "field", "index"):
                raise self._fail()
            operator = self._advance()[:-1].replace("**", "^")
            self._skip_lines()
            return ("assign", left, operator, self._expression())
        return left

    def _conditional(self) -> Node:
        condition = self._or()
        if self._accept("?"):
            self._skip_lines()
            yes = self._expression()
            self._skip_lines()
            self._expect(":")
            self._skip_lines()
            return ("?", condition, yes, self._expression())
        return condition

    def _or(self) -> Node:
        left = self._and()
        while self._accept("||"):
            self._skip_lines()
            left = ("||", left, self._and())
        return left

    def _and(self) -> Node:
        left = self._in()
        while self._accept("&&"):
            self._skip_lines()
            left = ("&&", left, self._in())
        return left

    def _in(self) -> Node:
        left = self._match()
        while self.token == "in" and self.kind == "name" and not self.no_in:
            self._advance()
            keys = left[1] if left[0] == "group" else [left]
            left = ("in", keys, self._advance())
        return left

    def _match(self) -> Node:
        left = self._comparison()
        while operator := self._accept("~", "!~"):
            left = (operator, left, self._comparison())
        return left

    def _comparison(self) -> Node:
        left = self._concatenation()
        if (
            self.kind == "op"
            and self.token in ("<", "<=", "==", "!=", ">=", ">")
            and not (self.token == ">" and self.no_greater)
        ):
            operator = self._advance()
            return ("cmp", operator, left, self._concatenation())
        if self.token == "|" and re.match(r"\s*getline", self.text[self.at :]):
            raise Failure("a pipe into getline is not there in the simulated runtime", 2)
        return left

    def _concatenation(self) -> Node:
        left = self._additive()
        while self.kind in ("number", "string") or (
            self.kind == "name" and self.token not in KEYWORDS) or (
            self.kind == "op" and self.token in ("$", "!", "(", "-", "+", "++", "--") and self.token not in ("+", "-")
        ):  # fmt: skip
            left = ("cat", left, self._additive())
        return left

    def _additive(self) -> Node:
        left = self._term()
        while operator := self._accept("+", "-"):
            left = ("num", operator, left, self._term())
        return left

    def _term(self) -> Node:
        left = self._unary()
        while operator := self._accept("*", "/", "%"):
            left = ("num", operator, left, self._unary())
        return left

    def _unary(self) -> Node:
        if operator := self._accept("!", "-", "+"):
            return ("unary", operator, self._unary())
        return self._power()

    def _power(self) -> Node:
        left = self._postfix()
        if self._accept("^", "**"):
            return ("num", "^", left, self._unary())
        return left

    def _postfix(self) -> Node:
        found = self._primary()
        if found[0] in ("var", "field", "index") and self.token in ("++", "--") and self.kind == "op":
            return ("post", self._advance(), found)
        return found

    def _primary(self) -> Node:
        kind, token = self.kind, self.token
        if kind == "number":
            self._advance()
            return ("const", float(int(token, 16)) if token[:2] in ("0x", "0X") else float(token))
        if kind == "string":
            self._advance()
            return ("const", unescape(token[1:-1]))
        if kind == "op":
            if token in ("/", "/="):
                return self._regex()
            if token == "$":
                self._advance()
                return ("field", self._postfix_free())
            if token in ("++", "--"):
                self._advance()
                return ("pre", token, self._primary())
            if token == "(":
                self._advance()
                saved = self.no_in, self.no_greater
                self.no_in = self.no_greater = False
                values = self._list()
                self._expect(")")
                self.no_in, self.no_greater = saved
                return ("group", values)
        if kind == "name" and token not in KEYWORDS:
            return self._named()
        if token == "getline":
            self._advance()
            target = (
                self._primary() if (self.kind == "name" and self.token not in KEYWORDS) or self.token == "$" else None
            )
            return ("getline", target, self._primary() if self._accept("<") else None)
        raise self._fail()

    def _postfix_free(self) -> Node:
        """What follows $: $i++ is ($i)++."""
        if operator := self._accept("-", "+"):
            return ("unary", operator, self._primary())
        return self._primary()

    def _named(self) -> Node:
        name = self._advance()
        if name in FUNCTIONS:
            arguments: list[Node] = []
            if self._accept("("):
                arguments = self._arguments()
            elif name != "length":
                raise self._fail()
            return ("builtin", name, arguments)
        if self.token == "(" and not self.before:
            self._advance()
            return ("call", name, self._arguments())
        if self._accept("["):
            return ("index", name, self._subscript())
        return ("var", name)

    def _arguments(self) -> list[Node]:
        saved = self.no_in, self.no_greater
        self.no_in = self.no_greater = False
        found: list[Node] = []
        if self.token != ")":
            found = self._list()
        self.no_in, self.no_greater = saved
        self._expect(")")
        return found

    def _regex(self) -> Node:
        start = self.at - len(self.token)
        at, inside = start + 1, False
        while at < len(self.text) and (self.text[at] != "/" or inside):
            if self.text[at] == "\n":
                raise Failure(f"cmd. line:{self._line()}: Unexpected newline in regexp", 1)
            if self.text[at] == "[":
                inside = "]" in self.text[at + 2 :].split("\n")[0].split("/")[0] or inside
            elif self.text[at] == "]":
                inside = False
            at += 2 if self.text[at] == "\\" else 1
        if at >= len(self.text):
            raise Failure("cmd. line:1: Unexpected end of string", 1)
        source = self.text[start + 1 : at].replace("\\/", "/")
        self.at = at + 1
        self._advance()
        return ("regex", source)
