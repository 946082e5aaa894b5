"""Publishing a container's ports, and moving them when its way out moves to another network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from daemon.engine.container import Container
from daemon.engine.network_plan import publishes
from daemon.engine.published import again, wishes
from daemon.errors import ServerError
from overlay.spec import PublishFailed

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.engine.networks import Networks

log = structlog.get_logger("ports")


class Publishing:
    """Which network each running container's ports go through."""

    def __init__(self, engine: Engine, networks: Networks) -> None:
        self._engine = engine
        self._networks = networks
        self._through: dict[str, str | None] = {}  # container id -> network id

    async def end(self, container: Container) -> None:
        """The container stops: its ports are free again."""
        self._through.pop(container.id, None)
        await self._engine.host_network.unpublish(container.id)
        container.ports = []

    async def settle(self, container: Container) -> None:
        """Through the network of the container's default route, as libnetwork's gateway endpoint does."""
        host_network = self._engine.host_network
        if container.sandbox is None or container.sandbox is host_network.host:
            return
        wanted = again(container.ports) if container.ports else wishes(container)
        target = host_network.gateway_address(container.sandbox)
        way_out = host_network.gateway_network(container.sandbox)
        if way_out == self._through.get(container.id) or not wanted:
            return
        if self._through.get(container.id) is not None:
            await host_network.unpublish(container.id)
        self._through[container.id] = way_out
        network = next((n for n in self._networks.all() if n.id == way_out), None)
        # What has a place of its own on the LAN is reached there; what a plug-in carries, it publishes.
        if target is None or way_out is None or (network is not None and not publishes(network)):
            container.ports = []
            return
        try:
            container.ports = await host_network.publish(container.id, wanted, target.partition("/")[0])
        except PublishFailed as error:
            endpoint = network.endpoint_of(container.id) if network is not None else None
            endpoint_id = endpoint.id if endpoint is not None else ""
            raise ServerError(
                "driver failed programming external connectivity on endpoint "
                f"{container.name} ({endpoint_id}): {error}"
            ) from error
        for note in dict.fromkeys(port.note for port in container.ports if port.note):
            log.warning("port not bound on the machine", container=container.name, why=note)
