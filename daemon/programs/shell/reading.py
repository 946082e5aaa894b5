"""The shell's builtins that read: read and getopts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.programs.shell.state import ShellError, check_name, parse_number

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.programs.shell.interpreter import Shell


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
                    limit = parse_number(value)
                elif letter == "t":
                    if not value.replace(".", "", 1).isdigit():
                        raise ShellError("invalid timeout")
                    timeout = float(value)
            else:
                raise ShellError(f"illegal option -{letter}")
    if not words:
        words = ["REPLY"]
    for name in words:
        check_name(name)
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
    wanted, name = argv[1], check_name(argv[2])
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
