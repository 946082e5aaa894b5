"""Which containers `docker ps` shows: its filters, and the order and limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from daemon.engine.container import Container
from daemon.engine.filters import Filters
from daemon.engine.shown import ports
from daemon.errors import ApiError, BadParameter, NotFound

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

ACCEPTED = (
    "ancestor", "before", "exited", "id", "isolation", "label", "name", "status", "health", "since", "volume",
    "network", "is-task", "publish", "expose",
)  # fmt: skip
_STATUS = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTH = ("none", "starting", "healthy", "unhealthy")
_LAST_PORT = 65535
_PORTS = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?")


def select(engine: Engine, filters: Filters, *, all: bool = False, limit: int = 0) -> list[Container]:
    """Newest first. Raises BadParameter, NotFound (before, since) with Docker's texts."""
    if not filters:
        found = [c for c in engine.containers.all() if all or limit > 0 or c.state.running]
        return found[:limit] if limit > 0 else found
    filters.only(ACCEPTED)
    for key, known in (("status", _STATUS), ("health", _HEALTH)):
        for value in filters.values(key):
            if value not in known:
                raise BadParameter(f"Invalid filter '{key}={value}'")
    exited = [_number(value) for value in filters.values("exited")]
    published = [_ports("publish", value) for value in filters.values("publish")]
    exposed = [_ports("expose", value) for value in filters.values("expose")]
    before = [_other(engine, ref) for ref in filters.values("before")]
    since = [_other(engine, ref) for ref in filters.values("since")]
    everything = all or limit > 0 or "status" in filters
    ancestors = [_image_id(engine, ref) for ref in filters.values("ancestor")]
    networks = [_network_names(engine, ref) for ref in filters.values("network")]
    chosen: list[Container] = []
    for container in engine.containers.all():
        state = container.state
        if not everything and not state.running:
            continue
        if not (filters.match_pattern("name", container.name) or filters.match_pattern("name", f"/{container.name}")):
            continue
        if not (
            filters.match_prefix("id", container.id)
            and filters.match_exact("status", state.status)
            and filters.match_labels("label", container.config["Labels"])
            and filters.match_exact("health", container.health.status if container.health is not None else "none")
            and filters.match_exact("isolation", container.host_config["Isolation"])
        ):
            continue
        if exited and (state.running or state.started_at is None or state.exit_code not in exited):
            continue
        if ancestors and container.image_id not in ancestors:
            continue
        if networks and not any(name in container.endpoints for names in networks for name in names):
            continue
        places = [place for point in container.mounts for place in (point.name, point.destination)]
        if "volume" in filters and not any(wanted in places for wanted in filters.values("volume")):
            continue
        if "is-task" in filters and filters.boolean("is-task"):
            continue
        if any(container.created >= other.created for other in before):
            continue
        if any(container.created <= other.created for other in since):
            continue
        if published and not _has_port(_on_host(engine, container), published):
            continue
        if exposed and not _has_port(list(container.config.get("ExposedPorts") or {}), exposed):
            continue
        chosen.append(container)
        if 0 < limit == len(chosen):
            break
    return chosen


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadParameter(f"invalid filter 'exited={text}'") from None


def _ports(key: str, text: str) -> tuple[range, str]:
    match, number = _PORTS.fullmatch(text), text.partition("/")[0]
    if match is None:
        raise _no_port(key, text, number, "invalid syntax")
    first, last = int(match[1]), int(match[2] or match[1])
    if max(first, last) > _LAST_PORT:
        raise _no_port(key, text, number, "value out of range")
    return range(first, last + 1), match[3] or "tcp"


def _no_port(key: str, text: str, number: str, reason: str) -> BadParameter:
    return BadParameter(f'error while looking up for {key} {text}: strconv.ParseUint: parsing "{number}": {reason}')


def _other(engine: Engine, ref: str) -> Container:
    found = engine.containers.find_or_none(ref)
    if found is None:
        raise NotFound(f"no such container {ref}")
    return found


def _on_host(engine: Engine, container: Container) -> list[str]:
    """Ports of the host by which it is reached."""
    lines = ports(engine.networks.settings(container))
    return [f"{line['PublicPort']}/{line['Type']}" for line in lines if "PublicPort" in line]


def _has_port(ports: list[str], wanted: list[tuple[range, str]]) -> bool:
    for text in ports:
        number, _, protocol = text.partition("/")
        first = number.partition("-")[0]
        if any(first.isdigit() and int(first) in span and (protocol or "tcp") == kind for span, kind in wanted):
            return True
    return False


def _image_id(engine: Engine, ref: str) -> str:
    image = engine.images.resolve(ref)
    return image.id if image is not None else ""


def _network_names(engine: Engine, ref: str) -> list[str]:
    try:
        return [engine.networks.find(ref).name, ref]
    except ApiError:
        return [ref]
