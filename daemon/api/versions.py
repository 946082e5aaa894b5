"""Which API versions are served."""

from __future__ import annotations

from aiohttp import web

API_VERSION = (1, 47)
MIN_API_VERSION = (1, 24)


def text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def asked_for(request: web.Request) -> tuple[int, int]:
    """The version in the request's path; without one, the newest."""
    wanted = request.match_info.get("_version")
    if wanted is None:
        return API_VERSION
    major, _, minor = wanted.partition(".")
    return int(major), int(minor.partition(".")[0] or 0)
