"""Runs docker commands against an engine and notes what each made the example plug-in hear.

    python -m tests.plugins.record ENGINE_SOCKET PLUGIN_RECORD < commands.txt > real-engine.jsonl

The engine is any that answers on a unix socket; the plug-in is `python -m examples.plugin … --record PLUGIN_RECORD`.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEADLINE = 60.0


def run(socket: str, record: Path, commands: list[str]) -> Iterator[dict[str, Any]]:
    """One after the other: the command, its exit status and output, and the calls that came of it."""
    heard = len(lines(record))
    for command in commands:
        done = subprocess.run(
            ["docker", "-H", f"unix://{socket}", *shlex.split(command)],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        calls = lines(record)[heard:]
        heard += len(calls)
        yield {
            "command": command,
            "status": done.returncode,
            "out": done.stdout,
            "err": done.stderr,
            "calls": [json.loads(line) for line in calls],
        }


def lines(record: Path) -> list[str]:
    return record.read_text().splitlines() if record.exists() else []


if __name__ == "__main__":
    for step in run(sys.argv[1], Path(sys.argv[2]), sys.stdin.read().splitlines()):
        print(json.dumps(step), flush=True)
