"""A plug-in that dies takes its own networks with it and nothing else, with Docker's words (P10, P15)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from tests.plugins.conftest import Engine, eventually
from tests.scenarios.shoal import shoal

HERE = Path(__file__).parent
_REAL = "/run/docker/plugins/example.sock"


def test_killing_it_breaks_its_networks_only_and_says_what_docker_says(engine: Engine) -> None:
    """P15. real-engine-killed.jsonl is what Docker 20.10.24 said after kill -9 of the same plug-in."""
    plugin = engine.plugin()
    for name in ("n1", "n1b"):
        engine.done("network", "create", "-d", "example", "--ipam-driver", "example", name)
    engine.done("run", "-d", "--name", "web", "--network", "n1", "alpine", "sleep", "1000")
    engine.done("run", "-d", "--name", "br", "alpine", "sleep", "1000")
    gateway = ("exec", "web", "ping", "-c", "1", "-W", "1", "-q", "10.99.0.1")
    engine.done(*gateway)
    plugin.kill()

    real = [json.loads(line) for line in (HERE / "real-engine-killed.jsonl").read_text().splitlines()]
    dead = [step for step in real if step["status"] != 0]
    assert len(dead) == 4
    prefix = ["docker", "-H", f"unix://{engine.socket}"]
    processes = [  # at once: each tries for 15 s, as Docker does
        subprocess.Popen([*prefix, *step["command"].split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for step in dead
    ]
    start = time.monotonic()
    engine.done("run", "--rm", "alpine", "true")
    engine.done("exec", "br", "ping", "-c", "1", "-q", "172.17.0.1")
    engine.done("network", "rm", "n1b")  # Docker drops its own record too
    assert engine.docker(*gateway).returncode == 1
    assert time.monotonic() - start < 8
    for step, process in zip(dead, processes, strict=True):
        _, error = process.communicate(timeout=40)
        said = error.replace(str(plugin.socket), _REAL)
        said = said.replace(quote(str(plugin.socket), safe=""), quote(_REAL, safe=""))
        assert (process.returncode, said) == (step["status"], step["err"]), step["command"]
    assert time.monotonic() - start > 10, "they were to be tried for a while"

    start = time.monotonic()
    engine.done("rm", "-f", "web")  # what ends is tried once
    assert time.monotonic() - start < 3
    plugin.start()
    engine.done("network", "create", "-d", "example", "--ipam-driver", "example", "n4")
    assert "10.99.0.2" in engine.done("run", "--rm", "--network", "n4", "alpine", "ip", "addr")


def test_a_killed_daemon_takes_back_what_it_left_with_the_plugin(engine: Engine) -> None:
    plugin = engine.plugin()
    engine.done("network", "create", "-d", "example", "--ipam-driver", "example", "n1")
    engine.done("run", "-d", "--name", "web", "--network", "n1", "--restart", "always", "alpine", "sleep", "1000")
    before = _calls(plugin.record)
    endpoint = next(body["EndpointID"] for name, body in before if name.endswith(".CreateEndpoint"))
    result = shoal("chaos", "kill", "h1", state=engine.state)
    assert result.returncode == 0, result.stderr
    result = shoal("chaos", "restart", "h1", state=engine.state)
    assert result.returncode == 0, result.stderr

    def running() -> bool:
        return engine.docker("exec", "web", "ping", "-c", "1", "-W", "1", "-q", "10.99.0.1").returncode == 0

    eventually(running)
    after = _calls(plugin.record)[len(before) :]
    names = [name.partition(".")[2] for name, _ in after]
    assert names[:4] == ["Activate", "GetCapabilities", "GetCapabilities", "GetDefaultAddressSpaces"]
    assert names[4:8] == ["Leave", "DeleteEndpoint", "ReleaseAddress", "RequestAddress"]
    assert after[4][1]["EndpointID"] == after[5][1]["EndpointID"] == endpoint
    assert "10.99.0.2/24" in engine.done("exec", "web", "ip", "addr")


def _calls(record: Path) -> list[tuple[str, dict[str, str]]]:
    return [(call["call"], call["body"]) for call in map(json.loads, record.read_text().splitlines())]


def test_a_bundle_is_installed_enabled_used_and_removed(engine: Engine) -> None:
    """P10"""
    bundle = Path(__file__).resolve().parents[2] / "examples" / "plugin" / "bundle"
    engine.done("plugin", "create", "mine", str(bundle))
    environment = [f"PYTHON={sys.executable}", f"PYTHONPATH={bundle.parents[2]}"]
    engine.done("plugin", "set", "mine", *environment)
    refused = engine.docker("network", "create", "-d", "mine", "n1")
    assert refused.stderr == "Error response from daemon: plugin mine found but disabled\n"
    engine.done("plugin", "enable", "mine")
    one, both = ["--filter", "capability=networkdriver"], ["--filter", "capability=ipamdriver"]
    assert "mine:latest" not in engine.done("plugin", "ls", *one)  # Docker's: all of its kinds must be asked for
    assert "mine:latest" in engine.done("plugin", "ls", "--filter", "enabled=true", *one, *both)
    engine.done("network", "create", "-d", "mine", "--ipam-driver", "mine", "n1")
    drivers = engine.done("network", "inspect", "n1", "--format", "{{.Driver}} {{.IPAM.Driver}}")
    assert drivers == "mine:latest mine:latest"
    engine.done("run", "-d", "--name", "web", "--network", "n1", "nginx")
    assert "nginx" in engine.done("run", "--rm", "--network", "n1", "alpine", "wget", "-qO-", "http://web/")
    in_use = engine.docker("plugin", "disable", "mine")
    assert in_use.stderr == "Error response from daemon: plugin mine:latest is in use\n"
    engine.done("rm", "-f", "web")
    engine.done("network", "rm", "n1")
    enabled = engine.docker("plugin", "rm", "mine")
    assert enabled.stderr == "Error response from daemon: plugin mine:latest is enabled\n"
    engine.done("plugin", "disable", "mine")
    engine.done("plugin", "rm", "mine")
    assert not list((engine.state / "h1" / "bundles").iterdir())
    hub = engine.docker("plugin", "install", "--grant-all-permissions", "weaveworks/net-plugin")
    assert hub.returncode == 1
    assert "shoal fetches no plug-ins from a registry" in hub.stderr


def test_a_plugin_that_hangs_holds_up_nothing_else(engine: Engine) -> None:
    """Other networks go on, and the daemon still stops in time."""
    plugin = engine.plugin()
    engine.done("network", "create", "-d", "example", "n1")
    engine.done("run", "-d", "--name", "web", "--network", "n1", "alpine", "sleep", "1000")
    assert plugin.process is not None
    plugin.process.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    engine.done("run", "--rm", "alpine", "true")
    assert time.monotonic() - start < 3
    result = shoal("down", state=engine.state)
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - start < 15
    plugin.process.send_signal(signal.SIGCONT)
