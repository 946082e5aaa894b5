"""The measurements. Each yields figures; all act on one running swarm except the first, which starts its own."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiodocker.exceptions import DockerError

from scenarios.bench.figures import Figure, Goal, Judge
from scenarios.bench.many import many
from scenarios.chaos import faults
from scenarios.client import HostClient, RunSpec
from scenarios.demo import anchors
from scenarios.demo.memory import resident_mb
from scenarios.demo.stage import NETWORK, Stage
from scenarios.launch import launcher
from scenarios.launch.process import send_signal
from scenarios.launch.record import Host

Measurement = Callable[["Bench"], AsyncIterator[Figure]]

_RATE = re.compile(r"([\d.]+) ([KMG])bits/sec.*receiver")
_LOSS = re.compile(r"([\d.]+)% packet loss")
_GIGA = {"K": 1e-6, "M": 1e-3, "G": 1.0}
_BLOB = 8 << 20


@dataclass(slots=True)
class Bench:
    """What a measurement has to work with. `runs`: how often it measures."""

    stage: Stage
    runs: int
    made: int = field(default=0)

    def client(self, host: str) -> HostClient:
        return self.stage.clients[host]

    def host(self, name: str) -> Host:
        return next(h for h in self.stage.hosts if h.name == name)

    def fresh(self) -> str:
        """A container's name that no earlier run had."""
        self.made += 1
        return f"b{self.made}"


