"""The last resort against code of a simulated host that never returns to the loop: a signal that names the line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from scenarios.sim.loop import HOST, SimulatedLoop

_LATER = 2.0
"""Seconds after its limit that a run has to end by itself: the loop looks at the clock between callbacks."""


class CallbackNeverReturns(KeyboardInterrupt):
    """Raised inside the code that hangs, at `when` (simulated seconds). An interrupt, for asyncio lets nothing else out
    of a callback."""

    def __init__(self, when: float, text: str) -> None:
        super().__init__(text)
        self.when = when


def _raise(number: int, frame: FrameType | None) -> None:
    where = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}" if frame is not None else "some code"
    name = frame.f_code.co_qualname if frame is not None and hasattr(frame.f_code, "co_qualname") else "code"
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    who = loop.labels().get(task, "") if task is not None and isinstance(loop, SimulatedLoop) else ""
    whose = f"{who}: " if who else f"{host}: " if (host := HOST.get()) else ""
    raise CallbackNeverReturns(loop.time(), f"{whose}{name} at {where} does not return")


@contextlib.contextmanager
def alarm(seconds: float | None) -> Iterator[None]:
    """Raises CallbackNeverReturns in a loop that runs `seconds` and a little more. Only a process's main thread has
    signals: elsewhere this does nothing."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _raise)
    signal.setitimer(signal.ITIMER_REAL, seconds + _LATER)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
