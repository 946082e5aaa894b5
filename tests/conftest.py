"""The same ground for every test, whoever runs them."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings

# No law is judged by the clock: a busy machine stops any example for longer than hypothesis's 200 ms. Where CI judges a
# change it does so on the same examples each time; on everybody's own machine new ones are drawn.
settings.register_profile(
    "shoal", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("shoal")

_PREFIX = "shoal-home-"


def pytest_configure() -> None:
    """What the tools that tests run take for granted.

    A user without rights may be left with another user's HOME (setpriv, sudo): tools such as tshark die of it.
    A machine may have no /tmp: docker, iperf3 and browsers do not look further, as Python does, unless TMPDIR is set.
    """
    os.environ.setdefault("TMPDIR", tempfile.gettempdir())
    home = os.environ.get("HOME", "")
    if not os.access(home or "/", os.R_OK | os.X_OK):
        os.environ["HOME"] = tempfile.mkdtemp(prefix=_PREFIX)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The process that distributes the tests (under xdist) made the home, and takes it away."""
    home = os.environ.get("HOME", "")
    if _PREFIX in home and not hasattr(config, "workerinput"):
        shutil.rmtree(home, ignore_errors=True)
