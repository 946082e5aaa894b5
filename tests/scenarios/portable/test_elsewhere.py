"""P3: the daemons need nothing of one kernel. They run, are driven and stopped with all that only a Unix has gone."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from scenarios.launch import record
from scenarios.launch.process import is_alive
from tests.scenarios.shoal import ROOT

_HERE = Path(__file__).parent


def _shoal(state: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{_HERE}{os.pathsep}{ROOT}", "SHOAL_STATE": str(state)}
    ended = subprocess.run(
        [sys.executable, "-m", "scenarios.cli", *arguments], capture_output=True, text=True, timeout=90,
        env=environment, check=False,
    )  # fmt: skip
    logs = "".join(path.read_text()[-2000:] for path in state.glob("*/shoald.log"))
    assert ended.returncode == 0, f"{arguments}: {ended.stdout}{ended.stderr}{logs}"
    return ended.stdout


def test_there_is_nothing_of_a_unix_left_in_such_a_process() -> None:
    code = "import socket, os, signal as s; print(*map(hasattr, (socket, os, s), ('AF_UNIX', 'fork', 'SIGKILL')))"
    code += "; import fcntl"
    environment = {**os.environ, "PYTHONPATH": str(_HERE)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert ended.stdout.split() == ["False"] * 3 and "No module named 'fcntl'" in ended.stderr


def test_P3_a_swarm_on_ports_of_one_address_with_its_apis_on_tcp(state: Path) -> None:
    printed = _shoal(state, "up", "3", "--addresses", "ports", "--api", "tcp")
    assert printed.count("DOCKER_HOST=tcp://127.0.0.1:") == 3
    swarm = record.running(state)
    assert not list(state.glob("*/*.sock"))
    _shoal(state, "on", "h1", "network", "create", "-d", "overlay", "--attachable", "across")
    _shoal(state, "on", "h2", "run", "-d", "--name", "web", "--network", "across", "-p", "18080:80", "nginx")
    page = _shoal(state, "on", "h3", "run", "--rm", "--network", "across", "alpine", "wget", "-qO-", "http://web/")
    assert "nginx" in page
    with urllib.request.urlopen("http://127.0.0.1:18080/", timeout=10) as answer:
        assert b"nginx" in answer.read()
    assert _shoal(state, "on", "h2", "exec", "web", "hostname").strip()
    _shoal(state, "chaos", "kill", "h2")
    _shoal(state, "chaos", "restart", "h2")
    _shoal(state, "down")
    assert not any(is_alive(host.process) for host in swarm.hosts)
    assert not state.exists()
