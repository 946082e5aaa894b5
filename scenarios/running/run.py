"""One run of one scenario, from the first host to the verdict. Whatever happens, everything is undone and stopped, and
what was observed is in the record."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiodocker.exceptions import DockerError

from scenarios.cli.lines import kept_apart
from scenarios.invariants.watch import Watch
from scenarios.language.reading import Source
from scenarios.running.breaking import Breaker
from scenarios.running.churn import churn
from scenarios.running.judging import Judge
from scenarios.running.load import Probing
from scenarios.running.messages import messages
from scenarios.running.observer import Observer
from scenarios.running.patience import OutOfPatience, patience
from scenarios.running.prologue import prologue
from scenarios.running.record import ERROR, PASSED, REAL, SIMULATED, Event, HostRecord, Packet, RunRecord, Verdict
from scenarios.running.stage import Failed, Stage
from scenarios.running.steps import Steps
from scenarios.running.swarm import HostSilent, Swarm, SwarmFailed, make_swarm
from scenarios.sim.alarm import CallbackNeverReturns
from scenarios.sim.loop import ClockStandsStill, LoopGaveUp, SimulatedDeadlock, SimulatedLoop
from scenarios.sim.swarm import EPOCH, simulate

START = 60.0
_MESSAGES = 5_000
_PARTING = 10.0
"""Seconds of real time that an interrupted simulation has to end in good order."""

Tell = Callable[[Event], None]


def _silent(event: Event) -> None:
    pass


def new_record(source: Source, mode: str, seed: int) -> RunRecord:
    return RunRecord(
        scenario=source.name, file=source.file, text=source.text, mode=mode, seed=seed, started=time.time(),
        story=source.scenario.story, variables=dict(source.variables),
    )  # fmt: skip


@dataclass(slots=True)
class Run:
    """`go` fills the record; it raises nothing but what cancels it twice.

    record_all: with packets, messages and what the daemons noticed. Without, for sweeps, what is judged is the same.
    """

    source: Source
    swarm: Swarm
    record: RunRecord
    wall: float
    tell: Tell = _silent
    record_all: bool = True
    stage: Stage | None = None
    _work: list[asyncio.Task[None]] = field(default_factory=list)

    async def go(self) -> RunRecord:
        scenario, record, swarm = self.source.scenario, self.record, self.swarm
        variables = {**self.source.variables, "seed": record.seed}
        stage = self.stage = Stage(scenario, swarm, record, random.Random(f"{record.seed}/run"), variables, self.tell)
        breaker = Breaker(stage)
        started = time.monotonic()
        watch = Watch(stage, breaker)
        observer = Observer(stage, self.wall)
        record.hosts = [HostRecord(name, address) for name, address in swarm.addresses.items()]
        with kept_apart():
            try:
                await self._guarded(stage, self._acts(stage, breaker, watch, observer), scenario.timeout + START, "run")
                await self._close(stage, breaker, watch, observer)
            finally:
                await self._stop(stage, watch)
        record.took = time.monotonic() - started
        record.packets = list(stage.packets)
        record.messages = messages(record.packets[-_MESSAGES:], {a: n for n, a in swarm.addresses.items()})
        record.events.sort(key=lambda e: e.at)
        record.verdict = min(record.failures, key=lambda v: v.when or 0.0) if record.failures else Verdict(PASSED)
        return record

    async def _guarded(self, stage: Stage, work: Coroutine[object, object, None], limit: float, what: str) -> None:
        """Every way in which a run can end becomes a verdict. what: "run" or "judging"."""
        try:
            async with patience(stage.swarm, limit):
                await work
        except Failed:
            pass  # noted where it happened
        except (SwarmFailed, HostSilent) as error:
            stage.fail(str(error), outcome=ERROR)
        except DockerError as error:
            stage.fail(error.message, outcome=ERROR)
        except OutOfPatience as error:
            most = stage.scenario.timeout if what == "run" else limit
            doing = "; ".join(stage.doing.values()) or ("the hosts to start" if what == "run" else "the hosts' answers")
            stage.fail(f"the {what} did not end within {most:g} s; it was waiting for {doing}"
                       + (f": {error.waits}" if error.waits else ""), outcome=ERROR)  # fmt: skip
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            doing = "; ".join(stage.doing.values())
            stage.fail("interrupted" + (f" at {doing}" if doing else " before the steps"), outcome=ERROR)
        except Exception as error:  # a defect of ours must not cost the user what was observed
            stage.fail(f"the runner itself failed: {type(error).__name__}: {error}", outcome=ERROR)

    async def _acts(self, stage: Stage, breaker: Breaker, watch: Watch, observer: Observer) -> None:
        scenario, swarm = stage.scenario, stage.swarm
        event = stage.event("host", f"{len(swarm.addresses)} hosts start")
        await swarm.start()
        self.wall = EPOCH if swarm.mode == SIMULATED else time.time() - swarm.now()
        observer.wall = self.wall
        stage.end(event, ok=True)
        if self.record_all:
            swarm.watch_packets(("gossip", "vxlan", "lan", "cluster", "lost"),
                                lambda packet: self._packet(stage, watch, packet))  # fmt: skip
        else:
            swarm.watch_packets(("vxlan",), watch.packet)
        swarm.watch_frames(watch.frame)
        await breaker.links(scenario.links)
        if scenario.swarm:
            first = next(iter(scenario.hosts))
            roles = {name: "manager" if name == first else host.role or "worker"
                     for name, host in scenario.hosts.items() if host.join}  # fmt: skip
            event = stage.event("host", f"{', '.join(roles)} become a swarm")
            try:
                await make_swarm(swarm, roles, START)
            except TimeoutError:
                raise SwarmFailed(f"the hosts run but were not one swarm within {START:g} s") from None
            stage.end(event, ok=True)
        if self.record_all:
            self._background(stage, observer.run())
        self._background(stage, watch.run())
        await prologue(stage, self.source)
        stage.began = swarm.now()
        stage.event("note", "the steps begin")
        for load in scenario.load:
            self._background(stage, Probing(stage, load).run())
        for n, fault in enumerate(scenario.faults):
            self._background(stage, self._fault(stage, breaker, n, fault.at or 0.0))
        for n, plan in enumerate(scenario.churn):
            self._background(stage, churn(stage, breaker, plan, n + 1, self.source.line("churn", n)))
        steps = Steps(stage, self.source, breaker, Judge(stage))
        last = max((f.at + (f.for_ if isinstance(f.for_, float) else 0.0) for f in scenario.faults if f.at is not None),
                   default=0.0)  # fmt: skip
        async with patience(swarm, scenario.timeout):
            await steps.all(scenario.steps, ("steps",))
            # A scenario of timed faults alone lasts as long as they do.
            await asyncio.sleep(max(0.0, stage.began + last - swarm.now()))

    async def _fault(self, stage: Stage, breaker: Breaker, number: int, at: float) -> None:
        await asyncio.sleep(max(0.0, stage.began + at - stage.swarm.now()))
        line = self.source.line("faults", number)
        try:
            await breaker.begin(stage.scenario.faults[number], line)
        except SwarmFailed as error:
            stage.fail(str(error), line=line, outcome=ERROR)

    def _background(self, stage: Stage, work: Coroutine[object, object, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # told as a failure of the run, which goes on
                stage.fail(f"{type(error).__name__}: {error}", outcome=ERROR)

        task = asyncio.create_task(guarded())
        task.add_done_callback(lambda _: work.close())  # it may have been cancelled before it began
        self._work.append(task)

    def _packet(self, stage: Stage, watch: Watch, packet: Packet) -> None:
        if len(stage.packets) == stage.packets.maxlen:
            stage.record.packets_dropped += 1
        stage.packets.append(packet)
        if packet.direction != "lost":
            watch.packet(packet)

    async def _close(self, stage: Stage, breaker: Breaker, watch: Watch, observer: Observer) -> None:
        """Load and churn end, faults are undone, invariants get their last word."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        for text in await breaker.end_all():
            stage.fail(f"a fault could not be undone: {text}", outcome=ERROR)
        if any(failure.outcome == ERROR for failure in stage.record.failures):
            return
        await self._guarded(stage, watch.last(), 3 * stage.scenario.invariants.settle + START, "judging")
        if self.record_all:
            await observer.look()

    async def _stop(self, stage: Stage, watch: Watch) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        stage.record.duration = stage.swarm.now()
        stopping = asyncio.ensure_future(stage.swarm.stop())
        while not stopping.done():
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError:  # a second Ctrl-C does not leave daemons behind
                continue
            except Exception as error:
                stage.fail(f"the hosts could not all be stopped: {error}", outcome=ERROR)
        stage.record.packets_dropped += stage.swarm.packets_dropped()
        stage.record.digest = stage.swarm.digest()
        for host in stage.record.hosts:
            host.logs = stage.swarm.logs(host.name)
        watch.stopped()


