"""The shoal command as a user runs it, for tests: a process of its own, its output and its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def shoal(
    *arguments: str, state: Path | None = None, stdin: str = "", timeout: float = 90
) -> subprocess.CompletedProcess[str]:
    """Runs `shoal ARGUMENTS` with `state` as its state directory."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DOCKER_HOST", None)
    if state is not None:
        environment["SHOAL_STATE"] = str(state)
    return subprocess.run(
        [sys.executable, "-m", "scenarios.cli", *arguments], input=stdin, capture_output=True, text=True,
        timeout=timeout, env=environment, check=False,
    )  # fmt: skip


def done(*arguments: str, state: Path, stdin: str = "") -> str:
    """The same, for what must succeed; its standard output."""
    result = shoal(*arguments, state=state, stdin=stdin)
    assert result.returncode == 0, f"shoal {' '.join(arguments)}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout
