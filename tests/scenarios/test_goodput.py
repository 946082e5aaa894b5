"""The bench of the stack against the kernel runs, and what it carried arrived. Its figures are not judged here."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_the_bench_prints_each_pair_and_its_share_of_the_kernel_s() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "scenarios.bench.goodput", "--loss", "0", "--delay", "1", "--seconds", "0.1",
         "--kernel", "reno", "--ours", "bbr", "reno"],
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    if ran.returncode == 1 and ran.stderr.startswith("cannot be measured here"):
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stderr
    shown = [line.split()[:3] for line in ran.stdout.splitlines()[1:]]
    assert shown == [
        ["kernel", "reno", "kernel"],
        ["ours", "bbr", "kernel"],
        ["ours", "reno", "kernel"],
        ["kernel", "reno", "ours"],
    ]
