"""A plug-in as `docker plugin create` brings it: a config.json and a rootfs, and what the user has set.

Plain data: read, stored and shown. Field names of config.json match without regard to case, as Go reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from daemon.engine.documents import JsonObject
from daemon.errors import BadParameter, ServerError

_CONFIG: JsonObject = {
    "Args": {"Description": "", "Name": "", "Settable": None, "Value": None},
    "Description": "",
    "DockerVersion": "",
    "Documentation": "",
    "Entrypoint": None,
    "Env": None,
    "Interface": {"Socket": "", "Types": None},
    "IpcHost": False,
    "Linux": {"AllowAllDevices": False, "Capabilities": None, "Devices": None},
    "Mounts": None,
    "Network": {"Type": ""},
    "PidHost": False,
    "PropagatedMount": "",
    "User": {},
    "WorkDir": "",
}
_VARIABLE: JsonObject = {"Description": "", "Name": "", "Settable": None, "Value": None}


@dataclass(slots=True)
class Bundle:
    """One installed plug-in; `name` with its tag. `environment` is NAME=VALUE as it is set now."""

    id: str
    name: str
    config: JsonObject
    digest: str
    enabled: bool = False
    arguments: list[str] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)

    @property
    def socket(self) -> str:
        """The file name of its socket."""
        return str(self.config["Interface"]["Socket"])

    @property
    def capabilities(self) -> list[str]:
        """ "networkdriver" of "docker.networkdriver/1.0"."""
        types = self.config["Interface"]["Types"] or []
        return [str(kind).partition("/")[0].rpartition(".")[2] for kind in types]

    def set(self, text: str) -> None:
        """`docker plugin set`. Raises BadParameter, ServerError."""
        name, _, value = text.partition("=")
        for variable in self.config["Env"] or []:
            if variable["Name"] == name:
                if "value" not in (variable["Settable"] or []):
                    raise BadParameter(f'"{name}" is not settable')
                self.environment = [each for each in self.environment if each.partition("=")[0] != name]
                self.environment.append(f"{name}={value}")
                return
        arguments = self.config["Args"]
        if name and arguments["Name"] == name:
            if "value" not in (arguments["Settable"] or []):
                raise BadParameter(f'"{name}" is not settable')
            self.arguments = value.split()
            return
        raise ServerError(f'setting "{name}" not found in the plugin configuration')

    def to_api(self) -> JsonObject:
        rootfs = {"diff_ids": [self.digest], "type": "layers"}
        return {
            "Config": {**self.config, "rootfs": rootfs},
            "Enabled": self.enabled,
            "Id": self.id,
            "Name": self.name,
            "PluginReference": self.name,
            "Settings": {"Args": self.arguments, "Devices": [], "Env": self.environment, "Mounts": []},
        }

    def stored(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_stored(cls, data: bytes) -> Bundle:
        return cls(**json.loads(data))


def new_bundle(bundle_id: str, name: str, config: bytes, *, digest: str, version: str) -> Bundle:
    """From a config.json. Raises BadParameter."""
    try:
        given = json.loads(config)
    except ValueError as error:
        raise BadParameter(f"config.json: {error}") from None
    if not isinstance(given, dict):
        raise BadParameter("config.json: an object expected")
    shaped = _shaped(_CONFIG, given)
    for key in ("Args", "Interface", "Linux", "Network", "User"):
        if not isinstance(shaped[key], dict):
            raise BadParameter(f"config.json: {key.lower()}: an object expected")
    for key in ("Env", "Entrypoint", "Mounts"):
        if not isinstance(shaped[key] or [], list):
            raise BadParameter(f"config.json: {key.lower()}: a list expected")
    for what, value in (("interface.types", shaped["Interface"]["Types"]), ("args.value", shaped["Args"]["Value"])):
        if not isinstance(value or [], list):
            raise BadParameter(f"config.json: {what}: a list expected")
    if "/" in str(shaped["Interface"]["Socket"]):
        raise BadParameter("config.json: interface.socket: a file's name expected")
    variables = [_shaped(_VARIABLE, each) for each in shaped["Env"] or [] if isinstance(each, dict)]
    shaped["Env"] = variables or None
    shaped["DockerVersion"] = version
    environment = [f"{each['Name']}={each['Value']}" for each in variables if each["Value"] is not None]
    arguments = [str(each) for each in shaped["Args"]["Value"] or []]
    return Bundle(bundle_id, name, shaped, digest, arguments=arguments, environment=environment)


def _shaped(shape: Mapping[str, object], given: Mapping[str, object]) -> JsonObject:
    """The fields of `shape` with what was given for them."""
    lower = {key.lower(): value for key, value in given.items()}
    found: JsonObject = {}
    for key, default in shape.items():
        value = lower.get(key.lower())
        if value is None:
            value = default
        if isinstance(default, dict) and default and isinstance(value, dict):
            value = _shaped(default, value)
        found[key] = value
    return found
