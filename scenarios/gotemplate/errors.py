"""What a template may be wrong with, in Go's words."""

from __future__ import annotations


class TemplateError(ValueError):
    """`template: NAME:LINE: …` for a text that is no template, `template: NAME:LINE:COLUMN: executing …` for one that
    does not fit its data."""


class WrongValue(Exception):
    """A value that an operation cannot take; the text says why. Whoever executes knows where, and says so."""
