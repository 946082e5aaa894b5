"""--link on the default bridge: the variables about the linked container that the linking one gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.engine.container_names import split_link
from daemon.errors import NotFound

if TYPE_CHECKING:
    from daemon.engine.container import Container
    from daemon.engine.engine import Engine

_NOT_PASSED_ON = ("HOME", "PATH")


def environment(engine: Engine, container: Container) -> list[str]:
    """NAME=value for each link to a container that runs on the default bridge."""
    if "bridge" not in container.endpoints:
        return []
    lines: list[str] = []
    for link in container.host_config["Links"] or []:
        name, alias = split_link(link)
        other = engine.containers.find_or_none(name)
        settings = other.endpoints.get("bridge") if other is not None else None
        if other is None or settings is None or not settings.ip_address:
            continue
        prefix = alias.upper().replace("-", "_")
        lines.append(f"{prefix}_NAME=/{container.name}/{alias}")
        exposed = [port.partition("/") for port in other.config.get("ExposedPorts") or {}]
        ports = [(port, protocol) for port, _, protocol in exposed]
        ports.sort(key=lambda port: (port[1] != "tcp", int(port[0].partition("-")[0])))
        for number, (port, protocol) in enumerate(ports):
            url = f"{protocol}://{settings.ip_address}:{port}"
            if number == 0:
                lines.append(f"{prefix}_PORT={url}")
            one = f"{prefix}_PORT_{port}_{protocol.upper()}"
            lines += [f"{one}={url}", f"{one}_ADDR={settings.ip_address}"]
            lines += [f"{one}_PORT={port}", f"{one}_PROTO={protocol}"]
        for variable in other.config["Env"] or []:
            if variable.partition("=")[0] not in _NOT_PASSED_ON:
                lines.append(f"{prefix}_ENV_{variable}")
    return lines


def remove(engine: Engine, ref: str) -> None:
    """DELETE /containers/PARENT/ALIAS?link=1. NotFound."""
    name, _, alias = ref.removeprefix("/").partition("/")
    container = engine.containers.find(name)
    links = container.host_config["Links"] or []
    left = [link for link in links if split_link(link)[1] != alias]
    if len(left) == len(links):
        raise NotFound(f"Cannot get parent /{name} for link /{name}/{alias}")
    container.host_config["Links"] = left or None
    engine.containers.save_config(container)
