"""What our tcpdump says of IPv6 frames, word for word what the real one says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.programs.capture_filter import compile_filter, fields
from daemon.programs.packet_text import Describer
from overlay.capture import pcap
from tests.overlay.stack.test_tshark import recorded6

TCPDUMP = shutil.which("tcpdump")


@pytest.mark.skipif(TCPDUMP is None, reason="tcpdump is not installed")
def test_every_frame_reads_as_in_the_real_one(tmp_path: Path) -> None:
    frames = recorded6()
    file = tmp_path / "ipv6.pcap"
    file.write_bytes(pcap(frames))
    real = subprocess.run([TCPDUMP or "", "-n", "-t", "-r", str(file)], capture_output=True, text=True, check=True)
    describer = Describer()
    assert [describer.frame(frame) for _, frame in frames] == real.stdout.splitlines()


@pytest.mark.parametrize(
    "expression", ["icmp6", "ip6 and tcp", "host fd01::2 and port 9", "src host fd00::1", "net fd01::/64 and udp", "ip"]
)
def test_filters_choose_what_the_real_one_s_choose(tmp_path: Path, expression: str) -> None:
    if TCPDUMP is None:
        pytest.skip("tcpdump is not installed")
    frames = recorded6()
    file = tmp_path / "ipv6.pcap"
    file.write_bytes(pcap(frames))
    real = subprocess.run(
        [TCPDUMP, "-n", "-t", "-r", str(file), expression], capture_output=True, text=True, check=True
    )
    chosen = compile_filter(expression.split(), {})
    assert sum(chosen(fields(frame)) for _, frame in frames) == len(real.stdout.splitlines())
