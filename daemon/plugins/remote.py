"""What the engine knows of plug-ins, behind one object."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.plugins.bundles import Bundles
from daemon.plugins.discovery import Address, Directories
from daemon.plugins.endpoints import RemoteEndpoints
from daemon.plugins.networks import RemoteNetworks
from daemon.plugins.pools import RemotePools
from daemon.plugins.registry import Plugins
from daemon.version import VERSION

if TYPE_CHECKING:
    from daemon.engine.engine import Engine


class Remote:
    """`plugins` by name, installed `bundles`, and the `networks`, `pools` and `endpoints` that are theirs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._directories = Directories((engine.config.state_dir / "plugins", *engine.config.plugin_dirs))
        self.bundles = Bundles(engine, version=VERSION)
        self.plugins = Plugins(self._find)
        self.pools = RemotePools(engine.store, self.plugins, engine.world.random)
        self.networks = RemoteNetworks(engine)
        self.endpoints = RemoteEndpoints(engine)

    def sockets_are(self, is_socket: Callable[[Path], bool]) -> None:
        """Where sockets are no files (in simulated time): what is one."""
        self._directories = Directories((self._engine.config.state_dir / "plugins",), is_socket)

    async def start(self) -> None:
        """Installed plug-ins that are enabled run; then what a killed daemon has left with any plug-in is undone."""
        await self.bundles.start()
        self.pools.restore()
        await self.endpoints.clear_leftovers()

    def hurry(self) -> None:
        """The daemon is about to stop: containers leave their networks, but no plug-in keeps them waiting."""
        self.plugins.hurry()

    async def stop(self) -> None:
        """Connections to plug-ins end, and installed plug-ins with them."""
        await self.plugins.stop()
        await self.bundles.stop()

    def _find(self, name: str) -> Address | None:
        """An installed plug-in before one of a directory. Raises ApiError, BadSpec, OSError."""
        return self.bundles.address(name) or self._directories.find(name)