def shoal(*arguments: str, directory: Path) -> float:
    """Runs the command as a user would; seconds. Raises CalledProcessError with its output."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "scenarios.cli", *arguments, "--state", str(directory)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return time.monotonic() - began


async def start(bench: Bench) -> AsyncIterator[Figure]:
    """From typing `shoal up 3` to its return."""
    runs = []
    for _ in range(bench.runs):
        directory = Path(tempfile.mkdtemp(prefix="shoal-bench-"))
        try:
            runs.append(await asyncio.to_thread(shoal, "up", "3", "--die-with", str(os.getpid()), directory=directory))
        finally:
            await asyncio.to_thread(shoal, "down", directory=directory)
    yield Figure(Goal("shoal up 3: all joined, all see all", 2.5, "s"), tuple(runs))


async def run_detached(bench: Bench) -> AsyncIterator[Figure]:
    """`docker run -d`, by the docker command where there is one; and when its name answers from another host."""
    docker = shutil.which("docker")
    runs, reached = [], []
    host = bench.host("h2")
    for _ in range(bench.runs * 2):
        name = bench.fresh()
        began = time.monotonic()
        if docker:
            process = await asyncio.create_subprocess_exec(
                docker, "run", "-d", "--name", name, "--network", NETWORK, "alpine", "sleep", "600",
                env={**os.environ, "DOCKER_HOST": host.docker_host}, stdout=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            if await process.wait():
                raise RuntimeError(f"docker run ended with status {process.returncode}")
        else:
            await bench.client("h2").run(RunSpec("alpine", ("sleep", "600"), name=name, network=NETWORK))
        runs.append(time.monotonic() - began)
        await bench.client("h2").delete(f"containers/{name}", force=True)
    for _ in range(bench.runs * 2):
        name = bench.fresh()
        await bench.client("h2").run(RunSpec("alpine", ("sleep", "600"), name=name, network=NETWORK))
        answered = time.monotonic()

        async def reachable(name: str = name) -> bool:
            return await bench.stage.ping("c1", name) is not None

        found = await bench.stage.seconds_until(reachable, since=answered, limit=5)
        reached.append(float("inf") if found is None else found * 1000)
        await bench.client("h2").delete(f"containers/{name}", force=True)
    how = "docker command" if docker else "API"
    yield Figure(Goal("docker run -d", 0.15, "s", docker=f"{anchors.RUN_DETACHED} s"), tuple(runs), how)
    yield Figure(
        Goal("new name answers from another host", 60, "ms", docker=f"{anchors.NAME_REACHABLE * 1000:.0f} ms"),
        tuple(reached), "after the API's answer, ping by name",
    )  # fmt: skip


async def ping(bench: Bench) -> AsyncIterator[Figure]:
    """Round trips between containers on two hosts, as ping in the container tells them."""
    await bench.stage.ping("c1", "c2")
    done = await bench.client("h1").execute("c1", ["ping", "-i", "0.05", "-c", str(max(40, bench.runs)), "c2"])
    trips = [float(t) for t in re.findall(r"time=([\d.]+) ms", done.text)] or [float("inf")]
    yield Figure(Goal("ping between hosts", 1.0, "ms", docker=f"{anchors.PING_MS} ms"), tuple(trips))


async def footprint(bench: Bench) -> AsyncIterator[Figure]:
    """Memory and CPU of idle daemons, from /proc."""
    pids = [host.process.pid for host in bench.stage.hosts]
    if cpu_seconds(pids[0]) is None:
        return
    await asyncio.sleep(1.0)
    shares, sizes = [], []
    for _ in range(bench.runs):
        before, began = [cpu_seconds(pid) or 0.0 for pid in pids], time.monotonic()
        await asyncio.sleep(3.0)
        took = time.monotonic() - began
        after = [cpu_seconds(pid) or 0.0 for pid in pids]
        shares += [(b - a) / took * 100 for a, b in zip(before, after, strict=True)]
        sizes += [size for pid in pids if (size := resident_mb(pid)) is not None]
    least, most = anchors.MEMORY_MB
    yield Figure(
        Goal("memory of a daemon", 60, "MB", Judge.WORST, docker=f"{least}–{most} MB"), tuple(sizes), "resident"
    )
    yield Figure(Goal("idle CPU of a daemon", 1.0, "%"), tuple(shares), "of one core, windows of 3 s")


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def stream(bench: Bench) -> AsyncIterator[Figure]:
    """TCP between containers on two hosts: iperf3's rate, and a file that arrives as it was sent."""
    await bench.client("h2").run(RunSpec("alpine", ("iperf3", "-s"), name="perf", network=NETWORK))
    rates = []
    for _ in range(bench.runs):
        done = await bench.client("h1").execute("c1", ["iperf3", "-c", "perf", "-t", "2"])
        found = _RATE.search(done.text)
        rates.append(float(found[1]) * _GIGA[found[2]] if found else 0.0)
    await bench.client("h2").delete("containers/perf", force=True)
    blob = random.Random(1).randbytes(_BLOB)
    await bench.client("h2").run(
        RunSpec("alpine", ("sh", "-c", "mkdir -p /www && exec httpd -f -p 80 -h /www"), name="files", network=NETWORK)
    )
    await bench.client("h2").execute("files", ["sh", "-c", "cat > /www/blob"], stdin=blob)
    differ = []
    for _ in range(bench.runs):
        done = await bench.client("h1").execute("c1", ["wget", "-q", "-O", "-", "http://files/blob"])
        same = done.stdout == blob
        differ.append(0.0 if same else float(abs(len(done.stdout) - len(blob)) or 1))
    await bench.client("h2").delete("containers/files", force=True)
    yield Figure(
        Goal("TCP between hosts (iperf3)", 0.2, "Gbit/s", at_least=True, docker=f"{anchors.OVERLAY_TCP_GBIT} Gbit/s"),
        tuple(rates), "bounded by Python's work per segment, both ends on this machine's cores",
    )  # fmt: skip
    yield Figure(Goal(f"{_BLOB >> 20} MiB over HTTP, bytes that differ", 0, "bytes", Judge.WORST),
                 tuple(differ))  # fmt: skip


