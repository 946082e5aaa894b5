"""Programs that run programs: time, timeout, watch, xargs, nohup."""

from __future__ import annotations

import asyncio
import re
import time as calendar  # formatting of given seconds only: no clock is read
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, UsageError, parse, program
from daemon.programs.processes import signal_number
from daemon.programs.text import whole
from daemon.runtime.process import PermissionDenied, ProgramNotFound
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.runtime.process import Process, ProcessContext

MAX_ARGUMENTS = 32 * 1024  # characters of one xargs command line, as busybox's


def start(p: ProcessContext, argv: Sequence[str], verb: str = "can't execute") -> Process:
    """Spawn; Failure with busybox's text and exit code when it cannot be."""
    named = f"{verb} '{argv[0]}'" if verb else argv[0]
    try:
        return p.spawn(argv)
    except ProgramNotFound:
        raise Failure(f"{named}: No such file or directory", 127) from None
    except PermissionDenied:
        raise Failure(f"{named}: Permission denied", 126) from None


@program("time [-vpao] PROG ARGS")
async def time(p: ProcessContext) -> int:
    """time [-p] PROG ARGS"""
    options = parse(p.argv[1:], "+vpao:f:", least=1)
    begin = p.clock()
    code = await start(p, options.rest).wait()
    took = p.clock() - begin
    if code >= 128:
        await p.error(f"Command terminated by signal {code - 128}")
    if "p" in options:
        await p.error(f"real {took:.2f}\nuser 0.00\nsys 0.00")
    else:
        await p.error(f"real\t{int(took) // 60}m {took % 60:.2f}s\nuser\t0m 0.00s\nsys\t0m 0.00s")
    return code


@program("timeout [-s SIG] [-k KILL_SECS] SECS PROG ARGS")
async def timeout(p: ProcessContext) -> int:
    """timeout [-s SIG] [-k KILL_SECS] SECS PROG ARGS"""
    options = parse(p.argv[1:], "+s:t:k:")
    words = options.rest
    if "t" in options:
        words = [options.value("t"), *words]
    if len(words) < 2:
        raise UsageError("")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", words[0])
    if match is None:
        raise Failure(f"invalid number '{words[0]}'")
    seconds = float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match.group(2)]
    number = signal_number(options.value("s", "TERM"))
    if number is None:
        raise Failure(f"unknown signal '{options.value('s')}'")
    child = start(p, words[1:])
    try:
        async with asyncio.timeout(seconds):
            return await child.wait()
    except TimeoutError:
        child.kill(number)
    if "k" in options:
        try:
            async with asyncio.timeout(options.number("k", 0, whole=False)):
                await child.wait()
        except TimeoutError:
            child.kill(int(Signals.SIGKILL))
    await child.wait()
    # The real one has become the program itself, so whoever waits sees a death by signal.
    p.process.kill(number)
    await asyncio.sleep(0)
    return 128 + number


@program("watch [-n SEC] [-t] PROG ARGS")
async def watch(p: ProcessContext) -> int:
    """watch [-n SEC] [-t] PROG ARGS"""
    options = parse(p.argv[1:], "+n:tdx", least=1)
    interval = options.number("n", 2, whole=False)
    command = " ".join(options.rest)
    while True:
        await p.print("\x1b[H\x1b[J", end="")
        if "t" not in options:
            when = calendar.strftime("%Y-%m-%d %H:%M:%S", calendar.gmtime(p.wall()))
            await p.print(f"Every {interval:.1f}s: {command:<40}  {when}\n")
        await start(p, ["sh", "-c", command]).wait()
        await asyncio.sleep(max(interval, 0.1))


@program("xargs [OPTIONS] [PROG ARGS]")
async def xargs(p: ProcessContext) -> int:
    """xargs [-0rt] [-n N] [-I STR] [-P N] [PROG ARGS]"""
    options = parse(p.argv[1:], "+0rtn:L:s:e:E:I:P:px")
    data = (await whole(p.stdin)).decode("utf-8", "surrogateescape")
    if "0" in options:
        items = [item for item in data.split("\0") if item]
    elif "I" in options:
        items = [line.strip() for line in data.splitlines() if line.strip()]
    else:
        items = _words(data)
    if "E" in options and options.value("E") in items:
        items = items[: items.index(options.value("E"))]
    command = options.rest or ["echo"]
    batches: list[list[str]] = []
    if "I" in options:
        batches = [[word.replace(options.value("I"), item) for word in command] for item in items]
    else:
        most = int(options.number("n", 1 << 30))
        batch: list[str] = []
        length = 0
        for item in items:
            if batch and (len(batch) >= most or length + len(item) + 1 > MAX_ARGUMENTS):
                batches.append([*command, *batch])
                batch, length = [], 0
            batch.append(item)
            length += len(item) + 1
        if batch or (not batches and "r" not in options):
            batches.append([*command, *batch])
    status = 0
    width = max(1, int(options.number("P", 1)))
    for at in range(0, len(batches), width):
        started: list[Process] = []
        for argv in batches[at : at + width]:
            if "t" in options:
                await p.error(" ".join(argv))
            started.append(start(p, argv, ""))
        for child in started:
            code = await child.wait()
            if code == 255:
                raise Failure(f"{command[0]}: exited with status 255; aborting", 124)
            if code >= 128:
                raise Failure(f"'{command[0]}' terminated by signal {code - 128}", 125)
            status = 123 if code else status
    return status


def _words(text: str) -> list[str]:
    """Split at blanks, with quotes and backslashes, as xargs reads them."""
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if quote:
            if char == quote:
                quote = ""
            elif char == "\n":
                raise Failure(f"unmatched {'single' if quote == chr(39) else 'double'} quote")
            else:
                word = [*(word or []), char]
        elif char in "'\"":
            quote = char
            word = word or []
        elif char == "\\" and at < len(text):
            word = [*(word or []), text[at]]
            at += 1
        elif char in " \t\n":
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            if word is None:
                word = []
            word.append(char)
    if quote:
        raise Failure(f"unmatched {'single' if quote == chr(39) else 'double'} quote")
    if word is not None:
        words.append("".join(word))
    return words


@program("nohup PROG ARGS")
async def nohup(p: ProcessContext) -> int:
    """nohup PROG ARGS"""
    if len(p.argv) < 2:
        raise UsageError("")
    p.on_signal(int(Signals.SIGHUP), None)
    return await start(p, p.argv[1:], "can't execute").wait()
