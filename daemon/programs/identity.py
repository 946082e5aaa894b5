"""Who and where: hostname, id, whoami, uname, env, printenv, which, date, groups, tty, nproc, uptime, free."""

from __future__ import annotations

import re
import time as calendar  # formatting of given seconds only: no clock is read
from typing import TYPE_CHECKING

from daemon.programs import resolver
from daemon.programs.options import Failure, parse, program
from daemon.programs.processes import user_name
from daemon.runtime.kernelfs import KERNEL
from daemon.runtime.process import PermissionDenied, ProgramNotFound, Replace

if TYPE_CHECKING:
    from daemon.runtime.process import ProcessContext


@program("hostname [-sidf] [HOSTNAME | -F FILE]")
async def hostname(p: ProcessContext) -> int:
    """hostname [-s|-i|-d|-f]"""
    options = parse(p.argv[1:], "sidfF:v")
    if options.rest or "F" in options:
        # A container may not set its name (no CAP_SYS_ADMIN), as in Docker.
        raise Failure("sethostname: Operation not permitted")
    name = p.hostname
    if "i" in options:
        try:
            found = await resolver.lookup(p, name, 4)
        except resolver.NoServer:
            found = []
        if not found:
            raise Failure(f"{name}: Unknown host")
        await p.print(" ".join(dict.fromkeys(found)))
    elif "s" in options:
        await p.print(name.split(".")[0])
    elif "d" in options or "f" in options:
        full = next((names[0] for _, names in resolver.hosts(p) if name in names), name)
        await p.print(full if "f" in options else full.partition(".")[2])
    else:
        await p.print(name)
    return 0


@program("id [-ugGnr] [USER]")
async def id_(p: ProcessContext) -> int:
    """id [-u] [-g] [-n]"""
    options = parse(p.argv[1:], "ugGnr")
    user = options.rest[0] if options.rest else p.process.user
    rows = p.guest.accounts()
    if options.rest and not user.isdigit() and not any(row[0] == user for row in rows):
        raise Failure(f"unknown user {user}")
    uid = p.guest.user_id(user)
    row = next((row for row in rows if row[2] == str(uid)), None)
    groups = p.guest.group_ids(user)
    gid = groups[0]
    name = row[0] if row is not None else ""
    if "G" in options and "n" not in options:
        await p.print(" ".join(str(group) for group in groups))
        return 0
    if "u" in options or "g" in options or "G" in options:
        number = uid if "u" in options else gid
        await p.print(name if "n" in options and name else str(number))
        return 0
    shown = f"({name})" if name else ""
    await p.print(f"uid={uid}{shown} gid={gid}{shown if gid == uid else ''}")
    return 0


async def whoami(p: ProcessContext) -> int:
    """whoami"""
    await p.print(user_name(p.process))
    return 0


@program("uname [-amnrspvio]")
async def uname(p: ProcessContext) -> int:
    """uname [-amnrsv]"""
    options = parse(p.argv[1:], "amnrspvio")
    values = {"s": "Linux", "n": p.hostname, "r": KERNEL, "v": "#1 SMP", "m": "x86_64", "o": "GNU/Linux"}
    wanted = list(values) if "a" in options else [key for key in values if key in options] or ["s"]
    await p.print(" ".join(values[key] for key in wanted))
    return 0


@program("env [-i0] [-u NAME]... [-] [NAME=VALUE]... [PROG ARGS]")
async def env(p: ProcessContext) -> int:
    """env [-i] [-u NAME] [NAME=VALUE]... [PROG ARGS]"""
    options = parse(p.argv[1:], "+i0u:")
    values = {} if "i" in options else dict(p.env)
    for name in options.values("u"):
        values.pop(name, None)
    words = options.rest
    while words and (words[0] == "-" or "=" in words[0]):
        name, _, value = words.pop(0).partition("=")
        if name == "-":
            values.clear()
        else:
            values[name] = value
    if not words:
        end = "\0" if "0" in options else "\n"
        for name, value in values.items():
            await p.print(f"{name}={value}", end=end)
        return 0
    try:
        found, arguments = p.guest.find_program(words, {"PATH": p.env.get("PATH", ""), **values}, p.cwd)
    except ProgramNotFound:
        raise Failure(f"can't execute '{words[0]}': No such file or directory", 127) from None
    except PermissionDenied:
        raise Failure(f"can't execute '{words[0]}': Permission denied", 126) from None
    raise Replace(found, arguments, values)


