"""An image's configuration document (OCI image spec, config.md), to and from the runtime's images; and the Dockerfile
instructions that `docker commit -c` and `docker import -c` take."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from daemon.engine.documents import JsonObject, rfc3339
from daemon.errors import BadParameter
from daemon.runtime.images import Image

if TYPE_CHECKING:
    from daemon.runtime.nodes import Directory

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)")


def config_section(image: Image) -> JsonObject:
    """The `config` object of the document: what a container of it gets where its user says nothing."""
    section: JsonObject = {
        "Env": list(image.env) or None,
        "Cmd": list(image.cmd) or None,
        "Entrypoint": list(image.entrypoint) or None,
        "WorkingDir": image.working_dir,
        "User": image.user,
        "Labels": dict(image.labels) or None,
        "ExposedPorts": {port: {} for port in image.exposed_ports} or None,
        "Volumes": {path: {} for path in image.volumes} or None,
        "StopSignal": image.stop_signal,
        "Healthcheck": dict(image.healthcheck) or None,
    }
    return {key: value for key, value in section.items() if value}


def document(image: Image, architecture: str, diff_ids: Sequence[str]) -> JsonObject:
    """The whole document. `shoal.id` keeps the id of an image that did not come from such a document."""
    result: JsonObject = {
        "architecture": architecture,
        "author": image.author,
        "comment": image.comment,
        "config": config_section(image),
        "created": rfc3339(image.created),
        "history": [{"created": rfc3339(image.created), "created_by": "shoal", "comment": image.comment}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }
    return result


def encoded(config: JsonObject) -> bytes:
    return json.dumps(config, separators=(",", ":"), sort_keys=True).encode()


def identity(raw: bytes) -> str:
    """The image id of a document."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def image_of(raw: bytes, tree: Directory, size: int, *, id: str = "") -> Image:
    """The image that a document describes. BadParameter."""
    try:
        config: JsonObject = json.loads(raw)
        section: JsonObject = config.get("config") or {}
        return Image(
            id=id or identity(raw),
            tags=(),
            tree=tree,
            cmd=_words(section.get("Cmd")),
            entrypoint=_words(section.get("Entrypoint")),
            env=_words(section.get("Env")),
            exposed_ports=tuple(section.get("ExposedPorts") or {}),
            labels=dict(section.get("Labels") or {}),
            working_dir=section.get("WorkingDir") or "",
            user=section.get("User") or "",
            stop_signal=section.get("StopSignal") or "",
            volumes=tuple(section.get("Volumes") or {}),
            healthcheck=dict(section.get("Healthcheck") or {}),
            author=config.get("author") or "",
            comment=config.get("comment") or "",
            parent=config.get("parent") or "",
            container=config.get("container") or "",
            container_config=dict(config.get("container_config") or {}),
            created=_seconds(config.get("created") or ""),
            size=size,
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise BadParameter(f"invalid image configuration: {error}") from error


def _words(value: Any) -> tuple[str, ...]:
    return tuple([value] if isinstance(value, str) else [str(word) for word in value or []])


def _seconds(text: str) -> int:
    """RFC 3339 in UTC to seconds since 1970; 0 for what is none (days_from_civil, so that no clock is asked)."""
    match = _TIME.match(text)
    if match is None:
        return 0
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    year -= month <= 2
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = year * 365 + year // 4 - year // 100 + year // 400 + of_year - 719468
    return max(0, days * 86400 + hour * 3600 + minute * 60 + second)


def changed(section: JsonObject, changes: Sequence[str]) -> JsonObject:
    """A `config` object after Dockerfile instructions ("CMD [\\"sh\\"]", "ENV A=1"). BadParameter."""
    result = json.loads(json.dumps(section))
    for line in changes:
        name, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        match name.upper():
            case "CMD" | "ENTRYPOINT":
                key = name.capitalize()
                result[key] = _command(rest)
                if key == "Entrypoint":
                    result["Cmd"] = None
            case "ENV":
                env = dict(entry.partition("=")[::2] for entry in result.get("Env") or [])
                env.update(_pairs(rest))
                result["Env"] = [f"{key}={value}" for key, value in env.items()]
            case "LABEL":
                result["Labels"] = {**(result.get("Labels") or {}), **_pairs(rest)}
            case "EXPOSE":
                ports: JsonObject = {port if "/" in port else f"{port}/tcp": {} for port in rest.split()}
                result["ExposedPorts"] = {**(result.get("ExposedPorts") or {}), **ports}
            case "VOLUME":
                places = json.loads(rest) if rest.startswith("[") else rest.split()
                result["Volumes"] = {**(result.get("Volumes") or {}), **{place: {} for place in places}}
            case "WORKDIR":
                result["WorkingDir"] = rest
            case "USER":
                result["User"] = rest
            case "STOPSIGNAL":
                result["StopSignal"] = rest
            case other:
                raise BadParameter(f"{other.lower()} is not a valid change command")
    return {key: value for key, value in result.items() if value}


def _command(text: str) -> list[str]:
    if text.startswith("["):
        try:
            words = json.loads(text)
        except ValueError:
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return ["/bin/sh", "-c", text]


def _pairs(text: str) -> dict[str, str]:
    """A=1 B="two words", or A two words."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadParameter(f"{text}: {error}") from error
    if words and "=" not in words[0]:
        return {words[0]: text.partition(" ")[2].strip()}
    return dict(word.partition("=")[::2] for word in words)
