"""Many containers on one daemon: what each costs, and that each of them works."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from scenarios.bench.figures import Figure, Goal, Judge
from scenarios.client import HostClient, RunSpec
from scenarios.demo.memory import resident_mb
from scenarios.launch import launcher

MANY = 1000
_STEPS = (MANY // 4, MANY // 2, MANY)
_AT_ONCE = 4
_NETWORK = "many"
_ASK = (
    "i=0; while [ $i -lt {n} ]; do ping -c 1 -W 2 n$i >/dev/null 2>&1 || echo no; "
    "wget -q -T 5 -O /dev/null http://n$i/ || echo no; i=$((i+1)); done"
)


async def many(runs: int) -> AsyncIterator[Figure]:
    """1,000 containers on one daemon of its own."""
    directory = Path(tempfile.mkdtemp(prefix="shoal-bench-"))
    swarm = await asyncio.to_thread(launcher.up, 1, directory=directory, swarm=False, die_with=os.getpid())
    client = HostClient(swarm.hosts[0].docker_api)
    pid, docker_host = swarm.hosts[0].process.pid, swarm.hosts[0].docker_host
    try:
        created = [await _created(client, docker_host, number) for number in range(max(5, runs))]
        yield Figure(Goal("docker network create", 20, "ms"), tuple(created), _how(shutil.which("docker")))
        await client.post(
            "networks/create", {"Name": _NETWORK, "IPAM": {"Config": [{"Subnet": "10.99.0.0/16"}]}}
        )
        before = resident_mb(pid)
        took, steps = await _start_all(client)
        await asyncio.sleep(1.0)
        after = resident_mb(pid)
        grows = ", ".join(f"{steps[n]:.0f} s for {n}" for n in _STEPS) + ": each hears the ARP of all others"
        yield Figure(Goal(f"{MANY} containers started", 60, "s", Judge.WORST), (took,), grows)
        if before is not None and after is not None:
            each = (after - before) * 1024 / MANY
            yield Figure(Goal("memory of a container", 100, "KB", Judge.WORST), (each,), "in the daemon; linear")
        listed = [await _listed(client, docker_host) for _ in range(max(5, runs))]
        yield Figure(Goal(f"docker ps with {MANY}", 0.2, "s"), tuple(listed), "linear")
        await client.run(RunSpec("alpine", ("sleep", "3600"), name="asker", network=_NETWORK))
        asked = await client.execute("asker", ["sh", "-c", _ASK.format(n=MANY)])
        silent = asked.text.count("no")
        yield Figure(Goal(f"of {MANY}: no answer to ping or HTTP by name", 0, "", Judge.WORST), (float(silent),))
    finally:
        await client.close()
        await asyncio.shield(asyncio.to_thread(launcher.down, directory))
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def _how(docker: str | None) -> str:
    return "docker command" if docker else "API"


async def _start_all(client: HostClient) -> tuple[float, dict[int, float]]:
    """Seconds until all run, and until each of _STEPS did."""
    began, steps = time.monotonic(), {}
    numbers = iter(range(MANY))
    done = 0

    async def worker() -> None:
        nonlocal done
        for number in numbers:
            await client.run(RunSpec("nginx", (), name=f"n{number}", network=_NETWORK))
            done += 1
            if done in _STEPS:
                steps[done] = time.monotonic() - began

    await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))
    return time.monotonic() - began, steps


async def _created(client: HostClient, docker_host: str, number: int) -> float:
    """Milliseconds of `docker network create`."""
    began = time.monotonic()
    if (docker := shutil.which("docker")) is not None:
        await _command(docker, docker_host, "network", "create", f"x{number}")
    else:
        await client.post("networks/create", {"Name": f"x{number}"})
    return (time.monotonic() - began) * 1000


async def _listed(client: HostClient, docker_host: str) -> float:
    """Seconds of `docker ps`."""
    began = time.monotonic()
    if (docker := shutil.which("docker")) is not None:
        await _command(docker, docker_host, "ps")
    else:
        await client.get("containers/json")
    return time.monotonic() - began


async def _command(docker: str, docker_host: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        docker, *arguments, env={**os.environ, "DOCKER_HOST": docker_host}, stdout=subprocess.DEVNULL
    )
    if await process.wait():
        raise RuntimeError(f"docker {' '.join(arguments)} ended with status {process.returncode}")
