"""All containers of this host: by id, by name, by the beginning of an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.engine.container import Container
from daemon.errors import NotFound

if TYPE_CHECKING:
    from daemon.engine.engine import Engine


class Containers:
    """The host's containers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, Container] = {}

    def all(self) -> list[Container]:
        """Newest first, as `docker ps` lists them."""
        return sorted(self._by_id.values(), key=lambda c: c.created, reverse=True)

    def find(self, ref: str) -> Container:
        """By id, by name (with or without the slash), by a prefix of the id that only one has.

        NotFound("No such container: …") otherwise.
        """
        raise NotFound(f"No such container: {ref}")

    async def restore(self) -> None:
        """Load what the store has; start again what its restart policy says."""

    async def stop(self) -> None:
        """Stop all at the daemon's end."""

    def save(self, container: Container) -> None:
        """Commit a container's configuration and state; Networks calls it after connect and disconnect."""

    def write_etc(self, container: Container) -> None:
        """/etc/hosts, /etc/resolv.conf and /etc/hostname as they should be now; Networks calls it after it changed
        a running container's endpoints."""
