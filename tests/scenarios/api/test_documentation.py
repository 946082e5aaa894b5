"""docs/testing.md and the CI workflow, as a stranger would use them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
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
