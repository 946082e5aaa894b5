"""The steps of a scenario, done one after the other, at their times, in parallel and again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence

from scenarios.cli.lines import BadLine
from scenarios.language.checking import ACTIONS, given
from scenarios.language.model import Step
from scenarios.language.reading import Source
from scenarios.language.variables import UnknownVariable
from scenarios.running import breaking
from scenarios.running.breaking import Breaker
from scenarios.running.judging import Judge, argv_of, docker, run_in
from scenarios.running.patience import OutOfPatience, patience
from scenarios.running.stage import Failed, Stage

PATIENCE = 60.0
"""Seconds that a docker command or exec may take unless the step says otherwise."""

_LATE = 0.5


class Steps:
    """Does them. Every failure is a Failed, already noted in the record."""

    def __init__(self, stage: Stage, source: Source, breaker: Breaker, judge: Judge) -> None:
        self._stage = stage
        self._source = source
        self._breaker = breaker
        self._judge = judge

    async def all(self, steps: Sequence[Step], path: tuple[str | int, ...]) -> None:
        for n, step in enumerate(steps):
            await self.one(step, (*path, n))

    async def one(self, step: Step, path: tuple[str | int, ...]) -> None:
        """Raises Failed."""
        stage = self._stage
        line = self._source.line(*path)
        action = given(step, ACTIONS)[0]
        key = id(step)
        stage.doing[key] = f"line {line}: {words(step, action)}"
        try:
            await self._when(step, line)
            await self._do(step, action, path, line)
            stage.doing.pop(key, None)  # what a cancelled run was doing stays, for its message
        except UnknownVariable as error:
            what = f"the variable {error.args[0]!r} has no value yet"
            raise Failed(stage.fail(what, line=line, outcome="error")) from None

    async def _when(self, step: Step, line: int) -> None:
        stage = self._stage
        if step.at is not None:
            late = stage.swarm.now() - stage.began - step.at
            if late > _LATE:
                stage.event("note", f"the step at {step.at:g} s began {late:.2f} s late", line=line)
            else:
                await asyncio.sleep(max(0.0, -late))

    async def _do(self, step: Step, action: str, path: tuple[str | int, ...], line: int) -> None:
        stage = self._stage
        match action:
            case "docker" | "exec":
                await self._command(step, line)
            case "expect":
                assert step.expect is not None
                await self._judge.expect(step.expect, line)
            case "wait":
                await asyncio.sleep(self._drawn(step.wait or (0.0, 0.0)))
            case "note":
                stage.event("note", stage.text(step.note or ""), line=line)
            case "set":
                for name, text in (step.set or {}).items():
                    stage.variables[name] = stage.text(text)
            case "fault":
                assert step.fault is not None
                await self._breaker.begin(step.fault, line)
            case "heal":
                for one in step.heal or ():
                    if one == "all":
                        if failed := await self._breaker.end_all():
                            raise Failed(stage.fail(f"not healed: {'; '.join(failed)}", line=line, outcome="error"))
                    else:
                        await self._breaker.end(one)
            case "parallel":
                await self._together(
                    [self.one(inner, (*path, "parallel", n)) for n, inner in enumerate(step.parallel or ())]
                )
            case "repeat":
                await self._again(step, path)
            case _:
                await self._process(step, action, line)

    def _drawn(self, span: tuple[float, float]) -> float:
        low, high = span
        return self._stage.chance.uniform(low, high) if low < high else low

    async def _together(self, work: list[Coroutine[object, object, None]]) -> None:
        """All to their end or to the first failure, which ends the others."""
        tasks = [asyncio.create_task(one) for one in work]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _again(self, step: Step, path: tuple[str | int, ...]) -> None:
        assert step.repeat is not None
        start = self._stage.swarm.now()
        for n in range(step.repeat.times):
            if step.repeat.every:
                await asyncio.sleep(max(0.0, start + n * step.repeat.every - self._stage.swarm.now()))
            self._stage.variables["n"] = n + 1
            await self.all(step.repeat.steps, (*path, "repeat", "steps"))

    async def _process(self, step: Step, action: str, line: int) -> None:
        stage = self._stage
        names = list(getattr(step, action))
        stage.disturb()
        event = stage.event("step", f"{action} {', '.join(names)}", host=names[0] if len(names) == 1 else "", line=line)
        if action == "kill":
            await self._breaker.kill(names)
        elif action == "stop":
            await self._breaker.stop(names)
        elif action == "pause":
            await self._breaker.pause(names)
        for name in names:
            if action == "resume":
                await stage.swarm.resume(name)
                stage.expected_down.pop(name, None)
            elif action == "restart":
                await self._breaker.restart(name)
            elif action == "join":
                call = stage.ledger.asked(name, ("swarm", "join"), stage.swarm.now())
                await stage.swarm.join(name, stage.scenario.hosts[name].role or "worker")
                stage.ledger.answered(call, 0, "", "", stage.swarm.now())
        stage.end(event, ok=True)
        stage.disturb()

    async def _command(self, step: Step, line: int) -> None:
        stage = self._stage
        host, _, container = (step.on or next(iter(stage.swarm.addresses))).partition("/")
        stdin = stage.text(step.stdin or "").encode()
        shown = words(step, "docker" if step.docker is not None else "exec")
        event = stage.event("step", shown, host=host, line=line)
        if step.docker is not None:
            stage.disturb()
        limit = step.within or PATIENCE
        try:
            async with patience(stage.swarm, limit, host):
                if step.docker is not None:
                    code, out, err = await docker(stage, host, stage.text(step.docker), stdin=stdin)
                else:
                    argv = [stage.text(word) for word in argv_of(step.exec or [])]
                    code, out, err = await run_in(stage, host, container, argv, stdin=stdin)
        except OutOfPatience as error:
            stage.end(event, ok=None if step.may_fail else False)
            if step.may_fail:
                stage.disturb()
                return
            what = f"{shown}: not done within {limit:g} s" + (f"; {error.waits}" if error.waits else "")
            raise Failed(stage.fail(what, where=step.on or host, line=line)) from None
        except BadLine as error:
            stage.end(event, ok=False)
            raise Failed(stage.fail(str(error), where=host, line=line, outcome="error")) from None
        except (OSError, EOFError) as error:
            code, out, err = 125, "", f"{host} does not answer: {error}"
        if step.docker is not None:
            stage.disturb()
        event.details = {"exit": code, "output": (out + err)[-2000:]}
        wrong = self._wrong(step, code, out + err)
        stage.end(event, ok=wrong is None)
        if wrong is not None:
            output = out + err if code != 0 and step.fails is False else ""
            raise Failed(stage.fail_command(f"{shown}: {wrong}", output, where=step.on or host, line=line))
        if step.capture is not None:
            stage.variables[step.capture] = stage.record.captures[step.capture] = out.removesuffix("\n")

    def _wrong(self, step: Step, code: int, output: str) -> str | None:
        if step.never is not None and (text := self._stage.text(step.never)) in output:
            return f"its output has {text!r}: {output.strip()[-400:]}"
        if step.fails is False:
            return None if code == 0 or step.may_fail else f"exit status {code}: {output.strip()[-400:]}"
        if code == 0:
            return "it succeeded, and was expected to fail"
        if isinstance(step.fails, str) and (text := self._stage.text(step.fails)) not in output:
            return f"it failed, but without {text!r} in its message: {output.strip()[-400:]}"
        return None


def words(step: Step, action: str) -> str:
    """A step in words."""
    value = getattr(step, action)
    if action == "fault" and step.fault is not None:
        return f"fault {breaking.describe(step.fault)[0]}"
    if action == "expect":
        from scenarios.running.judging import describe

        return f"expect {describe(value)}"
    if action in ("parallel", "repeat"):
        return action
    if action == "wait":
        return "wait " + "..".join(f"{seconds:g}" for seconds in dict.fromkeys(value)) + " s"
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    if action in ("docker", "exec"):
        return f"{step.on} $ {'docker ' if action == 'docker' else ''}{text}"
    return f"{action} {text}"
