"""P10, P15: shoal uses a third party's driver as a real engine does: the same calls, in the same order, to one effect.

real-engine.jsonl is what commands.txt came to on Docker 20.10.24 with `python -m examples.plugin` (see record.py). The
plug-in is the same, unchanged; only what it answers to Join differs, because only shoal offers it a frame socket.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.plugins.conftest import Engine
from tests.plugins.record import run

HERE = Path(__file__).parent
FRAMES = "com.shoal.frames"
_ID = re.compile(r"\b[0-9a-f]{64}\b")
_SHORT = re.compile(r"\b[0-9a-f]{12}\b")
_SORTED = ("com.docker.network.endpoint.exposedports", "com.docker.network.portmap", "IPv4Data")
"""Docker's order of these is that of a Go map: another one each time."""


def numbered(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With ids replaced by the number of their first appearance."""
    seen: dict[str, str] = {}
    text = _ID.sub(lambda match: seen.setdefault(match[0], f"#{len(seen)}"), json.dumps(steps))
    found: list[dict[str, Any]] = json.loads(text)
    return found


def comparable(body: Any) -> Any:
    """Without what is each engine's own."""
    if isinstance(body, list):
        return [comparable(each) for each in body]
    if not isinstance(body, dict):
        return body
    kept = {key: comparable(value) for key, value in body.items() if key not in ("SandboxKey", FRAMES)}
    return {key: sorted(value, key=json.dumps) if key in _SORTED else value for key, value in kept.items()}


def covers(real: Any, ours: Any) -> bool:
    """Whether all of `real` is in `ours`, which may be of a later version of the API; times apart."""
    if isinstance(real, dict) and isinstance(ours, dict):
        return all(key in ours and (key == "Created" or covers(real[key], ours[key])) for key in real)
    if isinstance(real, list) and isinstance(ours, list):
        return len(real) == len(ours) and all(map(covers, real, ours))
    return bool(real == ours)


def shown(step: dict[str, Any]) -> Any:
    """What the user sees."""
    if step["command"].startswith("network inspect"):
        return json.loads(step["out"])
    if step["command"] == "inspect web":
        settings = json.loads(_SHORT.sub("short", step["out"]))[0]["NetworkSettings"]
        return {key: settings[key] for key in ("Networks", "Ports")}
    return re.sub(r"[\d.]+/[\d.]+/[\d.]+ ms", "ms", step["out"])


def test_a_plugin_hears_the_same_from_shoal_and_from_a_real_engine(engine: Engine) -> None:
    """P10, P15"""
    plugin = engine.plugin()
    commands = (HERE / "commands.txt").read_text().splitlines()
    real = numbered([json.loads(line) for line in (HERE / "real-engine.jsonl").read_text().splitlines()])
    ours = numbered(list(run(str(engine.socket), plugin.record, commands)))
    assert [step["command"] for step in real] == commands
    for theirs, mine in zip(real, ours, strict=True):
        what = theirs["command"]
        assert (mine["status"], mine["err"]) == (theirs["status"], theirs["err"]), what
        calls = [[(call["call"], comparable(call["body"])) for call in step["calls"]] for step in (mine, theirs)]
        assert calls[0] == calls[1], what
        assert covers(shown(theirs), shown(mine)), (what, shown(theirs), shown(mine))
    heard = {call["call"] for step in ours for call in step["calls"]}
    assert len(heard) == 17, sorted(heard)
