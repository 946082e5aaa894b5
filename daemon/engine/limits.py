"""Limits and rights of a container that Docker refuses when they make no sense; here they are shown, not enforced.

The texts are those of moby's verifyPlatformContainerResources and caps.NormalizeLegacyCapabilities.
"""

from __future__ import annotations

import os

from daemon.engine.documents import JsonObject
from daemon.errors import BadParameter

_MINIMUM_MEMORY = 6 << 20  # bytes
_OOM = 1000
_IPC = ("", "none", "private", "shareable", "host")
# capabilities(7), up to Linux 5.9
_CAPABILITIES = (
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
    "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
    "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT",
    "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG",
    "SYSLOG", "WAKE_ALARM", "ALL",
)  # fmt: skip


def check_limits(host_config: JsonObject) -> None:
    """Raises BadParameter."""
    memory, swap = host_config["Memory"], host_config.get("MemorySwap") or 0
    if 0 < memory < _MINIMUM_MEMORY:
        raise BadParameter("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise BadParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    cpus = os.cpu_count() or 1
    if not 0 <= (host_config.get("NanoCpus") or 0) <= cpus * 10**9:
        raise BadParameter(
            f"Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )
    oom = host_config.get("OomScoreAdj") or 0
    if not -_OOM <= oom <= _OOM:
        raise BadParameter(f"Invalid value {oom}, range for oom score adj is [-1000, 1000]")
    for key in ("CapAdd", "CapDrop"):
        for name in host_config.get(key) or []:
            plain = name.upper().removeprefix("CAP_")
            if plain not in _CAPABILITIES:
                raise BadParameter(f'invalid {key}: unknown capability: "CAP_{plain}"')
    ipc = host_config.get("IpcMode") or ""
    if ipc not in _IPC and not ipc.startswith("container:"):
        raise BadParameter(f"Invalid IPC mode: {ipc}")
    isolation = host_config["Isolation"]
    if isolation not in ("", "default"):
        raise BadParameter(f"Invalid isolation: \"{isolation}\" - linux only supports 'default'")
