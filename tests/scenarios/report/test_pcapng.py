"""Our pcapng: bytes and back, damage, and what tshark reads in it."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.language.reading import parse
from scenarios.report import pcapng
from scenarios.report.packets import capture
from scenarios.running.run import run_simulated
from tests.scenarios.report.told import record

_codes = st.integers(min_value=10, max_value=65535)
_options = st.lists(st.tuples(_codes, st.binary(max_size=40)), max_size=4).map(tuple)
_names = st.text(st.characters(codec="utf-8"), max_size=20)
_interfaces = st.builds(
    pcapng.Interface, _names, st.integers(0, 65535), st.integers(0, 2**32 - 1),
    st.integers(0, 18).map(lambda digits: 10**digits), _options,
)  # fmt: skip
_packets = st.builds(
    pcapng.EnhancedPacket, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=80),
    st.integers(0, 2**32 - 1), _options,
)  # fmt: skip
_words = st.lists(st.binary(min_size=4, max_size=4), max_size=9).map(b"".join)
_others = st.builds(pcapng.Other, st.integers(100, 2**31), _words)
_blocks = st.lists(_interfaces | _packets | _others | st.builds(pcapng.Section, _options), max_size=8)


@given(_blocks)
def test_what_is_written_is_read_again(blocks: list[pcapng.Block]) -> None:
    file: list[pcapng.Block] = [pcapng.Section(), *blocks]
    assert pcapng.decode(pcapng.encode(file)) == file


@given(_blocks, st.data())
def test_damage_is_told_and_never_anything_else(blocks: list[pcapng.Block], data: st.DataObject) -> None:
    whole = bytearray(pcapng.encode([pcapng.Section(), *blocks]))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for damaged in (bytes(whole), bytes(whole[:cut])):
        with contextlib.suppress(pcapng.BadCapture):
            pcapng.decode(damaged)


def test_the_other_byte_order_is_read() -> None:
    """As a big-endian machine writes it: bytes by hand, from the draft's figures."""
    section = struct.pack(">IIIHHqI", pcapng.SECTION, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack(">IIHHII", 1, 20, 101, 0, 262144, 20)
    packet = struct.pack(">IIIIIII4sI", 6, 36, 0, 1, 2, 3, 60, b"abc\0", 36)
    assert pcapng.decode(section + interface + packet) == [
        pcapng.Section(), pcapng.Interface("", 101, 262144, 1_000_000),
        pcapng.EnhancedPacket(0, 1 << 32 | 2, b"abc", 60),
    ]  # fmt: skip


def test_a_run_s_packets_are_what_tshark_sees(tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("no tshark on this machine")
    file = tmp_path / "run.pcapng"
    file.write_bytes(capture(record()))
    fields = ["frame.interface_name", "frame.time_epoch", "frame.packet_flags_direction", "ip.src", "udp.dstport",
              "ip.checksum.status", "udp.checksum.status", "vxlan.vni", "frame.comment"]  # fmt: skip
    command = ["tshark", "-n", "-r", str(file), "-d", "udp.port==4789,vxlan", "-T", "fields", "-E", "occurrence=f",
               "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]  # fmt: skip
    for name in fields:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["h2", "h1", "h1"]
    assert [float(row[1]) - 1_700_000_000.5 for row in rows] == pytest.approx([0.15, 0.151, 3.9], abs=1e-5)
    assert [int(row[2], 0) for row in rows] == [pcapng.OUTBOUND, pcapng.INBOUND, pcapng.OUTBOUND]
    assert [row[3] for row in rows] == ["192.0.2.2", "192.0.2.2", "192.0.2.1"]
    assert [row[4] for row in rows] == ["4789", "4789", "7946"]
    assert {(row[5], row[6]) for row in rows} <= {("1", "1"), ("Good", "Good")}
    assert rows[0][7] == "4097"
    assert rows[2][8].startswith("never left")


STORY = """\
hosts: 2
networks: {lan: {driver: macvlan, subnet: 192.0.2.0/24, options: {parent: eth0}}}
containers: {one: {on: h1, networks: lan, ip: 192.0.2.101}, two: {on: h2, networks: lan, ip: 192.0.2.102}}
steps:
  - {on: h1/one, exec: ping -c 1 192.0.2.102}
"""


def test_streams_and_frames_of_the_lan_are_there(tmp_path: Path) -> None:
    """A join (2377), push/pull (7946) and LAN frames: each link for itself is right TCP, both ends' bytes the same."""
    [source] = parse(STORY)
    ran = run_simulated(source)
    assert ran.passed, ran.failures
    parts = [p for p in ran.packets if p.stream]
    assert {p.kind for p in parts} >= {"gossip", "cluster"} and any(p.kind == "lan" for p in ran.packets)
    for name in ("sent", "received"):
        assert {p.stream for p in parts if p.direction == name} == {"open", "data", "end"}

    def said(host: str, direction: str) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for p in parts:
            if p.host == host and p.direction == direction and p.data:
                found[p.source, p.target] = found.get((p.source, p.target), "") + p.data
        return found

    assert said("h1", "sent") == said("h2", "received") and said("h2", "sent") == said("h1", "received")
    if shutil.which("tshark") is None:
        pytest.skip("no tshark on this machine")
    packets = ran.packets
    for host in ("h1", "h2"):
        ran.packets = [p for p in packets if p.host == host]
        file = tmp_path / f"{host}.pcapng"
        file.write_bytes(capture(ran))
        wrong = "tcp.analysis.flags or tcp.checksum.status == 0 or _ws.malformed"
        command = ["tshark", "-n", "-r", str(file), "-o", "tcp.check_checksum:TRUE", "-Y"]
        assert subprocess.run([*command, wrong], capture_output=True, text=True, timeout=60, check=True).stdout == ""
        shown = subprocess.run([*command, "tcp.port == 2377 && tcp.len > 0"], capture_output=True, text=True,
                               timeout=60, check=True).stdout  # fmt: skip
        assert shown
