"""Go's words for bad JSON (each checked against encoding/json), and Python's and Go's agreement on good JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api import gojson

_COMPLAINTS = {
    "": "EOF",
    "{": "unexpected EOF",
    '{"a":1': "unexpected EOF",
    "nul": "unexpected EOF",
    "{not json": "invalid character 'n' looking for beginning of object key string",
    "notjson": "invalid character 'o' in literal null (expecting 'u')",
    "tru3": "invalid character '3' in literal true (expecting 'e')",
    "[1,]": "invalid character ']' looking for beginning of value",
    '{"a" 1}': "invalid character '1' after object key",
    '{"a":1 "b":2}': "invalid character '\"' after object key:value pair",
    "[1 2]": "invalid character '2' after array element",
    '"\x01"': "invalid character '\\u0001' in string literal",
    '"\\x"': "invalid character 'x' in string escape code",
    "-a": "invalid character 'a' in numeric literal",
    "[1.x]": "invalid character 'x' after decimal point in numeric literal",
    "<html>": "invalid character '<' looking for beginning of value",
    "'a'": "invalid character '\\'' looking for beginning of value",
    "NaN": "invalid character 'N' looking for beginning of value",
}
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@pytest.mark.parametrize(("text", "complaint"), _COMPLAINTS.items())
def test_complaints(text: str, complaint: str) -> None:
    with pytest.raises(gojson.GoJsonError) as caught:
        gojson.loads(text)
    assert str(caught.value) == complaint


@given(_values)
def test_what_is_written_is_read(value: object) -> None:
    assert gojson.loads(json.dumps(value)) == value


@given(st.text(alphabet='{}[]":,0123456789.eE+-truefalsn \\u"', max_size=30))
def test_any_text_gives_a_value_or_a_complaint(text: str) -> None:
    try:
        gojson.loads(text)
    except gojson.GoJsonError as error:
        assert str(error)
