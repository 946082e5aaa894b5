"""A daemon's settings: from a TOML file, then SHOALD_* environment variables, then flags; the later wins.

Every address is configuration. The flag of `api_tcp` is `--api-tcp`, its variable SHOALD_API_TCP; structured ones
(`lan`, `underlay`) stand in the file only.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from daemon.underlay.addresses import AddressMap, Direct, Loopback, SharedPorts

LAN_NETWORK = "192.0.2.0/24"
PLUGIN_DIRS = ("/run/docker/plugins", "/etc/docker/plugins", "/usr/lib/docker/plugins")
"""Where Docker looks for plug-ins; a daemon looks in STATE_DIR/plugins first."""
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


PLATFORMS = ("linux", "windows")


class BadConfig(ValueError):
    """A setting that cannot be; says which and what was expected."""


@dataclass(frozen=True, slots=True)
class UnderlayConfig:
    """mode: "loopback" (127.0.block.N), "ports" (127.0.0.1 from base) or "direct" (addresses as they are)."""

    mode: str = "direct"
    block: int = 2
    base: int = 20000

    def map(self, own: str, extra: tuple[str, ...]) -> AddressMap:
        if self.mode == "loopback":
            return Loopback(self.block, own, LAN_NETWORK, extra)
        if self.mode == "ports":
            return SharedPorts(self.base, LAN_NETWORK)
        return Direct()


@dataclass(frozen=True, slots=True)
class Config:
    """One daemon. lan: the hosts of the LAN, name to address, this one included. Without unix_sockets both APIs are
    served on TCP alone. on_link: addresses outside of the LAN's subnet that are on its wire (other hosts' extra ones).
    os: the platform that it is declared to be of; uplink: its LAN's router forwards to the machine's own network."""

    hostname: str = "localhost"
    address: str = "127.0.0.1"
    state_dir: Path = Path("shoal-state")
    api_socket: Path | None = None
    api_tcp: str = ""
    control_socket: Path | None = None
    control_tcp: str = ""
    unix_sockets: bool = True
    lan: Mapping[str, str] = field(default_factory=dict)
    underlay: UnderlayConfig = field(default_factory=UnderlayConfig)
    extra_addresses: tuple[str, ...] = ()
    plugin_dirs: tuple[Path, ...] = ()
    on_link: tuple[str, ...] = ()
    localhost_ports: bool = False
    log_level: str = "info"
    die_with: int = 0
    os: str = "linux"
    uplink: bool = False
    cluster_tls: bool = True
    icc: bool = True  # may containers on the default bridge talk to each other?

    @property
    def socket(self) -> Path:
        return self.api_socket or self.state_dir / "docker.sock"

    @property
    def control(self) -> Path:
        return self.control_socket or self.state_dir / "control.sock"

    def address_map(self) -> AddressMap:
        return self.underlay.map(self.address, self.extra_addresses)


_PATHS = {"state_dir", "api_socket", "control_socket"}
_LISTS = {"extra_addresses", "on_link", "plugin_dirs"}
_PATH_LISTS = {"plugin_dirs"}
_FLAGS = {"localhost_ports", "cluster_tls", "icc", "unix_sockets", "uplink"}
_NUMBERS = {"die_with"}


def settings() -> list[str]:
    """The names of those settings that a flag or variable can give."""
    return [f.name for f in fields(Config) if f.name not in ("lan", "underlay", "cluster_tls")]


def load(path: Path | None, environment: Mapping[str, str], flags: Mapping[str, str | None]) -> Config:
    """Raises BadConfig."""
    plugin_dirs = tuple(map(Path, PLUGIN_DIRS))
    config = Config(hostname=socket.gethostname().split(".")[0] or "localhost", plugin_dirs=plugin_dirs)
    if path is not None:
        try:
            document = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise BadConfig(f"{path}: {error}") from error
        config = _from_document(config, document)
    given = {name: environment.get(f"SHOALD_{name.upper()}") for name in settings()}
    given |= {name: value for name, value in flags.items() if value is not None}
    for name, text in given.items():
        if text is not None:
            config = _with(config, name, text.split(",") if name in _LISTS and text else text)
    return _checked(config)


def _from_document(config: Config, document: Mapping[str, object]) -> Config:
    known = [f.name for f in fields(Config)]
    for name, value in document.items():
        if name not in known:
            raise BadConfig(f"unknown setting {name!r}; known: {', '.join(known)}")
        if name == "lan":
            if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
                raise BadConfig("lan: a table of host names and addresses expected")
            config = replace(config, lan={str(k): str(v) for k, v in value.items()})
        elif name == "underlay":
            if not isinstance(value, dict) or not value.keys() <= {"mode", "block", "base"}:
                raise BadConfig("underlay: a table of mode, block, base expected")
            if value.get("mode", "direct") not in ("direct", "loopback", "ports"):
                raise BadConfig("underlay.mode: direct, loopback or ports expected")
            config = replace(config, underlay=UnderlayConfig(**value))
        else:
            config = _with(config, name, value)
    return config


def _with(config: Config, name: str, value: object) -> Config:
    converted: object
    if name in _PATHS:
        converted = Path(str(value))
    elif name in _LISTS:
        if isinstance(value, str):
            value = [value] if value else []
        if not isinstance(value, Sequence):
            raise BadConfig(f"{name}: a list expected")
        converted = tuple(Path(str(v)) if name in _PATH_LISTS else str(v) for v in value)
    elif name in _FLAGS:
        converted = value is True or str(value).lower() in ("1", "true", "yes", "on")
    elif name in _NUMBERS:
        try:
            converted = int(str(value))
        except ValueError:
            raise BadConfig(f"{name}: a number expected, not {value!r}") from None
    else:
        converted = str(value)
    # mypy cannot see that the name chooses the type; the branches above are the check.
    return replace(config, **{name: converted})  # type: ignore[arg-type]


def _checked(config: Config) -> Config:
    further = [("extra_addresses", each) for each in config.extra_addresses]
    further += [("on_link", each) for each in config.on_link]
    for name, address in [("address", config.address), *further, *config.lan.items()]:
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            raise BadConfig(f"{name}: an IPv4 address expected, not {address!r}") from None
    if not _HOSTNAME.fullmatch(config.hostname):
        raise BadConfig(f"hostname: letters, digits and hyphens expected, not {config.hostname!r}")
    if config.log_level not in ("debug", "info", "warning", "error"):
        raise BadConfig(f"log_level: debug, info, warning or error expected, not {config.log_level!r}")
    if config.os not in PLATFORMS:
        raise BadConfig(f"os: {' or '.join(PLATFORMS)} expected, not {config.os!r}")
    for name, place in (("api_tcp", config.api_tcp), ("control_tcp", config.control_tcp)):
        if place and not place.rpartition(":")[2].isdigit():
            raise BadConfig(f"{name}: HOST:PORT expected, not {place!r}")
        if not place and not config.unix_sockets:
            raise BadConfig(f"{name}: needed where there are no unix_sockets")
    if config.address_map().real((config.address, 7946)) is None:
        raise BadConfig(f"address: {config.address} is not in the LAN {LAN_NETWORK}")
    if config.unix_sockets and len(os.fsencode(config.socket)) > 107:
        raise BadConfig(f"api_socket: a path of at most 107 bytes expected (a limit of unix sockets): {config.socket}")
    if not config.lan:
        config = replace(config, lan={config.hostname: config.address})
    return config
