"""From whatever a test left to what a fresh swarm has, in far less time than starting one takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from aiodocker.exceptions import DockerError

from scenarios.client import HostClient
from scenarios.running.swarm import Swarm, alive

WITHIN = 20.0
"""Seconds; a swarm that is not as new by then is started anew."""
_STEP = 0.02
_OWN = ("bridge", "host", "none", "ingress", "docker_gwbridge")


async def images(swarm: Swarm, host: str) -> list[str]:
    """The references of a host's images."""
    return sorted(tag for image in await swarm.client(host).get("images/json") for tag in image["RepoTags"] or ())


async def state_of(client: HostClient, container: str) -> str:
    """`running`, `exited`, …; "" when there is no such container."""
    try:
        return str((await client.get(f"containers/{container}/json"))["State"]["Status"])
    except DockerError as error:
        if error.status == 404:
            return ""
        raise


async def restore(
    swarm: Swarm, hosts: Sequence[str], wanted: Mapping[str, Sequence[str]], *, formed: bool
) -> bool:
    """False: it cannot be made as new. Raises DockerError, HostSilent."""
    for host in hosts:
        await swarm.resume(host)
        if not swarm.is_up(host):
            await swarm.restart(host)
        await swarm.fill_disk(host, False)
        await swarm.set_clock(host, jump=0.0, skew=0.0)
    await swarm.set_faults({"partitions": [], "impairments": []})
    if formed:
        while not all([len(await alive(swarm, host)) == len(hosts) for host in hosts]):
            for host in hosts:
                if (await swarm.client(host).get("info"))["Swarm"]["LocalNodeState"] != "active":
                    return False
            await asyncio.sleep(_STEP)
    elif any([(await swarm.client(host).get("info"))["Swarm"]["LocalNodeState"] != "inactive" for host in hosts]):
        return False
    if formed:
        await _remove_services(swarm.client(hosts[0]))
    await asyncio.gather(*(_remove_containers(swarm.client(host)) for host in hosts))
    # One host after the other: a network of the swarm's is seen by all, and removed by the first that may.
    while found := [(host, network) for host in hosts for network in await _networks(swarm.client(host))]:
        for host, network in found:
            await _forgiving(swarm.client(host), f"networks/{network}")
        await asyncio.sleep(_STEP)
    for host in hosts:
        client = swarm.client(host)
        for volume in (await client.get("volumes"))["Volumes"] or ():
            await client.delete(f"volumes/{volume['Name']}", force=True)
        for tag in await images(swarm, host):
            if tag not in wanted[host]:
                await client.delete(f"images/{tag}", force=True)
        if await images(swarm, host) != list(wanted[host]):
            return False
    return True


async def _remove_services(client: HostClient) -> None:
    try:
        found = await client.get("services")
    except DockerError:
        return
    for service in found or ():
        await client.delete(f"services/{service['ID']}")


async def _remove_containers(client: HostClient) -> None:
    found = await client.get("containers/json", all=True)
    await asyncio.gather(*(_forgiving(client, f"containers/{one['Id']}", force=True, v=True) for one in found))


async def _networks(client: HostClient) -> list[str]:
    return [network["Id"] for network in await client.get("networks") if network["Name"] not in _OWN]


async def _forgiving(client: HostClient, path: str, **query: bool) -> None:
    """Deletes; what is gone already, or not yet to be had (403, 409), shows when it is looked for again."""
    try:
        await client.delete(path, **query)
    except DockerError as error:
        if error.status not in (403, 404, 409):
            raise
