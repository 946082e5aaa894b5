"""The kernel's own vxlan device talks to our VTEP, both ways (two namespaces that the test makes)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS, THEIRS = f"shoal-u-{os.getpid()}", f"shoal-k-{os.getpid()}"
OUR_IP, THEIR_IP = "10.255.0.1", "10.255.0.2"
MAC, INNER = "02:42:0a:00:01:09", "10.0.1.9"
SENT = bytes(range(256)) * 8000

# A veth carries inner packets whose checksum some later hardware would have filled in, and there is none: do it at once
# (ETHTOOL_STXCSUM by SIOCETHTOOL).
SERVER = """
import array, fcntl, hashlib, socket, struct
off = array.array("I", [0x17, 0])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
    fcntl.ioctl(u, 0x8946, struct.pack("16sP", b"vx0", off.buffer_info()[0]) + bytes(16))
s = socket.create_server(("10.0.1.9", 5000)); print("up", flush=True)
c, _ = s.accept(); h = hashlib.sha256()
while d := c.recv(65536): h.update(d)
c.sendall(h.hexdigest().encode()); c.close()
"""
CLIENT = """
import hashlib, socket
c = socket.create_connection(("10.0.1.2", 80), 5); said = b""
while d := c.recv(65536): said += d
print(hashlib.sha256(said[:-9]).hexdigest(), said[-9:].decode())
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


def inside(namespace: str, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["ip", "netns", "exec", namespace, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )


@pytest.fixture
def namespaces() -> Iterator[None]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2")
    try:
        ip("netns", "add", OURS)
        ip("netns", "add", THEIRS)
        ip("-n", OURS, "link", "add", "e0", "type", "veth", "peer", "name", "e1", "netns", THEIRS)
        for namespace, device, address in ((OURS, "e0", OUR_IP), (THEIRS, "e1", THEIR_IP)):
            ip("-n", namespace, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", namespace, "link", "set", device, "up")
        vxlan = ["type", "vxlan", "id", "4097", "local", THEIR_IP, "remote", OUR_IP, "dstport", "4789"]
        ip("-n", THEIRS, "link", "add", "vx0", "address", MAC, *vxlan)
        ip("-n", THEIRS, "addr", "add", f"{INNER}/24", "dev", "vx0")
        ip("-n", THEIRS, "link", "set", "vx0", "up", "mtu", "1450")
        yield
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no namespaces or no vxlan in this kernel: {error.stderr.decode().strip()}")
    finally:
        for namespace in (OURS, THEIRS):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, timeout=10)


@pytest.mark.root
def test_the_kernel_s_vxlan_device_understands_us_and_we_it(namespaces: None) -> None:
    server = inside(THEIRS, sys.executable, "-c", SERVER)
    ours = None
    try:
        assert server.stdout is not None and server.stdout.readline() == "up\n"
        ours = inside(OURS, sys.executable, "-m", "tests.overlay.vxlan_peer", OUR_IP, THEIR_IP, MAC, INNER)
        assert ours.stdout is not None and ours.stdin is not None
        assert ours.stdout.readline() == "ping 64\n"
        assert ours.stdout.readline() == "ping fragmented 64\n"
        assert ours.stdout.readline() == f"kernel got {sha256(SENT).hexdigest()}\n"
        assert ours.stdout.readline() == "serving\n"
        said, _ = inside(THEIRS, sys.executable, "-c", CLIENT).communicate(timeout=20)
        assert said == f"{sha256(SENT).hexdigest()}  {INNER}\n"
        ours.stdin.write("\n")
        ours.stdin.flush()
        assert ours.stdout.readline() == "dropped []\n"
        assert ours.wait(10) == 0
    finally:
        for process in (server, ours):
            if process is not None:
                process.kill()
                process.communicate()
