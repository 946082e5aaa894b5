"""Docker's verbs through `shoal on`, and faults through `shoal chaos`, against real daemons."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenarios.launch import record
from scenarios.launch.localhttp import request
from tests.scenarios.shoal import ROOT, done, shoal


@pytest.fixture(scope="module")
def swarm(shared_state: Path) -> Iterator[Path]:
    """Three hosts in a swarm with an attachable overlay ov1, and c1 on h1, c2 on h2, c3 on h3."""
    done("up", "3", state=shared_state)
    done("on", "h1", "network", "create", "-d", "overlay", "--attachable", "ov1", state=shared_state)
    for n in "123":
        done("on", f"h{n}", "run", "-d", "--name", f"c{n}", "--network", "ov1", "alpine", "sleep", "600",
             state=shared_state)  # fmt: skip
    yield shared_state


def test_run_prints_what_the_program_prints_and_returns_its_status(swarm: Path) -> None:
    result = shoal("on", "h1", "run", "--rm", "alpine", "sh", "-c", "echo out; echo err >&2; exit 7", state=swarm)
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 7)


def test_standard_input_reaches_the_program_to_its_end(swarm: Path) -> None:
    text = "".join(f"line {n}\n" for n in range(5000))
    assert done("on", "h1", "run", "--rm", "-i", "alpine", "cat", state=swarm, stdin=text) == text
    assert done("on", "h2", "exec", "-i", "c2", "wc", "-l", state=swarm, stdin=text).strip() == "5000"


def test_hosts_reach_one_another_by_name(swarm: Path) -> None:
    for host, source, target in (("h1", "c1", "c2"), ("h2", "c2", "c3"), ("h3", "c3", "c1")):
        assert " 0% packet loss" in done("on", host, "exec", source, "ping", "-c", "2", target, state=swarm)


def test_ps_rename_stop_start_rm(swarm: Path) -> None:
    identity = done(
        "on", "h2", "run", "-d", "--name", "old", "-l", "job=x", "alpine", "sleep", "600", state=swarm
    ).strip()
    assert re.fullmatch(r"[0-9a-f]{64}", identity)
    assert done("on", "h2", "rename", "old", "new", state=swarm) == ""
    line = done("on", "h2", "ps", "-f", "label=job=x", state=swarm).splitlines()[1]
    assert line.startswith(identity[:12]) and "Up" in line and line.endswith("new")
    assert done("on", "h2", "stop", "-t", "0", "new", state=swarm) == "new\n"
    assert done("on", "h2", "ps", "-q", "-f", "label=job=x", state=swarm) == ""
    assert "Exited (137)" in done("on", "h2", "ps", "-a", "-f", "label=job=x", state=swarm)
    assert done("on", "h2", "start", "new", state=swarm) == "new\n"
    assert done("on", "h2", "inspect", "-f", "{{.State.Status}} {{.Name}}", "new", state=swarm) == "running /new\n"
    assert done("on", "h2", "rm", "-f", "new", state=swarm) == "new\n"
    gone = shoal("on", "h2", "rm", "new", state=swarm)
    assert (gone.returncode, gone.stderr) == (1, "Error response from daemon: No such container: new\n")


def test_logs_and_wait(swarm: Path) -> None:
    done(
        "on", "h1", "run", "-d", "--name", "talker", "alpine", "sh", "-c", "echo one; echo two >&2; exit 3", state=swarm
    )
    assert done("on", "h1", "wait", "talker", state=swarm) == "3\n"
    result = shoal("on", "h1", "logs", "talker", state=swarm)
    assert (result.stdout, result.stderr) == ("one\n", "two\n")
    assert done("on", "h1", "logs", "-f", "--tail", "1", "talker", state=swarm) == ""
    done("on", "h1", "rm", "talker", state=swarm)


def test_networks(swarm: Path) -> None:
    done("on", "h3", "network", "create", "--subnet", "10.99.0.0/24", "--label", "a=b", "br", state=swarm)
    network = json.loads(done("on", "h3", "network", "inspect", "br", state=swarm))[0]
    assert network["IPAM"]["Config"][0]["Subnet"] == "10.99.0.0/24" and network["Labels"] == {"a": "b"}
    assert (
        done("on", "h3", "network", "ls", "-f", "label=a=b", "--format", "{{.Name}} {{.Driver}}", state=swarm)
        == "br bridge\n"
    )
    done("on", "h3", "network", "connect", "--ip", "10.99.0.9", "--alias", "other", "br", "c3", state=swarm)
    assert done("on", "h3", "run", "--rm", "--network", "br", "alpine", "ping", "-c", "1", "other", state=swarm)
    busy = shoal("on", "h3", "network", "rm", "br", state=swarm)
    assert busy.returncode == 1 and "has active endpoints" in busy.stderr
    done("on", "h3", "network", "disconnect", "br", "c3", state=swarm)
    assert done("on", "h3", "network", "rm", "br", state=swarm) == "br\n"
    bad = shoal("on", "h3", "network", "create", "--subnet", "nonsense", "x", state=swarm)
    assert bad.returncode == 1 and "invalid CIDR address: nonsense" in bad.stderr


def test_published_ports(swarm: Path) -> None:
    done("on", "h2", "run", "-d", "--name", "www", "-p", "127.0.0.1:0:80", "-p", "18080:80", "nginx", state=swarm)
    assert "80/tcp -> 0.0.0.0:18080" in done("on", "h2", "port", "www", state=swarm)
    assert "0.0.0.0:18080->80/tcp" in done("on", "h2", "ps", "-f", "name=^www$", state=swarm)
    missing = shoal("on", "h2", "port", "www", "99", state=swarm)
    assert missing.stderr == "Error: No public port '99/tcp' published for www\n"
    done("on", "h2", "rm", "-f", "www", state=swarm)


def test_swarm_and_nodes(swarm: Path) -> None:
    lines = done("on", "h1", "node", "ls", state=swarm).splitlines()
    assert [re.search(r"\bh\d\b", line)[0] for line in lines[1:]] == ["h1", "h2", "h3"]  # type: ignore[index]
    token = done("on", "h1", "swarm", "join-token", "-q", "worker", state=swarm)
    assert token.startswith("SWMTKN-1-")
    refused = shoal("on", "h2", "node", "ls", state=swarm)
    assert refused.returncode == 1 and "This node is not a swarm manager" in refused.stderr
    again = shoal("on", "h2", "swarm", "join", "--token", token.strip(), "192.0.2.1:2377", state=swarm)
    assert again.returncode == 1 and "already part of a swarm" in again.stderr


def test_what_is_not_there_is_dockers_error(swarm: Path) -> None:
    image = shoal("on", "h1", "run", "--rm", "nosuchimage", state=swarm)
    assert image.returncode == 125 and "Unable to find image 'nosuchimage:latest' locally" in image.stderr
    program = shoal("on", "h1", "run", "--rm", "alpine", "nosuchprogram", state=swarm)
    assert program.returncode == 127 and "executable file not found" in program.stderr
    network = shoal("on", "h1", "run", "--rm", "--network", "nowhere", "alpine", "true", state=swarm)
    assert network.returncode == 125 and "network nowhere not found" in network.stderr
    host = shoal("on", "h7", "ps", state=swarm)
    assert host.returncode == 1 and "no host 'h7'" in host.stderr
    flag = shoal("on", "h1", "run", "--nosuchflag", "alpine", state=swarm)
    assert flag.returncode == 2 and "nosuchflag" in flag.stderr
    port = shoal("on", "h1", "run", "-d", "-p", "x:80", "alpine", state=swarm)
    assert port.returncode == 125 and "invalid hostPort: x" in port.stderr


def test_a_terminal_is_a_terminal(swarm: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scenarios.cli", "on", "h1", "run", "-it", "--rm", "alpine", "sh"],
        stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True, start_new_session=True,
        env={**os.environ, "SHOAL_STATE": str(swarm), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    sent = False
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            data = os.read(ours, 4096)
        except OSError:  # EIO: the other end is closed
            break
        seen += data
        if b"#" in seen and not sent:
            os.write(ours, b"echo sum $((40+2))\rexit 5\r")
            sent = True
    os.close(ours)
    assert b"sum 42" in seen, seen
    assert process.wait(10) == 5


def test_a_partition_is_made_shown_and_healed(swarm: Path) -> None:
    assert done("chaos", "partition", "h1,h2", "/", "h3", state=swarm) == "1: partition h1,h2 / h3\n"
    assert re.search(r"1\s+partition\s+h1,h2 / h3", done("chaos", "ls", state=swarm))
    address = done(
        "on", "h3", "inspect", "-f", "{{.NetworkSettings.Networks.ov1.IPAddress}}", "c3", state=swarm
    ).strip()
    assert shoal("on", "h1", "exec", "c1", "ping", "-c", "1", "-W", "1", address, state=swarm).returncode == 1
    assert done("on", "h1", "exec", "c1", "ping", "-c", "1", "c2", state=swarm)
    assert done("chaos", "heal", state=swarm) == "1: healed h1,h2 / h3\n"
    assert done("chaos", "heal", state=swarm) == "nothing was broken\n"
    deadline = time.monotonic() + 10
    while shoal("on", "h1", "exec", "c1", "ping", "-c", "1", "-W", "1", "c3", state=swarm).returncode:
        assert time.monotonic() < deadline
    for words in (["h1", "/", "h1"], ["h1,h9", "/", "h2"], ["h1,h2,h3"], ["/"]):
        assert shoal("chaos", "partition", *words, state=swarm).returncode == 1


def test_one_started_inside_a_partition_starts_inside_it(swarm: Path) -> None:
    done("chaos", "kill", "h3", state=swarm)
    done("chaos", "partition", "h3", state=swarm)
    done("chaos", "restart", "h3", state=swarm)
    assert re.search(r"h3 / h1,h2", done("chaos", "ls", state=swarm))
    status = request(record.running(swarm).host("h3").control_api, "GET", "/v1/faults", timeout=5)
    assert isinstance(status, dict) and status["partitions"], "h3 itself does not know of the cut"
    time.sleep(1.5)  # long enough to have joined, were it not cut off
    rows = {h["name"]: h for h in json.loads(done("ls", "--json", state=swarm))["hosts"]}
    assert rows["h3"]["sees"] == ["h3"]
    done("chaos", "heal", state=swarm)
    deadline = time.monotonic() + 10
    while (rows := {h["name"]: h for h in json.loads(done("ls", "--json", state=swarm))["hosts"]})["h3"]["sees"] != [
        "h1",
        "h2",
        "h3",
    ]:
        assert time.monotonic() < deadline, rows
    assert "Exited" in done("on", "h3", "ps", "-a", "-f", "name=c3", state=swarm)


def test_logs_of_the_daemon(swarm: Path) -> None:
    assert '"event": "ready"' in done("logs", "h1", state=swarm)
    assert len(done("logs", "h1", "-n", "1", state=swarm).splitlines()) == 1
