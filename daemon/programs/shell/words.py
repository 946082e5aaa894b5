"""Reads one shell word: quotes, ${…}, $(…), `…`, $((…)). What the parser of commands stands on."""

from __future__ import annotations

from daemon.programs.shell.syntax import (
    Arithmetic,
    Incomplete,
    Literal,
    Parameter,
    Part,
    Substitution,
    SyntaxProblem,
    Word,
)

SPECIAL = "@*#?-$!0123456789"
OPERATORS = (":-", ":=", ":?", ":+", "##", "%%", "//", "-", "=", "?", "+", "#", "%", "/", ":")
UNTERMINATED = "syntax error: unterminated quoted string"
BAD = "syntax error: bad substitution"


class WordReader:
    """A cursor over shell text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def word(self) -> Word | None:
        """The word here, None when an operator or the end is. Raises Incomplete, SyntaxProblem."""
        return self._parts(stop=" \t\n;&|<>()", quoted=False) or None

    def document(self) -> Word:
        """All the text as a here-document: only $, ` and \\ are special."""
        return self._parts(stop="", quoted=True, document=True)

    # -- inside ------------------------------------------------------------------------------------------------

    def _blanks(self) -> None:
        text = self.text
        while self.at < len(text):
            if text[self.at] in " \t":
                self.at += 1
            elif text.startswith("\\\n", self.at):
                self.at += 2
            elif text[self.at] == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            else:
                return

    def _parts(self, *, stop: str, quoted: bool, document: bool = False) -> Word:
        """Parts up to an unquoted character of `stop` (not taken)."""
        parts: list[Part] = []
        run: list[str] = []

        def flush() -> None:
            if run:
                parts.append(Literal("".join(run), quoted))
                run.clear()

        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if char in stop:
                break
            if char == "\\":
                special = "$`\\" if document else '$`\\"'
                if stop == "}":  # in "${name-\}}" the first brace is text; in "\{3\}" both backslashes are
                    special += stop
                self._escape(parts, run, flush, quoted=quoted, special=special)
            elif char == "'" and not quoted:
                flush()
                end = text.find("'", self.at + 1)
                if end < 0:
                    raise Incomplete(UNTERMINATED)
                parts.append(Literal(text[self.at + 1 : end], True))
                self.at = end + 1
            elif char == '"' and not document:
                flush()
                self.at += 1
                inner = self._parts(stop='"', quoted=True)
                if self.at >= len(text):
                    raise Incomplete(UNTERMINATED)
                self.at += 1
                parts.extend(inner or (Literal("", True),))
            elif char == "`":
                flush()
                parts.append(self._backquoted(quoted))
            elif char == "$":
                part = self._dollar(quoted)
                if part is None:
                    run.append("$")
                    self.at += 1
                else:
                    flush()
                    parts.append(part)
            else:
                run.append(char)
                self.at += 1
        flush()
        return tuple(parts)

    def _escape(self, parts: list[Part], run: list[str], flush: object, *, quoted: bool, special: str) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if following == "\n":
            return
        if not following:
            self.at = len(self.text)
            run.append("\\")
        elif quoted:
            run.append(following if following in special else "\\" + following)
        else:
            assert callable(flush)
            flush()
            parts.append(Literal(following, True))

    def _backquoted(self, quoted: bool) -> Substitution:
        script: list[str] = []
        self.at += 1
        while True:
            char = self.text[self.at : self.at + 1]
            if not char:
                raise Incomplete("syntax error: EOF in backquote substitution")
            self.at += 1
            if char == "`":
                return Substitution("".join(script), quoted)
            if char == "\\" and self.text[self.at : self.at + 1] in ("`", "\\", "$", *(['"'] if quoted else [])):
                char = self.text[self.at]
                self.at += 1
            script.append(char)

    def _dollar(self, quoted: bool) -> Part | None:
        text, at = self.text, self.at
        if text.startswith("$((", at):
            part = self._arithmetic(quoted)
            if part is not None:
                return part
        if text.startswith("$(", at):
            end = self._matching(at + 2)
            self.at = end + 1
            return Substitution(text[at + 2 : end], quoted)
        if text.startswith("${", at):
            return self._braced(quoted)
        following = text[at + 1 : at + 2]
        if following and following in SPECIAL:
            self.at += 2
            return Parameter(following, quoted=quoted)
        end = at + 1
        while end < len(text) and (text[end] == "_" or (text[end].isalnum() and text[end].isascii())):
            end += 1
        if end == at + 1:
            return None
        self.at = end
        return Parameter(text[at + 1 : end], quoted=quoted)

    def _arithmetic(self, quoted: bool) -> Arithmetic | None:
        depth, end = 0, self.at + 3
        while True:
            char = self.text[end : end + 1]
            if not char:
                raise Incomplete("syntax error: missing '))'")
            if char == "(":
                depth += 1
            elif char == ")":
                if depth == 0:
                    if self.text[end + 1 : end + 2] != ")":
                        return None  # $( (…) … ): a subshell in a substitution
                    break
                depth -= 1
            end += 1
        body = WordReader(self.text[self.at + 3 : end])._parts(stop="", quoted=True)
        self.at = end + 2
        return Arithmetic(body, quoted)

    def _braced(self, quoted: bool) -> Parameter:
        text = self.text
        self.at += 2
        if text[self.at : self.at + 1] == "#" and text[self.at + 1 : self.at + 2] not in ("}", "", ":", "-", "%"):
            self.at += 1
            name = self._name()
            if text[self.at : self.at + 1] != "}":
                raise SyntaxProblem(BAD)
            self.at += 1
            return Parameter(name, "length", None, quoted)
        name = self._name()
        if text[self.at : self.at + 1] == "}":
            self.at += 1
            return Parameter(name, quoted=quoted)
        operator = next((op for op in OPERATORS if text.startswith(op, self.at)), "")
        if self.at >= len(text):
            raise Incomplete('syntax error: unexpected end of file (expecting "}")')
        if not operator:
            raise SyntaxProblem(BAD)
        self.at += len(operator)
        # In a pattern quotes count also inside double quotes; in a value they do so only outside.
        pattern = operator in ("#", "##", "%", "%%", "/", "//")
        word = self._parts(stop="}", quoted=quoted and not pattern)
        if self.at >= len(text):
            raise Incomplete('syntax error: unexpected end of file (expecting "}")')
        self.at += 1
        return Parameter(name, operator, word, quoted)

    def _name(self) -> str:
        text, start = self.text, self.at
        if start < len(text) and text[start] in SPECIAL and not text[start].isdigit():
            self.at += 1
            return text[start]
        while self.at < len(text) and (text[self.at] == "_" or (text[self.at].isalnum() and text[self.at].isascii())):
            self.at += 1
        if self.at == start:
            raise SyntaxProblem(BAD)
        return text[start : self.at]

    def _matching(self, at: int) -> int:
        """The index of the `)` that ends the $( begun before `at`, over quotes, comments, nesting and case items."""
        text, depth, cases = self.text, 0, 0
        word = ""
        while at < len(text):
            char = text[at]
            if char == "\\":
                at += 2
                continue
            if char in "'`":
                at = text.find(char, at + 1)
                if at < 0:
                    raise Incomplete(UNTERMINATED)
            elif char == '"':
                inner = WordReader(text)
                inner.at = at + 1
                inner._parts(stop='"', quoted=True)
                at = inner.at
            elif char == "$" and text[at + 1 : at + 2] == "(":
                at = self._matching(at + 2)
            elif char == "#" and text[at - 1] in " \t\n;(":
                at = text.find("\n", at)
                if at < 0:
                    break
            elif char == "(":
                depth += 1
            elif char == ")":
                if depth > 0:
                    depth -= 1
                elif cases == 0:
                    return at
            if char.isalpha():
                word += char
            else:
                if word in ("case", "esac"):
                    cases += 1 if word == "case" else -1
                word = ""
            if word == "esac" and text[at + 1 : at + 2] == ")":
                cases, word = max(0, cases - 1), ""
            at += 1
        raise Incomplete('syntax error: unexpected end of file (expecting ")")')
