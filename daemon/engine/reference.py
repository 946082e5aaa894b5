"""Image references as users write them, and as Docker writes them back."""

from __future__ import annotations

import re

from daemon.errors import BadParameter

# distribution/reference of moby: [domain/]path[:tag][@digest]
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,})?"
)


def familiar(reference: str) -> str:
    """A reference as Docker names it in errors: with a tag, without docker.io/library."""
    name = reference.removeprefix("docker.io/").removeprefix("library/")
    if "@" in name or ":" in name.rsplit("/", 1)[-1]:
        return name
    return f"{name}:latest"


def repository_of(reference: str) -> str:
    """A reference without its tag and digest."""
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def check_reference(reference: str) -> None:
    """BadParameter with Docker's text."""
    if not _REFERENCE.fullmatch(reference):
        repository = reference.partition(":")[0]
        lower = repository != repository.lower() and _REFERENCE.fullmatch(reference.lower())
        raise BadParameter(f"invalid reference format{': repository name must be lowercase' if lower else ''}")
