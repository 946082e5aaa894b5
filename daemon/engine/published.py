"""Published ports: from HostConfig.PortBindings to wishes, and from what the host gave to NetworkSettings.Ports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from daemon.engine.container import Container
from daemon.engine.documents import JsonObject
from daemon.errors import BadParameter
from overlay.spec import PortMapping, Published


@lru_cache(256)
def split_port(text: str) -> tuple[int, Literal["tcp", "udp"]]:
    """"80/tcp" or "80". Raises BadParameter."""
    number, _, protocol = text.partition("/")
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise BadParameter(f"invalid port specification: {text!r}")
    if protocol not in ("", "tcp", "udp"):
        raise BadParameter(f"invalid proto: {protocol}")
    return int(number), "udp" if protocol == "udp" else "tcp"


def _host_ports(text: str, port: str) -> tuple[int, int]:
    """First and last; (0, 0) is "any", (n, 0) just n."""
    first, _, last = text.partition("-")
    if not first:
        return 0, 0
    if not first.isdigit() or (last and not last.isdigit()) or int(first) > 65535 or int(last or 0) > 65535:
        raise BadParameter(f"invalid port specification: {text!r} for {port}")
    return int(first), int(last or 0)


def wishes(container: Container) -> list[PortMapping]:
    """What is to be published, fixed host ports before ephemeral ones so that none of these takes one of those.
    Raises BadParameter."""
    bindings: JsonObject = container.host_config.get("PortBindings") or {}
    found = []
    for port, entries in bindings.items():
        number, protocol = split_port(port)
        for entry in entries or [{}]:
            first, last = _host_ports(entry.get("HostPort") or "", port)
            found.append(PortMapping(number, protocol, entry.get("HostIp") or "", first, last))
    if container.host_config.get("PublishAllPorts"):
        bound = [split_port(port) for port in bindings]
        for port in container.config.get("ExposedPorts") or {}:
            if split_port(port) not in bound:
                found.append(PortMapping(*split_port(port)))
    return sorted(found, key=lambda m: (m.host_port == 0, m.host_port_end != 0, m.container_port, m.protocol))


def again(published: Iterable[Published]) -> list[PortMapping]:
    """The same ports once more, on the host ports that they already have (a container's way out has moved)."""
    seen: dict[PortMapping, None] = {}
    for each in published:
        seen.setdefault(replace(each.mapping, host_port=each.host_port, host_port_end=0), None)
    return list(seen)


def ports_document(exposed: JsonObject | None, published: Sequence[Published]) -> JsonObject:
    """NetworkSettings.Ports: every exposed port, null where it is not published."""
    document: JsonObject = dict.fromkeys(f"{n}/{p}" for n, p in map(split_port, exposed or {}))
    for each in published:
        key = f"{each.mapping.container_port}/{each.mapping.protocol}"
        document[key] = [*(document.get(key) or []), {"HostIp": each.host_ip, "HostPort": str(each.host_port)}]
    return dict(sorted(document.items(), key=lambda item: split_port(item[0])))
