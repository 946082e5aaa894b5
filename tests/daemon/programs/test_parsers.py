"""Whatever is typed or arrives, parsers answer with their own errors and nothing else."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from daemon.programs.awk_syntax import Parser as AwkParser
from daemon.programs.capture_filter import compile_filter, fields
from daemon.programs.options import Failure
from daemon.programs.packet_text import Describer
from daemon.programs.sed_script import ScriptReader
from daemon.programs.shell.parser import Parser
from daemon.programs.shell.syntax import SyntaxProblem

SHELL_WORDS = [
    "a", "b", "if", "then", "fi", "for", "in", "do", "done", "while", "case", "esac", "{", "}", "(", ")", ";", ";;",
    "&", "&&", "||", "|", "<", ">", ">>", "<<", "2>&1", "$x", "${y:-z}", "${", "$(", "`", "'", '"', "\\", "\n", "\t",
    "#", "$(( 1 ))", "!", "=", "*",
]  # fmt: skip
AWK_WORDS = [
    "BEGIN", "END", "{", "}", "(", ")", "[", "]", "$1", "/x/", "if", "else", "for", "in", "while", "print", "printf",
    ",", ";", "s", "1", "a", "b", "=", "==", "~", "+", "++", "?", ":", "getline", "\n", '"s"',
]  # fmt: skip
FILTER_WORDS = [
    "host", "src", "dst", "port", "net", "tcp", "udp", "and", "or", "not", "(", ")", "10.0.0.1", "80", "x", "ether",
    "arp", "greater", "proto",
]  # fmt: skip
SHELL = st.lists(st.sampled_from(SHELL_WORDS), max_size=25).map(" ".join)
AWK = st.lists(st.sampled_from(AWK_WORDS), max_size=20).map(" ".join)
SED = st.text(alphabet="s/ydpqaicnND{}!,;0129$\\^&gIw.*[]+~ \n", max_size=25)


@given(SHELL)
def test_shell(text: str) -> None:
    parser = Parser(text)
    with contextlib.suppress(SyntaxProblem):
        while parser.line() is not None:
            pass


@given(AWK)
def test_awk(text: str) -> None:
    with contextlib.suppress(Failure):
        AwkParser(text).program()


@given(SED)
def test_sed(text: str) -> None:
    with contextlib.suppress(Failure):
        ScriptReader(text, extended=False).commands()


@given(
    st.lists(
        st.sampled_from(FILTER_WORDS),
        max_size=8,
    )
)
def test_capture_filter(words: list[str]) -> None:
    with contextlib.suppress(Failure):
        compile_filter(words, {})(fields(bytes(60)))


@given(st.binary(max_size=120), st.sampled_from([b"", b"\x08\x00E", b"\x08\x06", b"\x86\xdd"]), st.booleans())
def test_packets(data: bytes, kind: bytes, verbose: bool) -> None:
    frame = bytes(12) + kind + data
    assert isinstance(Describer(verbose=verbose, link=verbose).frame(frame), str)
    fields(frame)


@given(st.binary(max_size=80), st.sampled_from([1, 6, 17]))
def test_packets_inside_ip(data: bytes, protocol: int) -> None:
    header = bytes([0x45, 0]) + (20 + len(data)).to_bytes(2, "big") + bytes(4) + bytes([64, protocol]) + bytes(10)
    assert isinstance(Describer(verbose=True).frame(bytes(12) + b"\x08\x00" + header + data), str)