def run_simulated(source: Source, *, seed: int | None = None, tell: Tell = _silent,
                  swarm: Callable[[], Swarm] | None = None, record_all: bool = True,
                  limit: float | None = None) -> RunRecord:  # fmt: skip
    """A run in simulated time, in this process. `swarm` gives other hosts than whole ones (broken ones, models of
    other systems); `limit`: seconds of real time after which it is given up."""
    from scenarios.running.simulated import SimulatedHosts

    seed = source.scenario.seed if seed is None else seed
    record = new_record(source, SIMULATED, seed)
    runs: list[Run] = []

    interrupted: list[None] = []

    async def main() -> RunRecord:
        hosts = swarm() if swarm is not None else SimulatedHosts(list(source.scenario.hosts), seed)
        run = Run(source, hosts, record, EPOCH, tell, record_all)
        runs.append(run)
        task = asyncio.ensure_future(run.go())
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)

        def interrupt() -> None:
            if interrupted:
                raise KeyboardInterrupt
            interrupted.append(None)
            loop.limit(_PARTING)
            task.cancel()

        with _interrupt(interrupt):
            return await task

    began = time.monotonic()
    try:
        return simulate(main(), limit=limit)
    except (LoopGaveUp, CallbackNeverReturns) as error:
        _given_up(record, runs, "interrupted" if interrupted else _how(error, limit), str(error), error.when)
    except KeyboardInterrupt:
        _given_up(record, runs, "interrupted", "", record.duration)
    except SystemExit as error:  # of a daemon or a plug-in: no code of a simulated host may end this process
        what = "something in the simulation wanted to end its process"
        _given_up(record, runs, what, f"SystemExit({error.code!r})", record.duration)
    record.took = time.monotonic() - began
    record.verdict = record.failures[0]
    return record


def _how(error: LoopGaveUp | CallbackNeverReturns, limit: float | None) -> str:
    match error:
        case SimulatedDeadlock():
            return "simulated deadlock"
        case ClockStandsStill():
            return "simulated time stands still"
        case _:
            return f"the run did not end within {limit:g} s of real time"


def _given_up(record: RunRecord, runs: Sequence[Run], what: str, text: str, when: float) -> None:
    """The loop itself ended the run: what was noted before stays, what ending it noted goes."""
    record.duration = when
    record.failures = [failure for failure in record.failures if (failure.when or 0.0) < when]
    doing = "; ".join(doing for run in runs if run.stage is not None for doing in run.stage.doing.values())
    at = f"at {when:.3f} s of simulated time" + (f", in {doing}" if doing else "")
    record.failures.append(Verdict(ERROR, f"{what}, {at}" + (f": {text}" if text else ""), when))


def run_real(
    source: Source, *, seed: int | None = None, tell: Tell = _silent, directory: Path | None = None
) -> RunRecord:
    """A run in real time, on processes of this machine."""
    from scenarios.running.processes import Processes

    seed = source.scenario.seed if seed is None else seed
    record = new_record(source, REAL, seed)

    async def main() -> RunRecord:
        hosts = Processes(list(source.scenario.hosts), directory=directory)
        task = asyncio.ensure_future(Run(source, hosts, record, time.time(), tell).go())
        loop = asyncio.get_running_loop()
        with _interrupt(lambda: loop.call_soon_threadsafe(task.cancel)):
            return await task

    return asyncio.run(main())


class _interrupt:
    """SIGINT and SIGTERM end the run, not the process: it stops what it started, and tells what it saw."""

    def __init__(self, cancel: Callable[[], object]) -> None:
        self._cancel = cancel
        self._before: list[tuple[int, object]] = []

    def __enter__(self) -> None:
        import signal
        import threading

        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before.append((number, signal.signal(number, lambda *_: self._cancel())))

    def __exit__(self, *exc: object) -> None:
        import signal

        for number, handler in self._before:
            signal.signal(number, handler)  # type: ignore[arg-type]
        sys.stdout.flush()
