"""What a scenario declares rather than does: labels, networks and containers, made before the steps."""

from __future__ import annotations

from scenarios.language.blocks import container_line, network_line
from scenarios.language.reading import Source
from scenarios.running.judging import docker
from scenarios.running.record import ERROR
from scenarios.running.stage import Failed, Stage
from scenarios.running.swarm import SwarmFailed


async def prologue(stage: Stage, source: Source) -> None:
    """Raises Failed for the first command that fails."""
    await _labels(stage)
    for name, plugin in stage.scenario.plugins.items():
        for host in plugin.on:
            event = stage.event("host", f"the plug-in {name} starts", host=host, line=source.line("plugins", name))
            try:
                await stage.swarm.plug_in(host, name, plugin.application)
            except SwarmFailed as error:
                stage.end(event, ok=False)
                raise Failed(stage.fail(str(error), where=host, line=event.line, outcome=ERROR)) from None
            stage.end(event, ok=True)
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
        raise Failed(stage.fail_command(f"docker {command}: {(err or out).strip()}", out + err, where=host, line=line))
