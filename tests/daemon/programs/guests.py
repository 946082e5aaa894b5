"""Containers to run programs in, with nothing below them but real stacks and cables."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from daemon.runtime.container import Guest
from daemon.runtime.images import Images
from daemon.runtime.pipe import Pipe
from daemon.runtime.process import Process
from daemon.world import World
from overlay.port import cable
from overlay.sandbox import Sandbox

WALL = 1_700_000_000.0
DEADLINE = 20.0


@dataclass(slots=True)
class Result:
    stdout: str
    stderr: str
    code: int


def make_guest(name: str = "box", image: str = "alpine", images: Images | None = None, seed: int = 1) -> Guest:
    """A guest with a stack that has only lo."""
    random = Random(seed)
    loop = asyncio.get_running_loop()
    start = loop.time()
    world = World(wall=lambda: WALL + loop.time() - start, random=random, entropy=random.randbytes)
    found = (images or Images()).resolve(image)
    assert found is not None
    guest = Guest(hostname=name, image=found, env=[], sandbox=Sandbox(name, random=random), world=world)
    guest.files.write("/etc/hosts", "127.0.0.1\tlocalhost\n")
    return guest


def make_pair() -> tuple[Guest, Guest]:
    """Two guests on one cable: a is 10.0.0.2, b is 10.0.0.3, and they know each other from /etc/hosts."""
    one, two = make_guest("a", seed=1), make_guest("b", seed=2)
    left, right = cable()
    one.sandbox.add_interface("eth0", mac="02:42:0a:00:00:02", mtu=1450, addresses=["10.0.0.2/24"], port=left, index=5)
    two.sandbox.add_interface("eth0", mac="02:42:0a:00:00:03", mtu=1450, addresses=["10.0.0.3/24"], port=right, index=7)
    for guest in (one, two):
        guest.sandbox.add_route("0.0.0.0/0", via="10.0.0.1", interface="eth0")
        guest.files.write("/etc/hosts", "127.0.0.1\tlocalhost\n10.0.0.2\ta\n10.0.0.3\tb\n")
    return one, two


@dataclass(slots=True)
class Running:
    """A process and the far ends of its pipes."""

    process: Process
    stdin: Pipe
    stdout: Pipe
    stderr: Pipe

    async def finish(self, stdin: bytes = b"") -> Result:
        """Feed it, read everything, wait for its end."""
        out, err, _, code = await asyncio.wait_for(
            asyncio.gather(drain(self.stdout), drain(self.stderr), self._feed(stdin), self.process.wait()), DEADLINE
        )
        return Result(out, err, code)

    async def _feed(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            await self.stdin.write(data)
        self.stdin.close_write()


async def drain(pipe: Pipe) -> str:
    chunks = []
    while data := await pipe.read():
        chunks.append(data)
    return b"".join(chunks).decode("utf-8", "surrogateescape")


def start(guest: Guest, *argv: str, cwd: str = "/", env: Sequence[str] = ()) -> Running:
    stdin, stdout, stderr = Pipe(), Pipe(), Pipe()
    process = guest.spawn(argv, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr)
    return Running(process, stdin, stdout, stderr)


async def run(guest: Guest, *argv: str, stdin: bytes = b"", cwd: str = "/", env: Sequence[str] = ()) -> Result:
    return await start(guest, *argv, cwd=cwd, env=env).finish(stdin)


async def shut(*guests: Guest) -> None:
    for guest in guests:
        await guest.stop()
        await guest.sandbox.close()
