"""`shoal up` and `shoal down` with real daemons: alone, twice, ten at once, after a crash, and without a launcher."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scenarios.launch import record
from scenarios.launch.localhttp import request
from scenarios.launch.process import is_alive, send_signal, wait_gone
from tests.scenarios.shoal import ROOT, done, shoal


def test_up_returns_when_all_see_all_and_down_leaves_nothing(state: Path) -> None:
    printed = done("up", "3", state=state)
    swarm = record.running(state)
    for host in swarm.hosts:
        assert f"DOCKER_HOST=unix://{state}/{host.name}/docker.sock" in printed
        status = request(host.control_api, "GET", "/v1/status", timeout=5)
        assert isinstance(status, dict) and isinstance(status["members"], list)
        assert sorted(m["hostname"] for m in status["members"] if isinstance(m, dict)) == ["h1", "h2", "h3"]  # type: ignore[type-var]
        assert Path(host.directory, "docker.sock").stat().st_mode & 0o777 == 0o600
    assert done("env", "h2", state=state) == f"export DOCKER_HOST=unix://{state}/h2/docker.sock\n"
    assert [line.split()[0] for line in done("ls", state=state).splitlines()[1:4]] == ["h1", "h2", "h3"]
    done("down", state=state)
    assert not any(is_alive(host.process) for host in swarm.hosts)
    assert not state.exists()


def test_a_second_up_is_an_error_that_says_so(state: Path) -> None:
    done("up", "1", state=state)
    before = record.running(state)
    second = shoal("up", "1", state=state)
    assert second.returncode == 1
    assert "is running" in second.stderr and "shoal down" in second.stderr
    assert record.running(state) == before and before.hosts[0].alive


def test_leftovers_of_a_crash_are_cleaned_up(state: Path) -> None:
    done("up", "2", "--no-swarm", state=state)
    for host in record.running(state).hosts:
        send_signal(host.process, signal.SIGKILL)
        wait_gone(host.process, 5)
    (state / "h1" / "left").write_text("over")
    done("up", "1", "--no-swarm", "--prefix", "d", state=state)
    assert sorted(p.name for p in state.iterdir()) == ["d1", record.FILE]


def test_nothing_outlives_the_launcher_of_die_with(state: Path) -> None:
    launcher = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    done("up", "2", "--no-swarm", "--die-with", str(launcher.pid), state=state)
    swarm = record.running(state)
    assert len(swarm.alive) == 2
    launcher.kill()
    launcher.wait()
    for host in swarm.hosts:
        assert wait_gone(host.process, 5), f"{host.name} outlived its launcher"


def test_ten_swarms_start_at_once(state: Path) -> None:
    directories = [state.parent / str(n) for n in range(10)]
    try:
        with ThreadPoolExecutor(10) as pool:
            results = list(pool.map(lambda d: shoal("up", "3", state=d, timeout=150), directories))
        assert [r.returncode for r in results] == [0] * 10, [r.stderr for r in results if r.returncode]
        assert len({record.running(d).where for d in directories}) == 10
    finally:
        for directory in directories:
            shoal("down", state=directory)
    assert not any(d.exists() for d in directories)


def test_a_daemon_that_cannot_start_is_reported_and_nothing_stays(state: Path) -> None:
    failed = shoal("up", "2", "--log-level", "loud", state=state)
    assert failed.returncode == 1
    assert "log_level" in failed.stderr and "Traceback" not in failed.stderr
    assert not state.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "0"], "between 1 and"),
        (["up", "2", "--prefix", "-x"], "--prefix"),
        (["up", "2", "--host-address", "h9=10.0.0.1"], "no host 'h9'"),
        (["up", "2", "--host-address", "h1=300.0.0.1"], "HOST=IPv4"),
        (["up", "2", "--die-with", "999999999"], "no process 999999999"),
        (["down"], "no swarm"),
        (["ls"], "no swarm"),
        (["on", "h1", "ps"], "no swarm"),
        (["chaos", "heal"], "no swarm"),
    ],
)
def test_wrong_words_are_one_clear_line(state: Path, arguments: list[str], says: str) -> None:
    result = shoal(*arguments, state=state)
    assert result.returncode == 1
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not state.exists()


def test_a_state_directory_that_is_too_deep_is_told_before_anything_starts(state: Path) -> None:
    deep = state / ("x" * 100)
    result = shoal("up", "1", state=deep)
    assert result.returncode == 1 and "too long" in result.stderr
    assert not deep.exists()


def test_what_is_not_shoals_is_not_touched(state: Path) -> None:
    (state / "h1").mkdir(parents=True)
    (state / "h1" / "mine").write_text("precious")
    result = shoal("up", "1", state=state)
    assert result.returncode == 1 and "in the way" in result.stderr
    assert (state / "h1" / "mine").read_text() == "precious"


def test_a_killed_daemon_is_started_again_in_the_same_block(state: Path) -> None:
    done("up", "2", state=state)
    before = record.running(state)
    done("chaos", "kill", "h2", state=state)
    assert "dead" in done("ls", state=state)
    done("chaos", "restart", "h2", state=state)
    after = record.running(state)
    assert after.host("h2").alive and after.host("h2").process != before.host("h2").process
    assert (after.where, after.host("h2").real) == (before.where, before.host("h2").real)


def test_ports_mode_needs_one_loopback_address_only(state: Path) -> None:
    done("up", "2", "--addresses", "ports", state=state)
    base = record.running(state).where
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, pytest.raises(OSError):
        probe.bind(("127.0.0.1", base + 64))  # h1's gossip


def started(state: Path, host: int) -> None:
    """Wait until that host's daemon is a process."""
    deadline = time.monotonic() + 60
    while not ((swarm := record.load(state)) and swarm.hosts[host].process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_interrupted_up_stops_what_it_started(state: Path) -> None:
    up = subprocess.Popen(
        [sys.executable, "-m", "scenarios.cli", "up", "3"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env={**os.environ, "SHOAL_STATE": str(state), "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    started(state, 0)
    swarm = record.running(state)
    os.kill(swarm.hosts[0].process.pid, signal.SIGSTOP)  # so that `up` is not done before it is interrupted
    started(state, -1)
    swarm = record.running(state)
    up.send_signal(signal.SIGINT)
    _, errors = up.communicate(timeout=30)
    assert up.returncode == 130 and b"Traceback" not in errors
    assert not any(is_alive(host.process) for host in swarm.hosts)
    assert not state.exists()
