"""A process that waits for the end of a runner, and then stops and removes what the runner left, if anything.

kill -9 runs no handler; the end of a pipe is seen by whoever holds the other end. The daemons end with the runner by
themselves (--die-with); their state directory does not.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from pathlib import Path

from scenarios.launch import launcher
from scenarios.launch.errors import LaunchError

_TRIES = 50
_BETWEEN = 0.1


def clean(directory: Path, parent: Path | None) -> None:
    """A launch that was cut off may still be writing: until nothing is there twice in a row."""
    quiet = 0
    for _ in range(_TRIES):
        top = parent or directory
        if not top.exists():
            quiet += 1
            if quiet == 2:
                return
        else:
            quiet = 0
            with contextlib.suppress(LaunchError, OSError):
                launcher.down(directory)
            if parent is not None:
                shutil.rmtree(parent, ignore_errors=True)
            elif not directory.exists():
                return
        time.sleep(_BETWEEN)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    clean(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2] else None)
