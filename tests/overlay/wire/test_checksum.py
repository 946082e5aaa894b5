"""The checksum against RFC 1071's own definition, and its incremental update against the full one."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from overlay.wire.checksum import finish, is_right, partial, update


def by_definition(data: bytes) -> int:
    """RFC 1071, section 4.1: add 16-bit words, fold the carries, complement."""
    total = sum(int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(min_size=1, max_size=300).filter(any))
def test_equals_the_definition(data: bytes) -> None:
    assert finish(partial(data)) == by_definition(data)


@given(st.integers(4090, 70_000), st.integers(1, 2**32))
def test_large_buffers_are_summed_in_pieces(size: int, seed: int) -> None:
    data = Random(seed).randbytes(size)
    assert finish(partial(data)) == by_definition(data)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_sums_may_be_made_in_parts(a: bytes, b: bytes) -> None:
    a += bytes(len(a) & 1)
    assert (partial(a) + partial(b)) % 65535 == partial(a + b)
    field = finish(partial(a) + partial(b)).to_bytes(2, "big")
    assert is_right(partial(field + a + b))


@given(st.binary(min_size=20, max_size=60).filter(lambda data: any(data[8:])), st.binary(min_size=4, max_size=4))
def test_update_equals_doing_it_again(data: bytes, new: bytes) -> None:
    before = finish(partial(data))
    changed = data[:4] + new + data[8:]
    assert update(before, data[4:8], new) == finish(partial(changed))
