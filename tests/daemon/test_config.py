"""Settings: the later wins, structured ones from the file only, and each mistake is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.config import BadConfig, load


def test_file_then_environment_then_flags(tmp_path: Path) -> None:
    file = tmp_path / "h1.toml"
    file.write_text(
        'hostname = "file"\naddress = "192.0.2.1"\nlog_level = "error"\nextra_addresses = ["192.168.1.100"]\n'
        '[lan]\nh1 = "192.0.2.1"\n[underlay]\nmode = "loopback"\nblock = 9\n'
    )
    config = load(file, {"SHOALD_HOSTNAME": "env", "SHOALD_LOG_LEVEL": "debug"}, {"hostname": "flag", "address": None})
    assert (config.hostname, config.log_level, config.address) == ("flag", "debug", "192.0.2.1")
    assert config.address_map().real(("192.0.2.1", 4789)) == ("127.0.9.1", 4789)
    assert config.address_map().real(("192.168.1.100", 80)) == ("127.1.9.1", 80)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hostnam = 'x'", "unknown setting 'hostnam'"),
        ("address = 'x'", "address: an IPv4 address expected, not 'x'"),
        ("hostname = 'a b'", "hostname: letters, digits and hyphens expected"),
        ("log_level = 'loud'", "log_level: debug, info, warning or error expected"),
        ("lan = 3", "lan: a table"),
        ("[underlay]\nmode = 'magic'", "underlay.mode: direct, loopback or ports"),
        ("die_with = 'x'", "die_with: a number expected"),
        ("address = '10.0.0.1'\n[underlay]\nmode = 'loopback'", "10.0.0.1 is not in the LAN"),
        ("state_dir = '/" + "x" * 120 + "'", "a path of at most 107 bytes"),
        ("][", "h.toml"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "h.toml"
    file.write_text(text)
    with pytest.raises(BadConfig, match=re.escape(complaint)):
        load(file, {}, {})
