"""Declared networks and containers as the docker commands that they stand for."""

from __future__ import annotations

import shlex

from scenarios.language.model import ContainerBlock, NetworkBlock


def network_line(name: str, network: NetworkBlock) -> str:
    words = ["network", "create", "-d", network.driver]
    attachable = network.driver == "overlay" if network.attachable is None else network.attachable
    words += ["--attachable"] if attachable else []
    words += ["--internal"] if network.internal else []
    words += ["--subnet", network.subnet] if network.subnet else []
    words += ["--gateway", network.gateway] if network.gateway else []
    for key, value in network.options.items():
        words += ["-o", f"{key}={value}"]
    return shlex.join([*words, name])


def container_line(name: str, container: ContainerBlock) -> str:
    words = ["run", "-d", "--name", name]
    words += ["--network", container.networks[0]] if container.networks else []
    for alias in container.aliases:
        words += ["--network-alias", alias]
    words += ["--ip", container.ip] if container.ip else []
    words += ["--restart", container.restart] if container.restart != "no" else []
    for text in container.publish:
        words += ["-p", text]
    for key, value in container.environment.items():
        words += ["-e", f"{key}={value}"]
    command = container.command
    if command is None and container.image.split(":")[0] in ("alpine", "busybox"):
        command = ["sleep", "1000000"]
    tail = shlex.split(command) if isinstance(command, str) else [str(word) for word in command or ()]
    return shlex.join([*words, container.image, *tail])
