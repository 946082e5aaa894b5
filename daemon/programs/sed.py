"""sed: addresses, s y d p q = a i c n N D G H g h x P b t r w { } and !."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, UsageError, parse, program
from daemon.programs.sed_script import Address, Command, ScriptReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.runtime.context import ProcessContext
    from daemon.runtime.descriptor import Description


@program("sed [-i[SFX]] [-nrE] [-f FILE]... [-e CMD]... [FILE]...\nor: sed [-i[SFX]] [-nrE] CMD [FILE]...")
async def sed(p: ProcessContext) -> int:
    """sed [-nEri] [-e SCRIPT] [-f FILE] [SCRIPT] [FILE]..."""
    in_place = any(re.fullmatch(r"-[nrEs]*i.*", word) for word in p.argv[1:])
    words = [re.sub(r"^-([nrEs]*)i.*", r"-\1s", word) for word in p.argv[1:]]
    options = parse(words, "nrEsuze:f:", {"quiet": "n", "silent": "n", "regexp-extended": "E", "expression": "e:"})
    scripts = list(options.values("e"))
    scripts += [p.files.text(p.path(path)) for path in options.values("f")]
    if not scripts:
        if not options.rest:
            raise UsageError("")
        scripts = [options.rest.pop(0)]
    commands = ScriptReader("\n".join(scripts), extended="r" in options or "E" in options).commands()
    editor = _Editor(p, commands, quiet="n" in options)
    if in_place:
        for name in options.rest:
            if not p.files.is_file(p.path(name)):
                await p.error(f"sed: {name}: No such file or directory")
                editor.status = 1
                continue
            chunks: list[str] = []
            each = _Editor(
                p,
                ScriptReader("\n".join(scripts), extended="r" in options or "E" in options).commands(),
                quiet="n" in options,
                sink=chunks,
            )
            await each.run([name])
            p.files.write(p.path(name), "".join(chunks))
        return editor.status
    await editor.run(options.rest or ["-"])
    return editor.status


def _replacement(match: re.Match[str], template: str) -> str:
    out: list[str] = []
    at = 0
    case = ""

    def add(text: str) -> None:
        nonlocal case
        if case in ("U", "L"):
            text = text.upper() if case == "U" else text.lower()
        elif case in ("u", "l") and text:
            text = (text[0].upper() if case == "u" else text[0].lower()) + text[1:]
            case = ""
        out.append(text)

    while at < len(template):
        char = template[at]
        at += 1
        if char == "&":
            add(match.group())
        elif char == "\\" and at < len(template):
            char = template[at]
            at += 1
            if char.isdigit():
                number = int(char)
                if number > match.re.groups:
                    raise Failure(f"invalid reference \\{number} on s command's RHS")
                add(match.group(number) or "")
            elif char in "ULulE":
                case = "" if char == "E" else char
            else:
                add({"n": "\n", "t": "\t"}.get(char, char))
        else:
            add(char)
    return "".join(out)


class _Restart(Exception):
    """D: begin again without reading a line."""


class _Quit(Exception):
    pass


class _Editor:
    def __init__(
        self, p: ProcessContext, commands: list[Command], *, quiet: bool, sink: list[str] | None = None
    ) -> None:
        self.p = p
        self.commands = commands
        self.quiet = quiet
        self.sink = sink
        self.status = 0
        self.pattern = ""
        self.hold = ""
        self.number = 0
        self.appended: list[str] = []
        self.substituted = False
        self.newline = True
        self.ahead: str | None = None
        self.source: AsyncIterator[str]

    async def _emit(self, text: str, *, newline: bool = True) -> None:
        if self.sink is not None:
            self.sink.append(text + ("\n" if newline else ""))
        else:
            await self.p.print(text, end="\n" if newline else "")

    async def _lines(self, names: list[str]) -> AsyncIterator[str]:
        for name in names:
            stream: Description
            if name == "-":
                stream = self.p.stdin.duplicate()
            else:
                try:
                    stream = self.p.open(name, read=True)
                except OSError as error:
                    await self.p.error(f"sed: {name}: {error.strerror}")
                    self.status = 1
                    continue
            try:
                while raw := await stream.readline(1 << 20):
                    yield raw.decode("utf-8", "surrogateescape")
            finally:
                stream.close()

    async def _advance(self) -> bool:
        """Read the next line into `pattern`; one line is read ahead so that `$` is known."""
        if self.ahead is None:
            return False
        self.newline = self.ahead.endswith("\n")
        self.pattern = self.ahead.removesuffix("\n")
        self.ahead = await anext(self.source, None)
        self.number += 1
        return True

    async def run(self, names: list[str]) -> None:
        self.source = self._lines(names)
        self.ahead = await anext(self.source, None)
        again = False
        while again or await self._advance():
            again = False
            self.substituted = False
            try:
                finished = await self._block(self.commands)
                if finished and not self.quiet:
                    await self._emit(self.pattern, newline=self.newline)
            except _Restart:
                again = True
            except _Quit:
                await self._after()
                return
            await self._after()

    async def _after(self) -> None:
        appended, self.appended = self.appended, []
        for text in appended:
            await self._emit(text.removesuffix("\n"))

    def _matches(self, address: Address) -> bool:
        if address.pattern is not None:
            return address.pattern.search(self.pattern) is not None
        if address.step:
            return self.number >= address.line and (self.number - address.line) % address.step == 0
        return self.ahead is None if address.line == -1 else self.number == address.line

    def _selected(self, command: Command) -> bool:
        if command.start is None:
            return not command.negated
        if command.end is None:
            return self._matches(command.start) != command.negated
        end = command.end
        if command.active:
            if end.pattern is not None or end.line == -1:
                command.active = not self._matches(end)
                chosen = True
            else:
                chosen = self.number <= command.until
                command.active = self.number < command.until
        else:
            chosen = self._matches(command.start)
            if chosen:
                command.until = self.number + end.plus if end.line == -2 else end.line
                command.active = (
                    True
                    if end.pattern is not None
                    else (self.ahead is not None if end.line == -1 else command.until > self.number)
                )
        return chosen != command.negated

    async def _block(self, commands: list[Command]) -> bool:
        """Run them; False when the cycle ends without printing."""
        jump = await self._run_list(commands)
        while isinstance(jump, str):
            if jump == "":
                return True
            place = next(
                (n for n, command in enumerate(self.commands) if command.letter == ":" and command.text == jump), None
            )
            if place is None:
                raise Failure(f"can't find label for jump to '{jump}'")
            jump = await self._run_list(self.commands[place + 1 :])
        return jump

    async def _run_list(self, commands: list[Command]) -> bool | str:
        """True at the end of the list, False to end the cycle silently, a label to jump to ("": the end)."""
        for command in commands:
            if not self._selected(command):
                continue
            letter = command.letter
            if letter == "{":
                inner = await self._run_list(command.body)
                if inner is not True:
                    return inner
            elif letter == "s":
                await self._substitute(command)
            elif letter == "d":
                return False
            elif letter == "D":
                if "\n" not in self.pattern:
                    return False
                self.pattern = self.pattern.split("\n", 1)[1]
                raise _Restart
            elif letter == "b":
                return command.text
            elif letter in "tT":
                hit, self.substituted = self.substituted, False
                if hit == (letter == "t"):
                    return command.text
            elif letter in "nN":
                if not await self._next(letter):
                    return False
            elif letter in "qQ":
                if letter == "q" and not self.quiet:
                    await self._emit(self.pattern, newline=self.newline)
                self.status = int(command.text or 0)
                raise _Quit
            elif letter == "c":
                if command.end is None or not command.active or command.negated:
                    await self._emit(command.text)
                return False
            else:
                await self._simple(command)
        return True

    async def _next(self, letter: str) -> bool:
        if self.ahead is None:
            if not self.quiet:
                await self._emit(self.pattern, newline=self.newline)
            raise _Quit
        before = self.pattern
        if letter == "n" and not self.quiet:
            await self._emit(before)
        await self._after()
        await self._advance()
        if letter == "N":
            self.pattern = before + "\n" + self.pattern
        return True

    async def _simple(self, command: Command) -> None:
        letter = command.letter
        if letter == "p":
            await self._emit(self.pattern)
        elif letter == "P":
            await self._emit(self.pattern.split("\n", 1)[0])
        elif letter == "=":
            await self._emit(str(self.number))
        elif letter == "i":
            await self._emit(command.text)
        elif letter == "a":
            self.appended.append(command.text)
        elif letter == "y":
            self.pattern = self.pattern.translate(str.maketrans(command.text, command.flags))
        elif letter == "g":
            self.pattern = self.hold
        elif letter == "G":
            self.pattern += "\n" + self.hold
        elif letter == "h":
            self.hold = self.pattern
        elif letter == "H":
            self.hold += "\n" + self.pattern
        elif letter == "x":
            self.pattern, self.hold = self.hold, self.pattern
        elif letter == "r":
            path = self.p.path(command.file)
            if self.p.files.is_file(path):
                self.appended.append(self.p.files.text(path))
        elif letter == "w":
            self.p.files.write(self.p.path(command.file), self.pattern + "\n", append=True)

    async def _substitute(self, command: Command) -> None:
        assert command.pattern is not None
        count = 0
        out: list[str] = []
        at = 0
        for match in command.pattern.finditer(self.pattern):
            count += 1
            if count < command.nth:
                continue
            out.append(self.pattern[at : match.start()])
            out.append(_replacement(match, command.text))
            at = match.end()
            if "g" not in command.flags:
                break
        if count < command.nth or not count:
            return
        self.pattern = "".join(out) + self.pattern[at:]
        self.substituted = True
        if "p" in command.flags:
            await self._emit(self.pattern)
        if command.file:
            self.p.files.write(self.p.path(command.file), self.pattern + "\n", append=True)
