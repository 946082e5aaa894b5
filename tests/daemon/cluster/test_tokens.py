"""Join tokens: their form is swarmkit's, and a digest fits one CA only."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cluster.tokens import BadToken, JoinToken, base36, digest_of, new_secret, parse_token

# As a real engine printed it.
RECORDED = "SWMTKN-1-2sur5re6mi1ylsqtffrt1hq8n97444dp5hvn4ugmrxtmbxalky-5he2hixoumpcbb6jrculajv88"


@given(st.binary(max_size=200), st.integers(min_value=0))
def test_what_is_printed_is_read_again(certificate: bytes, seed: int) -> None:
    token = JoinToken(digest_of(certificate), new_secret(random.Random(seed).randbytes))
    assert parse_token(str(token)) == token
    assert re.fullmatch(r"SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}", str(token))
    assert token.fits(certificate)
    assert not token.fits(certificate + b"\n")


def test_a_real_engines_token_is_read() -> None:
    assert str(parse_token(RECORDED)) == RECORDED


@given(st.integers(min_value=0, max_value=36**25 - 1))
def test_base36_keeps_every_number_that_fits(number: int) -> None:
    assert int(base36(number, 25), 36) == number


@pytest.mark.parametrize(
    "text", ["", "BAD", RECORDED[:-1], RECORDED + "0", RECORDED.upper(), RECORDED.replace("-1-", "-2-")]
)
def test_anything_else_is_refused_in_dockers_words(text: str) -> None:
    with pytest.raises(BadToken, match=r"^invalid join token$"):
        parse_token(text)
