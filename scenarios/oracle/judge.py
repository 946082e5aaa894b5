"""The oracle's verdict on a run: computed from the client history, asked from inside the containers."""

from __future__ import annotations

import asyncio
import random

from scenarios.invariants.statics import Violation
from scenarios.oracle import states, swarms
from scenarios.oracle.asking import Asker, Plan
from scenarios.oracle.ledger import Ledger
from scenarios.oracle.questions import answers, right, script
from scenarios.oracle.seen import look
from scenarios.oracle.world import World, believed
from scenarios.running.judging import run_in
from scenarios.running.stage import Stage

_ASKING = 240.0
"""Seconds that one container's questions may take."""


def world_of(stage: Stage, ledger: Ledger) -> World:
    scenario = stage.scenario
    if not scenario.swarm:
        return believed(ledger.history(), [])
    members = [name for name, host in scenario.hosts.items() if host.join]
    first = next(iter(scenario.hosts))
    managers = [name for name in members if name == first or scenario.hosts[name].role == "manager"]
    return believed(ledger.history(), members, managers)


async def judge(stage: Stage, ledger: Ledger, chance: random.Random) -> list[Violation]:
    """What is not as it must be, now."""
    world = world_of(stage, ledger)
    seen = await look(stage)
    for box in world.boxes.values():
        if not box.named and (document := seen.documents.get(box.id)) is not None:
            box.name = document["Name"].removeprefix("/")
    found = [*states.judged(world, seen), *swarms.judged(world, seen)]
    if found:
        return found
    askers = Plan(world, seen, dict(stage.swarm.addresses), chance).make()
    answered = await asyncio.gather(*(_asked(stage, asker) for asker in askers))
    return [violation for each in answered for violation in each]


async def _asked(stage: Stage, asker: Asker) -> list[Violation]:
    box = asker.box
    try:
        async with asyncio.timeout(_ASKING):
            code, out, err = await run_in(stage, box.host, box.id, script(asker.questions))
    except TimeoutError:
        code, out, err = 125, "", "no answer in time"
    told = answers(out)
    if not told:
        return [Violation("model", f"exec {box.id}",
            f"nothing can be asked in {box.name}: exit status {code}, {(err or out).strip()[-300:]}",
            f"{box.host}/{box.name}")]  # fmt: skip
    found = []
    for n, question in enumerate(asker.questions):
        if n in told and not right(question, told[n]):
            found.append(Violation("model", f"{question.key} {box.id}",
                f"from {box.host}/{box.name}: {question.what}; seen: {told[n].strip()[-200:]!r}",
                f"{box.host}/{box.name}"))  # fmt: skip
    return found
