"""A container's ports as libnetwork tells them to a driver: it may map them, this engine does not."""

from __future__ import annotations

import base64

from daemon.engine.container import Container, EndpointSettings
from daemon.engine.documents import JsonObject

EXPOSED = "com.docker.network.endpoint.exposedports"
PORT_MAP = "com.docker.network.portmap"
_MAC = "com.docker.network.endpoint.macaddress"
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}


def port_options(container: Container) -> JsonObject:
    """What is exposed and what is wished to be published; highest host port first."""
    bindings: JsonObject = container.host_config.get("PortBindings") or {}
    everything = bool(container.host_config.get("PublishAllPorts"))
    exposed, mapped = [], []
    for port in dict.fromkeys([*(container.config.get("ExposedPorts") or {}), *bindings]):
        number, _, protocol = port.partition("/")
        if not number.isdigit():
            continue
        what = {"Proto": _PROTOCOLS.get(protocol or "tcp", 0), "Port": int(number)}
        entries = bindings.get(port) if port in bindings else ([{}] if everything else None)
        wishes = []
        for entry in entries or []:
            first, _, last = ((entry or {}).get("HostPort") or "0").partition("-")
            host_ip = (entry or {}).get("HostIp") or ""
            host = {"HostIP": host_ip, "HostPort": int(first), "HostPortEnd": int(last or first)}
            wishes.append({"Proto": what["Proto"], "IP": "", "Port": what["Port"], **host})
        exposed.append(what)
        mapped += wishes
    return {
        EXPOSED: sorted(exposed, key=lambda each: (each["Port"], -each["Proto"]), reverse=True),
        PORT_MAP: sorted(mapped, key=lambda each: (each["HostPort"], each["Port"], -each["Proto"]), reverse=True),
    }


def endpoint_options(container: Container, settings: EndpointSettings, *, ports: bool) -> JsonObject:
    """Options of CreateEndpoint. A MAC address that was asked for is Go's JSON of bytes."""
    options: JsonObject = dict(settings.driver_opts or {})
    if settings.desired_mac:
        options[_MAC] = base64.b64encode(bytes.fromhex(settings.desired_mac.replace(":", "").replace("-", ""))).decode()
    return options | port_options(container) if ports else options
