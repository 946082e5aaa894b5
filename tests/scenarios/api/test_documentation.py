"""docs/testing.md and the CI workflow, as a stranger would use them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]


def _pytest(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-p", "scenarios.pytest_plugin", "-p", "xdist", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120)


def _example(directory: Path) -> None:
    text = (ROOT / "docs" / "testing.md").read_text()
    found = re.search(r"```python\n(.*?)```", text, re.S)
    assert found is not None
    (directory / "test_web.py").write_text(found.group(1))


def test_the_pasted_example_passes_under_the_workflows_command(tmp_path: Path) -> None:
    workflow = yaml.safe_load((ROOT / "examples" / "ci" / "github-actions.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    words = shlex.split(next(command for command in commands if command.startswith("pytest")))
    _example(tmp_path)
    done = _pytest(tmp_path, *["2" if word == "auto" else word for word in words[1:]])
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr


def test_what_a_failure_leaves(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.shoal(hosts=2)\n"
        "def test_fails(swarm):\n"
        "    swarm.docker('h1', 'run -d --name said alpine echo words')\n"
        "    assert False\n"
    )
    done = _pytest(tmp_path)
    assert done.returncode == 1 and "kept in shoal-failures" in done.stdout, done.stdout + done.stderr
    (kept,) = (tmp_path / "shoal-failures").iterdir()
    assert (kept / "h1.said.log").read_text() == "words\n"
    assert {p.name for p in kept.iterdir()} >= {"h2.shoald.log", "h1.inspect.json", "underlay.pcapng"}
    assert (kept / "underlay.pcapng").stat().st_size > 1000


def test_one_swarm_for_the_session_is_new_for_each_test(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"test_{name}.py").write_text(
            f"def test_{name}(session_swarm):\n"
            "    swarm = session_swarm\n"
            "    assert swarm.docker('h1', 'ps -aq').stdout == ''\n"
            "    assert 'mine' not in swarm.docker('h2', 'network ls').stdout\n"
            "    swarm.docker('h1', 'network create -d overlay --attachable mine')\n"
            "    swarm.docker('h2', 'run -d --name left --network mine alpine sleep 600')\n"
            "    with open('used', 'a') as used:\n"
            "        used.write(f'{id(swarm)}\\n')\n"
        )
    done = _pytest(tmp_path, "--shoal-simulated", "--shoal-hosts", "2")
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr
    used = (tmp_path / "used").read_text().split()
    assert len(used) == 2 and used[0] == used[1], "both had the same swarm"


def test_kill_9_of_a_worker_leaves_nothing(tmp_path: Path) -> None:
    """The daemons see their worker's end by themselves; the janitor removes what they had."""
    (tmp_path / "test_it.py").write_text(
        "import json, os, pytest\n"
        "@pytest.mark.shoal(hosts=2)\n"
        "def test_dies(swarm):\n"
        "    pids = [swarm._below._host(host).process.pid for host in swarm.hosts]\n"
        "    with open('left', 'w') as left:\n"
        "        json.dump({'pids': pids, 'state': str(swarm.state)}, left)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = _pytest(tmp_path, "-n", "1", "--max-worker-restart", "0")
    assert done.returncode != 0 and "crashed" in done.stdout, done.stdout + done.stderr
    left = json.loads((tmp_path / "left").read_text())
    deadline = time.monotonic() + 60
    while any(map(_daemon, left["pids"])) or Path(left["state"]).exists():
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _daemon(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "shoald" in found.stdout or "daemon" in found.stdout
