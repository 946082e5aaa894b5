"""What the engine knows of plug-ins, behind one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.plugins.discovery import Directories
from daemon.plugins.endpoints import RemoteEndpoints
from daemon.plugins.networks import RemoteNetworks
from daemon.plugins.pools import RemotePools
from daemon.plugins.registry import Plugins

if TYPE_CHECKING:
    from daemon.engine.engine import Engine


class Remote:
    """`plugins` by name, and the `networks`, `pools` and `endpoints` that are theirs."""

    def __init__(self, engine: Engine) -> None:
        directories = (engine.config.state_dir / "plugins", *engine.config.plugin_dirs)
        self.plugins = Plugins(Directories(directories))
        self.pools = RemotePools(engine.store, self.plugins, engine.world.random)
        self.networks = RemoteNetworks(engine)
        self.endpoints = RemoteEndpoints(engine)

    async def stop(self) -> None:
        """Connections to plug-ins end."""
        await self.plugins.stop()
