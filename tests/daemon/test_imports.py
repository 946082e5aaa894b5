"""A daemon carries only what it needs: what it imports is most of its memory."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from daemon.version import VERSION

_ROOT = Path(__file__).parent.parent.parent
_NOT = ("rich", "typer", "click", "pygments", "docker", "aiodocker", "yaml", "pytest", "hypothesis", "zipfile",
        "importlib.metadata", "scenarios", "numpy", "distributed", "ctypes", "multiprocessing", "unittest")  # fmt: skip
_PROBE = """
import runpy, sys
sys.argv = ["shoald", "--help"]
try:
    runpy.run_module("daemon", run_name="__main__")
except SystemExit:
    pass
print("IMPORTED", *sorted(name for name, module in sys.modules.items() if module is not None))
"""


def test_a_daemon_does_not_import_what_it_does_not_need() -> None:
    run = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True, cwd=_ROOT)
    imported = run.stdout.rpartition("IMPORTED ")[2].split()
    assert "daemon.engine.engine" in imported
    assert [name for name in imported if name in _NOT or name.split(".")[0] in _NOT] == []
    # Programs are imported when they first run.
    assert [name for name in imported if name.startswith("daemon.programs.")] == ["daemon.programs.catalogue"]


def test_the_version_is_the_projects() -> None:
    assert tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
