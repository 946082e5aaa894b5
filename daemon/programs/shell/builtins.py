"""The shell's builtins. Those that are programs too (echo, test, …) are run in the shell's own process."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from daemon.programs.basic import echo, false, pwd, true
from daemon.programs.conditions import test
from daemon.programs.formatting import printf
from daemon.programs.processes import kill
from daemon.programs.shell.parser import RESERVED
from daemon.programs.shell.state import OPTIONS, Break, Continue, Return, ShellError
from daemon.runtime.process import PermissionDenied, ProcessContext, ProcessExit, ProgramNotFound, Replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.programs.shell.interpreter import Shell
    from daemon.programs.shell.state import Job
    from daemon.runtime.process import Program

    Builtin = Callable[[Shell, list[str]], Awaitable[int]]

#: POSIX 2.14: their assignments stay and their errors end a script.
SPECIAL = (
    ":",
    ".",
    "break",
    "continue",
    "eval",
    "exec",
    "exit",
    "export",
    "readonly",
    "return",
    "set",
    "shift",
    "times",
    "trap",
    "unset",
    "source",
)


def _number(text: str) -> int:
    if not text.isdigit():
        raise ShellError(f"Illegal number: {text}")
    return int(text)


def _name(text: str) -> str:
    if not text.isidentifier() or not text.isascii():
        raise ShellError(f"{text}: bad variable name")
    return text


async def colon(shell: Shell, argv: list[str]) -> int:
    return 0


async def dot(shell: Shell, argv: list[str]) -> int:
    if len(argv) < 2:
        raise ShellError("filename argument required")
    path = argv[1]
    if "/" not in path:
        places = (shell.get("PATH") or "").split(":")
        path = next((f"{place}/{path}" for place in places if shell.files.is_file(f"{place}/{path}")), path)
    if not shell.files.is_file(shell.p.path(path)):
        raise ShellError(f"can't open '{argv[1]}': No such file or directory")
    outer, shell.commandname = shell.commandname, path
    builtin, shell.builtin = shell.builtin, ""
    try:
        return await shell.run_text(shell.files.text(shell.p.path(path)))
    except Return as back:
        return back.status
    finally:
        shell.commandname, shell.builtin = outer, builtin


async def leave(shell: Shell, argv: list[str]) -> int:
    levels = _number(argv[1]) if len(argv) > 1 else 1
    if levels == 0:
        raise ShellError(f"Illegal number: {argv[1]}")
    if shell.loops == 0:
        return 0
    levels = min(levels, shell.loops)
    raise Break(levels) if argv[0] == "break" else Continue(levels)


async def cd(shell: Shell, argv: list[str]) -> int:
    arguments = [word for word in argv[1:] if word not in ("-L", "-P", "--")]
    target = arguments[0] if arguments else shell.get("HOME") or "/"
    show = target == "-"
    if show:
        target = shell.get("OLDPWD") or "/"
    path = normalise(shell.directory, target)
    if not shell.files.is_dir(path):
        text = "Not a directory" if shell.files.exists(path) else "No such file or directory"
        raise ShellError(f"can't cd to {target}: {text}", fatal=False)
    shell.set("OLDPWD", shell.directory)
    shell.p.process.cwd = path
    shell.set("PWD", path)
    shell.exported["PWD"] = shell.exported["OLDPWD"] = True
    if show:
        await shell.p.print(path)
    return 0


def normalise(directory: str, target: str) -> str:
    """An absolute path without . and .. ."""
    parts: list[str] = []
    for part in (target if target.startswith("/") else f"{directory}/{target}").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _where(shell: Shell, name: str) -> tuple[str, str]:
    """(kind, path) of a command word: function, builtin, file or ""."""
    if name in shell.functions:
        return "function", name
    if name in BUILTINS:
        return "builtin", name
    places = [""] if "/" in name else [f"{place}/" for place in (shell.get("PATH") or "").split(":")]
    for place in places:
        path = shell.p.path(place + name)
        if shell.files.is_file(path) and shell.files.stat(path).mode & 0o111:
            return "file", place + name
    return "", ""


async def command(shell: Shell, argv: list[str]) -> int:
    rest = argv[1:]
    look = False
    while rest and rest[0] in ("-v", "-V", "-p", "--"):
        look = look or rest[0] in ("-v", "-V")
        verbose = rest[0] == "-V"
        rest = rest[1:]
        if look:
            return await _describe(shell, rest, verbose)
    if not rest:
        return 0
    if rest[0] in BUILTINS:
        return await BUILTINS[rest[0]](shell, rest)
    try:
        child = shell.p.spawn(rest, env=shell.environment())
    except (ProgramNotFound, PermissionDenied) as error:
        await shell.complain(str(error), builtin="")
        return 127 if isinstance(error, ProgramNotFound) else 126
    return await shell.wait_foreground([child])


async def _describe(shell: Shell, names: list[str], verbose: bool) -> int:
    status = 0
    for name in names:
        kind, path = _where(shell, name)
        if name in RESERVED:
            await shell.p.print(f"{name} is a shell keyword" if verbose else name)
        elif not kind:
            status = 127
            if verbose:
                await shell.p.print(f"{name}: not found")
        elif not verbose:
            await shell.p.print(path)
        elif kind == "file":
            await shell.p.print(f"{name} is {path}")
        else:
            await shell.p.print(f"{name} is a {'function' if kind == 'function' else _kind(name)}")
    return status


def _kind(name: str) -> str:
    return "special shell builtin" if name in SPECIAL else "shell builtin"


async def type_(shell: Shell, argv: list[str]) -> int:
    return await _describe(shell, argv[1:], True)


async def evaluate(shell: Shell, argv: list[str]) -> int:
    builtin, shell.builtin = shell.builtin, ""
    shell.status = 0
    try:
        return await shell.run_text(" ".join(argv[1:]))
    finally:
        shell.builtin = builtin


async def exec_(shell: Shell, argv: list[str]) -> int:
    environment = shell.environment()
    try:
        program, arguments = shell.p.guest.find_program(argv[1:], environment, shell.directory)
    except ProgramNotFound as error:
        raise ShellError(f"{error.name}: not found", 127) from None
    except PermissionDenied as error:
        raise ShellError(f"{error.name}: Permission denied", 126) from None
    raise Replace(program, arguments, environment)


async def exit_(shell: Shell, argv: list[str]) -> int:
    raise ProcessExit(_number(argv[1]) if len(argv) > 1 else shell.status)


async def export(shell: Shell, argv: list[str]) -> int:
    words = [word for word in argv[1:] if word not in ("-p", "--")]
    table = shell.exported if argv[0] == "export" else shell.readonly
    for word in words:
        name, equals, value = word.partition("=")
        _name(name)
        if equals:
            shell.set(name, value)
        table[name] = True
    if not words:
        for name in sorted(table):
            held = shell.variables.get(name)
            await shell.p.print(f"{argv[0]} {name}" + ("" if held is None else "=" + quote_always(held)))
    return 0


def quote_always(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"


async def unset(shell: Shell, argv: list[str]) -> int:
    functions = "-f" in argv[1:2]
    for name in argv[1:]:
        if name in ("-f", "-v"):
            continue
        if functions:
            shell.functions.pop(name, None)
        else:
            shell.unset(_name(name))
    return 0


async def local(shell: Shell, argv: list[str]) -> int:
    if not shell.locals:
        raise ShellError("not in a function")
    for word in argv[1:]:
        name, equals, value = word.partition("=")
        _name(name)
        if name not in shell.locals[-1]:
            shell.locals[-1][name] = (shell.variables.get(name), shell.exported.get(name, False))
        if equals:
            shell.set(name, value)
    return 0


async def return_(shell: Shell, argv: list[str]) -> int:
    raise Return(_number(argv[1]) & 0xFF if len(argv) > 1 else shell.status)


async def set_(shell: Shell, argv: list[str]) -> int:
    words = argv[1:]
    if not words:
        for name in sorted(shell.variables):
            await shell.p.print(f"{name}={quote_always(shell.variables[name])}")
        return 0
    while words:
        word = words[0]
        if word in ("--", "-"):
            words = words[1:]
            break
        if word[:1] not in ("-", "+") or len(word) < 2:
            break
        on = word[0] == "-"
        words = words[1:]
        for letter in word[1:]:
            if letter == "o":
                if not words:
                    await _show_options(shell, on)
                    return 0
                name, words = words[0], words[1:]
                if name not in OPTIONS:
                    raise ShellError(f"illegal option {'-' if on else '+'}o {name}")
                shell.options[OPTIONS[name]] = on
            elif letter in OPTIONS.values():
                shell.options[letter] = on
            else:
                raise ShellError(f"illegal option {word[0]}{letter}")
    else:
        return 0
    shell.positional = words
    return 0


async def _show_options(shell: Shell, on: bool) -> None:
    if on:
        await shell.p.print("Current option settings")
    for name, letter in OPTIONS.items():
        state = "on" if shell.option(letter) else "off"
        await shell.p.print(f"{name:<16}{state}" if on else f"set {'-' if state == 'on' else '+'}o {name}")


async def shift(shell: Shell, argv: list[str]) -> int:
    by = _number(argv[1]) if len(argv) > 1 else 1
    if by > len(shell.positional):
        return 1
    shell.positional = shell.positional[by:]
    return 0


async def times(shell: Shell, argv: list[str]) -> int:
    await shell.p.print("0m0.000s 0m0.000s\n0m0.000s 0m0.000s")
    return 0


def signal_number(text: str) -> int:
    """A signal by number or name, 0 for EXIT. ShellError when there is none."""
    if text.isdigit() and int(text) < 65:
        return int(text)
    name = text.upper().removeprefix("SIG")
    if name == "EXIT":
        return 0
    member = signal.Signals.__members__.get(f"SIG{name}")
    if member is None:
        raise ShellError(f"{text}: invalid signal specification", 1)
    return int(member)


async def trap(shell: Shell, argv: list[str]) -> int:
    words = [word for word in argv[1:] if word != "--"]
    if not words:
        for key, held in shell.traps.items():
            name = "EXIT" if key == "EXIT" else signal.Signals(int(key)).name[3:]
            await shell.p.print(f"trap -- {quote_always(held)} {name}")
        return 0
    action: str | None = words[0]
    names = words[1:]
    if (action is not None and action.isdigit()) or not names:
        names, action = words, None
    elif action == "-":
        action = None
    for name in names:
        number = signal_number(name)
        key = "EXIT" if number == 0 else str(number)
        if action is None:
            shell.traps.pop(key, None)
            shell.p.process.handlers.pop(number, None)
            continue
        shell.traps[key] = action
        if number:
            shell.p.on_signal(number, shell.signal_handler(number) if action else None)
    return 0


async def umask(shell: Shell, argv: list[str]) -> int:
    if len(argv) > 1 and argv[1] != "-S":
        if not all(char in "01234567" for char in argv[1]):
            raise ShellError(f"illegal mode: {argv[1]}")
        shell.p.process.umask = int(argv[1], 8)
    else:
        await shell.p.print(f"{shell.p.process.umask:04o}")
    return 0


def find_job(shell: Shell, text: str) -> Job | None:
    """%1, %%, %+ or a pid."""
    if text.startswith("%"):
        live = [job for job in shell.jobs if any(process.exit_code is None for process in job.processes)]
        if text[1:] in ("", "%", "+", "-"):
            return live[-1] if live else None
        return next((job for job in shell.jobs if str(job.number) == text[1:]), None)
    return next(
        (job for job in shell.jobs if text.isdigit() and any(process.pid == int(text) for process in job.processes)),
        None,
    )


async def wait(shell: Shell, argv: list[str]) -> int:
    if len(argv) == 1:
        targets = list(shell.jobs)
        status = 0
    else:
        targets = []
        status = 127
        for word in argv[1:]:
            job = find_job(shell, word)
            if job is not None:
                targets.append(job)
    for job in targets:
        for process in job.processes:
            if process.exit_code is None:
                number = await shell.wait_or_trap(process)
                if number:
                    await shell.check_traps()
                    return 128 + number
        if len(argv) > 1:
            await shell.report_death(job.processes[-1])
            status = job.processes[-1].exit_code or 0
        if job in shell.jobs:
            shell.jobs.remove(job)
    return status


async def jobs(shell: Shell, argv: list[str]) -> int:
    for job in list(shell.jobs):
        running = any(process.exit_code is None for process in job.processes)
        state = "Running" if running else "Done"
        text = " ".join(job.processes[-1].argv)
        await shell.p.print(f"[{job.number}]{'+' if job is shell.jobs[-1] else ' '} {state:<27}{text}")
        if not running:
            shell.jobs.remove(job)
    return 0


async def foreground(shell: Shell, argv: list[str]) -> int:
    job = find_job(shell, argv[1] if len(argv) > 1 else "%%")
    if job is None:
        raise ShellError("No current job" if len(argv) == 1 else f"No such job: {argv[1]}")
    if argv[0] == "bg":
        return 0
    await shell.p.print(" ".join(job.processes[-1].argv))
    shell.jobs.remove(job)
    return await shell.wait_foreground(job.processes)


async def read(shell: Shell, argv: list[str]) -> int:
    raw, prompt, timeout, limit, quiet = False, "", None, 0, False
    words = argv[1:]
    while words and words[0].startswith("-") and len(words[0]) > 1:
        flag, words = words[0], words[1:]
        letters = flag[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter == "r":
                raw = True
            elif letter == "s":
                quiet = True
            elif letter in "ptnud":
                if not letters and not words:
                    raise ShellError(f"No arg for -{letter} option")
                value = letters or words.pop(0)
                letters = ""
                if letter == "p":
                    prompt = value
                elif letter == "n":
                    limit = _number(value)
                elif letter == "t":
                    if not value.replace(".", "", 1).isdigit():
                        raise ShellError("invalid timeout")
                    timeout = float(value)
            else:
                raise ShellError(f"illegal option -{letter}")
    if not words:
        words = ["REPLY"]
    for name in words:
        _name(name)
    stdin = shell.p.stdin
    if prompt and stdin.isatty():
        await shell.p.error(prompt, end="")
    terminal = shell.p.terminal
    if quiet and terminal is not None:
        terminal.echo = False
    try:
        async with asyncio.timeout(timeout):
            data, complete = await _logical_line(stdin.readline, raw, limit)
    except TimeoutError:
        return 1
    finally:
        if quiet and terminal is not None:
            terminal.echo = True
    _assign(shell, words, data)
    return 0 if complete else 1


async def _logical_line(
    readline: Callable[[int], Awaitable[bytes]], raw: bool, limit: int
) -> tuple[list[tuple[str, bool]], bool]:
    """Characters with whether they were escaped, and whether the line ended in a newline."""
    out: list[tuple[str, bool]] = []
    while True:
        text = (await readline(limit or 65536)).decode("utf-8", "surrogateescape")
        if not text:
            return out, False
        ended = text.endswith("\n")
        text = text.removesuffix("\n")
        at, joined = 0, False
        while at < len(text):
            if text[at] == "\\" and not raw:
                if at + 1 == len(text):
                    joined = ended
                    break
                out.append((text[at + 1], True))
                at += 2
                continue
            out.append((text[at], False))
            at += 1
        if not joined:
            return out, ended or bool(limit)


def _assign(shell: Shell, names: list[str], data: list[tuple[str, bool]]) -> None:
    separators = shell.get("IFS")
    separators = " \t\n" if separators is None else separators

    def white(at: int) -> bool:
        return data[at][0] in separators and data[at][0] in " \t\n" and not data[at][1]

    at, end = 0, len(data)
    while at < end and white(at):
        at += 1
    for number, name in enumerate(names):
        if number == len(names) - 1:
            while end > at and white(end - 1):
                end -= 1
            shell.set(name, "".join(char for char, _ in data[at:end]))
            return
        start = at
        while at < end and not (data[at][0] in separators and not data[at][1]):
            at += 1
        shell.set(name, "".join(char for char, _ in data[start:at]))
        while at < end and white(at):
            at += 1
        if at < end and data[at][0] in separators and not data[at][1]:
            at += 1
            while at < end and white(at):
                at += 1


async def getopts(shell: Shell, argv: list[str]) -> int:
    if len(argv) < 3:
        raise ShellError("usage: getopts optstring var [arg]")
    wanted, name = argv[1], _name(argv[2])
    words = argv[3:] if len(argv) > 3 else shell.positional
    index = shell.get_number("OPTIND")
    at = shell.option_offset if index == shell.option_index else 0
    word = words[index - 1] if 0 < index <= len(words) else ""
    if not at and (len(word) < 2 or word[0] != "-" or word == "--"):
        if word == "--":
            shell.set("OPTIND", str(index + 1))
        shell.set(name, "?")
        return 1
    at = at or 1
    letter = word[at]
    at += 1
    known = letter != ":" and letter in wanted
    takes = known and wanted[wanted.index(letter) + 1 : wanted.index(letter) + 2] == ":"
    shell.unset("OPTARG")
    if takes:
        value = word[at:] or (words[index] if index < len(words) else None)
        index += 1 if word[at:] else 2
        at = 0
        if value is None:
            index -= 1
            if wanted.startswith(":"):
                shell.set("OPTARG", letter)
                letter = ":"
            else:
                await shell.p.error(f"No arg for -{letter} option")
                letter = "?"
        else:
            shell.set("OPTARG", value)
    else:
        if not known:
            if wanted.startswith(":"):
                shell.set("OPTARG", letter)
            else:
                await shell.p.error(f"Illegal option -{letter}")
            letter = "?"
        if at >= len(word):
            index, at = index + 1, 0
    shell.set("OPTIND", str(index))
    shell.option_index, shell.option_offset = index, at
    shell.set(name, letter)
    return 0


async def kill_(shell: Shell, argv: list[str]) -> int:
    words: list[str] = []
    for word in argv:
        job = find_job(shell, word) if word.startswith("%") else None
        words.append(str(job.processes[0].pid) if job is not None else word)
    return await kill(ProcessContext(shell.p.process, words, {**shell.p.env, "\0sh": shell.name}))


def _program(program: Program) -> Builtin:
    async def builtin(shell: Shell, argv: list[str]) -> int:
        return await program(ProcessContext(shell.p.process, argv, {**shell.p.env, "\0sh": shell.name}))

    return builtin


BUILTINS: dict[str, Builtin] = {
    ":": colon,
    ".": dot,
    "source": dot,
    "break": leave,
    "continue": leave,
    "cd": cd,
    "chdir": cd,
    "command": command,
    "eval": evaluate,
    "exec": exec_,
    "exit": exit_,
    "export": export,
    "readonly": export,
    "unset": unset,
    "local": local,
    "return": return_,
    "set": set_,
    "shift": shift,
    "times": times,
    "trap": trap,
    "type": type_,
    "umask": umask,
    "wait": wait,
    "jobs": jobs,
    "fg": foreground,
    "bg": foreground,
    "read": read,
    "getopts": getopts,
    "kill": kill_,
    "hash": colon,
    "alias": colon,
    "unalias": colon,
    "ulimit": colon,
    "echo": _program(echo),
    "printf": _program(printf),
    "test": _program(test),
    "[": _program(test),
    "[[": _program(test),
    "true": _program(true),
    "false": _program(false),
    "pwd": _program(pwd),
}
