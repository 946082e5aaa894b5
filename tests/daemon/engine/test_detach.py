"""Detach keys: what is typed goes through whole, except for the keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.detach import Escape, parse_keys
from daemon.errors import BadParameter


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", b"\x10\x11"), ("ctrl-p,ctrl-q", b"\x10\x11"), ("a", b"a"), ("ctrl-a,x,ctrl-[", b"\x01x\x1b")],
)
def test_names(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-ab", "ab", "ctrl-1", "a,,b"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(BadParameter, match="Invalid detach keys"):
        parse_keys(text)


@given(st.lists(st.text("abx", max_size=4)), st.sampled_from(["a", "ab", "aab", "abab"]))
def test_in_any_pieces(pieces: list[str], keys: str) -> None:
    escape, through, detached = Escape(keys.encode()), b"", False
    for piece in pieces:
        passed, detached = escape.feed(piece.encode())
        through += passed
        if detached:
            break
    before, found, _ = "".join(pieces).partition(keys)
    assert detached is bool(found)
    if found:
        assert through == before.encode()
    else:  # what may be their beginning is held back
        assert before.encode().startswith(through) and keys.startswith(before[len(through) :])
