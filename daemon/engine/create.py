"""From a create request to a container: image defaults merged in, everything checked, nothing started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.engine import hostconfig, mount_points, validate
from daemon.engine.container import Container, EndpointSettings
from daemon.engine.documents import JsonObject
from daemon.engine.reference import check_reference, familiar
from daemon.errors import BadParameter, NotFound

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.runtime.images import Image

# In the order of Docker's struct. The second group is shown only when set.
_CONFIG: JsonObject = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "ExposedPorts": None,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Healthcheck": None,
    "ArgsEscaped": False,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "NetworkDisabled": False,
    "MacAddress": "",
    "OnBuild": None,
    "Labels": None,
    "StopSignal": "",
    "StopTimeout": None,
    "Shell": None,
}
_ONLY_WHEN_SET = (
    "ExposedPorts", "Healthcheck", "ArgsEscaped", "NetworkDisabled", "MacAddress", "StopSignal", "StopTimeout", "Shell",
)  # fmt: skip


def build(engine: Engine, name: str, body: JsonObject, version: tuple[int, int]) -> tuple[Container, list[str]]:
    """A container as `body` (checked by the API's schema) describes it, and Docker's warnings.

    Raises BadParameter, NotFound (image, network, linked container) and what Networks.check_create raises.
    """
    given = {key: body[key] for key in _CONFIG if key in body}
    if not given:
        raise BadParameter("Config cannot be empty in order to create a container")
    given_host = body.get("HostConfig") or {}
    host_config = hostconfig.completed(given_host)
    validate.check_config(given)
    validate.check_host_config(host_config, given)
    endpoints: dict[str, JsonObject | None] = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    validate.check_endpoints(endpoints, version)

    reference = given.get("Image") or ""
    image = engine.images.resolve(reference) if reference else None
    if reference and image is None:
        check_reference(reference)
        raise NotFound(f"No such image: {familiar(reference)}")
    config = merged_config(given, image)
    command = [*(config["Entrypoint"] or []), *(config["Cmd"] or [])]
    if not command:
        raise BadParameter("No command specified")

    identity = engine.world.hex_id()
    mode = host_config["NetworkMode"]
    if mode.startswith("container:"):
        other = engine.containers.find_or_none(mode.removeprefix("container:"))
        if other is not None:  # else the start says so: a 404 now would send the CLI off to pull the image
            host_config["NetworkMode"] = mode = f"container:{other.id}"
    elif not config["Hostname"]:
        config["Hostname"] = engine.config.hostname if mode == "host" else identity[:12]
    container = Container(
        id=identity,
        name=name,
        created=engine.world.wall(),
        image=reference,
        image_id=image.id if image else "",
        path=command[0],
        args=command[1:],
        config=config,
        host_config=host_config,
        endpoints=_endpoints(mode, endpoints, config),
    )
    for link in host_config["Links"] or []:
        linked = link.partition(":")[0].removeprefix("/")
        if engine.containers.find_or_none(linked) is None:  # no 404 either, as Docker (moby 39823)
            raise BadParameter(f"could not get container for {linked}: No such container: {linked}")
    engine.networks.check_create(container)
    container.mounts = mount_points.resolve(engine, host_config, config)
    return container, _warnings(host_config)


def merged_config(given: JsonObject, image: Image | None) -> JsonObject:
    """Config with the image's defaults where the user said nothing (moby's image/merge)."""
    config = _CONFIG | {key: value for key, value in given.items() if value is not None}
    for key in ("Cmd", "Entrypoint"):
        if isinstance(config[key], str):
            config[key] = [config[key]]
    config["Labels"] = dict(config["Labels"] or {})
    if image is not None:
        if not config["Entrypoint"]:
            if not config["Cmd"]:
                config["Cmd"] = list(image.cmd) or None
            if config["Entrypoint"] is None:
                config["Entrypoint"] = list(image.entrypoint) or None
        config["User"] = config["User"] or image.user
        config["WorkingDir"] = config["WorkingDir"] or image.working_dir
        config["StopSignal"] = config["StopSignal"] or image.stop_signal
        config["Volumes"] = {**{path: {} for path in image.volumes}, **(config["Volumes"] or {})}
        if image.healthcheck:
            asked = {key: value for key, value in (config["Healthcheck"] or {}).items() if value}
            config["Healthcheck"] = {**image.healthcheck, **asked}
        config["Labels"] = {**image.labels, **config["Labels"]}
        if image.exposed_ports:
            config["ExposedPorts"] = {**{p: {} for p in image.exposed_ports}, **(config["ExposedPorts"] or {})}
        environment = list(config["Env"] or [])
        names = {entry.partition("=")[0]: None for entry in environment}
        environment += [entry for entry in image.env if entry.partition("=")[0] not in names]
        config["Env"] = environment or None
    if config["Entrypoint"] == [] or config["Entrypoint"] == [""]:
        config["Entrypoint"] = None  # `--entrypoint ""` takes the image's away
    config["Volumes"] = config["Volumes"] or None
    if config["ExposedPorts"]:
        config["ExposedPorts"] = {port if "/" in port else f"{port}/tcp": {} for port in config["ExposedPorts"]}
    for key in _ONLY_WHEN_SET:
        if (value := config[key]) is None or value is False or value in ("", {}, []):
            del config[key]
    return config


def _endpoints(mode: str, given: dict[str, JsonObject | None], config: JsonObject) -> dict[str, EndpointSettings]:
    """Network name -> settings: those of NetworkingConfig, or one of the network mode's network."""
    if mode.startswith("container:") or config.get("NetworkDisabled"):
        return {}
    main = "bridge" if mode == "default" else mode
    endpoints = {
        "bridge" if name == "default" else name: EndpointSettings.from_api(settings) for name, settings in given.items()
    }
    if not endpoints:  # only then one of the mode's network, as Docker's updateContainerNetworkSettings
        endpoints = {main: EndpointSettings()}
    elif main in endpoints:
        endpoints = {main: endpoints.pop(main), **endpoints}
    if (mac := config.get("MacAddress")) and main in endpoints and not endpoints[main].desired_mac:
        endpoints[main].desired_mac = mac
    return endpoints


def _warnings(host_config: JsonObject) -> list[str]:
    """What is accepted and does nothing here."""
    warnings = []
    if host_config["NetworkMode"] == "host" and (host_config["PublishAllPorts"] or host_config["PortBindings"]):
        warnings.append("Published ports are discarded when using host network mode")
    return warnings
