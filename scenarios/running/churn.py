"""Random faults from the run's seed: kills, pauses, cuts, joins and restarts of containers, at random times."""

from __future__ import annotations

import asyncio
import random

from aiodocker.exceptions import DockerError

from scenarios.language.checking import given
from scenarios.language.model import Churn, Fault
from scenarios.running.breaking import Breaker
from scenarios.running.judging import docker
from scenarios.running.stage import Stage
from scenarios.running.swarm import HostSilent, SwarmFailed

_PATIENCE = 20.0


async def churn(stage: Stage, breaker: Breaker, plan: Churn, number: int, line: int) -> None:
    """Until cancelled or the plan's end. Each plan has chances of its own, so that one does not move another's."""
    chance = random.Random(f"{stage.record.seed}/churn/{number}")
    kind = given(plan, ("kill", "pause", "partition", "join", "restart_containers"))[0]
    candidates: list[str] = list(getattr(plan, kind))
    await asyncio.sleep(max(0.0, stage.began + plan.at - stage.swarm.now()))
    made = 0
    while True:
        await asyncio.sleep(plan.every * chance.uniform(0.5, 1.5))
        if plan.until is not None and stage.swarm.now() - stage.began >= plan.until:
            return
        picked = sorted(chance.sample(candidates, min(chance.randint(1, plan.most), len(candidates))))
        lasting = plan.for_ * chance.uniform(0.5, 1.5)
        made += 1
        name = f"churn-{number}-{made}"
        try:
            if kind == "restart_containers":
                for place in picked:
                    host, _, container = place.partition("/")
                    event = stage.event("step", f"docker restart {container}", host=host, line=line)
                    code, _, err = await docker(stage, host, f"restart -t 0 {container}")
                    event.details = {"exit": code, "output": err[-400:]}
                    stage.end(event)
                continue
            if kind == "join":
                for host in picked:
                    await _in_or_out(stage, host, line)
                continue
            if kind == "partition":
                shuffled = chance.sample(candidates, len(candidates))
                cut = chance.randint(1, max(1, len(shuffled) - 1))
                body: dict[str, object] = {"partition": [sorted(shuffled[:cut]), sorted(shuffled[cut:])]}
            else:
                body = {kind: picked}
            await breaker.begin(Fault.model_validate({**body, "id": name, "for": lasting}), line)
        except SwarmFailed as error:
            stage.event("note", f"churn: {error}", ok=False, line=line)


async def _in_or_out(stage: Stage, host: str, line: int) -> None:
    """A member leaves for good (its node is removed), another host joins. What cannot be now is noted, and goes on."""
    if not stage.swarm.is_up(host) or host in stage.expected_down:
        return
    stage.disturb()
    try:
        async with asyncio.timeout(_PATIENCE):
            state = (await stage.swarm.client(host).get("info"))["Swarm"]
            member = state["LocalNodeState"] != "inactive"
            event = stage.event("step", f"{host} {'leaves' if member else 'joins'} the swarm", host=host, line=line)
            call = stage.ledger.asked(host, ("swarm", "leave" if member else "join"), stage.swarm.now())
            if member:
                await stage.swarm.client(host).post("swarm/leave", None, force=True)
                if stage.history is not None:
                    stage.history.vague[host] = None
                await _forget(stage, state["NodeID"])
            else:
                await stage.swarm.join(host, stage.scenario.hosts[host].role or "worker")
            stage.ledger.answered(call, 0, "", "", stage.swarm.now())
            stage.end(event, ok=True)
    except (SwarmFailed, HostSilent, DockerError, OSError, TimeoutError) as error:
        stage.event("note", f"churn: {host}: {error or 'no answer in time'}", ok=False, line=line)
    finally:
        stage.disturb()


async def _forget(stage: Stage, node: str) -> None:
    for manager in stage.swarm.addresses:
        if not stage.swarm.is_up(manager) or manager in stage.expected_down:
            continue
        try:
            await stage.swarm.client(manager).delete(f"nodes/{node}", force=True)
            return
        except (DockerError, OSError):
            continue
