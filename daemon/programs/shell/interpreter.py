"""Runs the shell's syntax tree: lists, compound commands, redirections, functions, builtins and programs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.programs.shell import pattern
from daemon.programs.shell.arithmetic import ArithmeticProblem
from daemon.programs.shell.builtins import BUILTINS, SPECIAL
from daemon.programs.shell.expand import Expander, ExpansionProblem
from daemon.programs.shell.parser import Parser
from daemon.programs.shell.processes import Processes
from daemon.programs.shell.redirection import open_redirects
from daemon.programs.shell.state import Break, Continue, Return, ShellError
from daemon.programs.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Pipeline,
    Redirected,
    Sequence,
    Simple,
    SyntaxProblem,
    While,
)
from daemon.runtime.context import ProcessContext
from daemon.runtime.process import Interrupted, PermissionDenied, ProcessExit, ProgramNotFound, Replace
from daemon.runtime.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from daemon.runtime.descriptor import Description

MAX_DEPTH = 100  # nested function calls, evals and substitutions


class Shell(Processes):
    """One shell, or one subshell, in one process."""

    def __init__(self, p: ProcessContext, name: str) -> None:
        super().__init__(p, name)
        self.expand = Expander(self)

    # -- entry points ------------------------------------------------------------------------------------------

    async def run_text(self, text: str, *, last: bool = False) -> int:
        if self.depth > MAX_DEPTH:
            raise ShellError("maximum recursion depth exceeded")
        parser = Parser(text)
        self.depth += 1
        outer_line = self.line
        try:
            while True:
                try:
                    commands = parser.line()
                except SyntaxProblem as problem:
                    await self.complain(str(problem), builtin="", line=parser.line_number)
                    raise ProcessExit(2) from None
                if commands is None:
                    return self.status
                await self.run(commands, last=last and not text[parser.at :].strip())
        finally:
            self.depth -= 1
            self.line = outer_line

    async def run(self, commands: Sequence, *, tested: bool = False, last: bool = False) -> int:
        for number, (and_or, background) in enumerate(commands.items):
            if background:
                self.status = self.start_background(and_or)
            else:
                await self._and_or(and_or, tested=tested, last=last and number == len(commands.items) - 1)
        return self.status

    # -- lists and pipelines -----------------------------------------------------------------------------------

    async def _and_or(self, node: AndOr, *, tested: bool, last: bool) -> None:
        rest = node.rest
        await self._pipeline(node.first, tested=tested or bool(rest), last=last and not rest)
        for number, (operator, pipeline) in enumerate(rest):
            final = number == len(rest) - 1
            if (self.status == 0) == (operator == "&&"):
                await self._pipeline(pipeline, tested=tested or not final, last=last and final)

    async def _pipeline(self, node: Pipeline, *, tested: bool, last: bool) -> None:
        if len(node.commands) == 1:
            await self.run_command(node.commands[0], tested=tested or node.negated, last=last and not node.negated)
        else:
            processes = self.start_pipeline(node)
            self.status = await self.wait_foreground(processes)
        await self.check_traps()
        if node.negated:
            self.status = int(self.status == 0)
        elif self.status and not tested and self.option("e"):
            raise ProcessExit(self.status)

    # -- commands ----------------------------------------------------------------------------------------------

    async def run_command(self, node: Command, *, tested: bool, last: bool) -> None:
        if isinstance(node, Simple):
            await self._simple(node, last=last, tested=tested)
        elif isinstance(node, Redirected):
            changes = await open_redirects(self, node.redirects)
            if changes is None:
                self.status = 1
                return
            saved = self.apply(changes)
            try:
                await self.run_command(node.command, tested=tested, last=False)
            finally:
                self.undo(saved)
        elif isinstance(node, Group):
            if node.fork:
                self.status = await self.wait_foreground([self.fork(node.body, {})])
            else:
                await self.run(node.body, tested=tested, last=last)
        elif isinstance(node, If):
            for condition, body in node.clauses:
                if await self.run(condition, tested=True) == 0:
                    await self.run(body, tested=tested, last=last)
                    return
            self.status = 0
            if node.otherwise is not None:
                await self.run(node.otherwise, tested=tested, last=last)
        elif isinstance(node, While):
            await self._while(node, tested)
        elif isinstance(node, For):
            words = (
                [field for word in node.words for field in await self.expand.fields(word)]
                if node.words is not None
                else list(self.positional)
            )
            await self._for(node, words, tested)
        elif isinstance(node, Case):
            await self._case(node, tested, last)
        elif isinstance(node, Function):
            self.functions[node.name] = node.body
            self.status = 0

    async def _loop_body(self, body: Sequence, tested: bool) -> bool:
        """Run it once; False to leave the loop."""
        # A loop of builtins alone never waits for anything: let others run.
        await asyncio.sleep(0)
        if self.interrupted:
            self.interrupted = False
            raise Interrupted(int(Signals.SIGINT))
        try:
            await self.run(body, tested=tested)
        except Continue as leave:
            self.status = 0
            if leave.levels > 1 and self.loops > 1:
                raise Continue(leave.levels - 1) from None
        except Break as leave:
            self.status = 0
            if leave.levels > 1 and self.loops > 1:
                raise Break(leave.levels - 1) from None
            return False
        return True

    async def _while(self, node: While, tested: bool) -> None:
        self.loops += 1
        status = 0
        try:
            while True:
                try:
                    goes_on = (await self.run(node.condition, tested=True) == 0) != node.until
                except Break:
                    status = 0
                    break
                if not goes_on or not await self._loop_body(node.body, tested):
                    break
                status = self.status
        finally:
            self.loops -= 1
        self.status = status

    async def _for(self, node: For, words: list[str], tested: bool) -> None:
        self.loops += 1
        self.status = 0
        try:
            for word in words:
                self.set(node.name, word)
                if not await self._loop_body(node.body, tested):
                    break
        finally:
            self.loops -= 1

    async def _case(self, node: Case, tested: bool, last: bool) -> None:
        subject = await self.expand.text(node.subject)
        self.status = 0
        for patterns, body in node.items:
            for word in patterns:
                if pattern.match(await self.expand.pieces(word), subject):
                    await self.run(body, tested=tested, last=last)
                    return

    async def _simple(self, node: Simple, *, tested: bool, last: bool) -> None:
        self.line = node.line
        self.substitution_status = 0
        argv = [field for word in node.words for field in await self.expand.fields(word)]
        assignments = [(name, await self.expand.text(word)) for name, word in node.assignments]
        if self.option("x"):
            await self.trace(assignments, argv)
        changes = await open_redirects(self, node.redirects)
        if changes is None:
            self.status = 1
            if argv and argv[0] in SPECIAL and not self.interactive:
                raise ProcessExit(1)
            return
        if not argv:
            for stream in changes.values():
                if stream is not None:
                    stream.close()
            for name, value in assignments:
                self.set(name, value)
            self.status = self.substitution_status
            return
        name = argv[0]
        if name in self.functions:
            saved = self.apply(changes)
            try:
                with self.temporary(assignments):
                    self.status = await self.call(name, argv[1:], tested=tested)
            finally:
                self.undo(saved)
        elif name in BUILTINS:
            await self._builtin(argv, assignments, changes)
        else:
            await self._external(argv, assignments, changes, last=last)

    async def call(self, name: str, arguments: list[str], *, tested: bool = False) -> int:
        """Call a function."""
        if self.depth > MAX_DEPTH:
            raise ShellError("maximum recursion depth exceeded")
        outer, self.positional = self.positional, arguments
        loops, self.loops = self.loops, 0
        self.locals.append({})
        self.depth += 1
        try:
            await self.run_command(self.functions[name], tested=tested, last=False)
        except Return as back:
            self.status = back.status
        finally:
            self.depth -= 1
            self.positional, self.loops = outer, loops
            for variable, (value, exported) in self.locals.pop().items():
                self.put_back(variable, value, exported)
        return self.status

    async def _builtin(
        self, argv: list[str], assignments: list[tuple[str, str]], changes: dict[int, Description | None]
    ) -> None:
        name = argv[0]
        if name == "exec" and len(argv) == 1:
            self.undo_later(changes)
            self.status = 0
            return
        saved = self.apply(changes)
        outer, self.builtin = self.builtin, name
        try:
            if name in SPECIAL:
                for variable, value in assignments:
                    self.set(variable, value)
                self.status = await BUILTINS[name](self, argv)
            else:
                with self.temporary(assignments):
                    self.status = await BUILTINS[name](self, argv)
        except Replace:
            for stream in saved.values():  # `exec`: its redirections become the new program's
                if stream is not None:
                    stream.close()
            saved = {}
            raise
        except ShellError as error:
            await self.complain(str(error))
            self.status = error.status
            if error.fatal and not self.interactive:
                raise ProcessExit(error.status) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            await self.complain(f"{error.strerror}")
            self.status = 1
        finally:
            self.builtin = outer
            self.undo(saved)

    async def _external(
        self, argv: list[str], assignments: list[tuple[str, str]], changes: dict[int, Description | None], *, last: bool
    ) -> None:
        environment = {**self.environment(), **dict(assignments)}
        saved = self.apply(changes)
        try:
            program, arguments = self.p.guest.find_program(
                argv, {**environment, "PATH": environment.get("PATH", self.get("PATH") or "")}, self.directory
            )
            if last and not self.traps and not self.interactive:
                for stream in saved.values():  # its redirections become the new program's
                    if stream is not None:
                        stream.close()
                saved = {}
                raise Replace(program, arguments, environment)
            child = self.p.process.fork(program, arguments, env=environment, group=0 if self.interactive else None)
        except ProgramNotFound:
            await self.complain(f"{argv[0]}: not found")
            self.status = 127
            return
        except PermissionDenied:
            await self.complain(f"{argv[0]}: Permission denied")
            self.status = 126
            return
        finally:
            self.undo(saved)
        self.status = await self.wait_foreground([child])

    # -- traps and the end -------------------------------------------------------------------------------------

    async def check_traps(self) -> None:
        """Run the traps of the signals that came."""
        while self.pending:
            number = self.pending.pop(0)
            action = self.traps.get(str(number), "")
            if action:
                status = self.status
                await self.run_text(action)
                self.status = status

    async def guarded(self, body: Awaitable[int]) -> int:
        try:
            code = await body
        except ProcessExit as ended:
            code = ended.code
        except Return as back:
            code = back.status
        except (Break, Continue):
            code = self.status
        except (ExpansionProblem, ArithmeticProblem, ShellError) as problem:
            await self.complain(str(problem))
            code = 2
        except SyntaxProblem as problem:
            await self.complain(str(problem), builtin="")
            code = 2
        return await self.run_exit_trap(code)

    async def run_exit_trap(self, code: int) -> int:
        action = self.traps.pop("EXIT", "")
        if action:
            self.status = code
            try:
                await self.run_text(action)
            except ProcessExit as ended:
                return ended.code
            except Interrupted:
                return code
        return code
