"""The engine of one host: it owns the parts, starts them in order and stops them in the reverse order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.cluster.cluster import Cluster
from daemon.engine import image_archives
from daemon.engine.containers import Containers
from daemon.engine.events import Events
from daemon.engine.exec import Execs
from daemon.engine.images import restore_tags
from daemon.engine.keeping import Keeper
from daemon.engine.networks import Networks
from daemon.engine.tasks import TaskOwner
from daemon.engine.volumes import Folders, Volumes
from daemon.plugins.remote import Remote
from daemon.world import World

if TYPE_CHECKING:
    from daemon.cluster.control_plane import ControlPlane
    from daemon.config import Config
    from daemon.runtime.images import Image, Images
    from daemon.store.contract import Storage
    from daemon.underlay.contract import Underlay
    from overlay.host import HostNetwork
    from overlay.spec import RealPorts

_IDENTITY = ("engine", "id")  # in the store


class Engine:
    """One host's engine. `stop` ends every task that it or its parts started, within 2 s.

    Networks(engine) and Cluster(engine) are made here; HostNetwork is handed in unstarted and is the engine's from
    then on.
    """

    def __init__(
        self,
        *,
        config: Config,
        world: World,
        store: Storage,
        underlay: Underlay,
        real_ports: RealPorts,
        host_network: HostNetwork,
        images: Images,
        folders: Folders,
        control_plane: ControlPlane,
    ) -> None:
        self.config = config
        self.control_plane = control_plane
        self.world = world
        self.store = store
        self.underlay = underlay
        self.real_ports = real_ports
        self.host_network = host_network
        self.images = images
        self.folders = folders
        # What `docker pull` can bring back after `docker rmi`: reference -> image.
        self.catalogue = {tag: image for image in images.all() for tag in image.tags}
        self.tasks = TaskOwner("engine")
        self.events = Events(world.wall)
        self.volumes = Volumes(self)
        self.keeper = Keeper(self)
        self.containers = Containers(self)
        self.execs = Execs(self)
        self.remote = Remote(self)
        self.networks = Networks(self)
        self.cluster = Cluster(self)

    def offered(self, identity: str) -> Image | None:
        """One of the runtime's own images by id, also when its name has been taken away."""
        return next((image for image in self.catalogue.values() if image.id == identity), None)

    @property
    def identity(self) -> str:
        """This engine's id (`docker info`), the same for as long as its store is."""
        known = self.store.get(*_IDENTITY)
        if known is None:
            known = self.world.hex_id()[:32].encode()
            self.store.commit([(*_IDENTITY, known)])
        text = known.decode()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    async def start(self) -> None:
        """Networks first, then the cluster, then the containers that were running or must run again."""
        image_archives.restore(self)
        restore_tags(self)
        self.volumes.restore()
        await self.host_network.start()
        await self.networks.start()
        await self.cluster.resume()
        self.keeper.start()
        await self.containers.restore()

    async def stop(self) -> None:
        """Containers, cluster, networks; then whatever is still under way."""
        self.events.close()
        self.remote.hurry()
        await self.containers.stop()
        await self.cluster.stop()
        await self.networks.stop()
        await self.remote.stop()
        await self.host_network.stop()
        await self.tasks.stop()
