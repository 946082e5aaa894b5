"""The program sh: options, scripts, `-c`, standard input and the interactive prompt."""

from __future__ import annotations

from daemon.programs.shell.arithmetic import ArithmeticProblem
from daemon.programs.shell.expand import ExpansionProblem
from daemon.programs.shell.interpreter import Shell
from daemon.programs.shell.parser import Parser
from daemon.programs.shell.state import Break, Return, ShellError
from daemon.programs.shell.syntax import Incomplete, Sequence, SyntaxProblem
from daemon.runtime.context import ProcessContext
from daemon.runtime.process import Interrupted
from daemon.runtime.signals import Signals

SIGINT = int(Signals.SIGINT)


async def sh(p: ProcessContext) -> int:
    """sh [-eux…] [-c SCRIPT [NAME [ARG…]] | FILE [ARG…]]"""
    name = p.argv[0].lstrip("-").rsplit("/", 1)[-1] if p.argv[0].startswith("-") else p.argv[0]
    shell = Shell(p, name)
    words = p.argv[1:]
    script: str | None = None
    command = False
    while words and words[0][:1] in ("-", "+") and len(words[0]) > 1:
        flag, words = words[0], words[1:]
        if flag == "--":
            break
        for letter in flag[1:]:
            if letter == "c":
                command = True
            elif letter == "i":
                shell.interactive = True
            elif letter in "ls":
                continue
            elif letter == "o" and words:
                shell.options[words.pop(0)] = flag[0] == "-"
            elif letter in "exunfavCmb":
                shell.options[letter] = flag[0] == "-"
            else:
                await p.error(f"{name}: illegal option -{letter}")
                return 2
    if command:
        if not words:
            await p.error(f"{name}: -c requires an argument")
            return 2
        script = words[0]
        if len(words) > 1:
            shell.name = words[1]
        shell.positional = words[2:]
    elif words:
        shell.name = shell.commandname = words[0]
        shell.positional = words[1:]
        path = p.path(words[0])
        if not p.files.exists(path):
            await p.error(f"{name}: can't open '{words[0]}': No such file or directory")
            return 2
        script = p.files.text(path)
    if script is not None:
        return await shell.guarded(shell.run_text(script, last=True))
    if p.stdin.isatty():
        shell.interactive = True
    return await shell.guarded(_read_commands(shell))


async def _read_commands(shell: Shell) -> int:
    """Commands from standard input, a line at a time, so that what they start can read the rest."""
    p = shell.p
    text = ""
    first = number = 1
    if shell.interactive:
        p.on_signal(int(Signals.SIGTERM), None)
        p.on_signal(int(Signals.SIGQUIT), None)
        p.on_signal(SIGINT, shell.interrupt)
    while True:
        if shell.interactive:
            await p.error(_prompt(shell, "PS2" if text else "PS1"), end="")
        try:
            data = (
                await p.process.interruptible(p.stdin.readline(), (SIGINT,))
                if shell.interactive
                else await p.stdin.readline()
            )
        except Interrupted:
            await p.error("")
            text = ""
            continue
        if not data:
            if shell.interactive and not text:
                await p.error("")
            if not text:
                return shell.status
        text += data.decode("utf-8", "surrogateescape")
        number += 1
        parser = Parser(text, first)
        try:
            commands = []
            while (line := parser.line()) is not None:
                commands.append(line)
        except Incomplete as problem:
            if data:
                continue
            await shell.complain(str(problem), builtin="")
            return 2
        except SyntaxProblem as problem:
            await shell.complain(str(problem), builtin="")
            if not shell.interactive:
                return 2
            text, shell.status = "", 2
            first = number
            continue
        text = ""
        first = number
        for line in commands:
            await _run_line(shell, line)
        if not data:
            return shell.status


async def _run_line(shell: Shell, line: Sequence) -> None:
    try:
        await shell.run(line)
    except (ExpansionProblem, ArithmeticProblem, ShellError) as problem:
        if not shell.interactive:
            raise
        await shell.complain(str(problem))
        shell.status = 2
    except Interrupted:
        await shell.p.error("")
        shell.status = 130
    except (Break, Return):
        if not shell.interactive:
            raise
    except OSError as error:
        if not shell.interactive or isinstance(error, BrokenPipeError):
            raise
        await shell.complain(error.strerror or str(error))
        shell.status = 1


def _prompt(shell: Shell, name: str) -> str:
    text = shell.get(name) or ""
    home = shell.get("HOME") or ""
    here = shell.directory
    if home and home != "/" and (here == home or here.startswith(home + "/")):
        here = "~" + here[len(home) :]
    out, at = "", 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            letter = text[at + 1]
            out += {
                "w": here,
                "W": here.rsplit("/", 1)[-1] or "/",
                "h": shell.p.hostname.split(".")[0],
                "H": shell.p.hostname,
                "u": "root",
                "$": "#",
                "n": "\n",
                "e": "\x1b",
                "[": "",
                "]": "",
                "\\": "\\",
            }.get(letter, letter)
            at += 2
        else:
            out += text[at]
            at += 1
    return out
