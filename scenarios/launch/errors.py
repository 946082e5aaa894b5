"""What can go wrong between asking for a swarm and having one: each is one clear line for the user."""

from __future__ import annotations


class LaunchError(Exception):
    """A swarm could not be started, found or stopped; the text is for the user. status: of the command that it ends."""

    status = 1


class AlreadyRunning(LaunchError):
    """The state directory holds a swarm with living daemons."""


class NotRunning(LaunchError):
    """The state directory holds no swarm, or the named host is not one of it."""
