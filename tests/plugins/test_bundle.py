"""A bundle's archive comes from anywhere: nothing of it lands outside of its folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from daemon.errors import BadParameter, ServerError
from daemon.plugins.bundle import Bundle, new_bundle
from daemon.plugins.bundles import unpack, with_tag

CONFIG = b'{"Entrypoint": ["/run"], "env": [{"name": "A", "settable": ["value"], "value": "1"}, {"name": "B"}]}'


def _archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o755) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, mode
    return member


def test_what_leads_out_is_left_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    members = [
        (_member("./config.json"), CONFIG),
        (_member("rootfs/run", mode=0o4755), b"#!/bin/sh\n"),
        (_member("rootfs/again", tarfile.LNKTYPE, "rootfs/run"), b""),
        (_member("rootfs/out", tarfile.SYMTYPE, str(outside)), b""),
        (_member("rootfs/out/evil"), b"x"),
        (_member("rootfs/../../outside/evil"), b"x"),
        (_member("/../outside/evil"), b"x"),
        (_member("rootfs/again", tarfile.SYMTYPE, str(outside / "evil")), b""),
        (_member("rootfs/null", tarfile.CHRTYPE), b""),
    ]
    folder = tmp_path / "bundle"
    assert unpack(_archive(tmp_path / "b.tgz", members), folder) == CONFIG
    assert not list(outside.iterdir())
    assert sorted(path.name for path in (folder / "rootfs").iterdir()) == ["again", "out", "run"]
    assert (folder / "rootfs" / "run").stat().st_mode & 0o7777 == 0o755


def test_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no tar at all")
    with pytest.raises(BadParameter):
        unpack(tmp_path / "x.tar", tmp_path / "x")
    with pytest.raises(BadParameter, match=r"no config\.json"):
        unpack(_archive(tmp_path / "y.tar", [(_member("rootfs/run"), b"")]), tmp_path / "y")
    for config in (b"{", b"[]", b'{"env": 3}', b'{"interface": 3}', b'{"interface": {"socket": "../x"}}'):
        with pytest.raises(BadParameter):
            new_bundle("i", "n", config, digest="", version="")


def test_settings() -> None:
    bundle = new_bundle("i", "n:latest", CONFIG, digest="", version="1")
    assert bundle.environment == ["A=1"]
    bundle.set("A=2=3")
    assert Bundle.from_stored(bundle.stored()).to_api()["Settings"]["Env"] == ["A=2=3"]
    with pytest.raises(BadParameter, match='"B" is not settable'):
        bundle.set("B=1")
    with pytest.raises(ServerError, match='setting "C" not found in the plugin configuration'):
        bundle.set("C=1")
    assert [with_tag(each) for each in ("a", "a:b", "h:5/a")] == ["a:latest", "a:b", "h:5/a:latest"]
