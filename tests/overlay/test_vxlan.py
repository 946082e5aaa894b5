"""The VXLAN codec, and tshark's opinion of what a VTEP sends."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.wire import vxlan
from overlay.wire.ipv4 import Malformed, Packet
from tests.overlay.test_vtep import H1, H2, PING, two_hosts


@given(st.integers(0, vxlan.MAX_VNI), st.booleans())
def test_round_trip(vni: int, super_frame: bool) -> None:
    header = vxlan.Header(vni, super_frame)
    packed = vxlan.emit(header)
    assert len(packed) == vxlan.HEADER_LENGTH
    assert vxlan.parse(packed + b"anything") == header


def test_reserved_bits_are_zero_when_sent_and_ignored_when_received() -> None:
    assert vxlan.emit(vxlan.Header(4097)) == bytes.fromhex("0800000000100100")
    assert vxlan.parse(bytes.fromhex("cffffffe001001ff")) == vxlan.Header(4097)


@pytest.mark.parametrize(
    ("data", "reason"), [("", "vxlan-short"), ("08000000001001", "vxlan-short"), ("f700000000100100", "vxlan-flags")]
)
def test_malformed(data: str, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        vxlan.parse(bytes.fromhex(data))
    assert caught.value.reason == reason


@pytest.mark.parametrize("vni", [-1, 1 << 24])
def test_a_vni_has_24_bits(vni: int) -> None:
    with pytest.raises(ValueError, match="24 bits"):
        vxlan.emit(vxlan.Header(vni))


def test_tshark_decodes_what_a_vtep_sends(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    one, _ = two_hosts()
    one.station.transmit(PING)
    (datagram, to, flow) = one.sent[0]
    udp = struct.pack("!HHHH", 49152 + flow, to[1], 8 + len(datagram), 0) + datagram
    outer = Packet(bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), 17, udp).emit()
    capture = tmp_path / "vxlan.pcap"
    capture.write_bytes(
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)  # 101: raw IP
        + struct.pack("<IIII", 0, 0, len(outer), len(outer))
        + outer
    )
    fields = ["vxlan.vni", "vxlan.flags", "vxlan.reserved8", "ip.src", "ip.dst", "eth.src", "icmp.type", "udp.dstport"]
    run = subprocess.run(
        [tshark, "-r", str(capture), "-d", "udp.port==4789,vxlan", "-T", "json", *(f"-e{name}" for name in fields)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    seen = json.loads(run.stdout)[0]["_source"]["layers"]
    assert seen["vxlan.vni"] == ["4097"]
    assert seen["vxlan.flags"] == ["0x0800"]
    assert seen["ip.src"] == [H1, "10.0.1.2"]
    assert seen["ip.dst"] == [H2, "10.0.1.3"]
    assert seen["eth.src"] == ["02:42:0a:00:01:02"]
    assert seen["icmp.type"] == ["8"]
