"""Expectations: asked once, or again and again until they hold, their deadline passes, or they held long enough."""

from __future__ import annotations

import asyncio
import math
import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiodocker.exceptions import DockerError

from scenarios.cli.lines import BadLine, parse, perform_line
from scenarios.language import metrics
from scenarios.language.checking import KINDS, given
from scenarios.language.model import Expectation
from scenarios.running.stage import Failed, Stage
from scenarios.running.swarm import HostSilent, alive

_EVERY = 0.1
_PROBE = 2.0
"""Seconds that one probe waits for an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one try: did it hold, and what was seen instead."""

    holds: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Way:
    """HOST/CONTAINER -> TARGET[:PORT][/PATH]."""

    host: str
    container: str
    target: str
    port: int | None
    path: str

    @classmethod
    def read(cls, text: str) -> Way:
        source, _, target = text.partition("->")
        host, _, container = source.strip().partition("/")
        target, slash, path = target.strip().partition("/")
        name, colon, port = target.rpartition(":")
        if not colon or not port.isdigit():
            name, port = target, ""
        return cls(host, container, name, int(port) if port else None, slash + path)

    @property
    def url(self) -> str:
        return f"http://{self.target}{f':{self.port}' if self.port else ''}{self.path or '/'}"


async def run_in(
    stage: Stage, host: str, container: str, argv: list[str], *, stdin: bytes = b""
) -> tuple[int, str, str]:
    """A command in a container: exit status, standard output and error. An error of the daemon is status 125."""
    try:
        done = await stage.swarm.client(host).execute(container, argv, stdin=stdin)
    except DockerError as error:
        return 125, "", error.message
    except (OSError, EOFError, ValueError) as error:
        return 125, "", f"{host} does not answer: {error}"
    if "(DUP!)" in done.text:
        stage.copied(host, container, done.text)
    return done.exit_code, done.text, done.stderr.decode(errors="replace")


async def docker(stage: Stage, host: str, line: str, *, stdin: bytes = b"") -> tuple[int, str, str]:
    """A docker command line on a host. Raises BadLine."""
    understood = parse(line)
    if stage.history is not None:
        stage.history.asked(host, understood.words)
    call = stage.ledger.asked(host, understood.words, stage.swarm.now())
    try:
        printed = await perform_line(understood, stage.swarm.client(host), stdin=stdin)
    except BaseException:
        stage.ledger.unanswered(call)
        raise
    stage.ledger.answered(call, printed.exit_code, printed.stdout, printed.stderr, stage.swarm.now())
    if stage.history is not None:
        stage.history.answered(host, understood.words, printed.exit_code, printed.stdout, stage.swarm.now())
    return printed.exit_code, printed.stdout, printed.stderr


def argv_of(command: str | list[str]) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command]


