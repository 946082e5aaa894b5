"""Frames on a stream: whatever the pieces, the same frames; and a link that comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.tasks import TaskOwner
from daemon.plugins.discovery import Address
from daemon.plugins.frame_link import FrameLink
from overlay.frames import FrameReader, NotFrames, framed


@given(st.lists(st.binary(max_size=90), max_size=12), st.lists(st.integers(0, 40), max_size=60))
def test_pieces_do_not_matter(frames: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(framed(frame) for frame in frames)
    reader, got = FrameReader(), []
    for size in sizes:
        got += reader.feed(stream[:size])
        stream = stream[size:]
    got += reader.feed(stream)
    assert got == [frame for frame in frames if len(frame) >= 14]
    assert reader.runts == len(frames) - len(got)


@given(st.binary(max_size=200))
def test_noise_is_frames_or_an_error(noise: bytes) -> None:
    try:
        frames = FrameReader().feed(noise)
    except NotFrames:
        assert int.from_bytes(noise[:4], "big") > 65535 or len(noise) > 18
    else:
        assert sum(map(len, frames)) <= len(noise)


async def test_a_link_that_breaks_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "e.frames"
    there: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_unix_server(lambda r, w: there.put_nowait((r, w)), path)
    tasks = TaskOwner("test")
    link = FrameLink(Address("unix", str(path)), "e", tasks)
    got: asyncio.Queue[bytes] = asyncio.Queue()
    link.port.on_receive(got.put_nowait)
    await link.connect()
    for frame in (b"a" * 60, b"b" * 1514):
        reader, writer = await there.get()
        link.port.transmit(frame)
        assert await reader.readexactly(len(frame) + 4) == framed(frame)
        writer.write(framed(frame[::-1]))
        assert await got.get() == frame[::-1]
        writer.write(b"\xff\xff\xff\xff")  # not frames: the link is cut, and made again
        assert await reader.read() == b""
        writer.close()
        link.port.transmit(frame)
    assert link.dropped == 2
    link.close()
    await tasks.stop()
    server.close()
    with pytest.raises(OSError):
        await FrameLink(Address("unix", str(tmp_path / "none")), "e", tasks).connect()
