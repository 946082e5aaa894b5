"""docker-compose brings up two services on networks of their own, and takes everything down again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., str]

_FILE = """
version: "2.4"
services:
  web:
    image: nginx
    ports: ["{port}:80"]
    volumes: ["./html:/usr/share/nginx/html:ro", "data:/data"]
    networks:
      front: {{aliases: [www], ipv4_address: 172.30.7.10}}
  client:
    image: alpine
    command: sh -c 'wget -q -O /data/page http://www/ && ip -4 -o addr show > /data/address; sleep 600'
    depends_on: [web]
    init: true
    stop_grace_period: 1s
    labels: {{tier: client}}
    healthcheck: {{test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://web/"], interval: 1s}}
    volumes: ["data:/data"]
    networks:
      front: {{ipv4_address: 172.30.7.20}}
      back: {{}}
networks:
  front: {{ipam: {{config: [{{subnet: 172.30.7.0/24, gateway: 172.30.7.1}}]}}}}
  back: {{internal: true}}
volumes: {{data: {{}}}}
"""


@pytest.fixture
def project() -> Iterator[tuple[Path, Run]]:
    """A directory for the compose file, and a way to run commands there against a daemon of its own."""
    if shutil.which("docker-compose") is None:
        pytest.skip("no docker-compose on this machine")
    directory = Path(tempfile.mkdtemp(prefix="shoal"))
    state = directory / "s"
    shoal = [sys.executable, "-m", "scenarios.cli"]
    subprocess.run([*shoal, "up", "1", "--no-swarm", "--state", str(state)], check=True, capture_output=True)
    environment = {**os.environ, "DOCKER_HOST": f"unix://{state}/h1/docker.sock", "COMPOSE_PROJECT_NAME": "two"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    yield directory, run
    subprocess.run([*shoal, "down", "--state", str(state)], check=True, capture_output=True)
    shutil.rmtree(directory)


def test_two_services_come_and_go(project: tuple[Path, Run]) -> None:
    directory, run = project
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (directory / "docker-compose.yml").write_text(_FILE.format(port=port))
    (directory / "html").mkdir()
    (directory / "html" / "index.html").write_text("composed\n")
    run("docker-compose", "up", "-d")
    wait = "until [ -s /data/address ]; do sleep 0.1; done; cat /data/page /data/address"
    page, *addresses = run("docker-compose", "exec", "-T", "client", "sh", "-c", wait).splitlines()
    assert page == "composed" and any("172.30.7.20/24" in line for line in addresses)
    assert run("curl", "-s", f"http://localhost:{port}/") == "composed\n"
    assert "172.30.7.10" in run("docker-compose", "exec", "-T", "client", "nslookup", "-type=a", "www")
    assert run("docker-compose", "port", "web", "80").strip() in (f"0.0.0.0:{port}", f":::{port}")
    running = run("docker-compose", "ps", "--services", "--filter", "status=running").split()
    assert sorted(running) == ["client", "web"]
    assert "GET / HTTP/1.1" in run("docker-compose", "logs", "web")
    run("docker-compose", "restart", "-t", "0", "web")
    run("docker-compose", "down", "-v")
    assert run("docker", "ps", "-aq") == "" and run("docker", "volume", "ls", "-q") == ""
    assert run("docker", "network", "ls", "--format", "{{.Name}}").split() == ["bridge", "host", "none"]
