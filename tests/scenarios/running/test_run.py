"""One file in both modes, every way in which a run can end, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenarios.language.reading import Source, parse
from scenarios.running.record import RunRecord, from_json
from scenarios.running.run import run_real, run_simulated
from tests.scenarios.shoal import ROOT, shoal

STORY = """\
name: story
hosts: 3
networks: [ov]
containers:
  web: {on: h1, image: nginx, networks: ov}
  c2: {on: h2, networks: ov}
  c3: {on: h3, networks: ov}
load: [{ping: h2/c2 -> web, every: 200ms}]
steps:
  - {on: h3, docker: "inspect -f '{{.NetworkSettings.Networks.ov.IPAddress}}' c3", capture: there}
  - expect: {resolves: h1/web -> c3, to: h3/c3, within: 5s}
  - fault: {partition: [[h1, h2], [h3]], id: cut}
  - parallel:
    - expect: {unreachable: "h2/c2 -> ${there}"}
    - expect: {node: h3, on: h1, is: Down, within: 10s}
  - expect: {unresolved: h2/c2 -> c3, within: 2s}
  - heal: cut
  - expect: {members: 3, within: 5s}
  - expect: {exec: wget -q -O - http://web, on: h3/c3, prints: Welcome, within: 5s}
  - kill: h2
  - restart: h2
  - {on: h2, docker: start c2}
  - {on: h1, docker: run --name web nginx, fails: already in use}
  - expect: {metric: ping.max < 500ms}
"""


def one(text: str) -> Source:
    (source,) = parse(text)
    return source


def what(record: RunRecord) -> str:
    return f"{record.verdict.outcome}: {record.verdict.what} (line {record.verdict.line}); {record.failures}"


def test_one_file_passes_in_simulated_time_and_on_processes() -> None:
    simulated, real = run_simulated(one(STORY)), run_real(one(STORY))
    for record in (simulated, real):
        assert record.passed, what(record)
        assert record.captures["there"].startswith("10.0.")
        assert any(m.received is None for m in record.messages), "the cut lost some"
        (ping,) = record.series
        assert len([v for _, v in ping.points if v is not None]) > 10
        fault = next(e for e in record.events if e.kind == "fault")
        assert fault.until is not None and fault.until > fault.at
        assert any("sees h3 failed" in e.text for e in record.events if e.kind == "member")
        assert from_json(record.to_json()) == record
    steps = [[(e.kind, e.text, e.ok) for e in r.events if e.kind in ("step", "expectation")] for r in (simulated, real)]
    assert sorted(steps[0]) == sorted(steps[1])
    assert abs(simulated.duration - real.duration) < 10


def test_a_seed_is_a_run_and_another_another() -> None:
    assert (
        run_simulated(one(STORY)).digest == run_simulated(one(STORY)).digest != run_simulated(one(STORY), seed=2).digest
    )


@pytest.mark.parametrize(
    ("steps", "outcome", "message", "line"),
    [
        ("  - expect: {members: 3, within: 1s}\n", "failed", "3 members alive: not so within 1 s; h1 sees 2", 3),
        ("  - {on: h1, docker: start nobody}\n", "failed", "No such container: nobody", 3),
        ("  - {on: h1, docker: ps, fails: true}\n", "failed", "it succeeded, and was expected to fail", 3),
        ("  - {on: h1, docker: run -d --name c1 alpine sleep 9}\n  - {on: h1/c1, exec: sleep 100, within: 2s}\n",
         "failed", "not done within 2 s", 4),
        ("  - wait: 3s\n  - expect: {members: 2, by: 2s}\n", "error", "was in the past", 4),
        ("  - wait: 400s\n", "error", "the run did not end within 300 s; it was waiting for line 3: wait", 0),
        ("  - pause: h2\n  - {on: h2, docker: ps, within: 3s}\n", "failed", "h2 $ docker ps: not done within 3 s", 4),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_told_with_its_line(steps: str, outcome: str, message: str, line: int) -> None:
    record = run_simulated(one("hosts: 2\nsteps:\n" + steps))
    assert record.verdict.outcome == outcome, what(record)
    assert message in record.verdict.what
    assert record.verdict.line == line
    assert record.verdict.when is not None
    assert record.digest


FAULTS = """\
hosts: 4
networks: [ov]
containers: {aa: {on: h1, networks: ov}, bb: {on: h2, networks: ov}}
links: [{between: h1 / h2, latency: 20ms}]
load: [{ping: h1/aa -> bb, every: 100ms}]
timeout: 120s
faults:
  - {partition: [[h1], [h2]], oneway: true, traffic: vxlan, at: 1s, for: 1s}
  - {islands: [h3, h4], at: 2s, for: 1s}
  - {bridge: h1, at: 3s, for: 1s}
  - {loss: 30%, delay: 5ms, jitter: 1ms, distribution: normal, at: 4s, for: 1s}
  - {duplicate: 50%, reorder: 20%, corrupt: 10%, at: 5s, for: 1s}
  - {rate: 1mbit, from: h1, to: h2, at: 6s, for: 1s}
  - {mtu: 500, traffic: udp, at: 7s, for: 1s}
  - {flap: {hosts: h4, down: 300ms, up: 300ms}, at: 8s, for: 2s}
  - {kill: h4, at: 10s, for: 2s}
  - {pause: h3, at: 12s, for: 1s}
  - {slow: {host: h3, share: 30%}, at: 13s, for: 1s}
  - {full_disk: h3, at: 14s, for: 1s}
  - {clock: {host: h3, jump: -3600, skew: 0.1}, at: 15s, for: 1s}
churn:
  - {kill: h4, every: 2s, for: 1s, at: 17s, until: 23s}
  - {partition: [h1, h2, h3], every: 3s, for: 1s, at: 17s, until: 23s}
  - {restart_containers: h2/bb, every: 3s, at: 17s, until: 23s}
steps:
  - {at: 25s, note: the storm is over}
  - expect: {reachable: h1/aa -> bb, within: 10s}
  - expect: {metric: ping.min > 40ms}
"""


def test_every_fault_begins_and_is_undone() -> None:
    record = run_simulated(one(FAULTS))
    assert record.passed, what(record)
    faults = [e for e in record.events if e.kind == "fault"]
    assert len([e for e in faults if not str(e.details["id"]).startswith("churn")]) == 13
    assert len(faults) > 15
    assert all(e.until is not None and e.ok is not False for e in faults)
    kinds = {e.text.split()[0] for e in faults}
    assert {"islands", "partition", "kill", "pause", "slow", "full", "clock", "flapping"} <= kinds


JOINS = """\
hosts: {h1: , h2: , h3: , h4: {join: false}}
networks: [ov]
containers: {aa: {on: h1, networks: ov}, bb: {on: h2, networks: ov}}
churn: [{join: [h3, h4], every: 2s, until: 30s}]
load: [{stream: h2/bb -> aa, rate: 1mbit, every: 2s}]
steps:
  - {on: h1/aa, exec: sh -c "iperf3 -s >/dev/null 2>&1 &"}
  - wait: 32s
  - expect: {reachable: h1/aa -> bb, within: 5s}
  - expect: {metric: stream.mean < 150000}
  - expect: {metric: stream.mean > 100000}
"""


def test_hosts_leave_and_join_at_random() -> None:
    record = run_simulated(one(JOINS))
    assert record.passed, what(record)
    told = [e.text for e in record.events if e.kind == "step" and e.ok]
    assert any("joins" in text for text in told) and any("leaves" in text for text in told)


PLUG_IN = """\
hosts: 1
swarm: false
plugins: {mine: {on: h1, application: "nowhere.to_be:found"}}
"""


def test_a_plug_in_that_is_not_there_is_one_clear_message() -> None:
    record = run_simulated(one(PLUG_IN))
    assert record.verdict.outcome == "error" and record.verdict.line == 3, what(record)
    assert "no plug-in nowhere.to_be:found: No module named 'nowhere'" in record.verdict.what


def _start(file: Path, output: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(output)}
    return subprocess.Popen(
        [sys.executable, "-m", "scenarios.cli", "scenario", "run", str(file), "-o", str(output / "out")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip


def _daemons_below(directory: Path) -> list[str]:
    found = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if str(directory) in line and "scenario run" not in line]


@pytest.fixture
def long_one() -> Iterator[Path]:
    """In a short path of its own: sockets below pytest's directories would be too long."""
    with tempfile.TemporaryDirectory(prefix="shoal-test-") as directory:
        file = Path(directory, "long.yaml")
        file.write_text("name: long\nhosts: 2\nsteps:\n  - note: here\n  - wait: 60s\n")
        yield file


def test_ctrl_c_ends_the_run_with_a_record_and_nothing_left(long_one: Path) -> None:
    process = _start(long_one, long_one.parent)
    assert process.stdout is not None
    for line in process.stdout:
        if "note" in line and "here" in line:
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(30) == 130, rest
    assert "interrupted at line 5: wait 60" in rest
    (written,) = (long_one.parent / "out").rglob("*.json")
    found = json.loads(written.read_text())
    assert found["verdict"]["outcome"] == "error" and any(e["text"] == "here" for e in found["events"])
    assert _daemons_below(long_one.parent) == []
    assert list(long_one.parent.glob("shoal-run-*")) == []


@pytest.mark.parametrize("after", [0.7, 1.2, 3.0])
def test_kill_9_of_the_runner_leaves_nothing(long_one: Path, after: float) -> None:
    process = _start(long_one, long_one.parent)
    time.sleep(after)  # any moment will do: that is the point
    process.kill()
    process.wait()
    deadline = time.monotonic() + 15
    while _daemons_below(long_one.parent) or list(long_one.parent.glob("shoal-run-*")):
        assert time.monotonic() < deadline, (_daemons_below(long_one.parent), list(long_one.parent.glob("shoal-run-*")))
        time.sleep(0.05)


def test_a_daemon_that_dies_at_start_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from scenarios.launch import configuration

    good = configuration.daemon_config

    def bad(**settings: object) -> dict[str, object]:
        found = good(**settings)  # type: ignore[arg-type]
        return {**found, "log_level": "loud"} if settings["name"] == "h2" else found

    monkeypatch.setattr(configuration, "daemon_config", bad)
    record = run_real(one("hosts: 2\nsteps: [wait: 1s]\n"))
    assert record.verdict.outcome == "error"
    assert "h2 stopped while starting" in record.verdict.what and "log_level" in record.verdict.what


def test_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert shoal("scenario", "new", str(file)).returncode == 0
    assert shoal("scenario", "validate", str(file)).stdout.startswith(f"{file}: good")
    done = shoal("scenario", "sim", str(file), "-o", str(tmp_path / "out"))
    assert done.returncode == 0 and "PASSED" in done.stdout, done.stdout + done.stderr
    assert list((tmp_path / "out").rglob("*.json"))
    file.write_text("hosts: 2\nstep: []\n")
    wrong = shoal("scenario", "run", str(file))
    assert wrong.returncode == 2
    assert (
        wrong.stderr
        == f"shoal: {file}:2: unknown key 'step': did you mean 'steps'? expected one of "
        + wrong.stderr.partition("expected one of ")[2]
    )
    assert shoal("scenario", "schema").stdout.startswith("{")
