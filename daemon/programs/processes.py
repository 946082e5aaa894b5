"""ps, kill, killall, pidof, top: the container's processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.programs.options import Failure, UsageError, applet, parse, program
from daemon.runtime.context import ProcessContext
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from daemon.runtime.process import Process

COLUMNS = {
    "pid": ("PID", 5),
    "ppid": ("PPID", 5),
    "user": ("USER", 8),
    "comm": ("COMMAND", 16),
    "args": ("COMMAND", 1),
    "stat": ("STAT", 4),
    "time": ("TIME", 5),
    "etime": ("ELAPSED", 7),
    "pgid": ("PGID", 5),
    "tty": ("TT", 6),
    "vsz": ("VSZ", 6),
    "rss": ("RSS", 4),
    "group": ("GROUP", 8),
    "nice": ("NI", 5),
}


RIGHT = ("pid", "ppid", "pgid", "time", "etime", "vsz", "rss", "nice")


def signal_number(text: str) -> int | None:
    """By number or name (with or without SIG); None when there is none."""
    if text.isdigit():
        return int(text) if int(text) < 65 else None
    member = Signals.__members__.get("SIG" + text.upper().removeprefix("SIG"))
    return None if member is None else int(member)


async def kill(p: ProcessContext) -> int:
    """kill [-l] [-SIG] PID..."""
    name = applet(p)
    words = p.argv[1:]
    number = int(Signals.SIGTERM)
    if words[:1] == ["-l"]:
        return await _list_signals(p, words[1:])
    if words and words[0] == "-s" and len(words) > 1:
        words = [f"-{words[1]}", *words[2:]]
    if words and words[0].startswith("-") and words[0] != "--":
        found = signal_number(words[0][1:])
        if found is None:
            await p.error(f"{name}: bad signal name '{words[0][1:]}'")
            return 1
        number = found
        words = words[1:]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        await p.error(f"{name}: you need to specify whom to kill")
        return 1
    status = 0
    for word in words:
        if not word.lstrip("-").isdigit():
            await p.error(f"{name}: invalid number '{word}'")
            status = 1
            continue
        pid = int(word)
        if pid == -1:
            targets = [process for process in p.guest.processes() if process.pid not in (1, p.process.pid)]
        elif pid < 0 or pid == 0:
            group = -pid or p.process.group
            targets = [process for process in p.guest.processes() if process.group == group]
        else:
            target = p.guest.process(pid)
            targets = [target] if target is not None else []
        if not targets:
            await p.error(f"{name}: can't kill pid {pid}: No such process")
            status = 1
        for target in targets:
            target.kill(number)
    # A shell that signals itself dies here, not after the next command.
    await asyncio.sleep(0)
    return status


async def _list_signals(p: ProcessContext, words: list[str]) -> int:
    if not words:
        for member in sorted(Signals, key=int):
            await p.print(f"{int(member):2}) {member.name[3:]}")
        return 0
    for word in words:
        number = signal_number(word)
        if word.isdigit() and int(word) > 128:
            number = int(word) - 128
        if number is None:
            await p.error(f"{applet(p)}: unknown signal '{word}'")
            return 1
        await p.print(Signals(number).name[3:] if word.isdigit() else str(number))
    return 0


@program("killall [-lq] [-SIG] PROCESS_NAME...")
async def killall(p: ProcessContext) -> int:
    """killall [-q] [-SIG] NAME..."""
    number, quiet = int(Signals.SIGTERM), False
    names: list[str] = []
    for word in p.argv[1:]:
        if word == "-q":
            quiet = True
        elif word.startswith("-"):
            found = signal_number(word[1:])
            if found is None:
                raise Failure(f"bad signal name '{word[1:]}'")
            number = found
        else:
            names.append(word)
    if not names:
        raise UsageError("")
    status = 0
    for name in names:
        targets = [process for process in p.guest.processes() if process.name == name and process is not p.process]
        if not targets:
            status = 1
            if not quiet:
                await p.error(f"killall: {name}: no process killed")
        for target in targets:
            target.kill(number)
    return status


async def pidof(p: ProcessContext) -> int:
    """pidof NAME..."""
    pids = [str(process.pid) for process in reversed(p.guest.processes()) if process.name in p.argv[1:]]
    if pids:
        await p.print(" ".join(pids))
    return 0 if pids else 1


def user_name(process: Process) -> str:
    """The login name of a process's user, its uid when it has none."""
    uid = process.guest.user_id(process.user)
    return next((fields[0] for fields in process.guest.accounts() if fields[2] == str(uid)), str(uid))


def field(process: Process, column: str) -> str:
    """One ps column of a process."""
    age = int(process.guest.world.wall() - process.started)
    return {
        "pid": str(process.pid),
        "ppid": str(process.ppid),
        "user": user_name(process),
        "comm": process.name[:15],
        "args": command_line(process),
        "stat": process.state,
        "time": "0:00",
        "etime": f"{age // 60}:{age % 60:02}",
        "pgid": str(process.group),
        "tty": "136,0" if process.terminal is not None else "?",
        "vsz": "1.6m",
        "rss": "4",
        "group": "root",
        "nice": "0",
    }[column]


def command_line(process: Process) -> str:
    return " ".join(process.argv)


@program("ps [-o COL1,COL2=HEADER]")
async def ps(p: ProcessContext) -> int:
    """ps [-o COLUMNS]"""
    options = parse(p.argv[1:], "o:aAefTwl")
    columns = [column for value in options.values("o") for column in value.split(",")] or [
        "pid",
        "user",
        "time",
        "args",
    ]
    heads: list[str] = []
    names: list[str] = []
    for column in columns:
        name, equals, head = column.partition("=")
        if name not in COLUMNS:
            raise Failure(f"bad -o argument '{name}', supported arguments: {','.join(sorted(COLUMNS))}")
        names.append(name)
        heads.append(head if equals else COLUMNS[name][0])
    rows = [[field(process, name) for name in names] for process in p.guest.processes()]
    for row in [heads, *rows]:
        cells = []
        for name, cell in zip(names, row, strict=True):
            width = COLUMNS[name][1]
            cells.append(cell.rjust(width) if name in RIGHT and row is not heads else cell.ljust(width))
        await p.print(" ".join([*cells[:-1], cells[-1].rstrip()]))
    return 0


@program("top [-b] [-n COUNT] [-d SECONDS]")
async def top(p: ProcessContext) -> int:
    """top -b: the processes, again and again"""
    options = parse(p.argv[1:], "bn:d:Hm")
    rounds = int(options.number("n", 0))
    delay = options.number("d", 5, whole=False)
    done = 0
    while True:
        processes = p.guest.processes()
        head = "" if "b" in options else "\x1b[H\x1b[J"
        await p.print(f"{head}Mem: 0K used, 0K free, 0K shrd, 0K buff, 0K cached")
        await p.print("CPU:   0% usr   0% sys   0% nic 100% idle   0% io   0% irq   0% sirq")
        await p.print(f"Load average: 0.00 0.00 0.00 1/{len(processes)} {processes[-1].pid}")
        await p.print("  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND")
        for process in processes:
            await p.print(
                f"{process.pid:5} {process.ppid:5} {user_name(process):8} {process.state:4}   1640   0%"
                f"   0   0% {command_line(process)}"
            )
        done += 1
        if done == rounds:
            return 0
        await asyncio.sleep(delay)
