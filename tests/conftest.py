"""The same ground for every test, whoever runs them."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

_PREFIX = "shoal-home-"


def pytest_configure() -> None:
    """A user without rights may be left with another user's HOME (setpriv, sudo): tools such as tshark die of it."""
    home = os.environ.get("HOME", "")
    if not os.access(home or "/", os.R_OK | os.X_OK):
        os.environ["HOME"] = tempfile.mkdtemp(prefix=_PREFIX)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The process that distributes the tests (under xdist) made the home, and takes it away."""
    home = os.environ.get("HOME", "")
    if _PREFIX in home and not hasattr(config, "workerinput"):
        shutil.rmtree(home, ignore_errors=True)
