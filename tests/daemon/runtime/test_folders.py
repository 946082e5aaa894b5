"""A folder of the machine inside a container: live both ways, and nothing leads out of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.runtime.filesystem import Filesystem
from daemon.runtime.folders import MachineFolders
from daemon.runtime.nodes import Directory, File, Mount, Tree


def mounted(folder: Path, *, read_only: bool = False) -> Filesystem:
    files = Filesystem(Directory({"etc": Directory({"hostname": File(b"inside\n")})}), wall=lambda: 1000.0)
    root = MachineFolders(folder / "state").outside(str(folder))
    assert isinstance(root, Directory) and root.owner is not None
    files.mount("/m", Mount(root.owner, root, read_only=read_only))
    return files


def test_changes_are_seen_on_both_sides_at_once(tmp_path: Path) -> None:
    files = mounted(tmp_path)
    (tmp_path / "a").write_text("one\n")
    assert files.text("/m/a") == "one\n" and files.listdir("/m") == ["a"]
    files.write("/m/a", "two\n", append=True)
    files.mkdir("/m/d")
    files.write("/m/d/f", b"x", mode=0o600)
    files.link("/m/d/f", "/m/d/g")
    files.rename("/m/a", "/m/d/a")
    files.symlink("d/f", "/m/s")
    assert (tmp_path / "d" / "a").read_text() == "one\ntwo\n"
    assert (tmp_path / "d" / "f").stat().st_nlink == 2 and (tmp_path / "d" / "f").stat().st_mode & 0o777 == 0o600
    assert os.readlink(tmp_path / "s") == "d/f" and files.read("/m/s") == b"x"
    files.remove_tree("/m/d")
    assert sorted(os.listdir(tmp_path)) == ["s"]


def test_between_trees_a_rename_copies(tmp_path: Path) -> None:
    files = mounted(tmp_path)
    (tmp_path / "a").write_text("one")
    files.rename("/m/a", "/a")
    assert not (tmp_path / "a").exists() and files.read("/a") == b"one"
    files.mkdir("/d")
    files.write("/d/f", b"two")
    files.rename("/d", "/m/d")
    assert (tmp_path / "d" / "f").read_text() == "two" and not files.exists("/d")


def test_symlinks_are_followed_inside_the_container(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_text("outside")
    (folder / "absolute").symlink_to("/etc/hostname")
    (folder / "relative").symlink_to("../secret")
    files = mounted(folder)
    assert files.text("/m/absolute") == "inside\n"
    with pytest.raises(FileNotFoundError):
        files.read("/m/relative")
    with pytest.raises(FileNotFoundError):
        files.read("/m/../secret")


def test_read_only_and_special_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    os.mkfifo(tmp_path / "pipe")
    files = mounted(tmp_path, read_only=True)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: files.write("/m/a", b""), lambda: files.remove("/m/a"), lambda: files.mkdir("/m/d"),
        lambda: files.rename("/m/a", "/m/b"), lambda: files.chmod("/m/a", 0o777), lambda: files.touch("/m/a"),
    )  # fmt: skip
    for attempt in attempts:
        with pytest.raises(OSError, match="Read-only file system"):
            attempt()
    with pytest.raises(OSError, match="No such device or address"):
        files.read("/m/pipe")
    assert (tmp_path / "a").read_text() == "one"


def test_a_mount_point_stays_and_hides_what_is_below() -> None:
    files = Filesystem(Directory(), wall=lambda: 1000.0)
    files.write("/x", b"below")
    tree = Tree(10)
    files.mkdir("/t")
    files.write("/t/hidden", b"")
    files.mount("/t", Mount(tree, Directory(owner=tree)))
    assert files.listdir("/t") == []
    files.write("/t/f", b"12345")
    with pytest.raises(OSError, match="No space left"):
        files.write("/t/g", b"1234567")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: files.remove_tree("/t"),
        lambda: files.rename("/t", "/u"),
    )
    for attempt in attempts:
        with pytest.raises(OSError, match="Device or resource busy"):
            attempt()
    files.mounts.clear()
    assert files.listdir("/t") == ["hidden"] and tree.used == 5
