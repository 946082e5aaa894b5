"""State directories whose sockets' paths are short enough, emptied of daemons whatever a test leaves."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenarios.launch import launcher
from scenarios.launch.errors import LaunchError


def _directory() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="shoal-test-"))
    yield parent / "state"
    with contextlib.suppress(LaunchError):
        launcher.down(parent / "state")
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def state() -> Iterator[Path]:
    """A state directory that does not exist yet."""
    yield from _directory()


@pytest.fixture(scope="module")
def shared_state() -> Iterator[Path]:
    """One for all tests of a module."""
    yield from _directory()
