"""`docker run`'s and `docker create`'s flags, as the body of POST /containers/create."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.cli.moment import lasting
from scenarios.client import Document, published


@dataclass(slots=True)
class RunFlags:
    """What the user asked for; names as docker's flags."""

    image: str
    command: Sequence[str] = ()
    detach: bool = False
    interactive: bool = False
    tty: bool = False
    rm: bool = False
    network: Sequence[str] = ()
    network_alias: Sequence[str] = ()
    ip: str | None = None
    ip6: str | None = None
    link: Sequence[str] = ()
    mac_address: str | None = None
    publish: Sequence[str] = ()
    publish_all: bool = False
    expose: Sequence[str] = ()
    env: Sequence[str] = ()
    env_file: Sequence[Path] = ()
    label: Sequence[str] = ()
    hostname: str | None = None
    entrypoint: str | None = None
    workdir: str | None = None
    user: str | None = None
    restart: str = "no"
    add_host: Sequence[str] = ()
    dns: Sequence[str] = ()
    dns_search: Sequence[str] = ()
    dns_option: Sequence[str] = ()
    cap_add: Sequence[str] = ()
    cap_drop: Sequence[str] = ()
    sysctl: Sequence[str] = ()
    privileged: bool = False
    init: bool = False
    stop_signal: str | None = None
    stop_timeout: int | None = None
    volume: Sequence[str] = ()
    health_cmd: str | None = None
    health_interval: str | None = None
    health_timeout: str | None = None
    health_start_period: str | None = None
    health_retries: int | None = None


def labels(texts: Sequence[str]) -> dict[str, str]:
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


def environment(texts: Sequence[str], files: Sequence[Path] = ()) -> list[str]:
    """`-e NAME=value`, `-e NAME` (from the caller's own environment) and --env-file."""
    lines = [
        line.lstrip() for path in files for line in path.read_text().splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]  # fmt: skip
    found = []
    for text in [*lines, *texts]:
        if "=" in text:
            found.append(text)
        elif text in os.environ:
            found.append(f"{text}={os.environ[text]}")
    return found


def restart_policy(text: str) -> Document:
    name, _, count = text.partition(":")
    if count and not count.isdigit():
        raise ValueError("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _volumes(texts: Sequence[str]) -> tuple[list[str], dict[str, Document]]:
    """`-v`: what has a source, as it was written; and the paths that get a volume of their own."""
    return [text for text in texts if ":" in text], {text: {} for text in texts if ":" not in text}


def _health(flags: RunFlags) -> Document | None:
    """Raises ValueError for a time that is none."""
    found: Document = {}
    if flags.health_cmd is not None:
        found["Test"] = ["CMD-SHELL", flags.health_cmd]
    for key, text in (
        ("Interval", flags.health_interval), ("Timeout", flags.health_timeout),
        ("StartPeriod", flags.health_start_period),
    ):  # fmt: skip
        if text is not None:
            found[key] = round(lasting(text) * 1e9)
    if flags.health_retries is not None:
        found["Retries"] = flags.health_retries
    return found or None


def _attachment(text: str) -> tuple[str, Document]:
    """`ov1`, or the long form `name=ov1,alias=web,ip=10.0.1.9,mac-address=…`."""
    if "=" not in text:
        return text, {}
    name = ""
    settings: Document = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        match key:
            case "name":
                name = value
            case "alias":
                settings.setdefault("Aliases", []).append(value)
            case "ip":
                settings.setdefault("IPAMConfig", {})["IPv4Address"] = value
            case "ip6":
                settings.setdefault("IPAMConfig", {})["IPv6Address"] = value
            case "mac-address":
                settings["MacAddress"] = value
            case "driver-opt":
                option, _, setting = value.partition("=")
                settings.setdefault("DriverOpts", {})[option] = setting
            case "gw-priority":
                settings["GwPriority"] = int(value)
            case _:
                raise ValueError(f"invalid field key {key}")
    if not name:
        raise ValueError(f"network name missing in {text!r}")
    return name, settings


def _endpoints(flags: RunFlags) -> tuple[str, Document]:
    attachments = [_attachment(text) for text in flags.network]
    mode = attachments[0][0] if attachments else "default"
    first: Document = dict(attachments[0][1]) if attachments else {}
    own: dict[str, Any] = {}
    if flags.network_alias:
        own["Aliases"] = [*first.get("Aliases", []), *flags.network_alias]
    if flags.ip or flags.ip6:
        own["IPAMConfig"] = {
            key: value for key, value in (("IPv4Address", flags.ip), ("IPv6Address", flags.ip6)) if value
        }
    if flags.link and mode != "default":
        own["Links"] = list(flags.link)
    if flags.mac_address:
        own["MacAddress"] = flags.mac_address
    first |= own
    endpoints = {name: settings for name, settings in attachments[1:]}
    if first or endpoints:
        endpoints = {mode: first} | endpoints
    return mode, endpoints


def body(flags: RunFlags) -> Document:
    """Raises ValueError with Docker's wording where a flag cannot be read."""
    ports, bindings = published(flags.publish)
    for text in flags.expose:
        ports[text if "/" in text else f"{text}/tcp"] = {}
    mode, endpoints = _endpoints(flags)
    attached = not flags.detach
    document: Document = {
        "Image": flags.image,
        "Hostname": flags.hostname or "",
        "User": flags.user or "",
        "AttachStdin": attached and flags.interactive,
        "AttachStdout": attached,
        "AttachStderr": attached,
        "OpenStdin": flags.interactive,
        "StdinOnce": attached and flags.interactive,
        "Tty": flags.tty,
        "Env": environment(flags.env, flags.env_file),
        "Cmd": list(flags.command) or None,
        "Entrypoint": None if flags.entrypoint is None else [flags.entrypoint] if flags.entrypoint else [""],
        "WorkingDir": flags.workdir or "",
        "Labels": labels(flags.label),
        "ExposedPorts": ports,
        "HostConfig": {
            "NetworkMode": mode,
            "PortBindings": bindings,
            "PublishAllPorts": flags.publish_all,
            "AutoRemove": flags.rm,
            "RestartPolicy": restart_policy(flags.restart),
            "ExtraHosts": [text.replace("=", ":", 1) for text in flags.add_host],
            "Dns": list(flags.dns),
            "DnsSearch": list(flags.dns_search),
            "DnsOptions": list(flags.dns_option),
            "CapAdd": list(flags.cap_add),
            "CapDrop": list(flags.cap_drop),
            "Sysctls": labels(flags.sysctl),
            "Privileged": flags.privileged,
            "Links": list(flags.link) if mode == "default" else None,
        },
        "NetworkingConfig": {"EndpointsConfig": endpoints},
    }
    binds, own = _volumes(flags.volume)
    if binds:
        document["HostConfig"]["Binds"] = binds
    if own:
        document["Volumes"] = own
    if (check := _health(flags)) is not None:
        document["Healthcheck"] = check
    if flags.init:
        document["HostConfig"]["Init"] = True
    if flags.stop_signal:
        document["StopSignal"] = flags.stop_signal
    if flags.stop_timeout is not None:
        document["StopTimeout"] = flags.stop_timeout
    return document
