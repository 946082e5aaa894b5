"""`docker stats`: what is known of a container's use. CPU time and memory are not accounted by the simulated runtime
(containers are coroutines of one process), so CPU is 0, memory is what the container's files hold, and the network
counters are the interfaces' own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from daemon.engine.container import Container
from daemon.engine.documents import JsonObject, rfc3339

if TYPE_CHECKING:
    from daemon.engine.engine import Engine


def memory_total() -> int:
    """Bytes of the machine's memory; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _cpu(now: float) -> JsonObject:
    processors = os.cpu_count() or 1
    return {
        "cpu_usage": {"total_usage": 0, "percpu_usage": [0] * processors, "usage_in_kernelmode": 0,
                      "usage_in_usermode": 0},
        "system_cpu_usage": int(now * 1e9) * processors,
        "online_cpus": processors,
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }  # fmt: skip


def stats(engine: Engine, container: Container, previous: float | None) -> JsonObject:
    """One reading. `previous`: wall seconds of the reading before, None when this is the first."""
    now = engine.world.wall()
    running = container.state.running and container.guest is not None
    document: JsonObject = {
        "read": rfc3339(now) if running else rfc3339(None),
        "preread": rfc3339(previous),
        "pids_stats": {},
        "blkio_stats": {
            key: None
            for key in (
                "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive",
                "io_service_time_recursive", "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive",
                "sectors_recursive",
            )
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": {"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
                      "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0}},
        "precpu_stats": {"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
                         "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0}},
        "memory_stats": {},
        "name": f"/{container.name}",
        "id": container.id,
    }  # fmt: skip
    if not running or container.guest is None:
        return document
    used, limit = container.guest.files.used, container.host_config["Memory"] or memory_total()
    document["pids_stats"] = {"current": len(container.guest.processes())}
    document["cpu_stats"] = _cpu(now)
    if previous is not None:
        document["precpu_stats"] = _cpu(previous)
    document["memory_stats"] = {"usage": used, "max_usage": used, "stats": {}, "limit": limit}
    if container.sandbox is not None and container.network_mode != "host":
        document["networks"] = {
            interface.name: {
                f"{way}_{what}": getattr(interface.counters, f"{way}_{what}")
                for way in ("rx", "tx")
                for what in ("bytes", "packets", "errors", "dropped")
            }
            for interface in container.sandbox.interfaces()
            if not interface.loopback
        }
    return document
