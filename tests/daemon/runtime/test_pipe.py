"""The pipe's law: what goes in comes out, in order, whoever is faster; and it knows when an end is gone."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.runtime.pipe import Pipe


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 64), st.integers(1, 200))
def test_bytes_come_out_as_they_went_in(chunks: list[bytes], capacity: int, step: int) -> None:
    async def scenario() -> bytes:
        pipe = Pipe(capacity)

        async def write() -> None:
            for chunk in chunks:
                await pipe.write(chunk)
                assert pipe.buffered <= capacity
            pipe.close_write()

        async def read() -> bytes:
            out = b""
            while data := await pipe.read(step):
                out += data
            return out

        return (await asyncio.gather(write(), read()))[1]

    assert asyncio.run(scenario()) == b"".join(chunks)


async def test_a_line_is_taken_and_no_more() -> None:
    pipe = Pipe()
    await pipe.write(b"one\ntwo")
    assert await pipe.readline() == b"one\n"
    assert pipe.buffered == 3
    pipe.close_write()
    assert await pipe.readline() == b"two"
    assert await pipe.readline() == b""


async def test_a_full_pipe_holds_the_writer_until_the_reader_leaves() -> None:
    pipe = Pipe(10)
    writer = asyncio.ensure_future(pipe.write(bytes(25)))
    await asyncio.sleep(0)
    assert pipe.buffered == 10 and not writer.done()
    pipe.close_read()
    with pytest.raises(BrokenPipeError):
        await writer
