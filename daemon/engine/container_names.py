"""What a container can call others, and what it is called: its resolver, links, and the files in its /etc."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.engine.container import Container, EndpointSettings
from daemon.engine.etc_files import hosts_file, resolver_file
from daemon.engine.network import Network

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.engine.networks import Networks
    from overlay.sandbox import Sandbox

LAN_RESOLVER = "192.0.2.254"


@dataclass(slots=True)
class _Place:
    """Of a running container."""

    links: dict[str, str] = field(default_factory=dict)  # alias -> container, live: the resolver reads it
    resolver: bool = False


class ContainerNames:
    """Names as seen from each running container of this host."""

    def __init__(self, engine: Engine, networks: Networks) -> None:
        self._engine = engine
        self._networks = networks
        self._places: dict[str, _Place] = {}  # by container id

    def open(self, container: Container) -> None:
        """The container is about to join its networks."""
        self._places[container.id] = _Place()

    def close(self, container: Container) -> None:
        self._places.pop(container.id, None)

    def serve(self, container: Container, sandbox: Sandbox) -> None:
        """Docker's resolver, from the first user-defined network on."""
        place = self._places[container.id]
        if place.resolver:
            return
        place.resolver = True
        self._engine.host_network.start_resolver(
            sandbox,
            networks=lambda: self._named_networks(container),
            links=place.links,
            upstream=container.host_config.get("Dns") or [LAN_RESOLVER],
        )

    def _named_networks(self, container: Container) -> list[str]:
        found = [self._networks.resolve_or_none(s.network_id or name) for name, s in container.endpoints.items()]
        return [network.id for network in found if network is not None and network.user_defined]

    def link(self, container: Container, network: Network, settings: EndpointSettings) -> None:
        """--link on a user-defined network: one more name, for this container only."""
        wished = list(settings.links or [])
        if network.user_defined and network.name == main_network(self._networks, container):
            wished += container.host_config.get("Links") or []
        links = self._places[container.id].links
        for link in wished:
            target, alias = split_link(link)
            other = self._engine.containers.find_or_none(target)
            links[alias] = other.short_id if other is not None else target

    def _legacy_links(self, container: Container) -> list[tuple[str, str]]:
        """--link on the default bridge: lines of /etc/hosts, with alias, hostname and name."""
        lines = []
        if "bridge" not in container.endpoints:
            return []
        for link in container.host_config.get("Links") or []:
            target, alias = split_link(link)
            other = self._engine.containers.find_or_none(target)
            settings = other.endpoints.get("bridge") if other is not None else None
            if other is None or settings is None or not settings.ip_address:
                continue
            names = dict.fromkeys([alias, other.hostname, other.name])
            lines.append((settings.ip_address, " ".join(names)))
        return lines

    def renamed(self, container: Container) -> None:
        """Another container name: in every network that has names, on every host."""
        for network in self._networks.all():
            endpoint = network.endpoint_of(container.id)
            if endpoint is None:
                continue
            endpoint.name = container.name
            if not network.user_defined:
                continue
            settings = container.endpoints.get(network.name)
            aliases = settings.aliases if settings is not None else None
            endpoint.names = tuple(dict.fromkeys([container.name, *(aliases or [])]))
            if settings is not None:
                settings.dns_names = list(endpoint.names)
            self._engine.host_network.rename(endpoint.id, endpoint.names)
            if network.scope == "swarm":
                self._engine.cluster.overlays.renamed(network, endpoint, container)

    def etc_files(self, container: Container) -> Mapping[str, str]:
        """/etc/hostname, /etc/hosts and /etc/resolv.conf as they should be now."""
        shared = container.shares_sandbox_of
        if shared is not None:
            return self.etc_files(self._engine.containers.find(shared))
        place = self._places.get(container.id)
        host_config = container.host_config
        extra = []
        for entry in host_config.get("ExtraHosts") or []:
            name, _, address = entry.partition(":")
            extra.append((self._host_gateway() if address == "host-gateway" else address, name))
        places = container.endpoints.values()
        own = [address for s in places for address in (s.ip_address, s.global_ipv6_address) if address]
        return {
            "/etc/hostname": f"{container.hostname}\n",
            "/etc/hosts": hosts_file(
                [*extra, *self._legacy_links(container)],
                own,
                container.config["Hostname"],
                container.config.get("Domainname") or "",
            ),
            "/etc/resolv.conf": resolver_file(
                host_servers=[LAN_RESOLVER],
                dns=host_config.get("Dns") or [],
                search=host_config.get("DnsSearch") or [],
                options=host_config.get("DnsOptions") or [],
                embedded=place is not None and place.resolver,
            ),
        }

    def _host_gateway(self) -> str:
        pools = self._networks.find("bridge").pools
        return (pools[0].gateway or "") if pools else ""


def main_network(networks: Networks, container: Container) -> str:
    """The name of the network that HostConfig.NetworkMode names."""
    mode = "bridge" if container.network_mode == "default" else container.network_mode
    network = networks.resolve_or_none(mode)
    return network.name if network is not None else mode


def split_link(link: str) -> tuple[str, str]:
    """"web:store" or "/web:/me/store" → (target, alias); without an alias the name is it."""
    target, _, alias = link.partition(":")
    target = target.removeprefix("/")
    return target, alias.rsplit("/", 1)[-1] or target
