"""Log drivers by name: which keep a container's log here, and which would send it elsewhere.

An engine lists all that it has been built with, whether the host can use them or not; a container whose driver cannot
work is made and does not start (moby's daemon/logger, daemon/logdrivers_linux.go). A simulated host has no journal and
no way to any of the services, so for the seven that need one the start says so.
"""

from __future__ import annotations

from daemon.engine import hostconfig
from daemon.engine.documents import JsonObject
from daemon.errors import BadParameter, ServerError

LOG_DRIVERS = (
    "awslogs", "fluentd", "gcplogs", "gelf", "journald", "json-file", "local", "logentries", "splunk", "syslog",
)  # fmt: skip
_KEEPING = ("json-file", "local", "none")
_OPTIONS = ("max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode",
            "max-buffer-size")  # fmt: skip
_NEEDED = {
    "awslogs": ("awslogs-group", "must specify a value for log opt 'awslogs-group'"),
    "gelf": ("gelf-address", "gelf-address is a required parameter"),
    "logentries": ("logentries-token", "Missing logentries token"),
}


def check_log_options(config: JsonObject) -> None:
    """HostConfig.LogConfig at create. Raises BadParameter."""
    driver, options = config["Type"], config["Config"]
    if driver not in (*LOG_DRIVERS, "none"):
        raise BadParameter(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    for name, value in options.items():
        if name not in _OPTIONS and driver != "none" and not name.startswith(f"{driver}-"):
            raise BadParameter(f"unknown log opt '{name}' for {driver} log driver")
        if name == "max-file" and not (value.isdigit() and int(value) > 0):
            raise BadParameter("max-file cannot be less than 1")
        if name == "max-size" and not hostconfig.log_bytes(value):
            raise BadParameter(f"invalid size: '{value}'")
    needed, text = _NEEDED.get(driver, ("", ""))
    if needed and not options.get(needed):
        raise BadParameter(text)


def check_log_driver(host_config: JsonObject) -> None:
    """At start. Raises ServerError for a driver that cannot work here."""
    driver = host_config["LogConfig"]["Type"]
    if driver == "journald":
        raise ServerError("failed to initialize logging driver: journald is not enabled on this host")
    if driver not in _KEEPING:
        raise ServerError(
            f"failed to initialize logging driver: {driver} sends logs elsewhere, and a simulated host keeps its own "
            "(json-file, local)"
        )
