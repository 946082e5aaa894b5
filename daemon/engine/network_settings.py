"""NetworkSettings of a container's inspect."""

from __future__ import annotations

from daemon.engine.container import Container, EndpointSettings
from daemon.engine.documents import JsonObject
from daemon.engine.published import ports_document


def network_settings(container: Container, *, unpublished: bool = False) -> JsonObject:
    """The container's NetworkSettings. `unpublished`: its networks are all of the kind that publishes nothing."""
    host = container.network_mode == "host"
    alone = host or "none" in container.endpoints or container.shares_sandbox_of is not None
    running = container.sandbox is not None and container.state.running
    main = container.endpoints.get("bridge") or EndpointSettings()
    ports: JsonObject = {}
    if running and not alone and not unpublished:
        ports = ports_document(container.config.get("ExposedPorts"), container.ports)
    key = f"/run/docker/netns/{'default' if host else container.sandbox_id[:12]}" if container.sandbox_id else ""
    return {
        "Bridge": "",
        "SandboxID": container.sandbox_id,
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": ports,
        "SandboxKey": key,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": main.endpoint_id,
        "Gateway": main.gateway,
        "GlobalIPv6Address": main.global_ipv6_address,
        "GlobalIPv6PrefixLen": main.global_ipv6_prefix_len,
        "IPAddress": main.ip_address,
        "IPPrefixLen": main.prefix_len,
        "IPv6Gateway": main.ipv6_gateway,
        "MacAddress": main.mac_address,
        "Networks": {name: settings.to_api() for name, settings in container.endpoints.items()},
    }
