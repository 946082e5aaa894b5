"""How much memory a daemon holds, as the kernel tells."""

from __future__ import annotations

from pathlib import Path


def resident_mb(pid: int) -> float | None:
    """A process's resident memory in MB (of 2^20 bytes, as ps and top count), None where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), None)
