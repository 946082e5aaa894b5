"""The simulated disk gives what SQLite gives: held against SQLite itself where a file can be torn or put back."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.store.sqlite import SqliteStore
from scenarios.sim.disk import CHECKPOINT, Change, SimulatedDisk

changes = st.lists(
    st.tuples(st.just("k"), st.sampled_from("abcd"), st.none() | st.binary(max_size=9)), min_size=1, max_size=3
)


def after(commits: list[list[Change]], count: int) -> list[tuple[str, bytes]]:
    kept: dict[str, bytes | None] = {}
    for commit in commits[:count]:
        kept |= {key: value for _, key, value in commit}
    return sorted((key, value) for key, value in kept.items() if value is not None)


@given(st.lists(changes, min_size=1, max_size=12), st.integers(0, 11), st.integers(0, 1 << 30))
def test_power_takes_a_tail_of_what_was_not_synced_and_no_more(
    commits: list[list[Change]], synced: int, seed: int
) -> None:
    disk = SimulatedDisk()
    for number, commit in enumerate(commits):
        disk.commit(commit)
        if number == synced:
            disk.checkpoint()
    unsynced = disk.unsynced
    lost = disk.lose_power(random.Random(seed))
    assert 0 <= lost <= unsynced <= len(commits)
    assert disk.all("k") == after(commits, len(commits) - lost)
    assert disk.doubtful == bool(disk.all("k")) and disk.unsynced == 0
    disk.settle()
    assert not disk.doubtful


@settings(max_examples=25, deadline=None)
@given(st.lists(changes, min_size=1, max_size=8), st.floats(0, 1))
def test_sqlite_s_torn_log_is_a_prefix_of_whole_commits(
    tmp_path_factory: pytest.TempPathFactory, commits: list[list[Change]], where: float
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    store = SqliteStore(folder / "state.db")
    for commit in commits:
        store.commit(commit)
    torn = folder / "torn"
    torn.mkdir()
    for name in ("state.db", "state.db-wal"):
        shutil.copy(folder / name, torn / name)
    store.close()
    wal = torn / "state.db-wal"
    with wal.open("r+b") as file:
        file.truncate(int(wal.stat().st_size * where))
    again = SqliteStore(torn / "state.db")
    assert again.all("k") in [after(commits, count) for count in range(len(commits) + 1)]
    again.close()


def test_a_checkpoint_comes_about_as_often_as_sqlite_s(tmp_path: Path) -> None:
    store, disk = SqliteStore(tmp_path / "state.db"), SimulatedDisk()
    for number in range(2000):
        for each in (store, disk):
            each.commit([("k", str(number % 50), b"x" * 300)])
    wal = (tmp_path / "state.db-wal").stat().st_size  # it is used again from its begin after a checkpoint
    store.close()
    assert CHECKPOINT * 4120 <= wal <= 2 * CHECKPOINT * 4120
    assert disk.unsynced <= CHECKPOINT / 2


def test_an_older_store_is_known_for_one_and_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    disk = SimulatedDisk()
    disk.commit([("k", "a", b"1")])
    old = disk.copy()
    disk.commit([("k", "a", b"2")])
    disk.full = True
    with pytest.raises(OSError, match="full"):
        disk.commit([("k", "a", b"3")])
    disk.full = False
    assert disk.get("k", "a") == b"2" and not disk.doubtful
    disk.put_back(old)
    assert disk.get("k", "a") == b"1" and disk.doubtful
    disk.lose()
    assert disk.all("k") == [] and not disk.doubtful
