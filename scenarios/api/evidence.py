"""What is kept of a swarm when a test failed: enough to understand it without running it again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenarios.api.lines import perform
from scenarios.client import HostClient
from scenarios.report.packets import capture
from scenarios.running.record import HostRecord, Packet, RunRecord
from scenarios.running.swarm import Swarm

_PATIENCE = 5.0
"""Seconds for each host: it may be paused, hung or dead, which is evidence as well."""


async def keep(swarm: Swarm, directory: Path, packets: Sequence[Packet], started: float) -> list[Path]:
    """Writes HOST.shoald.log, HOST.inspect.json, HOST.CONTAINER.log and underlay.pcapng; the files."""
    files: dict[str, bytes] = {}
    for host in swarm.addresses:
        files[f"{host}.shoald.log"] = "".join(f"{line}\n" for line in swarm.logs(host)).encode()
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(_PATIENCE):
                await _inspect(host, swarm.client(host), found, files)
        except Exception as error:  # whatever keeps a host from answering is what is to be told
            found["error"] = f"{type(error).__name__}: {error}"
        files[f"{host}.inspect.json"] = json.dumps(found, indent=1).encode() + b"\n"
    record = RunRecord("a test", "", "", swarm.mode, 0, started, packets=list(packets))
    record.hosts = [HostRecord(host, address) for host, address in swarm.addresses.items()]
    files["underlay.pcapng"] = capture(record)
    return _write(directory, files)


def _write(directory: Path, files: dict[str, bytes]) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return [directory / name for name in files]


async def _inspect(host: str, client: HostClient, found: dict[str, Any], files: dict[str, bytes]) -> None:
    found["info"] = await client.get("info")
    found["containers"] = containers = []
    for one in await client.get("containers/json", all=True):
        about = await client.get(f"containers/{one['Id']}/json")
        containers.append(about)
        printed = await perform(client, f"logs {one['Id']}")
        files[f"{host}.{about['Name'].strip('/')}.log"] = (printed.stdout + printed.stderr).encode()
    found["networks"] = [await client.get(f"networks/{n['Id']}", verbose=True) for n in await client.get("networks")]
    if found["info"].get("Swarm", {}).get("ControlAvailable"):
        found["nodes"] = await client.get("nodes")
