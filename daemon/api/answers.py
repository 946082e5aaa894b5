"""Answers as clients want them: JSON with exactly `application/json` (the CLI prints bodies of any other type raw)."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web


def json_answer(body: Any, status: int = 200) -> web.Response:
    """A JSON body without a charset in its content type."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return web.Response(body=text.encode() + b"\n", status=status, content_type="application/json")


def error_answer(message: str, status: int) -> web.Response:
    """Docker's error body."""
    return json_answer({"message": message}, status)


def no_content() -> web.Response:
    return web.Response(status=204)
