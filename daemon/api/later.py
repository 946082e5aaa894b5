"""Endpoints of Docker's API that shoal knows and does not serve yet: they answer 501 and say so, not 404."""

from __future__ import annotations

import re

_LATER = (
    ("POST", r"/build|/session", "building images is"),
    ("GET", r"/images/search", "searching a registry is"),
    ("POST", r"/images/.+/push", "pushing images is"),
    ("POST", r"/auth", "logging in to a registry is"),
    ("PUT", r"/volumes/.*", "updating volumes of a cluster is"),
    ("GET|POST|PUT|DELETE", r"/plugins/.*", "managing plugins is"),
    ("POST", r"/services/.*", "running services is"),
    ("POST", r"/secrets/.*", "keeping secrets is"),
    ("POST", r"/configs/.*", "keeping configs is"),
)
_PATTERNS = [(methods.split("|"), re.compile(pattern), text) for methods, pattern, text in _LATER]


def later(method: str, path: str) -> str | None:
    """What the endpoint would be for ("building images is"), or None for one that Docker has not either."""
    for methods, pattern, text in _PATTERNS:
        if method in methods and pattern.fullmatch(path):
            return text
    return None
