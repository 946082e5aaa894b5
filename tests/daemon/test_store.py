"""The store: what was committed is there for the next process, all of a commit or none."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.store.sqlite import SqliteStore, StoreUnusable
from scenarios.sim.disk import SimulatedDisk

KILLED = """
import os, signal, sys
from pathlib import Path
from daemon.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
store.commit([("k", "b", b"2"), ("k", "a", b"1"), ("other", "a", b"x")])
store.commit([("k", "b", None)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_commit_outlives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.db"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=30)
    assert ended.returncode == -9
    store = SqliteStore(path)
    assert store.all("k") == [("a", b"1")]
    assert store.get("other", "a") == b"x" and store.get("k", "b") is None
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "simulated"])
def test_both_stores_agree(tmp_path: Path, kind: str) -> None:
    store: SqliteStore | SimulatedDisk = SqliteStore(tmp_path / "s.db") if kind == "sqlite" else SimulatedDisk()
    store.commit([("t", "2", b"b"), ("t", "1", b"a"), ("t", "2", b"c")])
    assert store.all("t") == [("1", b"a"), ("2", b"c")]
    assert store.all("none") == [] and store.get("t", "9") is None


def test_what_is_not_ours_is_left_as_it_was(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("not a database, but somebody's text\n" * 100)
    with pytest.raises(StoreUnusable):
        SqliteStore(text)
    assert text.read_text().startswith("not a database")
    later = tmp_path / "later.db"
    with sqlite3.connect(later) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreUnusable, match="schema version 99"):
        SqliteStore(later)


def test_a_store_that_is_not_the_last_one_is_in_doubt_until_it_is_settled(tmp_path: Path) -> None:
    path, aside = tmp_path / "state.db", tmp_path / "aside.db"
    store = SqliteStore(path)
    assert not store.doubtful
    store.commit([("k", "a", b"1")])
    store.close()
    aside.write_bytes(path.read_bytes())
    store = SqliteStore(path)
    assert not store.doubtful
    store.commit([("k", "a", b"2")])
    store.close()
    path.write_bytes(aside.read_bytes())
    for _ in range(2):  # a restart does not make it the last one
        store = SqliteStore(path)
        assert store.doubtful and store.get("k", "a") == b"1"
        for n in range(9):
            store.commit([("k", "b", b"%d" % n)])
        store.close()
    store = SqliteStore(path)
    store.settle()
    store.close()
    store = SqliteStore(path)
    assert not store.doubtful
    store.close()


def put_over(backup: Path, home: Path) -> None:
    for file in backup.iterdir():
        (home / file.name).write_bytes(file.read_bytes())


def put_instead(backup: Path, home: Path) -> None:
    shutil.rmtree(home)
    shutil.copytree(backup, home)


def swap(backup: Path, home: Path) -> None:
    home.rename(home.with_name("aside"))
    backup.rename(home)


@pytest.mark.parametrize("restore", [put_over, put_instead, swap])
@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_a_whole_directory_that_is_put_back_with_its_witness_is_in_doubt(
    tmp_path: Path, restore: Callable[[Path, Path], None], running: bool
) -> None:
    home, backup = tmp_path / "h1", tmp_path / "backup"
    store = SqliteStore(home / "state.db")
    store.commit([("k", "a", b"1")])
    if not running:
        store.close()
    shutil.copytree(home, backup)
    if not running:
        store = SqliteStore(home / "state.db")
    store.commit([("k", "a", b"2")])
    store.close()
    home = home.rename(tmp_path / "moved")  # which is no other store
    store = SqliteStore(home / "state.db")
    assert not store.doubtful
    store.close()
    time.sleep(0.05)  # the least age of a backup that is known by its age
    restore(backup, home)
    for _ in range(2):
        store = SqliteStore(home / "state.db")
        assert store.doubtful and store.get("k", "a") == b"1"
        store.close()


def test_a_file_system_that_notes_no_times_puts_nobody_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.store.witness.time.time_ns", lambda: 1)
    for _ in range(2):
        store = SqliteStore(tmp_path / "state.db")
        assert not store.doubtful
        store.close()


def test_another_boot_of_the_machine_and_another_s_store_are_in_doubt(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "one.db", boot=lambda: "monday")
    store.commit([("k", "a", b"1")])
    store.close()
    store = SqliteStore(tmp_path / "one.db", boot=lambda: "tuesday")
    assert store.doubtful
    store.settle()
    store.close()
    store = SqliteStore(tmp_path / "one.db", boot=lambda: "tuesday")
    assert not store.doubtful
    store.close()
    other = SqliteStore(tmp_path / "two.db", boot=lambda: "tuesday")
    other.close()
    (tmp_path / "two.db").write_bytes((tmp_path / "one.db").read_bytes())
    other = SqliteStore(tmp_path / "two.db", boot=lambda: "tuesday")
    assert other.doubtful
    other.close()
