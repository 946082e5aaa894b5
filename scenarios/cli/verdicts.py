"""Commands whose exit status is a verdict: 0 it held, 1 it did not, 2 it could not be run, 130 it was interrupted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from scenarios.launch.errors import LaunchError

P = ParamSpec("P")


class NotRun(LaunchError):
    """Nothing was judged: what was asked for cannot be run. The text is for the user."""

    status = 2


def judges(command: Callable[P, None]) -> Callable[P, None]:
    """A command's function whose errors must not look like something that did not hold."""

    @functools.wraps(command)
    def judging(*arguments: P.args, **keywords: P.kwargs) -> None:
        try:
            command(*arguments, **keywords)
        except BrokenPipeError:
            raise
        except LaunchError as error:
            raise NotRun(str(error)) from None
        except OSError as error:
            raise NotRun(f"{error.filename or error}: {error.strerror}" if error.strerror else str(error)) from None

    return judging
