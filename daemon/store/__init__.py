"""What survives a crash: small documents by (kind, key), committed together or not at all."""


class DiskRefused(OSError):
    """A commit was not written, for lack of room or worse; nothing has changed. The text is for the user."""

    def __init__(self, why: object) -> None:
        super().__init__(f"the store cannot be written: {why}")
