"""Under which key handlers find the engine; apart from app.py so that the modules app.py imports can import it."""

from __future__ import annotations

from aiohttp import web

from daemon.engine.engine import Engine

ENGINE = web.AppKey("engine", Engine)
