"""`shoal sim`: one seed, a sweep, a kept seed replayed and shrunk, and what it says when asked for nonsense."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scenarios.cli.main import app
from scenarios.cli.verdicts import NotRun
from scenarios.search.kept import FORMAT
from scenarios.search.runs import this_version
from tests.scenarios.shoal import ROOT, shoal

CHANCY = """\
name: chancy
hosts: 2
networks: [ov]
containers: {aa: {on: h1, networks: ov}, bb: {on: h2, networks: ov}}
steps:
  - expect: {reachable: h1/aa -> bb, within: 5s}
  - fault: {loss: 50%, traffic: vxlan, for: run}
  - exec: ping -c 1 -W 1 bb
    on: h1/aa
  - wait: 1s
"""


@pytest.fixture
def chancy(tmp_path: Path) -> Path:
    file = tmp_path / "chancy.yaml"
    file.write_text(CHANCY)
    return file


def test_a_sweep_keeps_the_seeds_that_fail_and_they_replay_and_shrink(chancy: Path, tmp_path: Path) -> None:
    swept = shoal("sim", str(chancy), "--seeds", "12", "--jobs", "2", "--keep", str(tmp_path / "kept"))
    assert swept.returncode == 1, swept.stdout + swept.stderr
    found = re.search(r"chancy: 12 runs: (\d+) passed, (\d+) failed; ", swept.stdout)
    assert found and int(found[1]) + int(found[2]) == 12 and 0 < int(found[2]) < 12, swept.stdout
    files = sorted((tmp_path / "kept").glob("*.json"))
    assert len(files) == int(found[2])
    assert f"{found[2]} × h1/aa $ ping -c 1 -W 1 bb" in swept.stdout
    [short] = (tmp_path / "kept").glob("*.yaml")
    assert "wait" not in short.read_text() and f"{short}: 4 steps and 1 faults became " in swept.stdout
    again = shoal("sim", str(short), "-q")
    assert again.returncode == 1 and "ping -c 1 -W 1 bb: exit status 1" in again.stdout

    document = json.loads(files[0].read_text())
    replayed = shoal("sim", "--replay", str(files[0]))
    assert replayed.returncode == 1 and document["digest"][:16] in replayed.stdout, replayed.stdout
    assert "another run" not in replayed.stdout and "fault" in replayed.stdout
    assert list(files[0].with_suffix("").rglob("*.html")) and list(files[0].with_suffix("").rglob("*.pcapng"))
    alone = shoal("sim", str(chancy), "--seed", str(document["seed"]), "-q")
    assert alone.returncode == 1 and document["digest"][:16] in alone.stdout

    files[0].write_text(json.dumps({**document, "version": "shoal 0.0.1, Python 3.9"}))
    for option in ("--replay", "--shrink"):
        old = shoal("sim", option, str(files[0]))
        assert old.returncode == 2 and old.stdout == ""
        assert old.stderr.startswith(f"shoal: {files[0]} was kept by shoal 0.0.1, Python 3.9; this is shoal ")


def test_nonsense_is_one_clear_message(chancy: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text("modes: [real]\nhosts: 1\nsteps: [{wait: 1s}]\n")
    two = tmp_path / "two.yaml"
    two.write_text("hosts: 1\nsteps: [wait: 1s]\n---\nhosts: 1\nsteps: [wait: 1s]\n")
    good = {
        "format": FORMAT, "version": this_version(), "name": "x", "file": "x", "seed": 1, "verdict": "failed",
        "problems": [], "digest": "", "simulated_seconds": 1, "limit": 9, "model": "shoal", "within": "",
        "variables": {}, "scenario": real.read_text(),
    }  # fmt: skip
    kept = {}
    for name, changed in (
        ("real", {}), ("format", {"format": 99}), ("model", {"scenario": CHANCY, "model": "vmware"}),
        ("within", {"scenario": CHANCY, "within": "os:nothing"}), ("limit", {"scenario": CHANCY, "limit": -1}),
        ("seed", {"scenario": CHANCY, "seed": 1e400}), ("problems", {"scenario": CHANCY, "problems": "x"}),
    ):  # fmt: skip
        kept[name] = tmp_path / f"{name}.json"
        kept[name].write_text(json.dumps({**good, **changed}))
    half = tmp_path / "half.json"
    half.write_text(kept["seed"].read_text()[:100])
    for arguments, message in (
        ((), "exactly one of FILE, --replay SEEDFILE, --shrink SEEDFILE expected"),
        ((str(chancy), "--replay", str(chancy)), "exactly one of FILE, "),
        (("--replay", str(chancy)), f"{chancy} is not a kept seed: JSON expected"),
        (("--replay", "/no/such/file"), "/no/such/file: No such file or directory"),
        ((str(real),), "this scenario runs in real time only; it needs processes of its own"),
        (
            (str(real), "--seeds", "3"),
            "this scenario runs in real time only; it needs processes of its own",
        ),
        ((str(two),), "two.yaml:3: not YAML: one scenario a file expected, and here another document begins"),
        (("--replay", str(tmp_path)), f"{tmp_path}: Is a directory"),
        (("--shrink", str(half)), f"{half} is not a kept seed: JSON expected"),
        (("--shrink", str(kept["format"])), "has format 99; this shoal reads format"),
        (("--replay", str(kept["real"])), "cannot be run: this scenario runs in real time only"),
        (("--shrink", str(kept["model"])), "cannot be run: no model 'vmware'; known: shoal, docker"),
        (("--replay", str(kept["within"])), "cannot be run: module 'os' has no attribute 'nothing'"),
        (("--replay", str(kept["limit"])), "not a whole kept seed: a limit above 0 s expected, not -1"),
        (("--replay", str(kept["seed"])), "not a whole kept seed: "),
        (("--replay", str(kept["problems"])), "not a whole kept seed: "),
        ((str(chancy), "--model", "vmware", "--seeds", "3"), "no model 'vmware'; known: shoal, docker"),
        ((str(chancy), "--seeds", "3", "--keep", str(chancy / "x")), "failing seeds cannot be kept there"),
        ((str(chancy), "--dask", "tcp://127.0.0.1:9"), "--dask is for a sweep"),
        ((str(chancy), "--seeds", "3", "--dask", "nowhere"), "no Dask scheduler answers at nowhere: "),
        ((str(chancy), "--seeds", "3", "--calibrate"), "--calibrate is for one seed"),
    ):
        told = CliRunner().invoke(app, ["sim", *arguments])
        assert isinstance(told.exception, NotRun) and told.exception.status == 2, (arguments, told.exception)
        assert message in str(told.exception) and "\n" not in str(told.exception) and not told.output, told.exception
    done = shoal("sim", "--replay", str(half))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"shoal: {half} is not a kept seed: JSON expected\n"


def test_ctrl_c_ends_a_sweep_with_what_there_is(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text("hosts: 2\nsteps:\n  - wait: 1s\n  - {on: h1, docker: start nobody}\n")
    keep = ("--keep", str(tmp_path / "kept"))
    process = subprocess.Popen(
        [sys.executable, "-m", "scenarios.cli", "sim", str(file), "--seeds", "100000", *keep],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    assert process.stdout is not None
    assert "seed" in process.stdout.readline()
    children = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True).stdout
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(60) == 130, rest
    assert re.search(r"^interrupted: \d+ of 100000 runs: 0 passed", rest, re.MULTILINE), rest
    assert "Traceback" not in rest
    assert children.split()
    for pid in children.split():
        assert (
            not Path("/proc", pid, "cmdline").exists()
            or b"search.worker" not in Path("/proc", pid, "cmdline").read_bytes()
        )