class Judge:
    """Judges a run's expectations."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def expect(self, e: Expectation, line: int) -> None:
        """Raises Failed."""
        stage, swarm = self._stage, self._stage.swarm
        text = describe(e)
        event = stage.event("expectation", text, host=(e.on or "").partition("/")[0], line=line)
        start = swarm.now()
        deadline = start + (e.within or 0.0)
        if e.by is not None:
            deadline = stage.began + e.by
            if deadline <= start:
                stage.end(event, ok=False)
                late = start - stage.began
                what = f"the deadline of {text} was in the past: {e.by:g} s, and {late:.2f} s had gone"
                raise Failed(stage.fail(what, line=line, outcome="error"))
        answer = await self._until(e, deadline)
        if answer.holds and e.for_ is not None:
            answer = await self._all_along(e, swarm.now() + e.for_)
        event.details = {"seen": answer.seen, "took": swarm.now() - start}
        stage.end(event, ok=answer.holds)
        if not answer.holds:
            limit = f" within {deadline - start:g} s" if deadline > start else ""
            because = f" ({e.because})" if e.because else ""
            raise Failed(stage.fail(f"{text}: not so{limit}{because}; {answer.seen}", where=where(e), line=line))

    async def _until(self, e: Expectation, deadline: float) -> Answer:
        ask = self._question(e)
        answer = Answer(False, "no answer in time")
        while True:
            left = deadline - self._stage.swarm.now()
            try:
                async with asyncio.timeout(max(left, _PROBE) + _PROBE):
                    answer = await ask()
            except TimeoutError:
                answer = Answer(False, "no answer in time")
            except HostSilent as error:
                answer = Answer(False, str(error))
            if answer.holds or self._stage.swarm.now() + _EVERY > deadline:
                return answer
            await asyncio.sleep(_EVERY)

    async def _all_along(self, e: Expectation, until: float) -> Answer:
        answer = Answer(True, "")
        while self._stage.swarm.now() < until:
            answer = await self._until(e, 0.0)
            if not answer.holds:
                return Answer(False, f"it held at first, then: {answer.seen}")
            await asyncio.sleep(_EVERY)
        return answer

    def _question(self, e: Expectation) -> Callable[[], Awaitable[Answer]]:
        asks: dict[str, Callable[[Expectation], Awaitable[Answer]]] = {
            "exec": self._prints, "docker": self._prints, "reachable": self._reachable,
            "unreachable": self._unreachable, "resolves": self._resolves, "unresolved": self._unresolved,
            "node": self._node, "members": self._members, "metric": self._metric,
        }  # fmt: skip
        ask = asks[given(e, KINDS)[0]]
        return lambda: ask(e)

    async def _prints(self, e: Expectation) -> Answer:
        stage = self._stage
        host, _, container = (e.on or next(iter(stage.swarm.addresses))).partition("/")
        if e.exec is not None:
            argv = [stage.text(word) for word in argv_of(e.exec)]
            code, out, err = await run_in(stage, host, container, argv)
        else:
            try:
                code, out, err = await docker(stage, host, stage.text(str(e.docker)))
            except BadLine as error:
                return Answer(False, str(error))
        both = out + err
        seen = f"exit status {code}, output {both.strip()[-400:]!r}"
        wrong = code != (e.exit or 0) and not (e.exit is None and (e.lacks is not None))
        wrong = wrong or (e.prints is not None and stage.text(e.prints) not in both)
        wrong = wrong or (e.lacks is not None and stage.text(e.lacks) in both)
        wrong = wrong or (e.matches is not None and re.search(stage.text(e.matches), both) is None)
        return Answer(not wrong, seen)

    async def _try(self, text: str) -> Answer:
        way = Way.read(self._stage.text(text))
        if way.port is not None:
            argv = ["nc", "-w", "2", way.target, str(way.port), "-e", "true"]
        else:
            argv = ["ping", "-c", "1", "-W", "2", way.target]
        code, out, err = await run_in(self._stage, way.host, way.container, argv)
        seen = (out + err).strip().splitlines()
        if code in (125, 126, 127):
            raise HostSilent(f"the probe could not be made: {(err or out).strip()}")
        return Answer(code == 0, f"{' '.join(argv)}: " + (seen[-1] if seen else f"exit status {code}"))

    async def _reachable(self, e: Expectation) -> Answer:
        return await self._try(str(e.reachable))

    async def _unreachable(self, e: Expectation) -> Answer:
        answer = await self._try(str(e.unreachable))
        return Answer(not answer.holds, answer.seen)

    async def _addresses(self, text: str) -> list[str]:
        way = Way.read(self._stage.text(text))
        return await resolve(self._stage, way.host, way.container, way.target)

    async def _resolves(self, e: Expectation) -> Answer:
        found = await self._addresses(str(e.resolves))
        wanted: list[str] = []
        for text in e.to:
            text = self._stage.text(text)
            if "/" in text:
                host, _, container = text.partition("/")
                own = await container_addresses(self._stage, host, container)
                wanted.append(next((a for a in own if a in found), own[0] if own else f"none of {text}"))
            else:
                wanted.append(text)
        holds = bool(found) and (not wanted or sorted(found) == sorted(wanted))
        return Answer(holds, f"it resolves to {', '.join(found) or 'nothing'}"
                             + (f", not {', '.join(wanted)}" if wanted and not holds else ""))  # fmt: skip

    async def _unresolved(self, e: Expectation) -> Answer:
        found = await self._addresses(str(e.unresolved))
        return Answer(not found, f"it resolves to {', '.join(found)}")

    async def _observers(self, e: Expectation) -> list[str]:
        return (
            [e.on.partition("/")[0]] if e.on else [h for h in self._stage.swarm.addresses if self._stage.swarm.is_up(h)]
        )

    async def _node(self, e: Expectation) -> Answer:
        observers = [host for host in await self._observers(e) if e.on or host != e.node]
        seen = []
        for host in observers:
            up = e.node in await alive(self._stage.swarm, host)
            seen.append(f"{host} sees {e.node} {'Ready' if up else 'Down'}")
            if up != (e.is_ == "Ready"):
                return Answer(False, seen[-1])
        return Answer(True, "; ".join(seen))

    async def _members(self, e: Expectation) -> Answer:
        for host in await self._observers(e):
            found = await alive(self._stage.swarm, host)
            if len(found) != e.members:
                return Answer(False, f"{host} sees {len(found)}: {', '.join(found)}")
        return Answer(True, f"{e.members} alive")

    async def _metric(self, e: Expectation) -> Answer:
        comparison = metrics.parse(str(e.metric))
        points = [p for s in self._stage.record.series if s.name == comparison.series for p in s.points]
        if not points:
            return Answer(False, "nothing was measured yet")
        found = metrics.statistic(comparison.statistic, points)
        if math.isnan(found):
            return Answer(False, f"no probe of {len(points)} was answered")
        return Answer(comparison.holds(found), f"{comparison.series}.{comparison.statistic} is {found:.6g}")


async def resolve(stage: Stage, host: str, container: str, name: str) -> list[str]:
    """The IPv4 addresses that a container is told for a name."""
    code, out, _ = await run_in(stage, host, container, ["nslookup", "-type=a", name])
    if code == 125:
        raise HostSilent(f"{host} could not look {name} up in {container}")
    _, _, answers = out.partition("Name:")
    return sorted(dict.fromkeys(re.findall(r"Address[^:]*: (\d+\.\d+\.\d+\.\d+)", answers))) if code == 0 else []


async def container_addresses(stage: Stage, host: str, container: str) -> list[str]:
    """All IPv4 addresses of a container. Raises HostSilent."""
    try:
        found = await stage.swarm.client(host).get(f"containers/{container}/json")
    except DockerError as error:
        raise HostSilent(f"{host}/{container}: {error.message}") from None
    return [n["IPAddress"] for n in found["NetworkSettings"]["Networks"].values() if n["IPAddress"]]


def where(e: Expectation) -> str:
    if e.on:
        return e.on
    text = e.reachable or e.unreachable or e.resolves or e.unresolved or ""
    return text.partition("->")[0].strip()


def describe(e: Expectation) -> str:
    """An expectation in words."""
    kind = given(e, KINDS)[0]
    value = getattr(e, kind)
    match kind:
        case "exec" | "docker":
            command = value if isinstance(value, str) else " ".join(value)
            what = [f"{word} {getattr(e, word)!r}" for word in ("prints", "lacks", "matches") if getattr(e, word)]
            if e.exit is not None or not what:
                what.append(f"exits with {e.exit or 0}")
            return f"`{'docker ' if kind == 'docker' else ''}{command}` on {e.on} {' and '.join(what)}"
        case "node":
            return f"{e.node} is {e.is_}" + (f" in the eyes of {e.on}" if e.on else "")
        case "members":
            return f"{e.members} members alive" + (f" in the eyes of {e.on}" if e.on else "")
        case "resolves":
            return f"resolves {value}" + (f" to {', '.join(e.to)}" if e.to else "")
        case "metric":
            return str(value)
        case _:
            return f"{kind} {value}"
