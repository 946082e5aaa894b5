"""Health checks of containers (`--health-cmd`, `docker inspect .State.Health`)."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.engine.container import Container
from daemon.engine.documents import JsonObject, rfc3339
from daemon.engine.logs import STDERR, STDOUT
from daemon.errors import ApiError

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.engine.exec import Exec

# Docker's defaults (daemon/health.go), in seconds
INTERVAL, TIMEOUT, RETRIES = 30.0, 30.0, 3
KEPT = 5  # results
_OUTPUT = 4096  # bytes of a check's output


@dataclass(slots=True)
class Health:
    """How the last checks went."""

    status: str = "starting"  # starting, healthy, unhealthy
    failing_streak: int = 0
    results: deque[JsonObject] = field(default_factory=lambda: deque(maxlen=KEPT))

    def summary(self) -> str:
        """As `docker ps` shows it between brackets."""
        return "health: starting" if self.status == "starting" else self.status

    def to_api(self) -> JsonObject:
        return {"Status": self.status, "FailingStreak": self.failing_streak, "Log": list(self.results)}


def command_of(container: Container) -> list[str] | None:
    """The check's argv, or None when the container has none."""
    test = (container.config.get("Healthcheck") or {}).get("Test") or []
    if not test or test[0] == "NONE":
        return None
    if test[0] == "CMD":
        return list(test[1:]) or None
    if test[0] == "CMD-SHELL":
        return ["/bin/sh", "-c", *test[1:]]
    return None


async def watch(engine: Engine, container: Container, argv: list[str]) -> None:
    """Check for ever, at Healthcheck's interval; ends when its task is cancelled with the run."""
    check = container.config["Healthcheck"]
    interval = (check.get("Interval") or 0) / 1e9 or INTERVAL
    timeout = (check.get("Timeout") or 0) / 1e9 or TIMEOUT
    grace = (check.get("StartPeriod") or 0) / 1e9
    in_grace = (check.get("StartInterval") or 0) / 1e9 or interval
    retries = check.get("Retries") or RETRIES
    health = container.health = Health()
    while True:
        since_start = engine.world.wall() - (container.state.started_at or 0)
        starting = health.status == "starting" and since_start < grace
        await asyncio.sleep(in_grace if starting else interval)
        if container.state.paused:
            continue
        result = await _check(engine, container, argv, timeout)
        health.results.append(result)
        before = health.status
        if result["ExitCode"] == 0:
            health.failing_streak, health.status = 0, "healthy"
        else:
            young = engine.world.wall() - (container.state.started_at or 0) < grace
            if not (young and before == "starting"):
                health.failing_streak += 1
                if health.failing_streak >= retries:
                    health.status = "unhealthy"
        if health.status != before:
            engine.containers.publish(container, f"health_status: {health.status}")


async def _check(engine: Engine, container: Container, argv: list[str], timeout: float) -> JsonObject:
    """Run it once; exit code -1 when it took too long."""
    start, output = engine.world.wall(), bytearray()
    exec_: Exec | None = None
    try:
        exec_ = engine.execs.create(container, container.name, {"Cmd": argv, "AttachStdout": True})
        attachment = exec_.streams.attach((STDOUT, STDERR))
        engine.execs.start(exec_)
        async with asyncio.timeout(timeout):
            while (piece := await attachment.get()) is not None:
                output += piece[1][: max(0, _OUTPUT - len(output))]
        code = exec_.exit_code if exec_.exit_code is not None else -1
    except TimeoutError:
        code, output = -1, bytearray(f"Health check exceeded timeout ({timeout:g}s)".encode())
        if exec_ is not None and exec_.process is not None:
            exec_.process.kill(9)
    except ApiError as error:
        code, output = -1, bytearray(error.message.encode())
    return {
        "Start": rfc3339(start),
        "End": rfc3339(engine.world.wall()),
        "ExitCode": code,
        "Output": output.decode("utf-8", "replace"),
    }
