"""The smallest programs: echo, true, false, pwd, sleep, yes, seq, basename, dirname."""

from __future__ import annotations

import asyncio
import re

from daemon.programs.options import Failure, UsageError, parse, program
from daemon.runtime.context import ProcessContext

ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "e": "\x1b"}
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AT_ONCE = 1000
"""Lines that seq writes together."""


def unescape(text: str, *, zero_prefixed: bool) -> tuple[str, bool]:
    """Interpret backslashes as echo -e does; the flag says whether \\c ended the output."""
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char != "\\" or at + 1 >= len(text):
            out.append(char)
            at += 1
            continue
        letter = text[at + 1]
        if letter == "c":
            return "".join(out), True
        if letter in ESCAPES:
            out.append(ESCAPES[letter])
            at += 2
            continue
        number = re.match(
            r"x([0-9a-fA-F]{1,2})" if letter == "x" else r"0?([0-7]{1,3})" if zero_prefixed else r"([0-7]{1,3})",
            text[at + 1 :],
        )
        if number is None:
            out.append("\\")
            at += 1
            continue
        out.append(bytes([int(number.group(1), 16 if letter == "x" else 8) & 0xFF]).decode("utf-8", "surrogateescape"))
        at += 1 + number.end()
    return "".join(out), False


async def echo(p: ProcessContext) -> int:
    """echo [-neE] [ARG]..."""
    words = p.argv[1:]
    newline, escapes = True, False
    while words and re.fullmatch(r"-[neE]+", words[0]):
        for letter in words[0][1:]:
            newline = newline and letter != "n"
            escapes = (escapes or letter == "e") and letter != "E"
        words = words[1:]
    text = " ".join(words)
    if escapes:
        text, cut = unescape(text, zero_prefixed=True)
        newline = newline and not cut
    await p.print(text, end="\n" if newline else "")
    return 0


async def true(p: ProcessContext) -> int:
    """true"""
    return 0


async def false(p: ProcessContext) -> int:
    """false"""
    return 1


async def pwd(p: ProcessContext) -> int:
    """pwd"""
    await p.print(p.cwd)
    return 0


@program("sleep [N]...")
async def sleep(p: ProcessContext) -> int:
    """sleep N[smhd]..."""
    if len(p.argv) < 2:
        raise UsageError("")
    total = 0.0
    for word in p.argv[1:]:
        if word in ("inf", "infinity"):
            total = float("inf")
            continue
        match = re.fullmatch(r"(\d*\.?\d+|\d+\.)([smhd]?)", word)
        if match is None:
            raise Failure(f"invalid number '{word}'")
        total += float(match.group(1)) * UNITS[match.group(2)]
    if total == float("inf"):
        await asyncio.get_running_loop().create_future()
    await asyncio.sleep(total)
    return 0


@program("usleep N")
async def usleep(p: ProcessContext) -> int:
    """usleep MICROSECONDS"""
    if len(p.argv) < 2 or not p.argv[1].isdigit():
        raise UsageError("")
    await asyncio.sleep(int(p.argv[1]) / 1e6)
    return 0


async def yes(p: ProcessContext) -> int:
    """yes [STRING]"""
    block = (" ".join(p.argv[1:] or ["y"]) + "\n").encode("utf-8", "surrogateescape")
    block *= max(1, 8192 // len(block))
    while True:
        await p.stdout.write(block)
        await asyncio.sleep(0)


@program("seq [-w] [-s SEP] [FIRST [INC]] LAST")
async def seq(p: ProcessContext) -> int:
    """seq [FIRST [INC]] LAST"""
    negative = [word for word in p.argv[1:] if re.fullmatch(r"-\d+(\.\d+)?", word)]
    words = [word.replace("-", "\0", 1) if word in negative else word for word in p.argv[1:]]
    options = parse(words, "+ws:")
    numbers = [word.replace("\0", "-") for word in options.rest]
    if not 1 <= len(numbers) <= 3:
        raise UsageError("")
    for word in numbers:
        if not re.fullmatch(r"[-+]?\d*\.?\d+", word):
            raise Failure(f"invalid number '{word}'")
    places = max(len(word.partition(".")[2]) for word in numbers)
    scale = 10**places
    values = [round(float(word) * scale) for word in numbers]
    first, step, last = (
        (scale, scale, values[0])
        if len(values) == 1
        else ((values[0], scale, values[1]) if len(values) == 2 else (values[0], values[1], values[2]))
    )
    if step == 0:
        raise Failure("increment can't be 0")
    width = max(len(_decimal(first, places)), len(_decimal(last, places))) if "w" in options else 0
    separator = options.value("s", "\n")
    value, beyond = first, last + (1 if step > 0 else -1)
    more = (value <= last) if step > 0 else (value >= last)
    while more:
        end = value + _AT_ONCE * step
        some = range(value, min(end, beyond) if step > 0 else max(end, beyond), step)
        lines = [_decimal(number, places) for number in some] if places else list(map(str, some))
        if width:
            lines = [line.zfill(width) for line in lines]
        value = end
        more = (value <= last) if step > 0 else (value >= last)
        await p.print(separator.join(lines), end=separator if more else "\n")
        await asyncio.sleep(0)
    return 0


def _decimal(scaled: int, places: int) -> str:
    if not places:
        return str(scaled)
    sign = "-" if scaled < 0 else ""
    digits = str(abs(scaled)).zfill(places + 1)
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


@program("basename FILE [SUFFIX]")
async def basename(p: ProcessContext) -> int:
    """basename FILE [SUFFIX]"""
    if len(p.argv) < 2:
        raise UsageError("")
    name = p.argv[1].rstrip("/").rsplit("/", 1)[-1] or "/"
    suffix = p.argv[2] if len(p.argv) > 2 else ""
    await p.print(name[: -len(suffix)] if suffix and name.endswith(suffix) and name != suffix else name)
    return 0


@program("dirname FILENAME")
async def dirname(p: ProcessContext) -> int:
    """dirname FILENAME"""
    if len(p.argv) < 2:
        raise UsageError("")
    head, slash, _ = p.argv[1].rstrip("/").rpartition("/")
    await p.print(head.rstrip("/") or ("/" if slash or p.argv[1].startswith("/") else "."))
    return 0
