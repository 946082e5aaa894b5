"""`docker top`: the processes of a container in the columns that a `ps` would print."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daemon.engine.container import Container
from daemon.engine.documents import JsonObject
from daemon.engine.spawning import host_pid
from daemon.errors import BadParameter, ServerError

if TYPE_CHECKING:
    from daemon.runtime.process import Process

Column = Callable[[Container, "Process", float], str]


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M")


def _elapsed(seconds: float) -> str:
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours:02}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60:02}:{rest % 60:02}"


def _parent(container: Container, process: Process) -> int:
    return host_pid(container, process.ppid) if process.ppid else host_pid(container, 1) - 1


# keyword of ps -o: (title, value). CPU and memory are not accounted in the simulated runtime: 0.
_COLUMNS: dict[str, tuple[str, Column]] = {
    "pid": ("PID", lambda c, p, now: str(host_pid(c, p.pid))),
    "ppid": ("PPID", lambda c, p, now: str(_parent(c, p))),
    "pgid": ("PGID", lambda c, p, now: str(host_pid(c, p.group))),
    "user": ("USER", lambda c, p, now: p.user.partition(":")[0] or "root"),
    "uid": ("UID", lambda c, p, now: p.user.partition(":")[0] or "root"),
    "comm": ("COMMAND", lambda c, p, now: p.name[:15]),
    "args": ("COMMAND", lambda c, p, now: " ".join(p.argv)),
    "cmd": ("CMD", lambda c, p, now: " ".join(p.argv)),
    "stime": ("STIME", lambda c, p, now: _clock(p.started)),
    "start": ("START", lambda c, p, now: _clock(p.started)),
    "etime": ("ELAPSED", lambda c, p, now: _elapsed(now - p.started)),
    "time": ("TIME", lambda c, p, now: "00:00:00"),
    "tty": ("TTY", lambda c, p, now: "pts/0" if p.terminal is not None else "?"),
    "tt": ("TT", lambda c, p, now: "pts/0" if p.terminal is not None else "?"),
    "stat": ("STAT", lambda c, p, now: p.state),
    "s": ("S", lambda c, p, now: p.state),
    "c": ("C", lambda c, p, now: "0"),
    "%cpu": ("%CPU", lambda c, p, now: "0.0"),
    "pcpu": ("%CPU", lambda c, p, now: "0.0"),
    "%mem": ("%MEM", lambda c, p, now: "0.0"),
    "pmem": ("%MEM", lambda c, p, now: "0.0"),
    "vsz": ("VSZ", lambda c, p, now: "0"),
    "rss": ("RSS", lambda c, p, now: "0"),
    "nice": ("NI", lambda c, p, now: "0"),
    "ni": ("NI", lambda c, p, now: "0"),
}
_ALIASES = {"ruser": "user", "euser": "user", "command": "args", "ucmd": "comm", "tname": "tty", "state": "s"}
_FULL = ("uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd")
_SHORT = ("pid", "tty", "time", "cmd")
_BSD = ("user", "pid", "%cpu", "%mem", "vsz", "rss", "tty", "stat", "start", "time", "args")


def top(container: Container, ps_args: str, now: float) -> JsonObject:
    """Titles and rows. Raises BadParameter, ServerError with Docker's texts for what its ps would refuse."""
    columns = _columns(ps_args.split())
    titles = [title or _COLUMNS[key][0] for key, title in columns]
    processes = container.guest.processes() if container.guest is not None else []
    rows = [[_COLUMNS[key][1](container, process, now) for key, _ in columns] for process in processes]
    return {"Processes": rows, "Titles": titles}


def _columns(arguments: list[str]) -> list[tuple[str, str | None]]:
    """(keyword, own title or None) for each column."""
    chosen: list[tuple[str, str | None]] = []
    plain: tuple[str, ...] = _SHORT
    wants_list = False
    for argument in arguments:
        if wants_list:
            chosen += _listed(argument)
            wants_list = False
        elif argument.startswith("-o") or (argument.startswith("-") and argument.endswith("o")):
            if argument.startswith("-o") and len(argument) > 2:
                chosen += _listed(argument[2:])
            else:
                wants_list = True
        elif argument.startswith("-"):
            if "f" in argument:
                plain = _FULL
        else:
            plain = _BSD
    columns = chosen or [(key, None) for key in plain]
    if not any(key == "pid" for key, _ in columns):
        raise ServerError("Couldn't find PID field in ps output")
    return columns


def _listed(text: str) -> list[tuple[str, str | None]]:
    columns: list[tuple[str, str | None]] = []
    for part in text.split(","):
        key, equals, title = part.partition("=")
        key = _ALIASES.get(key, key)
        if key not in _COLUMNS:
            raise BadParameter(f'ps: error: unknown user-defined format specifier "{part}"')
        columns.append((key, title if equals else None))
    return columns
