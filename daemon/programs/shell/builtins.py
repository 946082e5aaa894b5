"""The shell's builtins. Those that are programs too (echo, test, …) are run in the shell's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.programs.basic import echo, false, pwd, true
from daemon.programs.conditions import test
from daemon.programs.formatting import printf
from daemon.programs.shell.job_builtins import foreground, jobs, kill_job, trap, wait
from daemon.programs.shell.parser import RESERVED
from daemon.programs.shell.reading import getopts, read
from daemon.programs.shell.state import (
    OPTIONS,
    Break,
    Continue,
    Return,
    ShellError,
    check_name,
    normalise,
    parse_number,
    quote_always,
)
from daemon.runtime.context import ProcessContext
from daemon.runtime.process import PermissionDenied, ProcessExit, ProgramNotFound, Replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.programs.shell.interpreter import Shell
    from daemon.runtime.context import Program

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
    levels = parse_number(argv[1]) if len(argv) > 1 else 1
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
    raise ProcessExit(parse_number(argv[1]) if len(argv) > 1 else shell.status)


async def export(shell: Shell, argv: list[str]) -> int:
    words = [word for word in argv[1:] if word not in ("-p", "--")]
    table = shell.exported if argv[0] == "export" else shell.readonly
    for word in words:
        name, equals, value = word.partition("=")
        check_name(name)
        if equals:
            shell.set(name, value)
        table[name] = True
    if not words:
        for name in sorted(table):
            held = shell.variables.get(name)
            await shell.p.print(f"{argv[0]} {name}" + ("" if held is None else "=" + quote_always(held)))
    return 0


async def unset(shell: Shell, argv: list[str]) -> int:
    functions = "-f" in argv[1:2]
    for name in argv[1:]:
        if name in ("-f", "-v"):
            continue
        if functions:
            shell.functions.pop(name, None)
        else:
            shell.unset(check_name(name))
    return 0


async def local(shell: Shell, argv: list[str]) -> int:
    if not shell.locals:
        raise ShellError("not in a function")
    for word in argv[1:]:
        name, equals, value = word.partition("=")
        check_name(name)
        if name not in shell.locals[-1]:
            shell.locals[-1][name] = (shell.variables.get(name), shell.exported.get(name, False))
        if equals:
            shell.set(name, value)
    return 0


async def return_(shell: Shell, argv: list[str]) -> int:
    raise Return(parse_number(argv[1]) & 0xFF if len(argv) > 1 else shell.status)


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
    by = parse_number(argv[1]) if len(argv) > 1 else 1
    if by > len(shell.positional):
        return 1
    shell.positional = shell.positional[by:]
    return 0


async def times(shell: Shell, argv: list[str]) -> int:
    await shell.p.print("0m0.000s 0m0.000s\n0m0.000s 0m0.000s")
    return 0


async def umask(shell: Shell, argv: list[str]) -> int:
    if len(argv) > 1 and argv[1] != "-S":
        if not all(char in "01234567" for char in argv[1]):
            raise ShellError(f"illegal mode: {argv[1]}")
        shell.p.process.umask = int(argv[1], 8)
    else:
        await shell.p.print(f"{shell.p.process.umask:04o}")
    return 0


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
    "kill": kill_job,
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
