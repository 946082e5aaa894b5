"""What everything in a simulation waits for, in words: what users asked for and run first, then the hosts' own work."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_NAMED = 8
"""Tasks that a message names."""

AnyTask = asyncio.Task[Any]
Labels = Callable[[], Mapping[AnyTask, str]]
"""What tasks do in a user's terms, as in "h1/web: nc -l -p 80"; asked when a message is made."""


def told(
    tasks: Iterable[AnyTask], running: Iterable[AnyTask], labels: Mapping[AnyTask, str], host: Callable[[AnyTask], str]
) -> str:
    """`tasks` in the order of their making. Those that are running (and wait for nothing) come first, then those with
    a label, then the hosts' own, then the run's."""
    busy = list(dict.fromkeys(running))
    waiting = [task for task in tasks if task not in busy]
    waiting.sort(key=lambda task: (task not in labels, not host(task), host(task)))
    parts = []
    for verb, some in (("running", busy), ("waiting", waiting)):
        places: dict[str, int] = {}
        for task in some:
            text = place(task, labels.get(task, ""), host(task))
            places[text] = places.get(text, 0) + 1
        named = [f"{text} ({count} of them)" if count > 1 else text for text, count in places.items()]
        more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        if named:
            parts.append(f"{len(some)} {verb}: {'; '.join(named[:_NAMED])}{more}")
    return "; ".join(parts) or "nothing is waiting"


def place(task: AnyTask, label: str = "", host: str = "") -> str:
    """Whose a task is (its label, or its host and its outermost coroutine), and at which line of ours it is."""
    coroutine: object = task.get_coro()
    name = str(getattr(coroutine, "__qualname__", coroutine)).replace(".<locals>", "")
    where = ""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None and f"{os.sep}asyncio{os.sep}" not in frame.f_code.co_filename:
            inner = str(getattr(coroutine, "__qualname__", name)).replace(".<locals>", "")
            where = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
            where = f" in {inner} ({where})" if label else f" at {where}"
        following = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
        if following is None and frame is not None:  # a process drives its program by hand (daemon.runtime.process)
            following = frame.f_locals.get("coroutine")
        coroutine = following
    return f"{label or (f'{host}: {name}' if host else name)}{where}"
