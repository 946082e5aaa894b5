"""HostConfig as Docker shows it: every field with its default, and what the engine makes of the ones it was given."""

from __future__ import annotations

import re

from daemon.engine.documents import JsonObject
from daemon.engine.logs import LIMIT

SHM_SIZE = 64 << 20  # bytes: Docker's default /dev/shm

MASKED_PATHS = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
]
READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

# In the order of Docker's struct, which is the order in which it prints them.
_DEFAULTS: JsonObject = {
    "Binds": None,
    "ContainerIDFile": "",
    "LogConfig": None,
    "NetworkMode": "",
    "PortBindings": None,
    "RestartPolicy": None,
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "ConsoleSize": None,
    "CapAdd": None,
    "CapDrop": None,
    "CgroupnsMode": "",
    "Dns": None,
    "DnsOptions": None,
    "DnsSearch": None,
    "ExtraHosts": None,
    "GroupAdd": None,
    "IpcMode": "",
    "Cgroup": "",
    "Links": None,
    "OomScoreAdj": 0,
    "PidMode": "",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "UTSMode": "",
    "UsernsMode": "",
    "ShmSize": 0,
    "Runtime": "",
    "Isolation": "",
    "CpuShares": 0,
    "Memory": 0,
    "NanoCpus": 0,
    "CgroupParent": "",
    "BlkioWeight": 0,
    "BlkioWeightDevice": None,
    "BlkioDeviceReadBps": None,
    "BlkioDeviceWriteBps": None,
    "BlkioDeviceReadIOps": None,
    "BlkioDeviceWriteIOps": None,
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "Devices": None,
    "DeviceCgroupRules": None,
    "DeviceRequests": None,
    "KernelMemory": 0,
    "KernelMemoryTCP": 0,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": None,
    "OomKillDisable": False,
    "PidsLimit": None,
    "Ulimits": None,
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
    "MaskedPaths": None,
    "ReadonlyPaths": None,
}


def completed(given: JsonObject) -> JsonObject:
    """`given` with the defaults that Docker's daemon fills in at create."""
    result = _DEFAULTS | {key: value for key, value in given.items() if value is not None}
    result["NetworkMode"] = result["NetworkMode"] or "default"
    result["IpcMode"] = result["IpcMode"] or "private"
    result["CgroupnsMode"] = result["CgroupnsMode"] or "host"
    result["Runtime"] = result["Runtime"] or "runc"
    result["ShmSize"] = result["ShmSize"] or SHM_SIZE
    result["ConsoleSize"] = [*(result["ConsoleSize"] or []), 0, 0][:2]
    log_config = result["LogConfig"] or {}
    result["LogConfig"] = {"Type": log_config.get("Type") or "json-file", "Config": log_config.get("Config") or {}}
    policy = result["RestartPolicy"] or {}
    result["RestartPolicy"] = {
        "Name": policy.get("Name") or "",
        "MaximumRetryCount": policy.get("MaximumRetryCount") or 0,
    }
    if (result["MemorySwappiness"] or -1) < 0:
        result["MemorySwappiness"] = None
    if not result["PidsLimit"]:
        result["PidsLimit"] = None
    if result["Privileged"]:
        result["MaskedPaths"] = result["ReadonlyPaths"] = None
    else:
        if result["MaskedPaths"] is None:
            result["MaskedPaths"] = list(MASKED_PATHS)
        if result["ReadonlyPaths"] is None:
            result["ReadonlyPaths"] = list(READONLY_PATHS)
    return result


def updated(current: JsonObject, changes: JsonObject) -> JsonObject:
    """`current` with what `docker update` sent; zero and empty mean "as it was", as in Docker."""
    known = {key: value for key, value in changes.items() if key in current and key != "RestartPolicy" and value}
    result = current | known
    policy = changes.get("RestartPolicy") or {}
    if policy.get("Name"):
        result["RestartPolicy"] = {
            "Name": policy["Name"],
            "MaximumRetryCount": policy.get("MaximumRetryCount") or 0,
        }
    return result


_UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30}


def log_bytes(text: str) -> int | None:
    """A size as in --log-opt max-size=10m; None when it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)b?", text.strip().lower())
    return None if match is None else int(float(match[1]) * (1 << _UNITS[match[2]]))


def log_limit(host_config: JsonObject) -> int:
    """Bytes of a container's log that are kept: max-size times max-file, where they are given."""
    options = host_config["LogConfig"]["Config"]
    size = log_bytes(options.get("max-size", "")) or LIMIT
    return size * int(options.get("max-file") or 1)
