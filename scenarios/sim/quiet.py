"""What simulated daemons log as errors, and what nobody caught, while a harness of tests runs them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import structlog

from scenarios.sim.loop import HOST


class Errors(logging.Handler):
    """While entered, inside a simulated loop, logs go here and nowhere else; `lines` are the errors of living hosts."""

    def __init__(self, dead: Callable[[str], bool]) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._dead = dead
        self._before: tuple[dict[str, Any], list[logging.Handler], int] | None = None

    def __enter__(self) -> Errors:
        root = logging.getLogger()
        self._before = (structlog.get_config(), root.handlers[:], root.level)
        root.handlers[:] = [self]
        root.setLevel(logging.WARNING)
        structlog.configure(
            processors=[structlog.stdlib.add_log_level, structlog.processors.format_exc_info,
                        structlog.processors.JSONRenderer()],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )  # fmt: skip
        asyncio.get_running_loop().set_exception_handler(self._uncaught)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._before is not None
        structlog.configure(**self._before[0])
        root = logging.getLogger()
        root.handlers[:] = self._before[1]
        root.setLevel(self._before[2])

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self._note(self.format(record))

    def _uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._note(f"uncaught: {context['message']}: {type(error).__name__}: {error}")

    def _note(self, text: str) -> None:
        host = HOST.get()
        if host is not None and not self._dead(host):
            self.lines.append(f"{host}: {text[:600]}")
