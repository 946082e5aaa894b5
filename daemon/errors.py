"""Errors that carry what the API must say: Docker's status code and Docker's text.

Raised anywhere in the daemon, turned into `{"message": …}` by the API's middleware; nothing else maps errors to codes.
"""

from __future__ import annotations


class ApiError(Exception):
    """An answer other than success. `message` is what the client prints."""

    status = 500

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status


class NotModified(ApiError):
    """The object is already in the wanted state; the answer has no body."""

    status = 304


class BadParameter(ApiError):
    status = 400


class Unauthorized(ApiError):
    status = 401


class Forbidden(ApiError):
    status = 403


class NotFound(ApiError):
    status = 404


class Conflict(ApiError):
    status = 409


class ServerError(ApiError):
    status = 500


class NotImplementedYet(ApiError):
    """An endpoint of Docker's that shoal knows and does not serve."""

    status = 501


class Unavailable(ApiError):
    """This node cannot answer in its present role (not in a swarm, not a manager)."""

    status = 503