async def killed(bench: Bench) -> AsyncIterator[Figure]:
    """A daemon is killed with SIGKILL and started again."""
    stage = bench.stage
    gone, back = [], []
    for _ in range(bench.runs):
        address = await stage.address("c3")
        host = bench.host("h3")
        began = time.monotonic()
        send_signal(host.process, signal.SIGKILL)
        gone.append(await names_gone(stage, began, ("c1", "c2"), "c3"))
        await stage.clients["h3"].close()
        began = time.monotonic()
        stage.swarm = await asyncio.to_thread(launcher.restart, stage.directory, "h3", die_with=os.getpid())
        stage.clients["h3"] = HostClient(host.docker_api)

        async def right(address: str = address) -> bool:
            seen = [await stage.resolve(source, "c3") for source in ("c1", "c2")]
            return seen == [[address], [address]] and await stage.ping("c1", "c3") is not None

        back.append(await stage.seconds_until(right, since=began, limit=20) or float("inf"))
    yield Figure(Goal("kill -9: its names are gone everywhere", 3.0, "s", Judge.WORST), tuple(gone))
    yield Figure(Goal("restarted: its names and pings are back", 3.0, "s", Judge.WORST), tuple(back),
                 "from the start of the process; container with --restart always")  # fmt: skip


async def names_gone(stage: Stage, since: float, observers: tuple[str, ...], name: str) -> float:
    """Seconds until no observer resolves the name; infinite when that never comes."""

    async def gone() -> bool:
        return not any([await stage.resolve(source, name) for source in observers])

    return await stage.seconds_until(gone, since=since, limit=20) or float("inf")


async def cut(bench: Bench) -> AsyncIterator[Figure]:
    """A host is silently cut off, works on alone, and comes back."""
    stage = bench.stage
    assert stage.swarm is not None
    gone, back, loss, works = [], [], [], []
    for _ in range(bench.runs):
        address = await stage.address("c3")
        load = asyncio.create_task(bench.client("h1").execute("c1", ["ping", "-i", "0.1", "-c", "60", "c2"]))
        began = time.monotonic()
        await asyncio.to_thread(faults.partition, stage.swarm, ["h1,h2", "/", "h3"])
        gone.append(await names_gone(stage, began, ("c1", "c2"), "c3"))
        works.append(float(await alone(bench)))
        done = await load
        found = _LOSS.search(done.text)
        loss.append(float(found[1]) if found else 100.0)
        began = time.monotonic()
        await asyncio.to_thread(faults.heal, stage.swarm)

        async def right(address: str = address) -> bool:
            seen = [await stage.resolve(source, "c3") for source in ("c1", "c2")]
            return seen == [[address], [address]] and await stage.ping("c3", "c1") is not None

        back.append(await stage.seconds_until(right, since=began, limit=20) or float("inf"))
    yield Figure(
        Goal("silent cut: its names are gone", 7.0, "s", Judge.WORST, docker=f"{anchors.CUT_NAMES_GONE} s"), tuple(gone)
    )
    yield Figure(
        Goal("healed: names and pings are back", 3.0, "s", Judge.WORST, docker=f"{anchors.HEAL_NAMES_BACK} s"),
        tuple(back),
    )
    yield Figure(Goal("cut: packets lost on the connected side", 0, "%", Judge.WORST), tuple(loss))
    yield Figure(Goal("cut: things that fail on either side", 0, "", Judge.WORST), tuple(works),
                 "docker run on both, local pings on both")  # fmt: skip


async def crowd(bench: Bench) -> AsyncIterator[Figure]:
    """1,000 containers on one daemon of its own, each asked by name."""
    async for figure in many(bench.runs):
        yield figure


async def alone(bench: Bench) -> int:
    """How many of these fail inside a partition: a new container on each side, and pings within each side."""
    failed = 0
    for host, neighbour in (("h1", "c1"), ("h3", "c3")):
        name = bench.fresh()
        try:
            await bench.client(host).run(RunSpec("alpine", ("sleep", "600"), name=name, network=NETWORK))
        except DockerError:
            failed += 2
            continue
        failed += await bench.stage.ping(neighbour, name) is None
        await bench.client(host).delete(f"containers/{name}", force=True)
    failed += await bench.stage.ping("c1", "c2") is None
    return failed


MEASUREMENTS: dict[str, Measurement] = {
    "start": start,
    "run": run_detached,
    "ping": ping,
    "footprint": footprint,
    "stream": stream,
    "many": crowd,
    "kill": killed,
    "cut": cut,
}
