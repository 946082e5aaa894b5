"""A shoal daemon in a process of its own, and the example plug-in beside it in another."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scenarios.launch import launcher
from scenarios.launch.errors import LaunchError
from tests.scenarios.shoal import ROOT, done

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@dataclass
class Engine:
    """One daemon; `docker` runs the real CLI against it."""

    state: Path
    plugins: list[Plugin] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.state / "h1" / "docker.sock"

    def docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", "-H", f"unix://{self.socket}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def done(self, *arguments: str) -> str:
        """The same, for what must succeed; its standard output."""
        result = self.docker(*arguments)
        assert result.returncode == 0, f"docker {' '.join(arguments)}: {result.stdout}{result.stderr}"
        return result.stdout.strip()

    def plugin(self, name: str = "example") -> Plugin:
        """The example plug-in, started."""
        plugin = Plugin(self.state / "h1" / "plugins" / f"{name}.sock", self.state / f"{name}.jsonl")
        self.plugins.append(plugin)
        plugin.start()
        return plugin


@dataclass
class Plugin:
    """`python -m examples.plugin` at a socket."""

    socket: Path
    record: Path
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "examples.plugin", "--socket", str(self.socket), "--record", str(self.record)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """As kill -9: its socket's file stays."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A fresh daemon, outside of any swarm."""
    if shutil.which("docker") is None:
        pytest.skip("needs the docker command")
    parent = Path(tempfile.mkdtemp(prefix="shoal-test-"))
    engine = Engine(parent / "s")
    done("up", "1", "--no-swarm", state=engine.state)
    try:
        yield engine
    finally:
        with contextlib.suppress(LaunchError):
            launcher.down(engine.state)
        for plugin in engine.plugins:
            plugin.kill()
        shutil.rmtree(parent, ignore_errors=True)


def eventually(check: object, deadline: float = 10.0) -> None:
    """Call `check` until it is true."""
    assert callable(check)
    end = time.monotonic() + deadline
    while not check():
        assert time.monotonic() < end, f"not within {deadline} s"
        time.sleep(0.05)
