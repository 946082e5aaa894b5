"""sed's scripts: text to commands with their addresses; `sed` runs them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from daemon.programs.options import Failure
from daemon.programs.patterns import BadPattern, compile_basic, compile_extended


@dataclass(slots=True)
class Address:
    """A line number, `$` (-1), a pattern, or (with `step`) first~step; `plus` is addr,+N."""

    line: int = 0
    pattern: re.Pattern[str] | None = None
    step: int = 0
    plus: int = 0


@dataclass(slots=True)
class Command:
    letter: str
    start: Address | None = None
    end: Address | None = None
    negated: bool = False
    text: str = ""
    pattern: re.Pattern[str] | None = None
    flags: str = ""
    nth: int = 1
    file: str = ""
    body: list[Command] = field(default_factory=list)
    active: bool = False
    until: int = 0


class ScriptReader:
    def __init__(self, text: str, *, extended: bool) -> None:
        self.text = text
        self.at = 0
        self.extended = extended
        self.last: re.Pattern[str] | None = None

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _space(self, also: str = "") -> None:
        while self._peek() and self._peek() in " \t" + also:
            self.at += 1

    def commands(self, *, nested: bool = False) -> list[Command]:
        found: list[Command] = []
        while True:
            self._space("\n;")
            char = self._peek()
            if not char:
                if nested:
                    raise Failure("unmatched '{'")
                return found
            if char == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
                continue
            if char == "}":
                if not nested:
                    raise Failure("unexpected '}'")
                self.at += 1
                return found
            found.append(self._command())

    def _command(self) -> Command:
        command = Command("")
        command.start = self._address()
        self._space()
        if command.start is not None and self._peek() == ",":
            self.at += 1
            self._space()
            command.end = self._address(second=True)
            if command.end is None:
                raise Failure("no address after comma")
        self._space()
        while self._peek() == "!":
            command.negated = True
            self.at += 1
            self._space()
        command.letter = self._peek()
        self.at += 1
        letter = command.letter
        if not letter:
            raise Failure("missing command")
        if letter == "{":
            command.body = self.commands(nested=True)
        elif letter == "s":
            self._substitute(command)
        elif letter == "y":
            delimiter = self._peek()
            self.at += 1
            one, two = _plain(self._until(delimiter)), _plain(self._until(delimiter))
            if len(one) != len(two):
                raise Failure("y command strings have different lengths")
            command.text, command.flags = one, two
        elif letter in "aic":
            self._text(command)
        elif letter in ":btT":
            self._space()
            end = min((n for n in (self.text.find(stop, self.at) for stop in "\n;}") if n >= 0), default=len(self.text))
            command.text = self.text[self.at : end].strip()
            self.at = end
        elif letter in "rw":
            self._space()
            end = self.text.find("\n", self.at)
            end = len(self.text) if end < 0 else end
            command.file = self.text[self.at : end]
            self.at = end
        elif letter in "qQ":
            self._space()
            match = re.match(r"\d*", self.text[self.at :])
            command.text = match.group() if match is not None else ""
            self.at += len(command.text)
        elif letter not in "dDpPnNgGhHx=l":
            raise Failure(f"unsupported command {letter}")
        self._space()
        if letter not in "{aic" and self._peek() not in ("", "\n", ";", "}", "#"):
            raise Failure("extra characters after command" if letter != "s" else "unknown option to s command")
        return command

    def _address(self, *, second: bool = False) -> Address | None:
        match = re.match(r"(\d+)(?:~(\d+))?", self.text[self.at :])
        if match is not None:
            self.at += match.end()
            return Address(int(match.group(1)), step=int(match.group(2) or 0))
        char = self._peek()
        if char == "$":
            self.at += 1
            return Address(-1)
        if second and (plus := re.match(r"\+(\d+)", self.text[self.at :])) is not None:
            self.at += plus.end()
            return Address(plus=int(plus.group(1)), line=-2)
        if char == "/" or char == "\\":
            self.at += 1 if char == "/" else 2
            delimiter = "/" if char == "/" else self.text[self.at - 1 : self.at]
            if not delimiter or self.at > len(self.text):
                raise Failure("unterminated address")
            text = self._until(delimiter)
            flags = 0
            if self._peek() == "I":
                flags = re.IGNORECASE
                self.at += 1
            return Address(pattern=self._compile(text, flags))
        return None

    def _until(self, delimiter: str) -> str:
        """Up to the unescaped delimiter; \\DELIMITER becomes the delimiter, \\n a newline."""
        out: list[str] = []
        inside = False
        while True:
            char = self._peek()
            if not char:
                raise Failure("unmatched '" + delimiter + "'")
            self.at += 1
            if char == "\\" and self._peek():
                following = self._peek()
                self.at += 1
                out.append(following if following == delimiter else char + following)
                continue
            if char == "[" and not inside:
                inside = "]" in self.text[self.at + 1 :] and self._closes()
            elif char == "]" and inside:
                inside = False
            if char == delimiter and not inside:
                return "".join(out)
            out.append(char)

    def _closes(self) -> bool:
        """Whether a bracket expression that starts here ends before the line does."""
        return re.match(r"\^?\]?(?:\[:\w+:\]|[^\]\n])*\]", self.text[self.at :]) is not None

    def _compile(self, text: str, flags: int = 0) -> re.Pattern[str]:
        if not text:
            if self.last is None:
                raise Failure("no previous regexp")
            return self.last
        try:
            self.last = compile_extended(text, flags) if self.extended else compile_basic(text, flags)
        except BadPattern as error:
            raise Failure(f"bad regex '{text}': {error}") from None
        return self.last

    def _substitute(self, command: Command) -> None:
        delimiter = self._peek()
        if not delimiter or delimiter in "\n\\":
            raise Failure("bad delimiter")
        self.at += 1
        pattern = self._until(delimiter)
        start = self.at
        out: list[str] = []
        while True:
            char = self._peek()
            if not char:
                self.at = start
                raise Failure("unmatched '" + delimiter + "'")
            self.at += 1
            if char == "\\" and self._peek():
                following = self._peek()
                self.at += 1
                out.append(following if following == delimiter and delimiter not in "&123456789n" else char + following)
                continue
            if char == delimiter:
                break
            out.append(char)
        command.text = "".join(out)
        flags = 0
        match = re.match(r"[gpIim\d]*", self.text[self.at :])
        letters = match.group() if match is not None else ""
        self.at += len(letters)
        if "I" in letters or "i" in letters:
            flags = re.IGNORECASE
        command.flags = letters
        digits = re.search(r"\d+", letters)
        command.nth = int(digits.group()) if digits is not None else 1
        if self._peek() == "w":
            self.at += 1
            self._space()
            end = self.text.find("\n", self.at)
            end = len(self.text) if end < 0 else end
            command.file = self.text[self.at : end]
            self.at = end
        command.pattern = self._compile(pattern, flags)

    def _text(self, command: Command) -> None:
        self._space()
        if self._peek() == "\\":
            self.at += 1
            self._space()
            if self._peek() == "\n":
                self.at += 1
        rows: list[str] = []
        while True:
            end = self.text.find("\n", self.at)
            end = len(self.text) if end < 0 else end
            row = self.text[self.at : end]
            self.at = end
            if row.endswith("\\") and end < len(self.text):
                rows.append(row[:-1])
                self.at = end + 1
                continue
            rows.append(row)
            break
        command.text = "\n".join(rows)


def _plain(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\\\", "\\")
