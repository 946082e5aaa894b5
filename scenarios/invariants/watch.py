"""Watches the invariants of a run: asks all hosts every second and when one says that a container came, sees every
packet, probes now and then, and once all is mended and quiet wants agreement within the bound."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from collections.abc import Sequence

from aiodocker.exceptions import DockerError

from scenarios.invariants import leftovers, probes, statics
from scenarios.invariants.agreement import agreement, keys
from scenarios.invariants.delivered import Delivered
from scenarios.invariants.history import History
from scenarios.invariants.snapshot import Endpoint, View, look_at_all
from scenarios.invariants.statics import Violation
from scenarios.invariants.wire import Wire
from scenarios.oracle.judge import judge
from scenarios.running.breaking import Breaker
from scenarios.running.record import Packet
from scenarios.running.stage import Stage
from scenarios.running.swarm import Frame, HostSilent, SwarmFailed

EVERY = 1.0
_CONFIRM = 0.1
_BETWEEN = 0.05
"""Seconds between two looks, however much happens."""
_NEWS = ("start", "connect")
"""Events after which an address may be held that was not."""
_FORGED = 24
_ON_THE_WAY = 0.5
_AGAIN = 2.0
_PROBES = 24
"""Pairs that are probed at the end; more are sampled."""
_GONE = 4
"""Names of removed containers that are asked for."""


class Watch:
    """`run` while the steps are done, `last` when all is undone, `stopped` after the hosts ended."""

    def __init__(self, stage: Stage, breaker: Breaker) -> None:
        self._stage = stage
        self._breaker = breaker
        self._names = stage.scenario.invariants.watched()
        self._settle = stage.scenario.invariants.settle
        self._chance = random.Random(f"{stage.record.seed}/invariants")
        self._wire = Wire()
        self._delivered = Delivered()
        self._news = asyncio.Event()
        self._told: dict[str, None] = {}
        self._seen: dict[tuple[str, str], Endpoint] = {}
        self._seals: dict[str, dict[str, None]] = {}
        stage.history = History()
        stage.copied = self._copied

    async def run(self) -> None:
        """Until cancelled."""
        listening = [asyncio.create_task(self._listen(host)) for host in self._stage.swarm.addresses]
        try:
            await self._rounds()
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)

    async def _rounds(self) -> None:
        swarm = self._stage.swarm
        round_, due = 0, swarm.now() + EVERY
        while True:
            await asyncio.sleep(_BETWEEN)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - swarm.now())):
                    await self._news.wait()
            self._news.clear()
            views = await self._look()
            if swarm.now() < due:
                continue
            due = swarm.now() + EVERY
            round_ += 1
            if round_ % 5 == 0:
                await self._probe(views)
            if round_ % 3 == 0 and self._quiet() and swarm.now() - self._stage.disturbed > self._settle:
                since = self._stage.disturbed
                found = await self._agreed(views, most=2)
                if found and self._stage.disturbed == since:
                    self._violated(found)

    async def _listen(self, host: str) -> None:
        """A violation that lasts a fifth of a second lies between two looks; what begins it is an event."""
        swarm = self._stage.swarm
        filters = json.dumps({"type": ["container", "network"], "event": list(_NEWS)})
        while True:
            if swarm.is_up(host) and host not in self._stage.expected_down:
                with contextlib.suppress(DockerError, HostSilent, SwarmFailed, OSError, EOFError, ValueError):
                    async for _ in swarm.client(host).json_lines("events", filters=filters):
                        self._news.set()
            await asyncio.sleep(EVERY / 2)

    def packet(self, packet: Packet) -> None:
        if not self._breaker.explains_damage():  # else it may say anything
            self._violated(self._wire.see(packet, self._breaker.explains_copies()))

    def frame(self, frame: Frame) -> None:
        breaker = self._breaker
        copies, damage = breaker.explains_copies(), breaker.explains_damage()
        self._violated(self._delivered.see(frame, duplicating=copies, damaging=damage))

    def _quiet(self) -> bool:
        return not self._breaker.active and not self._stage.expected_down

    async def _look(self) -> dict[str, View]:
        """Ask all, judge; what looks wrong is asked again, for hosts do not answer all at one time."""
        views = await look_at_all(self._stage)
        found = self._judged(views)
        if found:
            await asyncio.sleep(_CONFIRM)
            again = {v.key for v in self._judged(await look_at_all(self._stage))}
            self._violated([v for v in found if v.key in again])
        for view in views.values():
            if view.active:
                self._seals.setdefault(view.node, {})[view.seal] = None
            self._seen.update({(e.network, e.address): e for e in view.endpoints if view.is_overlay(e.network)})
        self._violated(self._wire.learn(views))
        self._violated(self._delivered.learn(views))
        return views

    def _judged(self, views: dict[str, View]) -> list[Violation]:
        history = self._stage.history
        assert history is not None
        chosen = [int(n) for text in re.findall(r"vxlanid_list\W+([\d,]+)", self._stage.record.text)
                  for n in text.split(",") if n]  # fmt: skip
        ended = [
            Violation("logs", f"ended {host}", f"the daemon of {host} ended by itself", host)
            for host in self._stage.swarm.addresses
            if not self._stage.swarm.is_up(host) and host not in self._stage.expected_down
        ]
        self._wire.removed = history.out
        found = [*statics.addresses(views, history.out), *statics.vnis(views, chosen, history.out)]
        return [*ended, *found, *statics.durability(views, history)]

    async def _probe(self, views: dict[str, View]) -> None:
        if "isolation" in self._names:
            for asker, asked in probes.chosen(probes.strangers(views), 1, self._chance):
                if (violation := await probes.isolated(self._stage, asker, asked)) is not None:
                    self._violated([violation])
        if "delivery" in self._names:
            for asker, asked in probes.chosen(probes.pairs(views), 1, self._chance):
                await probes.reachable(self._stage, asker, asked)  # only copies count while something may be broken

    async def _agreed(self, views: dict[str, View], most: int) -> list[Violation]:
        """What does not agree now; [] when all does."""
        found: list[Violation] = []
        if "convergence" in self._names:
            found += [*keys(views, self._seals), *await agreement(self._stage, views)]
        if ("names" in self._names or "delivery" in self._names) and not found:
            pairs = probes.chosen(probes.pairs(views), most, self._chance)
            answers = await asyncio.gather(*(self._pair(views, asker, asked) for asker, asked in pairs))
            found += [violation for answer in answers for violation in answer]
        if "names" in self._names and not found:
            found += await self._gone(views)
        return found

    async def _gone(self, views: dict[str, View]) -> list[Violation]:
        assert self._stage.history is not None
        there = {name for view in views.values() for name, _ in view.containers.values()}
        removed = [m.name for m in self._stage.history.made.values() if m.kind == "container" and m.removed_by]
        names = [name for name in dict.fromkeys(removed) if name not in there][-_GONE:]
        askers = {asker.host: asker for asker, _ in probes.pairs(views)}
        answers = await asyncio.gather(*(probes.gone(self._stage, a, n) for a in askers.values() for n in names))
        return [violation for violation in answers if violation is not None]

    async def _pair(self, views: dict[str, View], asker: Endpoint, asked: Endpoint) -> list[Violation]:
        name = await probes.names(self._stage, views, asker, asked)
        return ([name] if name else []) + await probes.reachable(self._stage, asker, asked)

    def _copied(self, host: str, container: str, output: str) -> None:
        if not self._breaker.explains_copies():
            line = next(line for line in output.splitlines() if "(DUP!)" in line)
            self._violated([Violation("delivery", f"dup {host} {container}",
                f"a program in {host}/{container} got one answer twice, and no fault duplicates: {line.strip()}",
                f"{host}/{container}")])  # fmt: skip

    async def last(self) -> None:
        """Everything is undone: within the bound all must agree. Then what is left over is looked for."""
        stage = self._stage
        stage.disturb()
        deadline = stage.swarm.now() + self._settle
        event = stage.event("invariant", f"all agree within {self._settle:g} s after the end")
        while True:
            views = await self._look()
            found = await self._agreed(views, _PROBES)
            if not found or stage.swarm.now() >= deadline:
                break
            await asyncio.sleep(0.25)
        stage.end(event, ok=not found)
        self._violated(found)
        if "isolation" in self._names:
            for asker, asked in probes.chosen(probes.strangers(views), _PROBES // 4, self._chance):
                if (violation := await probes.isolated(stage, asker, asked)) is not None:
                    self._violated([violation])
            await self._forge(views)
        lossy = any(link.loss for link in stage.scenario.links)
        if "convergence" in self._names:
            self._violated(await leftovers.gone(stage, views, list(self._seen.values()), self._wire))
        if "names" in self._names and not lossy:
            self._violated(await leftovers.broadcasts(stage, views, self._wire, self._delivered, self._chance))
        if "model" in self._names and not found:
            self._violated(await self._modelled(deadline))
        if "leaks" in self._names:
            self._violated(await self._leaked_endpoints(views))
        await self._look()  # decides on the last packets

    async def _forge(self, views: dict[str, View]) -> None:
        forged = probes.forgeries(views)
        for each in forged if len(forged) <= _FORGED else self._chance.sample(forged, _FORGED):
            await self._stage.swarm.forge(each.source, each.target, each.datagram())
        if forged:
            await asyncio.sleep(_ON_THE_WAY)
            self._violated(self._delivered.learn(await look_at_all(self._stage)))  # tells of whoever let one in

    async def _modelled(self, deadline: float) -> list[Violation]:
        while True:
            found = await judge(self._stage, self._stage.ledger, self._chance)
            if not found or self._stage.swarm.now() >= deadline:
                return found
            await asyncio.sleep(_AGAIN)

    async def _leaked_endpoints(self, views: dict[str, View]) -> list[Violation]:
        """An endpoint of a network whose container does not run."""
        found = []
        for host, view in views.items():
            for id, network in view.networks.items():
                if network["Name"] in ("host", "none"):
                    continue
                try:
                    document = await self._stage.swarm.client(host).get(f"networks/{id}")
                except Exception:  # it was removed, or the host ended, since it was looked at
                    continue
                for container, settings in (document.get("Containers") or {}).items():
                    if container in view.containers and view.containers[container][1] in ("running", "paused"):
                        continue
                    if re.fullmatch("[0-9a-f]{64}", container) and not await self._runs(host, container):
                        found.append(Violation("leaks", f"endpoint {container} {id}",
                            f"{network['Name']} has an endpoint of {settings['Name']}, which does not run",
                            host))  # fmt: skip
        return found

    async def _runs(self, host: str, container: str) -> bool:
        """Now: it may have been started since all were looked at, as one whose program ends again and again is."""
        try:
            document = await self._stage.swarm.client(host).get(f"containers/{container}/json")
        except (DockerError, HostSilent, SwarmFailed, OSError):
            return False
        return bool(document["State"]["Running"])

    def stopped(self) -> None:
        """The hosts ended: their logs, and what they left."""
        if "logs" in self._names:
            for host in self._stage.record.hosts:
                self._violated(self._errors(host.name, host.logs))
        if "leaks" in self._names:
            self._violated(
                [Violation("leaks", f"left {text}", f"left behind: {text}", "") for text in self._stage.swarm.left()]
            )

    def _errors(self, host: str, lines: Sequence[str]) -> list[Violation]:
        allowed = [re.compile(text) for text in self._stage.scenario.invariants.allow_logs]
        explained = any(e.kind == "fault" and e.text.startswith("full disk") for e in self._stage.record.events)
        found = []
        for line in lines:
            if _is_error(line) and not explained and not any(pattern.search(line) for pattern in allowed):
                found.append(
                    Violation("logs", f"log {host} {line[:60]}", f"{host} logged an error: {line[:400]}", host)
                )
        return found[:3]

    def _violated(self, found: Sequence[Violation]) -> None:
        for violation in found:
            if violation.invariant not in self._names or violation.key in self._told:
                continue
            self._told[violation.key] = None
            host = violation.where.partition("/")[0]
            host = host if host in self._stage.swarm.addresses else ""
            text = f"{violation.invariant}: {violation.what}"
            self._stage.event("invariant", text, host=host, ok=False)
            self._stage.fail(f"invariant {text}", where=violation.where)


def _is_error(line: str) -> bool:
    if line.startswith(("error:", "critical:")):
        return True
    if line.startswith("{"):
        try:
            return json.loads(line).get("level") in ("error", "critical")
        except ValueError:
            return False
    return line.startswith("Traceback ")
