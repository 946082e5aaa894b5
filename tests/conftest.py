"""The same ground for every test, whoever runs them."""

from __future__ import annotations

import os
import tempfile


def pytest_configure() -> None:
    """A user without rights may be left with another user's HOME (setpriv, sudo): tools such as tshark die of it."""
    home = os.environ.get("HOME", "")
    if not os.access(home or "/", os.R_OK | os.X_OK):
        os.environ["HOME"] = tempfile.mkdtemp(prefix="shoal-home-")