async def printenv(p: ProcessContext) -> int:
    """printenv [NAME]..."""
    if len(p.argv) == 1:
        for name, value in p.env.items():
            await p.print(f"{name}={value}")
        return 0
    missing = 0
    for name in p.argv[1:]:
        if name in p.env:
            await p.print(p.env[name])
        else:
            missing = 1
    return missing


@program("which [-a] COMMAND...")
async def which(p: ProcessContext) -> int:
    """which [-a] COMMAND..."""
    options = parse(p.argv[1:], "a", least=1)
    status = 0
    for name in options.rest:
        places = [""] if "/" in name else [f"{place}/" for place in p.env.get("PATH", "").split(":")]
        found = [
            place + name
            for place in places
            if p.files.is_file(p.path(place + name)) and p.files.stat(p.path(place + name)).mode & 0o111
        ]
        status = status if found else 1
        for path in found if "a" in options else found[:1]:
            await p.print(path)
    return status


@program("date [OPTIONS] [+FMT]")
async def date(p: ProcessContext) -> int:
    """date [-u] [-d TIME] [-R] [-I] [+FORMAT]"""
    options = parse(p.argv[1:], "uRd:r:I", {"utc": "u", "date": "d:"})
    seconds = p.wall()
    if "d" in options:
        text = options.value("d")
        match = re.fullmatch(r"@(\d+)", text)
        parsed = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?", text)
        if match is not None:
            seconds = float(match.group(1))
        elif parsed is not None:
            year, month, day, hour, minute, second = (int(part or 0) for part in parsed.groups())
            seconds = _since_epoch(year, month, day) + hour * 3600 + minute * 60 + second
        else:
            raise Failure(f"invalid date '{text}'")
    elif "r" in options:
        seconds = p.files.stat(p.path(options.value("r"))).mtime
    moment = calendar.gmtime(seconds)
    shape = next((word[1:] for word in options.rest if word.startswith("+")), None)
    if shape is None:
        shape = (
            "%a, %d %b %Y %H:%M:%S +0000"
            if "R" in options
            else "%Y-%m-%d"
            if "I" in options
            else "%a %b %e %H:%M:%S UTC %Y"
        )
    shape = shape.replace("%s", str(int(seconds))).replace("%N", f"{int(seconds % 1 * 1e9):09}").replace("%Z", "UTC")
    await p.print(calendar.strftime(shape.replace("%z", "+0000"), moment))
    return 0


def _since_epoch(year: int, month: int, day: int) -> int:
    """Seconds of a date's midnight, UTC (days from civil, proleptic Gregorian)."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return (era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468) * 86400


async def tty(p: ProcessContext) -> int:
    """tty"""
    if not p.stdin.isatty():
        await p.print("not a tty")
        return 1
    await p.print("/dev/pts/0")
    return 0


async def nproc(p: ProcessContext) -> int:
    """nproc"""
    await p.print("1")
    return 0


async def uptime(p: ProcessContext) -> int:
    """uptime"""
    up = int(max(0.0, p.wall() - p.guest.booted))
    clock = calendar.strftime("%H:%M:%S", calendar.gmtime(p.wall()))
    span = f"{up // 60} min" if up < 3600 else f"{up // 3600}:{up % 3600 // 60:02}"
    await p.print(f" {clock} up {span},  0 users,  load average: 0.00, 0.00, 0.00")
    return 0
