"""When a swarm is there: every API answers, and every daemon sees every other alive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scenarios.launch.errors import LaunchError
from scenarios.launch.localhttp import RequestFailed, request
from scenarios.launch.record import Host

_EVERY = 0.01


def last_words(log: Path) -> str:
    """The last line that a daemon wrote to its log, for the message that it is gone."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip() if lines else ""


def answers(host: Host) -> bool:
    """Whether the host's Docker API answers a ping."""
    try:
        request(host.docker_api, "GET", "/_ping", timeout=2.0)
    except (OSError, RequestFailed):
        return False
    return True


def alive_members(host: Host) -> list[str] | None:
    """The hostnames that this daemon holds alive, itself among them; None when it does not answer."""
    try:
        status = request(host.control_api, "GET", "/v1/status", timeout=2.0)
    except (OSError, RequestFailed):
        return None
    members = status.get("members") if isinstance(status, dict) else None
    if not isinstance(members, list):
        return None
    return [str(m["hostname"]) for m in members if isinstance(m, dict) and m.get("state") == "alive"]


def wait_until(condition: Callable[[], bool], *, hosts: Sequence[Host], deadline: float, what: str) -> None:
    """Polls until `condition` holds. Raises LaunchError when a daemon ends or at the deadline (monotonic seconds)."""
    while not condition():
        for host in hosts:
            if not host.alive:
                words = last_words(host.log)
                raise LaunchError(f"{host.name} stopped while starting" + (f": {words}" if words else ""))
        if time.monotonic() > deadline:
            raise LaunchError(f"{what} not reached in time")
        time.sleep(_EVERY)


def wait_for_apis(hosts: Sequence[Host], deadline: float) -> None:
    for host in hosts:
        wait_until(lambda host=host: answers(host), hosts=hosts, deadline=deadline,  # type: ignore[misc]
                   what=f"an answer from {host.name}")  # fmt: skip


def wait_for_sight(hosts: Sequence[Host], deadline: float) -> None:
    """Returns when each host holds all of `hosts` alive."""
    names = {host.name for host in hosts}
    for host in hosts:
        wait_until(lambda host=host: names <= set(alive_members(host) or ()), hosts=hosts,  # type: ignore[misc]
                   deadline=deadline, what=f"{host.name} seeing {', '.join(sorted(names))}")  # fmt: skip
