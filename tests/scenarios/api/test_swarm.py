"""The Python API on running hosts: streams, reset, the proxy with a native program, testcontainers."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator

import pytest

from scenarios.api import Swarm
from tests.scenarios.shoal import shoal


@pytest.fixture(scope="module")
def hosts() -> Iterator[Swarm]:
    with Swarm(hosts=2) as made:
        yield made


@pytest.fixture
def two(hosts: Swarm) -> Swarm:
    hosts.reset()
    hosts.docker("h1", "network create -d overlay --attachable ov1")
    hosts.docker("h2", "run -d --name web --network ov1 nginx")
    return hosts


async def _reversed(swarm: Swarm, data: bytes) -> bytes:
    async def reverse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read())[::-1])
        writer.close()

    async with await swarm.listen("h1/ov1", 7000, reverse, name="back"):
        reader, writer = await swarm.open_connection("h2/ov1", "back", 7000, within=5)
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(20):
            return await reader.read()


_MUCH = bytes(range(256)) * 4000


async def test_bytes_both_ways_and_half_close(two: Swarm) -> None:
    assert await _reversed(two, _MUCH) == _MUCH[::-1]


def test_bytes_both_ways_in_simulated_time() -> None:
    """More than any buffer on the way holds: a writer that closes at once is no reason to let go of it."""
    with Swarm(hosts=2, simulated=True) as swarm:
        swarm.docker("h1", "network create -d overlay --attachable ov1")
        assert swarm.run(_reversed(swarm, _MUCH)) == _MUCH[::-1]


async def test_failures_are_a_sockets(two: Swarm) -> None:
    with pytest.raises(ConnectionRefusedError):
        await two.open_connection("h2/ov1", "web", 81)
    with pytest.raises(OSError, match="nobody"):
        await two.open_connection("h2/ov1", "nobody", 80)


def test_reset_leaves_nothing(two: Swarm) -> None:
    two.run(two.partition(["h1"], ["h2"]))
    two.run(two.kill("h2"))
    two.reset()
    for host in two.hosts:
        assert two.docker(host, "ps -aq").stdout == ""
        assert "ov1" not in two.docker(host, "network ls").stdout
        assert two.run(two.members(host)) == ["h1", "h2"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
@pytest.mark.parametrize("how", [[], ["--proxytunnel"], ["--socks5-hostname"]])
def test_a_native_program_by_attach(two: Swarm, how: list[str]) -> None:
    proxy = '--socks5-hostname "${ALL_PROXY#socks5h://}" --noproxy ""' if "--socks5-hostname" in how else " ".join(how)
    command = ["sh", "-c", f"curl -sS --fail --retry 5 --retry-all-errors --retry-delay 1 {proxy} http://web/"]
    if "--socks5-hostname" in how:
        command[2] = f"unset http_proxy; {command[2]}"
    done = shoal("attach", "h1", "--network", "ov1", "--", *command, state=two.state)
    assert done.returncode == 0 and "Welcome to nginx!" in done.stdout, done.stderr
    ended = shoal("attach", "h1", "--network", "ov1", "--", sys.executable, "-c", "exit(7)", state=two.state)
    assert ended.returncode == 7
    assert two.docker("h1", "ps -aq").stdout == ""


def test_testcontainers(two: Swarm, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("testcontainers", reason="testcontainers is not installed")
    monkeypatch.setenv("DOCKER_HOST", two.docker_host("h1"))
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    with DockerContainer("alpine").with_command("sleep 600") as container:
        code, output = container.exec("echo hello")
        assert (code, output) == (0, b"hello\n")
