"""`shoal ls` and `shoal logs`: what the launcher's record and each daemon's control socket say of a host."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from pathlib import Path

from scenarios.cli.table import render
from scenarios.launch.errors import LaunchError
from scenarios.launch.localhttp import JSON, RequestFailed, request
from scenarios.launch.record import Host, Swarm

_LOOK_EVERY = 0.2


def status(host: Host) -> dict[str, JSON]:
    """What the daemon says of itself; empty when it does not answer."""
    try:
        answer = request(host.control_api, "GET", "/v1/status", timeout=2.0)
    except (OSError, RequestFailed):
        return {}
    return answer if isinstance(answer, dict) else {}


def members(found: dict[str, JSON]) -> list[dict[str, JSON]]:
    """The members in a status, each with at least hostname and state."""
    listed = found.get("members")
    return [m for m in listed if isinstance(m, dict)] if isinstance(listed, list) else []


def _published(found: dict[str, JSON]) -> list[str]:
    """A line for each published port: where it is on the machine, or why it is not."""
    ports = found.get("ports")
    lines: dict[str, None] = {}
    for port in ports if isinstance(ports, list) else []:
        if isinstance(port, dict):
            lan = f"{port['host_ip'] or '0.0.0.0'}:{port['host_port']}"
            if port["host_ip"] == "::":
                continue  # its twin of 0.0.0.0 says the same
            where = f"on this machine {port['real']}" if port.get("real") else ""
            where = ", not ".join(filter(None, [where, str(port["note"] or "")])) if where else str(port["note"])
            lines[f"{port['container']} {port['container_port']}/{port['protocol']} at {lan}: {where}"] = None
    return list(lines)


def _describe(host: Host) -> dict[str, JSON]:
    found = status(host) if host.alive else {}
    sees: list[JSON] = [str(m.get("hostname")) for m in members(found) if m.get("state") == "alive"]
    return {
        "name": host.name,
        "address": host.address,
        "real": host.real,
        "pid": host.process.pid,
        "state": "dead" if not host.alive else "running" if found else "not answering",
        "sees": sorted(sees, key=str),
        "docker_host": host.docker_host,
        "published": list(_published(found)),
    }


def show(swarm: Swarm, *, quiet: bool, as_json: bool) -> None:
    if quiet:
        print("\n".join(host.name for host in swarm.hosts))
        return
    rows = [_describe(host) for host in swarm.hosts]
    if as_json:
        print(json.dumps({"directory": swarm.directory, "hosts": rows}, indent=1))
        return
    print(render(
        ["HOST", "ADDRESS", "REAL ADDRESS", "PID", "STATE", "SEES", "DOCKER_HOST"],
        [[str(r["name"]), str(r["address"]), str(r["real"]), str(r["pid"]), str(r["state"]),
          ",".join(map(str, r["sees"] if isinstance(r["sees"], list) else [])) or "-", str(r["docker_host"])]
         for r in rows],
    ))  # fmt: skip
    for row in rows:
        for line in row["published"] if isinstance(row["published"], list) else []:
            print(f"{row['name']}: {line}")


_RULE = {"target": "TARGET", "protocol": "PROT", "came": "IN", "goes": "OUT", "source": "SOURCE",
         "destination": "DESTINATION", "meaning": "MEANING"}  # fmt: skip
_CHAINS = {
    "PREROUTING": "what comes to this host's ports",
    "POSTROUTING": "what leaves",
    "FORWARD": "what passes, the first that fits",
}


def show_nat(host: Host, *, as_json: bool) -> None:
    """The rules of a host's gateway, a table a chain. Raises LaunchError when it does not answer."""
    try:
        found = request(host.control_api, "GET", "/v1/nat", timeout=5.0)
    except (OSError, RequestFailed) as error:
        raise LaunchError(f"{host.name} does not answer: {error}") from error
    assert isinstance(found, dict) and isinstance(found["rules"], list)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    rules = [rule for rule in found["rules"] if isinstance(rule, dict)]
    for rule in rules:
        if rule.get("container"):
            rule["meaning"] = f"{rule['meaning']} ({rule['container']})"
    for chain, about in _CHAINS.items():
        print(f"{chain} ({about})")
        rows = [
            [str(rule[key]) for key in _RULE] for rule in rules if rule["chain"] == chain
        ]  # fmt: skip
        print(render(list(_RULE.values()), rows) if rows else "nothing", end="\n\n")
    print(f"{found['flows']} flows are known")


def print_log(host: Host, *, follow: bool, tail: int | None) -> None:
    """The daemon's log; with `follow` until the daemon is gone. Raises LaunchError when there is none."""
    path = Path(host.log)
    try:
        with path.open(errors="replace") as log:
            sys.stdout.writelines(log if tail is None else deque(log, tail))
            sys.stdout.flush()
            while follow:
                more = log.readlines()
                sys.stdout.writelines(more)
                sys.stdout.flush()
                if not more:
                    if not host.alive:
                        return
                    time.sleep(_LOOK_EVERY)
    except FileNotFoundError:
        raise LaunchError(f"no log of {host.name} at {path}") from None
