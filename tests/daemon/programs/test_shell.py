"""sh and the text programs against what busybox 1.35 printed for the same snippets.

`shell_snippets.json` holds each snippet with the real output, error output and status. `python -m
tests.daemon.programs.test_shell` records it anew; where busybox is there a test does so on the fly and compares.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.daemon.programs.guests import make_guest, run, shut, start

RECORDED = Path(__file__).with_name("shell_snippets.json")
ROWS: list[dict[str, str | int]] = json.loads(RECORDED.read_text())
BUSYBOX = shutil.which("busybox")


def real(script: str) -> dict[str, str | int]:
    """What the machine's busybox does with it, in an empty directory."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            ["sh", "-c", script],
            executable=BUSYBOX,
            cwd=directory,
            env={"PATH": "/bin", "HOME": "/root"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return {"script": script, "stdout": done.stdout.decode(), "stderr": done.stderr.decode(), "code": code}


async def ours(script: str) -> dict[str, str | int]:
    guest = make_guest()
    start(guest, "sleep", "1000")
    guest.files.mkdir("/work")
    try:
        result = await run(guest, "sh", "-c", script, cwd="/work", env=["HOME=/root"])
    finally:
        await shut(guest)
    return {"script": script, "stdout": result.stdout, "stderr": result.stderr, "code": result.code}


@pytest.mark.parametrize("row", ROWS, ids=[f"{n}" for n in range(len(ROWS))])
async def test_snippet(row: dict[str, str | int]) -> None:
    assert await ours(str(row["script"])) == row


@pytest.mark.skipif(BUSYBOX is None, reason="busybox is not installed")
def test_recorded_is_what_busybox_does() -> None:
    version = subprocess.run(["busybox"], executable=BUSYBOX, capture_output=True, check=False).stdout.decode()
    if "v1.35" not in version:
        pytest.skip("recorded from busybox 1.35, this is another one")
    for row in ROWS[::10]:
        # Whether a shell still sees its job die before it ends itself depends on the machine's moment.
        if "Terminated" not in str(row["stderr"]):
            assert real(str(row["script"])) == row


if __name__ == "__main__":
    RECORDED.write_text(json.dumps([real(str(row["script"])) for row in ROWS], indent=1) + "\n")
    for row in ROWS:
        if asyncio.run(ours(str(row["script"]))) != row:
            print(row["script"])
