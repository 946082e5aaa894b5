"""Every command of the README is run, in its order, in one place, against what it starts itself.

A fence marked `sh` is a script that must succeed. Those with make's targets are checked against the Makefile only:
CI runs the targets themselves.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCES = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)

_LEAVE_ENVIRONMENT = '\nexport -p > "$SHOAL_TEST_ENVIRONMENT"\n'


class Shell:
    """A user's shell: what one fence exports, the next one sees."""

    def __init__(self, state: Path) -> None:
        self._exports = state.parent / "environment"
        self._exports.write_text("")
        self._environment = {
            **os.environ, "SHOAL_STATE": str(state), "SHOAL_TEST_ENVIRONMENT": str(self._exports),
            "DOCKER_CONFIG": str(state.parent),
        }  # fmt: skip
        self._environment.pop("DOCKER_HOST", None)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        before = f'set -euo pipefail; . "{self._exports}"; set -x\n'
        return subprocess.run(
            ["bash", "-c", before + script + _LEAVE_ENVIRONMENT], cwd=ROOT, env=self._environment, text=True,
            capture_output=True, timeout=120, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip


@pytest.fixture
def shell() -> Iterator[Shell]:
    parent = Path(tempfile.mkdtemp(prefix="shoal-readme-"))
    shell = Shell(parent / "state")
    yield shell
    shell.run(f'export PATH="{ROOT}/.venv/bin:$PATH"; [ ! -d "$SHOAL_STATE" ] || shoal down')
    shutil.rmtree(parent, ignore_errors=True)


def test_commands_do_what_they_say(shell: Shell) -> None:
    """In one test, since each fence builds on those before it."""
    assert len(FENCES) >= 6
    makefile = (ROOT / "Makefile").read_text()
    left_out = []
    for script in FENCES:
        targets = re.findall(r"^make (\S+)", script, re.M)
        if targets:
            for target in targets:
                assert re.search(rf"^{target}:", makefile, re.M), f"no make {target}"
        elif (found := re.search(r"^(docker(?:-compose)?) ", script, re.M)) and shutil.which(found[1]) is None:
            left_out.append(script)
        else:
            result = shell.run(script)
            assert result.returncode == 0, f"{script}\n{result.stdout}\n{result.stderr}"
    if left_out:
        pytest.skip(f"no docker command on this machine for: {' '.join(left_out)[:200]}")
