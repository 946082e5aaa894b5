"""The processes of a shell: subshells, pipelines, background jobs, and waiting for their ends."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from daemon.programs.shell.state import State
from daemon.programs.shell.syntax import AndOr, Command, Pipeline, Sequence
from daemon.runtime.context import ProcessContext
from daemon.runtime.descriptor import DeviceFile, PipeReader, PipeWriter
from daemon.runtime.pipe import Pipe
from daemon.runtime.process import Process
from daemon.runtime.signals import Signals, strsignal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from daemon.runtime.descriptor import Description

QUIET_DEATHS = (int(Signals.SIGINT), int(Signals.SIGPIPE))


class Processes(State, ABC):
    """A shell that has processes of its own; what they run is the interpreter's."""

    @abstractmethod
    async def run_text(self, text: str, *, last: bool = False) -> int:
        """Run a script. `last`: its last command may replace the shell (ash's EV_EXIT)."""

    @abstractmethod
    async def run(self, commands: Sequence, *, tested: bool = False, last: bool = False) -> int:
        """Run a list. `tested`: a failure ends no shell with -e."""

    @abstractmethod
    async def run_command(self, node: Command, *, tested: bool, last: bool) -> None:
        """Run one command of a pipeline."""

    @abstractmethod
    async def guarded(self, body: Awaitable[int]) -> int:
        """Run a coroutine as the shell's whole life: exits, fatal errors and the EXIT trap. The exit status."""

    def start_pipeline(self, node: Pipeline, *, stdin: Description | None = None) -> list[Process]:
        processes: list[Process] = []
        previous: Description | None = stdin
        for number, command in enumerate(node.commands):
            streams: dict[int, Description] = {} if previous is None else {0: previous}
            reader: Description | None = None
            if number < len(node.commands) - 1:
                pipe = Pipe()
                streams[1], reader = PipeWriter(pipe), PipeReader(pipe)
            group = processes[0].group if processes else None
            processes.append(self.fork(command, streams, group=group))
            for stream in streams.values():
                stream.close()
            previous = reader
        return processes

    def start_background(self, node: AndOr) -> int:
        stdin = None if self.interactive else DeviceFile(lambda n: b"", lambda data: None)
        if not node.rest and not node.first.negated:
            processes = self.start_pipeline(node.first, stdin=stdin)
        else:
            processes = [self.fork(Sequence(((node, False),)), {0: stdin} if stdin is not None else {})]
            if stdin is not None:
                stdin.close()
        self.background = processes[-1].pid
        self.add_job(processes)
        return 0

    def fork(
        self, what: Command | Sequence | str, streams: Mapping[int, Description], group: int | None = None
    ) -> Process:
        """A subshell process that runs `what`."""
        state = self.snapshot()

        async def subshell(p: ProcessContext) -> int:
            child = type(self)(p, self.name)
            child.restore(state)

            async def body() -> int:
                if isinstance(what, str):
                    return await child.run_text(what, last=True)
                if isinstance(what, Sequence):
                    return await child.run(what, last=True)
                await child.run_command(what, tested=False, last=True)
                return child.status

            return await child.guarded(body())

        process = self.p.process
        return process.fork(
            subshell,
            process.argv,
            env=self.p.env,
            cwd=process.cwd,
            streams=streams,
            group=group if group is not None else (0 if self.interactive else None),
        )

    async def wait_foreground(self, processes: list[Process]) -> int:
        """Wait for a foreground job; its status. Its group owns the terminal meanwhile."""
        terminal = self.p.terminal if self.interactive else None
        if terminal is not None:
            terminal.foreground = processes[-1].group
        try:
            status = 0
            for process in processes:
                code = await process.wait()
                status = code or status if self.option("pipefail") else code
        finally:
            if terminal is not None:
                terminal.foreground = self.p.process.group
        await self.report_death(processes[-1])
        return status

    async def report_death(self, process: Process) -> None:
        """Say which signal ended it, as ash does."""
        number = process.ended_by
        if number and number not in QUIET_DEATHS:
            text = strsignal(number) or f"Signal {number}"
            await self.p.error(text)
        elif number == int(Signals.SIGINT) and self.interactive:
            await self.p.error("")

    async def wait_or_trap(self, process: Process) -> int:
        """Wait for a background process; a trapped signal ends the waiting: its number, else 0."""
        if self.pending:
            return self.pending[0]
        self.waiting = asyncio.get_running_loop().create_future()
        ended = asyncio.ensure_future(process.wait())
        waiting = self.waiting
        ended.add_done_callback(lambda _: None if waiting.done() else waiting.set_result(None))
        try:
            await waiting
        finally:
            self.waiting = None
            ended.cancel()
        return self.pending[0] if self.pending and process.exit_code is None else 0

    def signal_handler(self, number: int) -> Callable[[], None]:
        """What a trapped signal does: it is noted, and a `wait` ends."""

        def note() -> None:
            self.pending.append(number)
            if self.waiting is not None and not self.waiting.done():
                self.waiting.set_result(None)

        return note

    def interrupt(self) -> None:
        """^C at an interactive shell that runs builtins: leave the command line."""
        self.interrupted = True

    async def substitute(self, script: str) -> str:
        pipe = Pipe()
        writer = PipeWriter(pipe)
        child = self.fork(script, {1: writer})
        writer.close()
        chunks: list[bytes] = []
        while data := await pipe.read():
            chunks.append(data)
        self.substitution_status = await child.wait()
        return b"".join(chunks).replace(b"\0", b"").decode("utf-8", "surrogateescape").rstrip("\n")
