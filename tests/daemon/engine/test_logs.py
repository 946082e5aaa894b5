"""A container's log: lines, bounds, windows, followers."""

from __future__ import annotations

import asyncio

from daemon.engine.logs import LIMIT, PIECE, STDERR, STDOUT, ContainerLog, LogEntry


class Wall:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def _texts(log: ContainerLog, **options: object) -> list[bytes]:
    return [entry.data async for entry in log.read(**options)]  # type: ignore[arg-type]


async def test_lines_are_put_together() -> None:
    log = ContainerLog(Wall())
    log.append(STDOUT, b"one\ntw")
    log.append(STDERR, b"err\n")
    log.append(STDOUT, b"o\nrest")
    assert await _texts(log) == [b"one\n", b"err\n", b"two\n"]
    log.end_run()
    assert await _texts(log) == [b"one\n", b"err\n", b"two\n", b"rest\n"]
    assert await _texts(log, streams=(STDERR,)) == [b"err\n"]
    assert await _texts(log, tail=2) == [b"two\n", b"rest\n"]
    assert await _texts(log, tail=0) == []


async def test_a_long_line_comes_in_pieces() -> None:
    log = ContainerLog(Wall())
    log.append(STDOUT, b"x" * (2 * PIECE + 5) + b"\n")
    assert [len(text) for text in await _texts(log)] == [PIECE, PIECE, 6]


async def test_the_oldest_give_way_and_are_counted() -> None:
    log = ContainerLog(Wall())
    line = b"y" * 1000 + b"\n"
    for _ in range(5000):
        log.append(STDOUT, line)
    kept = await _texts(log)
    assert log.size <= LIMIT and log.dropped == 5000 - len(kept) > 0


async def test_windows_of_time() -> None:
    wall = Wall()
    log = ContainerLog(wall)
    for second in range(5):
        wall.now = 1000.0 + second
        log.append(STDOUT, b"%d\n" % second)
    assert await _texts(log, since=1002.0) == [b"2\n", b"3\n", b"4\n"]
    assert await _texts(log, until=1001.5) == [b"0\n", b"1\n"]
    assert await _texts(log, since=1001.0, until=1003.0, tail=1) == [b"3\n"]


async def test_a_follower_sees_all_once_and_ends_with_the_run() -> None:
    log = ContainerLog(Wall())
    log.append(STDOUT, b"before\n")
    seen: list[LogEntry] = []

    async def follow() -> None:
        async for entry in log.read(follow=True):
            seen.append(entry)

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0)
    for n in range(50):
        log.append(STDOUT, b"%d\n" % n)
        if n % 7 == 0:
            await asyncio.sleep(0)
    log.append(STDERR, b"unfinished")
    log.end_run()
    async with asyncio.timeout(1):
        await follower
    assert [e.data for e in seen] == [b"before\n", *(b"%d\n" % n for n in range(50)), b"unfinished\n"]
