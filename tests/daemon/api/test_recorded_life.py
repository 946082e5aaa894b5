"""The docker CLI prints what it printed against a real engine (20.10, API 1.41), row by row."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.daemon.api.conftest import Machine, Printed

_NORMAL = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "<ID64>"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<ID12>"),
    (re.compile(r"(?:Less than a second|About an? (?:minute|hour)|\d+ (?:second|minute|hour)s?)"), "<T>"),
    (re.compile(r"[ \t]+$", re.M), ""),
)


def _normal(text: str) -> str:
    for pattern, with_ in _NORMAL:
        text = pattern.sub(with_, text)
    return text.strip()


def _differs(row: dict[str, object], got: Printed) -> str | None:
    want = (row["exit"], _normal(str(row["stdout"])), _normal(str(row["stderr"])))
    have = (got.exit, _normal(got.stdout), _normal(got.stderr))
    return None if want == have else f"[{row['n']}] {row['cmd']}\n  want {want}\n  got  {have}"


@pytest.mark.parametrize("name", ["life", "choices"])
async def test_rows(machine: Machine, docker_cli: str, name: str) -> None:
    """life: a container's. choices: flags, filters and formats of networks and `ps`, right and wrong ones."""
    recorded = Path(__file__).with_name(f"recorded_{name}.jsonl")
    rows = [json.loads(line) for line in recorded.read_text().splitlines()]
    wrong = []
    for row in rows:
        difference = _differs(row, await machine.shell(row["cmd"]))
        if difference is not None and "inspect rs" in row["cmd"]:  # two restarts take their time
            await asyncio.sleep(0.6)
            difference = _differs(row, await machine.shell(row["cmd"]))
        if difference is not None:
            wrong.append(difference)
    assert not wrong, "\n".join(wrong)
