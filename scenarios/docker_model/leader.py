"""The allocator of the swarm's leader: one place that gives addresses, from a bit set that is rebuilt at each start.

After swarmkit's manager/allocator: the tasks (attachments and load balancers) are in the raft store, what is taken is
only in memory (networkallocator.go), and is restored from the tasks when the allocator starts (doNetworkInit). Until
2017 that pass gave addresses to tasks that had none yet while it was still restoring, in the order of their ids, so
that one could get what another already had: swarmkit 2237, moby 33795, 33402, and the messages of moby 37165. What
cannot be given waits in the store.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import structlog

from daemon.engine.network import Network
from daemon.store.contract import Storage

log = structlog.get_logger("allocator")

_KIND = "docker_model_task"
_MOST = 1 << 16  # addresses of a subnet that are looked through


@dataclass(slots=True)
class Task:
    """A holder of one address. wanted: "" for any."""

    id: str
    network: str
    node: str
    holder: str
    version: int
    wanted: str
    address: str = ""


class Leader:
    """`network` finds a network of the swarm by its id."""

    def __init__(self, store: Storage, new_id: Callable[[], str], network: Callable[[str], Network | None]) -> None:
        self._store = store
        self._new_id = new_id
        self._network = network
        self._tasks: dict[str, Task] = {}
        self._used: dict[str, dict[str, str]] = {}
        self._given = asyncio.Event()

    def restore(self) -> None:
        """doNetworkInit as it was until swarmkit 2237: one pass over all tasks."""
        self._tasks = {key: Task(**json.loads(data)) for key, data in self._store.all(_KIND)}
        self._used = {}
        for key in sorted(self._tasks):
            task = self._tasks[key]
            if not task.address:
                self._allocate(task)
            elif self._taken(task.network, task.address):
                log.warning("failed allocating task during init", task=task.id, error="Address already in use")
            else:
                self._used.setdefault(task.network, {})[_bare(task.address)] = task.id

    def in_use(self, network: str) -> str:
        """A task of an attached container on a network; "" if there is none."""
        found = [
            t for t in self._tasks.values() if t.network == network and t.address and not t.holder.startswith("lb")
        ]
        return found[0].id if found else ""

    async def attach(self, network: str, node: str, holder: str, version: int, wanted: str, deadline: float) -> str:
        """An address as CIDR; "" when there is none within the deadline."""
        task = next((t for t in self._tasks.values() if t.holder == holder and t.version == version), None)
        if task is None:
            task = Task(self._new_id(), network, node, holder, version, wanted)
            self._save(task)
        async with asyncio.timeout(deadline):
            while not task.address and task.id in self._tasks:
                self._allocate(task)
                if not task.address:
                    self._given.clear()
                    await self._given.wait()
        return task.address

    def release(self, node: str, holder: str, address: str) -> None:
        """What a node's holder had is free; "" stands for any holder or address."""
        for task in [*self._tasks.values()]:
            if task.node == node and holder in ("", task.holder) and address in ("", task.address):
                self._drop(task)

    def keep_only(self, node: str, holders: list[str]) -> None:
        """A node tells what it still runs: its other tasks are over."""
        for task in [*self._tasks.values()]:
            if task.node == node and task.holder not in holders:
                self._drop(task)

    def _drop(self, task: Task) -> None:
        del self._tasks[task.id]
        used = self._used.get(task.network, {})
        if used.get(_bare(task.address)) == task.id:
            del used[_bare(task.address)]
        self._store.commit([(_KIND, task.id, None)])
        for waiting in sorted(self._tasks):
            if not self._tasks[waiting].address:
                self._allocate(self._tasks[waiting])
        self._given.set()

    def _save(self, task: Task) -> None:
        self._tasks[task.id] = task
        self._store.commit([(_KIND, task.id, json.dumps(asdict(task)).encode())])

    def _taken(self, network: str, address: str) -> bool:
        return _bare(address) in self._used.get(network, {})

    def _allocate(self, task: Task) -> None:
        """ipam: the one that was wished, or the lowest free one."""
        network = self._network(task.network)
        if network is None:
            return
        for pool in network.pools:
            subnet = ipaddress.ip_network(pool.subnet)
            if subnet.version != task.version:
                continue
            reserved = [pool.gateway or "", *pool.auxiliary.values(), str(subnet[0]), str(subnet[-1])]
            if task.wanted:
                inside = ipaddress.ip_address(task.wanted) in subnet
                choice = task.wanted if inside and not self._taken(task.network, task.wanted) else None
            else:
                within = ipaddress.ip_network(pool.ip_range) if pool.ip_range else subnet
                some = (str(within[n]) for n in range(min(within.num_addresses, _MOST)))
                choice = next((a for a in some if a not in reserved and not self._taken(task.network, a)), None)
            if choice is not None:
                task.address = f"{choice}/{subnet.prefixlen}"
                self._used.setdefault(task.network, {})[choice] = task.id
                self._save(task)
                self._given.set()
                return


def _bare(address: str) -> str:
    return address.partition("/")[0]
