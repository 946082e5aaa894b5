"""What Docker refuses at container create, in its words (daemon/container.go, runconfig/ of moby 20.10).

Only what can be seen from the request alone; what depends on networks is `Networks.check_create`'s affair.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from daemon.engine.documents import JsonObject
from daemon.engine.limits import check_limits
from daemon.engine.log_drivers import check_log_options
from daemon.engine.signals import parse_signal
from daemon.errors import BadParameter, ServerError

_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_HEALTH_MINIMUM = 1_000_000  # nanoseconds
_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/([A-Za-z]+))?")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}")


def check_config(config: JsonObject) -> None:
    """Docker's Config. Raises BadParameter."""
    if (directory := config.get("WorkingDir")) and not directory.startswith("/"):
        raise BadParameter(f"the working directory '{directory}' is invalid, it needs to be an absolute path")
    if stop_signal := config.get("StopSignal"):
        parse_signal(stop_signal)
    for entry in config.get("Env") or []:
        if not entry.partition("=")[0]:
            raise BadParameter(f"invalid environment variable: {entry}")
    health = config.get("Healthcheck") or {}
    for key in ("Interval", "Timeout", "StartPeriod"):
        if (value := health.get(key) or 0) and value < _HEALTH_MINIMUM:
            raise BadParameter(f"{key} in Healthcheck cannot be less than 1ms")
    if (health.get("Retries") or 0) < 0:
        raise BadParameter("Retries in Healthcheck cannot be negative")
    for port in config.get("ExposedPorts") or {}:
        check_port(port)
    check_mac(config.get("MacAddress"))


def check_mac(mac: str | None) -> None:
    """BadParameter."""
    if mac and not _MAC.fullmatch(mac):
        raise BadParameter(f"invalid MAC address: {mac}")


def check_host_config(host_config: JsonObject, config: JsonObject) -> None:
    """Docker's HostConfig, together with Config where they conflict. Raises BadParameter."""
    policy = host_config["RestartPolicy"]
    name, retries = policy["Name"], policy["MaximumRetryCount"]
    if host_config["AutoRemove"] and name not in ("", "no"):
        raise BadParameter("can't create 'AutoRemove' container with restart policy")
    if name in ("always", "unless-stopped", "no"):
        if retries:
            raise BadParameter(f"maximum retry count cannot be used with restart policy '{name}'")
    elif name == "on-failure":
        if retries < 0:
            raise BadParameter("maximum retry count cannot be negative")
    elif name:
        raise BadParameter(f"invalid restart policy '{name}'")
    for extra in host_config["ExtraHosts"] or []:
        host, colon, address = extra.partition(":")
        if not colon or not host or not address:
            raise BadParameter(f'bad format for add-host: "{extra}"')
        if address != "host-gateway" and not _is_address(address):
            raise BadParameter(f'invalid IP address in add-host: "{address}"')
    for server in host_config["Dns"] or []:
        if not _is_address(server):
            raise BadParameter(f"invalid IP address: {server}")
    for port, bindings in (host_config["PortBindings"] or {}).items():
        check_port(port)
        for binding in bindings or []:
            check_binding(binding)
    check_limits(host_config)
    check_log_options(host_config["LogConfig"])
    if host_config["Runtime"] != "runc":
        raise BadParameter(f"Unknown runtime specified {host_config['Runtime']}")
    _check_network_mode(host_config, config)


def check_devices(host_config: JsonObject) -> None:
    """--gpus, --device: no driver for devices is there, and only those that every container has; Docker says so at
    start. ServerError."""
    for device in host_config["Devices"] or []:
        path = (device or {}).get("PathOnHost") or ""
        if path not in _DEVICES:
            raise ServerError(
                f'error gathering device information while adding custom device "{path}": no such file or directory'
            )
    requests = host_config["DeviceRequests"] or []
    if requests:
        sets = [names for request in requests for names in (request or {}).get("Capabilities") or []]
        wanted = " ".join(f"[{' '.join(names or [])}]" for names in sets)
        raise ServerError(f'could not select device driver "" with capabilities: [{wanted}]')


def check_endpoints(endpoints: Mapping[str, JsonObject | None], version: tuple[int, int]) -> None:
    """NetworkingConfig.EndpointsConfig. Raises BadParameter."""
    if len(endpoints) > 1 and version < (1, 44):
        raise BadParameter(f"Container cannot be connected to network endpoints: {', '.join(endpoints)}")
    for name, endpoint in endpoints.items():
        if endpoint is None:
            raise BadParameter(f"no EndpointSettings for {name}")
        ipam = endpoint.get("IPAMConfig") or {}
        if (address := ipam.get("IPv4Address")) and not _is_address(address, 4):
            raise BadParameter(f"invalid IPv4 address: {address}")
        check_mac(endpoint.get("MacAddress"))
        if (address := ipam.get("IPv6Address")) and not _is_address(address, 6):
            raise BadParameter(f"invalid IPv6 address: {address}")


def _check_network_mode(host_config: JsonObject, config: JsonObject) -> None:
    """runconfig.validateNetMode: options that make no sense in another's or the host's network namespace."""
    mode = host_config["NetworkMode"]
    if mode == "host":
        if host_config["Links"]:
            raise BadParameter(
                "conflicting options: host type networking can't be used with links. "
                "This would result in undefined behavior"
            )
        return
    if not mode.startswith("container:"):
        return
    if mode == "container:":
        raise BadParameter("Invalid network mode: invalid container format container:<name|id>")
    if config.get("Hostname"):
        raise BadParameter("conflicting options: hostname and the network mode")
    if host_config["Links"]:
        raise BadParameter(
            "conflicting options: container type network can't be used with links. "
            "This would result in undefined behavior"
        )
    if host_config["Dns"]:
        raise BadParameter("conflicting options: dns and the network mode")
    if host_config["ExtraHosts"]:
        raise BadParameter("conflicting options: custom host-to-IP mapping and the network mode")
    if config.get("MacAddress"):
        raise BadParameter("conflicting options: mac-address and the network mode")
    if host_config["PortBindings"] or host_config["PublishAllPorts"]:
        raise BadParameter("conflicting options: port publishing and the container type network mode")
    if config.get("ExposedPorts"):
        raise BadParameter("conflicting options: port exposing and the container type network mode")


def check_port(text: str) -> None:
    """A port as in ExposedPorts: 80, 80/tcp, 80-90/udp."""
    match = _PORT.fullmatch(text)
    if match is None or not match[1]:
        raise BadParameter(f'invalid port specification: "{text}"')
    first, last = int(match[1]), int(match[2] or match[1])
    if first > 65535 or last > 65535 or last < first:
        raise BadParameter(f'invalid port specification: "{text}"')
    if match[3] and match[3].lower() not in ("tcp", "udp", "sctp"):
        raise BadParameter(f"invalid proto: {match[3]}")


def check_binding(binding: JsonObject) -> None:
    """One entry of PortBindings: HostIp and HostPort, the latter perhaps a range."""
    port = binding.get("HostPort") or ""
    if port:
        first, dash, last = port.partition("-")
        numbers = [first, last] if dash else [first]
        if not all(n.isdigit() and int(n) <= 65535 for n in numbers) or (dash and int(last) < int(first)):
            raise BadParameter(f'invalid port specification: "{port}"')
    if (address := binding.get("HostIp") or "") and not _is_address(address):
        raise BadParameter(f"invalid IP address: {address}")


def _is_address(text: str, version: int | None = None) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return version is None or address.version == version
