"""802.1Q: what is pushed comes back by pop, and no bytes make it raise anything but `Malformed`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.wire import vlan
from overlay.wire.ipv4 import Malformed

frames = st.binary(min_size=14, max_size=100)
tags = st.builds(vlan.Tag, st.integers(0, vlan.MAX_VID), st.integers(0, 7), st.booleans())


@given(frames, tags, tags)
def test_a_tag_goes_on_and_comes_off(frame: bytes, inner: vlan.Tag, outer: vlan.Tag) -> None:
    tagged = vlan.push(vlan.push(frame, inner), outer)
    assert vlan.is_tagged(tagged) and len(tagged) == len(frame) + 8
    assert tagged[:12] == frame[:12]
    tag, once = vlan.pop(tagged)
    assert tag == outer and vlan.pop(once) == (inner, frame)


def test_as_the_standard_draws_it() -> None:
    frame = bytes(range(12)) + b"\x08\x00rest"
    assert vlan.push(frame, vlan.Tag(50, 3, True)) == bytes(range(12)) + b"\x81\x00\x70\x32\x08\x00rest"


@given(st.binary(max_size=40))
def test_anything_else_is_malformed(data: bytes) -> None:
    try:
        tag, rest = vlan.pop(data)
    except Malformed as error:
        assert error.reason in ("vlan-short", "vlan-untagged", "vlan-vid")
    else:
        assert vlan.push(rest, tag) == data


@pytest.mark.parametrize("tag", [vlan.Tag(4095), vlan.Tag(-1), vlan.Tag(1, 8)])
def test_no_room(tag: vlan.Tag) -> None:
    with pytest.raises(ValueError, match=r"no 802\.1Q tag"):
        tag.emit()
