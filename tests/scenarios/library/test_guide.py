"""Every command of docs/scenarios.md is run, in its order, in one place; its scenario is run; its tables are whole."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from scenarios.language.model import INVARIANTS, Scenario
from scenarios.language.reading import parse
from scenarios.running.run import run_simulated
from tests.scenarios.library.test_library import LIBRARY, ROOT

GUIDE = (ROOT / "docs" / "scenarios.md").read_text()
FENCES = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.M | re.S)


def test_commands_do_what_they_say(tmp_path: Path) -> None:
    """In one test, since each fence builds on those before it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for script in FENCES:
        if script.startswith("tshark") and shutil.which("tshark") is None:
            continue
        done = subprocess.run(
            ["bash", "-c", "set -euo pipefail\n" + script], cwd=tmp_path, env={**os.environ, "PATH": path}, text=True,
            capture_output=True, timeout=120, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip() or script.startswith("shoal scenario sim first-overlay") or "schema" in script


def test_the_scenario_that_is_shown_holds() -> None:
    [text] = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.M | re.S)
    [source] = parse(text, file="guide.yaml")
    record = run_simulated(source)
    assert record.passed, record.verdict.what


def test_nothing_is_missing_in_its_tables() -> None:
    for path in LIBRARY:
        assert f"| [{path.stem}](../scenarios/library/{path.name}) |" in GUIDE, path.stem
    for name in INVARIANTS:
        assert f"| `{name}` |" in GUIDE, name
    for name in Scenario.model_fields:
        assert name == "name" or f"`{name}" in GUIDE, name
