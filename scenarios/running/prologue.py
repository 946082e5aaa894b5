"""What a scenario declares rather than does: labels, networks and containers, made before the steps."""

from __future__ import annotations

import shlex

from scenarios.language.model import ContainerBlock, NetworkBlock
from scenarios.language.reading import Source
from scenarios.running.judging import docker
from scenarios.running.stage import Failed, Stage


async def prologue(stage: Stage, source: Source) -> None:
    """Raises Failed for the first command that fails."""
    await _labels(stage)
    for name, network in stage.scenario.networks.items():
        first = next(iter(stage.swarm.addresses))
        hosts = [network.on] if network.on else [first] if network.driver == "overlay" else list(stage.swarm.addresses)
        for host in hosts:
            await _do(stage, host, network_line(name, network), source.line("networks", name))
    for name, container in stage.scenario.containers.items():
        line = source.line("containers", name)
        await _do(stage, container.on, container_line(name, container), line)
        for network_name in container.networks[1:]:
            await _do(stage, container.on, f"network connect {network_name} {name}", line)


async def _labels(stage: Stage) -> None:
    wanted = {name: host.labels for name, host in stage.scenario.hosts.items() if host.labels and host.join}
    if not wanted or not stage.scenario.swarm:
        return
    manager = stage.swarm.client(next(iter(stage.swarm.addresses)))
    for node in await manager.get("nodes"):
        if (labels := wanted.get(node["Description"]["Hostname"])) is not None:
            spec = {**node["Spec"], "Labels": {**(node["Spec"].get("Labels") or {}), **labels}}
            await manager.post(f"nodes/{node['ID']}/update", spec, version=node["Version"]["Index"])


async def _do(stage: Stage, host: str, command: str, line: int) -> None:
    event = stage.event("step", f"{host} $ docker {command}", host=host, line=line)
    code, out, err = await docker(stage, host, command)
    event.details = {"exit": code, "output": (out + err)[-2000:]}
    stage.end(event, ok=code == 0)
    stage.disturb()
    if code != 0:
        raise Failed(stage.fail(f"docker {command}: {(err or out).strip()}", where=host, line=line))


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
