"""Why a number was not given. Each error carries what an API must say."""

from __future__ import annotations


class NumbersError(Exception):
    """A number could not be given."""


class UnknownSpace(NumbersError):
    """No such number space is known here, also after asking a peer."""

    def __init__(self, space: str) -> None:
        super().__init__(f"number space {space} is not known")
        self.space = space


class SpaceExhausted(NumbersError):
    """Every owner of the space answered that it has none left."""

    def __init__(self, space: str) -> None:
        super().__init__(f"number space {space} is exhausted")
        self.space = space


class NumberTaken(NumbersError):
    """The wanted number is in use, by its owner's word or because a row names it."""

    def __init__(self, space: str, number: int) -> None:
        super().__init__(f"number {number} of {space} is in use")
        self.space = space
        self.number = number


class NumberOutside(NumbersError):
    """The wanted number is not in the space."""

    def __init__(self, space: str, number: int) -> None:
        super().__init__(f"number {number} is outside of {space}")
        self.space = space
        self.number = number


class OwnerUnreachable(NumbersError):
    """Whoever could give cannot be reached; `hostname` says who."""

    def __init__(self, space: str, hostname: str) -> None:
        super().__init__(f"{hostname}, which has the free numbers of {space}, cannot be reached")
        self.space = space
        self.hostname = hostname


class InDoubt(NumbersError):
    """This host's disk may be older than what it told others: it gives nothing before all members have been heard;
    `hostname` says who has not."""

    def __init__(self, space: str, hostname: str) -> None:
        super().__init__(f"the disk of this host may be an older one: host {hostname} must be heard first, or removed")
        self.space = space
        self.hostname = hostname


class SpaceInDispute(NumbersError):
    """Two views of the space contradict each other (a cloned or restored disk): nobody gives from it."""

    def __init__(self, space: str) -> None:
        super().__init__(f"number space {space} is in dispute: two hosts claim one range, neither gives from it")
        self.space = space
