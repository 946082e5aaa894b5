"""What a shell remembers: variables, options, functions, jobs, traps, and the descriptors that it redirected."""

from __future__ import annotations

import copy
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.programs.shell.arithmetic import ArithmeticProblem, evaluate

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from daemon.programs.shell.syntax import Command
    from daemon.runtime.context import ProcessContext
    from daemon.runtime.descriptor import Description
    from daemon.runtime.filesystem import Filesystem
    from daemon.runtime.process import Process

OPTIONS = {
    "errexit": "e",
    "xtrace": "x",
    "nounset": "u",
    "noglob": "f",
    "noexec": "n",
    "allexport": "a",
    "verbose": "v",
    "noclobber": "C",
    "monitor": "m",
    "pipefail": "pipefail",
    "notify": "b",
    "ignoreeof": "I",
}


class ShellError(Exception):
    """A builtin failed: ash's text without the prefix; `fatal` ends a script."""

    def __init__(self, text: str, status: int = 2, *, fatal: bool = True) -> None:
        super().__init__(text)
        self.status = status
        self.fatal = fatal


class Break(Exception):
    def __init__(self, levels: int) -> None:
        self.levels = levels


class Continue(Break):
    pass


class Return(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(slots=True)
class Job:
    number: int
    processes: list[Process]
    text: str = ""


@dataclass(slots=True)
class Snapshot:
    """What a subshell takes over."""

    variables: dict[str, str]
    exported: dict[str, bool]
    readonly: dict[str, bool]
    functions: dict[str, Command]
    options: dict[str, bool]
    positional: list[str]
    status: int
    background: int
    shell_pid: int
    line: int
    commandname: str
    depth: int
    jobs: list[Job]
    ignored: dict[str, str] = field(default_factory=dict)


class State:
    """The part of a shell that is not running anything."""

    def __init__(self, p: ProcessContext, name: str) -> None:
        self.p = p
        self.name = name
        self.variables: dict[str, str] = dict(p.env)
        self.exported: dict[str, bool] = dict.fromkeys(p.env, True)
        self.readonly: dict[str, bool] = {}
        self.functions: dict[str, Command] = {}
        self.options: dict[str, bool] = {}
        self.positional: list[str] = []
        self.locals: list[dict[str, tuple[str | None, bool]]] = []
        self.status = 0
        self.substitution_status = 0
        self.background = 0
        self.shell_pid = p.process.pid
        self.jobs: list[Job] = []
        self.traps: dict[str, str] = {}
        self.pending: list[int] = []
        self.waiting: asyncio.Future[None] | None = None
        self.interactive = False
        self.interrupted = False
        self.option_index = self.option_offset = 0  # where getopts stands inside a word
        self.loops = 0
        self.depth = 0
        self.line = 0
        self.builtin = ""
        self.commandname = ""  # the script's name, when there is one
        self.variables.setdefault("IFS", " \t\n")
        self.variables.setdefault("PS1", "\\w \\$ ")
        self.variables.setdefault("PS2", "> ")
        self.variables.setdefault("PS4", "+ ")
        self.variables.setdefault("OPTIND", "1")
        self.variables.setdefault("PPID", str(p.process.ppid))
        self.set("PWD", p.cwd)
        self.exported["PWD"] = True

    # -- variables ---------------------------------------------------------------------------------------------

    @property
    def files(self) -> Filesystem:
        return self.p.files

    @property
    def directory(self) -> str:
        return self.p.process.cwd

    def get(self, name: str) -> str | None:
        value = self.variables.get(name)
        if value is not None:
            return value
        if name.isdigit():
            number = int(name)
            if number == 0:
                return self.name
            return self.positional[number - 1] if number <= len(self.positional) else None
        if name in ("@", "*"):
            return " ".join(self.positional) if self.positional else None
        special = {"?": self.status, "#": len(self.positional), "$": self.shell_pid, "LINENO": self.line}
        if name in special:
            return str(special[name])
        if name == "!":
            return str(self.background) if self.background else None
        if name == "-":
            return "".join(letter for letter in sorted(self.options) if self.options[letter] and len(letter) == 1)
        if name == "RANDOM":
            return str(self.p.random.randrange(32768))
        return None

    def set(self, name: str, value: str) -> None:
        if self.readonly.get(name):
            raise ShellError(f"{name}: is read only")
        self.variables[name] = value
        if self.option("a"):
            self.exported[name] = True

    def unset(self, name: str) -> None:
        if self.readonly.get(name):
            raise ShellError(f"{name}: is read only")
        self.variables.pop(name, None)
        self.exported.pop(name, None)

    def put_back(self, name: str, value: str | None, exported: bool) -> None:
        """Restore what `local` or a temporary assignment hid."""
        if value is None:
            self.variables.pop(name, None)
        else:
            self.variables[name] = value
        if exported:
            self.exported[name] = True
        else:
            self.exported.pop(name, None)

    @contextmanager
    def temporary(self, assignments: list[tuple[str, str]]) -> Iterator[None]:
        """`a=1 command`: exported while it runs."""
        before = [(name, self.variables.get(name), self.exported.get(name, False)) for name, _ in assignments]
        for name, value in assignments:
            self.set(name, value)
            self.exported[name] = True
        try:
            yield
        finally:
            for name, old, exported in before:
                self.put_back(name, old, exported)

    def environment(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.exported if name in self.variables}

    def get_number(self, name: str) -> int:
        value = (self.get(name) or "").strip()
        if not value:
            return 0
        if re.fullmatch(r"[-+]?\d+", value) and not re.match(r"[-+]?0\d", value):
            return int(value)
        if re.fullmatch(r"[A-Za-z_]\w*", value) and value == name:
            raise ArithmeticProblem("expression recursion loop detected")
        return evaluate(value, self)

    def set_number(self, name: str, value: int) -> None:
        self.set(name, str(value))

    def option(self, letter: str) -> bool:
        return self.options.get(letter, False)

    # -- subshells ---------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        ignored = {name: action for name, action in self.traps.items() if action == ""}
        return Snapshot(
            dict(self.variables),
            dict(self.exported),
            dict(self.readonly),
            dict(self.functions),
            dict(self.options),
            list(self.positional),
            self.status,
            self.background,
            self.shell_pid,
            self.line,
            self.commandname,
            self.depth,
            list(self.jobs),
            ignored,
        )

    def restore(self, state: Snapshot) -> None:
        for name in (
            "variables",
            "exported",
            "readonly",
            "functions",
            "options",
            "positional",
            "status",
            "background",
            "shell_pid",
            "line",
            "commandname",
            "depth",
            "jobs",
        ):
            setattr(self, name, copy.copy(getattr(state, name)))
        self.traps = dict(state.ignored)

    def add_job(self, processes: list[Process]) -> Job:
        self.jobs = [
            job
            for job in self.jobs
            if any(process.exit_code is None for process in job.processes) or len(self.jobs) < 64
        ]
        number = 1 + max((job.number for job in self.jobs), default=0)
        job = Job(number, processes)
        self.jobs.append(job)
        return job

    # -- descriptors -------------------------------------------------------------------------------------------

    def apply(self, changes: dict[int, Description | None]) -> dict[int, Description | None]:
        """Redirect the shell's own descriptors; what was there, for `undo`."""
        table = self.p.process.descriptors
        saved = {number: table.get(number) for number in changes}
        for number, stream in changes.items():
            if stream is None:
                table.pop(number, None)
            else:
                table[number] = stream
        return saved

    def undo(self, saved: dict[int, Description | None]) -> None:
        table = self.p.process.descriptors
        for number, stream in saved.items():
            current = table.pop(number, None)
            if current is not None:
                current.close()
            if stream is not None:
                table[number] = stream

    def undo_later(self, changes: dict[int, Description | None]) -> None:
        """`exec >file`: the redirection stays."""
        for stream in self.apply(changes).values():
            if stream is not None:
                stream.close()

    # -- messages ----------------------------------------------------------------------------------------------

    async def complain(self, text: str, *, builtin: str | None = None, line: int | None = None) -> None:
        """An error as ash words it: name, builtin, line."""
        builtin = self.builtin if builtin is None else builtin
        prefix = f"{self.name}: "
        if builtin:
            prefix += f"{builtin}: "
        if (builtin or self.commandname) and not self.interactive:
            number = self.line if line is None else line
            prefix += f"line {number - (0 if self.commandname else 1)}: "
        await self.p.error(prefix + text)

    async def trace(self, assignments: list[tuple[str, str]], argv: list[str]) -> None:
        words = [f"{name}={quote(value)}" for name, value in assignments] + [quote(word) for word in argv]
        await self.p.error((self.get("PS4") or "") + " ".join(words))


def quote(word: str) -> str:
    """As `set` and `set -x` print a word."""
    if word and re.fullmatch(r"[\w@%+:,./\]-]*", word, re.ASCII):
        return word
    return "'" + word.replace("'", "'\\''") + "'" if word else "''"


def quote_always(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"


def normalise(directory: str, target: str) -> str:
    """An absolute path without . and .. ."""
    parts: list[str] = []
    for part in (target if target.startswith("/") else f"{directory}/{target}").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def parse_number(text: str) -> int:
    if not text.isdigit():
        raise ShellError(f"Illegal number: {text}")
    return int(text)


def check_name(text: str) -> str:
    if not text.isidentifier() or not text.isascii():
        raise ShellError(f"{text}: bad variable name")
    return text
