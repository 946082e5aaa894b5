"""A swarm whose daemons all died finds its block taken, and comes back in another with all that it had."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

from scenarios.launch import block, launcher
from scenarios.launch.localhttp import request
from scenarios.launch.process import identify


def test_restarted_in_another_block() -> None:
    with tempfile.TemporaryDirectory(prefix="shoal-moved-") as parent:
        directory = Path(parent, "s")
        before = launcher.up(1, directory=directory, die_with=os.getpid())
        try:
            host = before.host("h1")
            request(host.docker_api, "POST", "/networks/create", {"Name": "kept"}, timeout=10)
            os.kill(host.process.pid, signal.SIGKILL)
            while identify(host.process.pid) == host.process:
                pass
            with block.claim(1, only=before.where):
                after = launcher.restart(directory, "h1", die_with=os.getpid())
            assert after.where != before.where and after.host("h1").real != host.real
            names = [n["Name"] for n in request(after.host("h1").docker_api, "GET", "/networks", timeout=10)]
            assert "kept" in names
        finally:
            launcher.down(directory)
