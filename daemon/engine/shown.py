"""Containers as the API shows them: inspect's document, `docker ps`'s line, and Docker's way to say how long ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.engine import mount_points
from daemon.engine.container import Container
from daemon.engine.documents import JsonObject, rfc3339

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def human_duration(seconds: float) -> str:
    """go-units' HumanDuration: "About a minute", "3 hours"."""
    whole = int(seconds)
    hours = int(seconds / _HOUR + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < _MINUTE:
        return f"{whole} seconds"
    if whole < 2 * _MINUTE:
        return "About a minute"
    if whole < _HOUR:
        return f"{whole // _MINUTE} minutes"
    if hours == 1:
        return "About an hour"
    for limit, unit, name in ((48, 1, "hours"), (24 * 14, 24, "days"), (24 * 60, 24 * 7, "weeks")):
        if hours < limit:
            return f"{hours // unit} {name}"
    return f"{hours // 24 // 30} months" if hours < 24 * 365 * 2 else f"{hours // 24 // 365} years"


def status_line(container: Container, now: float) -> str:
    """The STATUS column of `docker ps`."""
    state = container.state
    if state.running:
        if state.restarting:
            return f"Restarting ({state.exit_code}) {human_duration(now - (state.finished_at or now))} ago"
        up = f"Up {human_duration(now - (state.started_at or now))}"
        if state.paused:
            return f"{up} (Paused)"
        return f"{up} ({container.health.summary()})" if container.health is not None else up
    if state.status == "removing":
        return "Removal In Progress"
    if state.status == "dead":
        return "Dead"
    if state.started_at is None:
        return "Created"
    return f"Exited ({state.exit_code}) {human_duration(now - (state.finished_at or now))} ago"


def command_line(container: Container) -> str:
    """The COMMAND column: arguments with blanks between single quotes."""
    return " ".join([container.path, *(f"'{arg}'" if " " in arg else arg for arg in container.args)])


def image_name(engine: Engine, container: Container) -> str:
    """What the user called the image, or its id when that name means another image now."""
    image = engine.images.resolve(container.image)
    return container.image if image is not None and image.id == container.image_id else container.image_id


def ports(settings: JsonObject) -> list[JsonObject]:
    """NetworkSettings.Ports in the form of `docker ps`."""
    lines: list[JsonObject] = []
    for key, bindings in (settings.get("Ports") or {}).items():
        number, _, protocol = key.partition("/")
        if not bindings:
            lines.append({"PrivatePort": int(number), "Type": protocol})
        for binding in bindings or []:
            lines.append(
                {
                    "IP": binding["HostIp"],
                    "PrivatePort": int(number),
                    "PublicPort": int(binding["HostPort"]),
                    "Type": protocol,
                }
            )
    return lines


def summary(engine: Engine, container: Container, *, size: bool = False) -> JsonObject:
    """One entry of GET /containers/json."""
    settings = engine.networks.settings(container)
    networks: JsonObject = settings["Networks"]
    for endpoint in networks.values():
        endpoint["Aliases"] = None
    document: JsonObject = {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": image_name(engine, container),
        "ImageID": container.image_id,
        "Command": command_line(container),
        "Created": int(container.created),
        "Ports": ports(settings),
    }
    if size:
        document |= sizes(engine, container)
    return document | {
        "Labels": container.config["Labels"],
        "State": container.state.status,
        "Status": status_line(container, engine.world.wall()),
        "HostConfig": {"NetworkMode": container.host_config["NetworkMode"]},
        "NetworkSettings": {"Networks": networks},
        "Mounts": mount_points.shown(container),
    }


def sizes(engine: Engine, container: Container) -> JsonObject:
    """Bytes written by the container, and with its image."""
    own = container.guest.files.used if container.guest is not None else 0
    image = engine.images.resolve(container.image_id)
    return {"SizeRw": own, "SizeRootFs": own + (image.size if image is not None else 0)}


def inspect(engine: Engine, container: Container, version: tuple[int, int], *, size: bool = False) -> JsonObject:
    """The document of GET /containers/…/json."""
    state = container.state
    shown_state: JsonObject = {
        "Status": state.status,
        "Running": state.running,
        "Paused": state.paused,
        "Restarting": state.restarting,
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339(state.started_at),
        "FinishedAt": rfc3339(state.finished_at),
    }
    if container.health is not None:
        shown_state["Health"] = container.health.to_api()
    settings = engine.networks.settings(container)
    for name, endpoint in settings["Networks"].items():
        asked = container.endpoints.get(name)
        # Before 1.44 `--mac-address` is the container's, and a network shows only what was asked of it itself.
        if asked is not None and (version >= (1, 44) or asked.desired_mac != container.config.get("MacAddress")):
            endpoint["MacAddress"] = endpoint["MacAddress"] or asked.desired_mac
        if version >= (1, 44):
            endpoint["DNSNames"] = asked.dns_names if asked is not None else None
    document: JsonObject = {
        "Id": container.id,
        "Created": rfc3339(container.created),
        "Path": container.path,
        "Args": container.args,
        "State": shown_state,
        "Image": container.image_id,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "vfs",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(container.execs) or None,
        "HostConfig": container.host_config,
        "GraphDriver": {"Data": None, "Name": "vfs"},
    }
    if size:
        document |= sizes(engine, container)
    return document | {"Mounts": mount_points.shown(container), "Config": container.config, "NetworkSettings": settings}
