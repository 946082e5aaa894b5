"""What is wrong with a scenario's file: where, what, and what was expected."""

from __future__ import annotations


class ScenarioError(Exception):
    """`str()` is the one line that a user sees: FILE:LINE: message. line 0: the file as a whole."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")
        self.file = file
        self.line = line
        self.message = message
