"""Bytes that once were, or might have been, trouble: whole, cut off anywhere, damaged anywhere, through every decoder.

A decoder raises nothing but its own error, in bounded time and memory; and a cluster that is sent all of it lives on.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.serf.messages import decode_intent, decode_query, decode_state, event_time, tags_of
from gossip.swim.member import EventKind, MemberState
from gossip.swim.meta import unwrap_meta
from gossip.wire.errors import WireError
from gossip.wire.lzw import decompress
from gossip.wire.messages import decode_message
from gossip.wire.packet import PacketCodec
from gossip.wire.seal import Keyring
from gossip.wire.streams import STRANGER_MAX, StreamDecoder
from tests.gossip.lan import Lan

CORPUS = Path(__file__).parent / "corpus"
SECONDS = 0.5
"""For one input; the slowest, a decompression to the limit, takes a tenth of it."""
BYTES = 8 * 1024 * 1024
KEYS = (b"", b"k" * 16)


def _read(name: str) -> list[bytes]:
    lines = (CORPUS / name).read_text().splitlines()
    return [bytes.fromhex(line.strip("-")) for line in lines if not line.startswith("#")]


PACKETS, STREAMS = _read("packets.hex"), _read("streams.hex")


def _ring(key: bytes) -> Keyring:
    return Keyring([key] if key else [], Random(1).randbytes)


def _packet(key: bytes, label: bytes) -> Callable[[bytes], object]:
    codec = PacketCodec(label, _ring(key))
    return lambda data: [decode_message(body) for body in codec.decode(data)]


def _stream(key: bytes, *, dialler: bool) -> Callable[[bytes], object]:
    def feed(data: bytes) -> None:
        decoder = StreamDecoder(b"", _ring(key), dialler=dialler, most=STRANGER_MAX)
        for start in range(0, len(data), 1000):
            decoder.feed(data[start : start + 1000])

    return feed


DECODERS: dict[str, Callable[[bytes], object]] = {
    "packet": _packet(b"", b""),
    "sealed packet": _packet(KEYS[1], b""),
    "labelled packet": _packet(KEYS[1], b"label"),
    "stream": _stream(b"", dialler=False),
    "sealed stream": _stream(KEYS[1], dialler=True),
    "message": decode_message,
    "LZW": lambda data: decompress(data, 65535),
    "metadata": unwrap_meta,
    "tags": tags_of,
    "serf state": decode_state,
    "serf intent": lambda data: decode_intent(data) if data else None,
    "serf query": decode_query,
    "serf event": event_time,
}


def _damaged(data: bytes, random: Random) -> Iterator[bytes]:
    yield data
    for end in {0, 1, 2, len(data) // 2, len(data) - 1, *(random.randrange(len(data) + 1) for _ in range(20))}:
        yield data[: max(0, end)]
    for _ in range(40):
        changed = bytearray(data)
        for _ in range(random.randint(1, 3)):
            if changed:
                changed[random.randrange(len(changed))] = random.randrange(256)
        yield bytes(changed)
    yield data + data
    yield data[1:]


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_takes_everything(name: str) -> None:
    decode = DECODERS[name]
    random = Random(name)
    tracemalloc.start()
    try:
        for whole in PACKETS + STREAMS:
            for data in _damaged(whole, random):
                tracemalloc.reset_peak()
                before, began = tracemalloc.get_traced_memory()[0], time.process_time()
                with suppress(WireError):
                    decode(data)
                assert time.process_time() - began < SECONDS, data.hex()
                assert tracemalloc.get_traced_memory()[1] - before < BYTES, data.hex()
    finally:
        tracemalloc.stop()


@given(st.sampled_from(sorted(DECODERS)), st.sampled_from(PACKETS + STREAMS), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_splices_of_the_corpus(name: str, one: bytes, random: Random) -> None:
    other = random.choice(PACKETS + STREAMS)
    data = one[: random.randrange(len(one) + 1)] + other[random.randrange(len(other) + 1) :]
    with suppress(WireError):
        DECODERS[name](data)


@pytest.mark.parametrize("keys", [(), (KEYS[1],)], ids=["plain", "sealed"])
def test_a_cluster_that_is_sent_all_of_it_lives_on(keys: tuple[bytes, ...]) -> None:
    lan = Lan(1, keys=keys)
    hosts = lan.grow(4)
    random = Random(5)
    for whole in PACKETS + STREAMS:
        for data in _damaged(whole, random):
            host = random.choice(hosts)
            host.membership.receive_datagram(data, random.choice([("203.0.113.5", 7946), hosts[0].address]), lan.now)
            lan.poke(host)
        lan.run(0.01)
    lan.run(30)
    own = [host.name for host in hosts]
    for host in hosts:
        seen = {member.name: member.state for member in host.membership.members()}
        assert {name: seen[name] for name in own} == dict.fromkeys(own, MemberState.ALIVE)
        assert not [event for event in host.events if event.kind is EventKind.FAILED and event.member.name in own]
        if keys:
            assert list(seen) == own, "nothing unauthenticated is believed"
            dropped = {name: count for name, count in host.membership.counters.items() if name.startswith("dropped.")}
            assert set(dropped) <= {"dropped.unauthenticated", "dropped.wrong_label"}
