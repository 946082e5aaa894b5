"""What a scenario asks for that no container has here, real time or simulated: binaries, and images of a registry."""

from __future__ import annotations

import re
from collections.abc import Iterable

from daemon.programs.catalogue import BUSYBOX, EXTRA

_PROGRAM = re.compile(r'exec: "([^"]+)": (?:executable file not found in \$PATH|stat [^:]+: no such file or directory)')
_IMAGE = re.compile(r"Unable to find image '([^']+)' locally")
_MAKE_IMAGES = ("build", "commit", "image", "import", "load", "pull", "rmi", "tag")


def lacking(output: str, done: Iterable[tuple[str, ...]]) -> str:
    """Why a command could not succeed anywhere in shoal, by its output; "" if it could. done: the words of the commands
    before it, some of which may have changed which images there are."""
    if (found := _PROGRAM.search(output)) and (name := found[1].rpartition("/")[2]) not in {**BUSYBOX, **EXTRA}:
        return f"containers here run shoal's own programs, no binaries, and {name} is none of them"
    if (found := _IMAGE.search(output)) and not any(words[0] in _MAKE_IMAGES for words in done):
        return f"images here are built in, there is no registry, and {found[1]} is none of them"
    return ""
