"""An asyncio event loop on a virtual clock.

When nothing is ready the clock jumps to the next timer, so a minute of idle gossip costs what its messages cost. No
selector, no thread, no real time: what runs on it is a function of its inputs. Timers are ordered by (when, order of
their making), callbacks first in, first out, and tasks hash by a counter, so that sets inside asyncio have an order.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from pathlib import Path
from typing import TypeVar, TypeVarTuple, Unpack

from scenarios.sim import waiting
from scenarios.sim.streams import InMemoryServer, pair

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_MOST_CANCELLED = 512
_LOOKS = 1024
"""Rounds of the loop after which the real clock is looked at."""
_YOUNG, _OLD = 16, 512
"""Looks after which young garbage is collected, and all, where the interpreter is told not to do it by itself."""
_STILL = 1024
"""Looks in a row at one and the same time after which the clock is held to stand still for ever."""

HOST: ContextVar[str | None] = ContextVar("host", default=None)
"""Whose code runs. Set when a host boots; its tasks, timers and what arrives for it inherit it."""


class LoopGaveUp(RuntimeError):
    """The loop ended the run at `when` (simulated seconds); the text says what everything was waiting for."""

    def __init__(self, when: float, text: str) -> None:
        super().__init__(text)
        self.when = when


class SimulatedDeadlock(LoopGaveUp):
    """Nothing is ready and no timer is set: what still waits would wait for ever."""


class RunNeverEnds(LoopGaveUp):
    """The run used up the real time that it was given: it goes round in circles, or is larger than was thought."""


class ClockStandsStill(LoopGaveUp):
    """Something is ready for ever, so that no time passes."""


class _Task(asyncio.Task[T]):
    """A task whose hash does not depend on where it lies in memory."""

    _made = 0

    def __init__(
        self,
        coro: Coroutine[object, object, T],
        loop: asyncio.AbstractEventLoop,
        *,
        context: Context | None = None,
        **keywords: str,
    ) -> None:
        _Task._made += 1
        self._number = _Task._made
        self.host = HOST.get() if context is None else context.get(HOST)
        super().__init__(coro, loop=loop, context=context, **keywords)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class _Handle(asyncio.Handle):
    """One is made for every step of every task: without asyncio's questions about debugging."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[object, ...], loop: SimulatedLoop, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None


class _Timer(asyncio.TimerHandle):
    """The same, at its time."""

    __slots__ = ()

    def __init__(
        self, when: float, callback: Callable[..., object], args: tuple[object, ...], loop: SimulatedLoop,
        context: Context | None,
    ) -> None:  # fmt: skip
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None
        self._when = when
        self._scheduled = True


class SimulatedLoop(asyncio.BaseEventLoop):
    """`run_until_complete` as usual; `time()` starts at 0 and moves only by jumps."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._made = 0
        self._cancelled = 0
        self._timers: list[tuple[float, int, _Timer]] = []
        self._servers: dict[str, InMemoryServer] = {}
        self._frozen: dict[str, deque[asyncio.Handle]] = {}
        self._give_up: float | None = None
        self._until_look = _LOOKS
        self._looks = 0
        self._looked = -1.0
        self._still = 0
        self.labels: waiting.Labels = dict

    def time(self) -> float:
        return self._now

    def limit(self, seconds: float | None) -> None:
        """From now on so many seconds of real time, then the loop raises RunNeverEnds; None: for ever."""
        self._give_up = None if seconds is None else time.monotonic() + seconds

    def freeze(self, host: str) -> None:
        """As SIGSTOP: nothing of this host runs, and time passes; what is due for it waits."""
        self._frozen.setdefault(host, deque())

    def thaw(self, host: str) -> None:
        """As SIGCONT: all that waited runs now, late."""
        self._ready.extend(self._frozen.pop(host, ()))  # type: ignore[attr-defined]

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[object, object, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        task = _Task(coro, self, context=context)
        if name is not None:
            task.set_name(name)
        return task

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._cancelled += 1
        if self._cancelled > _MOST_CANCELLED and self._cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _run_once(self) -> None:
        self._until_look -= 1
        if not self._until_look:
            self._look_around()
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._cancelled -= 1
        ready = self._ready  # type: ignore[attr-defined]
        if not ready:
            if not timers:
                raise SimulatedDeadlock(self._now, f"nothing can happen any more; {self.waiting()}")
            self._now = max(self._now, timers[0][0])
        now = self._now
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            if timer._cancelled:
                self._cancelled -= 1
            else:
                ready.append(timer)
        frozen = self._frozen
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            if frozen and (waiting := frozen.get(handle._context.get(HOST) or "")) is not None:
                waiting.append(handle)
                continue
            try:
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                what = f"Exception in callback {handle._callback!r}"
                self.call_exception_handler({"message": what, "exception": error, "handle": handle})

    def _look_around(self) -> None:
        """What is done now and then: at the same rounds in every run, garbage included."""
        self._until_look = _LOOKS
        self._looks += 1
        if not gc.isenabled() and not self._looks % _YOUNG:
            gc.collect(2 if not self._looks % _OLD else 1)
        self._still = self._still + 1 if self._now == self._looked else 0
        self._looked = self._now
        if self._still >= _STILL:
            self._still = 0
            raise ClockStandsStill(self._now, f"after {_STILL * _LOOKS:,} rounds in one instant, {self.waiting()}")
        if self._give_up is not None and time.monotonic() > self._give_up:
            self._give_up = None
            raise RunNeverEnds(self._now, self.waiting())

    def waiting(self) -> str:
        """What all tasks wait for, in the words of scenarios.sim.waiting."""
        tasks = sorted(asyncio.all_tasks(self), key=hash)
        owners = [getattr(handle._callback, "__self__", None) for handle in self._ready]  # type: ignore[attr-defined]
        running = [owner for owner in owners if isinstance(owner, asyncio.Task) and not owner.done()]
        return waiting.told(tasks, running, self.labels(), host_of)

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: object, func: Callable[[Unpack[Ts]], T], *args: *Ts) -> asyncio.Future[T]:
        """Inline: a simulated host has no threads."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _process_events(self, event_list: object) -> None:
        """There is no selector."""

    def _write_to_self(self) -> None:
        """No other thread can wait for this one."""

    async def create_unix_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], path: str | None = None, **_: object
    ) -> InMemoryServer:
        """The API's socket of a simulated host: a name in this loop, not a file."""
        key = str(path)
        if key in self._servers:
            raise OSError(f"address already in use: {key}")
        server = InMemoryServer(protocol_factory, on_close=lambda: self._servers.pop(key, None))
        self._servers[key] = server
        return server

    def is_socket(self, path: Path) -> bool:
        """Whether somebody listens there."""
        return str(path) in self._servers

    async def create_unix_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], path: str | None = None, **_: object
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        server = self._servers.get(str(path))
        if server is None:
            raise FileNotFoundError(f"no such simulated socket: {path}")
        protocol = protocol_factory()
        near, far = pair(self)
        server.accept(far)
        near.set_protocol(protocol)
        protocol.connection_made(near)
        return near, protocol


def host_of(task: asyncio.Task[object]) -> str:
    """Whose task it is; "" for those of the run itself."""
    return (task.host or "") if isinstance(task, _Task) else ""
