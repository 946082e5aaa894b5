"""The configuration file of each daemon that the launcher starts: what `shoald --config` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

LAN = "192.0.2"
MAX_HOSTS = 199
"""Addresses from here to .253 stand for the extra addresses of hosts (`--host-address`); .254 is the LAN's router."""


def lan_address(number: int) -> str:
    """Host `number` (1…) on the swarm's LAN."""
    return f"{LAN}.{number}"


def toml(values: Mapping[str, object]) -> str:
    """TOML of plain values and one level of tables; JSON's strings, numbers and lists are TOML's too."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, Mapping)]
    tables = [
        f"\n[{key}]\n" + "\n".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items())
        for key, value in values.items()
        if isinstance(value, Mapping)
    ]
    return "\n".join(plain + tables) + "\n"


def daemon_config(
    *, name: str, number: int, directory: Path, names: Sequence[str], underlay: Mapping[str, object],
    extra_addresses: Mapping[str, Sequence[str]], log_level: str, tcp: tuple[int, int] | None = None,
    uplink: bool = False, system: str = "linux",
) -> dict[str, object]:  # fmt: skip
    """The settings of host `number`; the first one's published ports are on localhost too.

    `extra_addresses` is by host name, for all hosts.
    """
    return {
        "hostname": name,
        "address": lan_address(number),
        "state_dir": str(directory),
        "log_level": log_level,
        "extra_addresses": list(extra_addresses.get(name, ())),
        "on_link": [address for other in names if other != name for address in extra_addresses.get(other, ())],
        "localhost_ports": number == 1,
        "os": system,
        "uplink": uplink,
        **({} if tcp is None else {
            "unix_sockets": False, "api_tcp": f"127.0.0.1:{tcp[0]}", "control_tcp": f"127.0.0.1:{tcp[1]}",
        }),
        "lan": {other: lan_address(n) for n, other in enumerate(names, 1)},
        "underlay": dict(underlay),
    }  # fmt: skip
