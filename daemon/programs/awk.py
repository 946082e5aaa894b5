"""awk: runs what `awk_syntax` read, rule by rule. Output is gathered and written after each record."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from daemon.programs.awk_expressions import Expressions, Field, Returned, number
from daemon.programs.awk_syntax import Node, Parser, Program, unescape
from daemon.programs.options import UsageError, parse, program
from daemon.programs.text import opened, whole

if TYPE_CHECKING:
    from daemon.runtime.context import ProcessContext


class _Next(Exception):
    pass


class _Exit(Exception):
    pass


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


@program("awk [OPTIONS] [AWK_PROGRAM] [FILE]...", code=1)
async def awk(p: ProcessContext) -> int:
    """awk [-F SEP] [-v VAR=VAL] [-f FILE | PROGRAM] [FILE]..."""
    options = parse(p.argv[1:], "+F:v:f:e:")
    if "f" in options:
        text = "\n".join(p.files.text(p.path(path)) for path in options.values("f"))
    elif options.rest:
        text = options.rest.pop(0)
    else:
        raise UsageError("")
    machine = Machine(p, Parser(text).program())
    if "F" in options:
        separator = options.value("F")
        machine.globals["FS"] = "\t" if separator == "t" else unescape(separator)
    for setting in options.values("v"):
        machine.setting(setting)
    return await machine.run(options.rest)


class Machine(Expressions):
    """One awk program at work."""

    def __init__(self, p: ProcessContext, code: Program) -> None:
        super().__init__(p, code)
        self.out: list[str] = []
        self.files: dict[str, bool] = {}
        self.pipes: dict[str, list[str]] = {}
        self.inside: dict[int, bool] = {}
        self.status = 0

    def setting(self, text: str) -> None:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError("")
        self.globals[name] = Field(unescape(value))

    async def run(self, names: list[str]) -> int:
        self.arrays["ARGV"] = {str(n): Field(word) for n, word in enumerate(["awk", *names])}
        self.globals["ARGC"] = float(len(names) + 1)
        status = [0]
        try:
            for block in self.code.begin:
                self.execute(block)
            await self._flush()
            if self.code.rules or self.code.end:
                inputs = [name for name in names if not re.match(r"[A-Za-z_]\w*=", name)]
                for name in names:
                    if name not in inputs:
                        self.setting(name)
                async for name, stream in opened(self.p, inputs, status=status):
                    self.globals["FILENAME"] = "" if name == "-" else name
                    self.globals["FNR"] = 0.0
                    self.records = self._records((await whole(stream)).decode("utf-8", "surrogateescape"))
                    while self.records:
                        self._take(self.records.pop(0))
                        self._rules()
                        if len(self.out) > 64:
                            await self._flush()
                            await asyncio.sleep(0)
        except _Exit:
            pass
        else:
            self._end()
        await self._flush()
        for command, chunks in self.pipes.items():
            await self._pipe(command, "".join(chunks))
        return self.status or status[0]

    def _end(self) -> None:
        try:
            for block in self.code.end:
                self.execute(block)
        except _Exit:
            return

    def _records(self, text: str) -> list[str]:
        separator = str(self.globals["RS"])
        if separator == "":
            return [part for part in re.split(r"\n\n+", text.strip("\n")) if part]
        parts = text.split(separator) if len(separator) == 1 else re.split(self.regex(separator), text)
        return parts[:-1] if parts and parts[-1] in ("", "\n") else parts

    async def _flush(self) -> None:
        if self.out:
            text, self.out = "".join(self.out), []
            await self.p.print(text, end="")

    async def _pipe(self, command: str, text: str) -> None:
        from daemon.runtime.descriptor import PipeReader
        from daemon.runtime.pipe import Pipe

        pipe = Pipe()
        reader = PipeReader(pipe)
        child = self.p.spawn(["sh", "-c", command], streams={0: reader})
        reader.close()
        with contextlib.suppress(BrokenPipeError):
            await pipe.write(text.encode("utf-8", "surrogateescape"))
        pipe.close_write()
        await child.wait()

    def _take(self, record: str) -> None:
        self.globals["NR"] = number(self.globals["NR"]) + 1
        self.globals["FNR"] = number(self.globals["FNR"]) + 1
        self.set_record(record)

    def _rules(self) -> None:
        try:
            for place, (first, second, action) in enumerate(self.code.rules):
                if second is not None:
                    if not self.inside.get(place) and not self.true(self.value(first or ())):
                        continue
                    self.inside[place] = not self.true(self.value(second))
                elif first is not None and not self.true(self.value(first)):
                    continue
                if action is None:
                    self.out.append(self.fields[0] + self.text(self.globals["ORS"]))
                else:
                    self.execute(action)
        except _Next:
            return

    # -- statements ------------------------------------------------------------------------------------------------

    def execute(self, node: Node) -> None:
        kind = node[0]
        if kind == "block":
            for statement in node[1]:
                self.execute(statement)
        elif kind == "expr":
            self.value(node[1])
        elif kind in ("print", "printf"):
            self._print(node)
        elif kind == "if":
            if self.true(self.value(node[1])):
                self.execute(node[2])
            elif node[3] is not None:
                self.execute(node[3])
        elif kind in ("while", "do", "for"):
            self._loop(node)
        elif kind == "forin":
            for key in list(self.array(node[2])):
                self.store(("var", node[1]), Field(key))
                if not self._body(node[3]):
                    break
        elif kind == "next":
            raise _Next
        elif kind == "exit":
            if node[1] is not None:
                self.status = int(number(self.value(node[1]))) & 0xFF
            raise _Exit
        elif kind == "break":
            raise _Break
        elif kind == "continue":
            raise _Continue
        elif kind == "return":
            raise Returned("" if node[1] is None else self.value(node[1]))
        elif kind == "delete":
            if node[2] is None:
                self.array(node[1]).clear()
            else:
                self.array(node[1]).pop(self.key(node[2]), None)

    def _body(self, node: Node) -> bool:
        try:
            self.execute(node)
        except _Break:
            return False
        except _Continue:
            pass
        return True

    def _loop(self, node: Node) -> None:
        kind = node[0]
        if kind == "for":
            _, first, condition, step, body = node
            if first is not None:
                self.execute(first)
        else:
            condition, body, step = (node[1], node[2], None) if kind == "while" else (node[2], node[1], None)
        if kind == "do" and not self._body(body):
            return
        while condition is None or self.true(self.value(condition)):
            if not self._body(body):
                return
            if step is not None:
                self.execute(step)

    def _print(self, node: Node) -> None:
        kind, values, mode, target = node
        found = [self.value(value) for value in values]
        if kind == "printf":
            text = self.format(self.text(found[0]), found[1:]) if found else ""
        elif not found:
            text = self.fields[0] + self.text(self.globals["ORS"])
        else:
            joined = self.text(self.globals["OFS"]).join(self.text(value, "OFMT") for value in found)
            text = joined + self.text(self.globals["ORS"])
        if not mode:
            self.out.append(text)
            return
        name = self.text(self.value(target))
        if mode == "|":
            self.pipes.setdefault(name, []).append(text)
        elif name == "/dev/stdout":
            self.out.append(text)
        else:
            self.p.files.write(self.p.path(name), text, append=mode == ">>" or name in self.files)
            self.files[name] = True
