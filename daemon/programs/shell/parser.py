"""Reads shell text one complete command line at a time, as a shell must: what is above a syntax error has run."""

from __future__ import annotations

from daemon.programs.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Incomplete,
    Literal,
    Pipeline,
    Redirect,
    Redirected,
    Sequence,
    Simple,
    SyntaxProblem,
    While,
    Word,
)
from daemon.programs.shell.words import WordReader

OPERATORS = ("<<-", "&&", "||", ";;", "<<", ">>", "<&", ">&", "<>", ">|", "&", "|", ";", "<", ">", "(", ")")
REDIRECTS = ("<<-", "<<", ">>", "<&", ">&", "<>", ">|", "<", ">")
RESERVED = (
    "if",
    "then",
    "elif",
    "else",
    "fi",
    "for",
    "in",
    "do",
    "done",
    "while",
    "until",
    "case",
    "esac",
    "{",
    "}",
    "!",
    "function",
)
CLOSING = ("then", "elif", "else", "fi", "do", "done", "esac", "}", ")", ";;", "in")


class Parser(WordReader):
    """A parser over one text. `line()` gives the next complete line's commands, None at the end."""

    def __init__(self, text: str, first_line: int = 1) -> None:
        super().__init__(text)
        self._pending: list[tuple[int, Word, bool, list[Redirect]]] = []
        self._first_line = first_line

    @property
    def line_number(self) -> int:
        return self._first_line + self.text.count("\n", 0, self.at)

    def line(self) -> Sequence | None:
        """The next line of commands (possibly several lines long). Raises SyntaxProblem, Incomplete."""
        while True:
            self._blanks()
            if self.at >= len(self.text):
                return None
            if self.text[self.at] == "\n":
                self._newline()
                continue
            break
        items: list[tuple[AndOr, bool]] = []
        while True:
            items.append(self._item())
            self._blanks()
            if self.at >= len(self.text):
                break
            if self.text[self.at] == "\n":
                self._newline()
                break
            token = self._peek()
            if token in CLOSING or token in (";", "&", "&&", "||", "|"):
                self._unexpected()
        if self._pending:
            raise Incomplete("syntax error: unexpected end of file")
        return Sequence(tuple(items))

    # -- tokens ------------------------------------------------------------------------------------------------

    def _peek(self) -> str:
        """The operator or reserved-looking word here, "" at the end, "\\n" at a line's end."""
        self._blanks()
        if self.at >= len(self.text):
            return ""
        if self.text[self.at] == "\n":
            return "\n"
        for operator in OPERATORS:
            if self.text.startswith(operator, self.at):
                return operator
        end = self.at
        while end < len(self.text) and self.text[end] not in " \t\n;&|<>()":
            if self.text[end] in "'\"\\$`":
                return "word"
            end += 1
        return self.text[self.at : end]

    def _accept(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self.at += len(token)
        return True

    def _expect(self, token: str) -> None:
        self._skip_newlines()
        if not self._accept(token):
            self._unexpected(token)

    def _unexpected(self, expecting: str = "") -> None:
        token = self._peek()
        tail = f' (expecting "{expecting}")' if expecting else ""
        if token == "":
            raise Incomplete(f"syntax error: unexpected end of file{tail}")
        if token == "\n":
            raise SyntaxProblem(f"syntax error: unexpected newline{tail}")
        if token in REDIRECTS:
            raise SyntaxProblem(f"syntax error: unexpected redirection{tail}")
        if token in OPERATORS or token in RESERVED:
            raise SyntaxProblem(f'syntax error: unexpected "{token}"{tail}')
        raise SyntaxProblem(f"syntax error: unexpected word{tail}")

    def _newline(self) -> None:
        self.at += 1
        pending, self._pending = self._pending, []
        for descriptor, delimiter, strip, into in pending:
            end = "".join(part.text for part in delimiter if isinstance(part, Literal))
            quoted = any(isinstance(part, Literal) and part.quoted for part in delimiter)
            lines: list[str] = []
            while True:
                if self.at >= len(self.text):
                    break  # as ash: the end of the file ends the document
                stop = self.text.find("\n", self.at)
                stop = len(self.text) if stop < 0 else stop
                row = self.text[self.at : stop]
                self.at = min(stop + 1, len(self.text))
                row = row.lstrip("\t") if strip else row
                if row == end:
                    break
                lines.append(row + "\n")
            body = "".join(lines)
            word: Word = (Literal(body, True),) if quoted else WordReader(body).document()
            into.append(Redirect(descriptor, "<<", word))

    def _skip_newlines(self) -> None:
        while self._peek() == "\n":
            self._newline()

    # -- grammar -----------------------------------------------------------------------------------------------

    def _item(self) -> tuple[AndOr, bool]:
        and_or = self._and_or()
        if self._peek() == "&":
            self.at += 1
            return and_or, True
        token = self._peek()
        if token == ";":
            self.at += 1
        elif token not in ("", "\n") and token not in CLOSING:
            self._unexpected()
        return and_or, False

    def _body(self, *ends: str) -> Sequence:
        """A compound list up to one of the reserved words or operators `ends` (not taken)."""
        items: list[tuple[AndOr, bool]] = []
        while True:
            self._skip_newlines()
            token = self._peek()
            if token in ends:
                if not items and token not in ("esac", ";;"):
                    self._unexpected()
                return Sequence(tuple(items))
            if token == "":
                self._unexpected(ends[0])
            if token in CLOSING:
                self._unexpected(ends[0])
            items.append(self._item())

    def _and_or(self) -> AndOr:
        first = self._pipeline()
        rest: list[tuple[str, Pipeline]] = []
        while (operator := self._peek()) in ("&&", "||"):
            self.at += 2
            self._skip_newlines()
            rest.append((operator, self._pipeline()))
        return AndOr(first, tuple(rest))

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._accept("!"):
            negated = not negated
        commands = [self._command()]
        while self._peek() == "|":
            self.at += 1
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    def _command(self) -> Command:
        token = self._peek()
        if token in ("", "\n") or (token in OPERATORS and token not in REDIRECTS and token != "("):
            self._unexpected()
        if token in CLOSING:
            self._unexpected()
        command: Command
        if token == "(":
            self.at += 1
            body = self._body(")")
            self._expect(")")
            command = Group(body, fork=True)
        elif token == "{":
            self.at += 1
            body = self._body("}")
            self._expect("}")
            command = Group(body)
        elif token == "if":
            command = self._if()
        elif token == "for":
            command = self._for()
        elif token in ("while", "until"):
            self.at += 5
            condition = self._body("do")
            self._expect("do")
            body = self._body("done")
            self._expect("done")
            command = While(condition, body, token == "until")
        elif token == "case":
            command = self._case()
        else:
            return self._simple()
        redirects: list[Redirect] = []
        found = False
        while self._redirect(redirects):
            found = True
        return Redirected(command, redirects) if found else command

    def _if(self) -> If:
        self.at += 2
        clauses: list[tuple[Sequence, Sequence]] = []
        while True:
            condition = self._body("then")
            self._expect("then")
            clauses.append((condition, self._body("fi", "elif", "else")))
            if self._accept("elif"):
                continue
            otherwise = self._body("fi") if self._accept("else") else None
            self._expect("fi")
            return If(tuple(clauses), otherwise)

    def _for(self) -> For:
        self.at += 3
        name = self._peek()
        if not name.isidentifier() or not name.isascii():
            raise SyntaxProblem("syntax error: bad for loop variable")
        self.at += len(name)
        words: list[Word] | None = None
        self._skip_newlines()
        if self._accept("in"):
            words = []
            while self._peek() not in ("", "\n", ";", "&"):
                words.append(self._word_or_fail())
        self._blanks()
        if self._peek() == ";":
            self.at += 1
        self._expect("do")
        body = self._body("done")
        self._expect("done")
        return For(name, None if words is None else tuple(words), body)

    def _case(self) -> Case:
        self.at += 4
        self._blanks()
        subject = self._word_or_fail()
        self._expect("in")
        items: list[tuple[tuple[Word, ...], Sequence]] = []
        while True:
            self._skip_newlines()
            if self._accept("esac"):
                return Case(subject, tuple(items))
            self._accept("(")
            patterns = [self._word_or_fail("esac")]
            while self._accept("|"):
                self._blanks()
                patterns.append(self._word_or_fail())
            self._expect(")")
            items.append((tuple(patterns), self._body(";;", "esac")))
            self._accept(";;")

    def _word_or_fail(self, expecting: str = "") -> Word:
        self._blanks()
        word = self.word()
        if word is None:
            self._unexpected(expecting)
        return word or ()

    def _simple(self) -> Command:
        line = self.line_number
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            if self._redirect(redirects):
                continue
            token = self._peek()
            if token in ("", "\n") or token in OPERATORS:
                if token == "(" and len(words) == 1 and not assignments and not redirects:
                    return self._function(words[0])
                break
            word = self.word()
            if word is None:
                break
            name = _assigned(word) if not words else ""
            if name:
                head = word[0]
                assert isinstance(head, Literal)
                value = head.text[len(name) + 1 :]
                assignments.append((name, ((Literal(value),) if value else ()) + word[1:]))
            else:
                words.append(word)
        if self._peek() == "(":
            self._unexpected()
        return Simple(tuple(assignments), tuple(words), redirects, line)

    def _function(self, word: Word) -> Command:
        self.at += 1
        if not self._accept(")"):
            self._unexpected(")")
        name = "".join(part.text for part in word if isinstance(part, Literal))
        if len(word) != 1 or not name.replace("-", "_").replace(".", "_").isidentifier():
            raise SyntaxProblem("syntax error: bad function name")
        self._skip_newlines()
        return Function(name, self._command())

    def _redirect(self, into: list[Redirect]) -> bool:
        self._blanks()
        start = self.at
        end = start
        while end < len(self.text) and self.text[end].isdigit():
            end += 1
        for operator in REDIRECTS:
            if self.text.startswith(operator, end):
                break
        else:
            return False
        self.at = end + len(operator)
        descriptor = int(self.text[start:end]) if end > start else (0 if operator[0] == "<" else 1)
        self._blanks()
        word = self.word()
        if word is None:
            self._unexpected()
        elif operator.startswith("<<"):
            self._pending.append((descriptor, word, operator == "<<-", into))
        else:
            into.append(Redirect(descriptor, operator, word))
        return True


def _assigned(word: Word) -> str:
    """The name in `name=value`, or "" when the word is no assignment."""
    head = word[0] if word else None
    if not isinstance(head, Literal) or head.quoted:
        return ""
    name, equals, _ = head.text.partition("=")
    return name if equals and name.isidentifier() and name.isascii() else ""
