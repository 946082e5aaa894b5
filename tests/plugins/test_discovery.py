"""Where plug-ins are looked for, and in which order."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.plugins.discovery import Address, BadSpec, Directories, Tls


@pytest.fixture
def places(tmp_path: Path) -> Iterator[list[Path]]:
    made = [tmp_path / name for name in ("a", "b", "missing")]
    for path in made[:2]:
        path.mkdir()
    yield made


def _socket(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def test_sockets_before_files_and_the_first_directory_first(places: list[Path]) -> None:
    a, b, _ = places
    directories = Directories(places)
    (a / "p.spec").write_text("tcp://127.0.0.1:9\n")
    assert directories.find("p") == Address("tcp", "127.0.0.1:9")
    _socket(b / "p" / "p.sock")
    assert directories.find("p") == Address("unix", str(b / "p" / "p.sock"))
    _socket(a / "p.sock")
    assert directories.find("p") == Address("unix", str(a / "p.sock"))
    (b / "plain.sock").write_text("")
    (b / "q.json").write_text("{}")
    assert directories.names() == ["p", "q"]
    for name in ("plain", "nobody", "", "..", "../a/p", ".p"):
        assert directories.find(name) is None


def test_files(places: list[Path]) -> None:
    a, b, _ = places
    directories = Directories(places)
    tls = {"CAFile": "/ca", "CertFile": "/cert", "KeyFile": "/key"}
    (b / "j.json").write_text(json.dumps({"Name": "j", "Addr": "https://h:1", "TLSConfig": tls}))
    assert directories.find("j") == Address("https", "h:1", Tls("/ca", "/cert", "/key", False))
    (b / "u.spec").write_text("unix:///run/u.sock")
    assert directories.find("u") == Address("unix", "/run/u.sock")
    for name, text in {"x.spec": "nonsense", "y.json": "{", "z.json": "{}", "v.spec": "ftp://x", "w.spec": ""}.items():
        (a / name).write_text(text)
        with pytest.raises(BadSpec):
            directories.find(name[0])
