"""Codecs of memberlist's wire format: round trips, limits, fixed vectors, and garbage."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.wire.compound import decode_compound, encode_compound
from gossip.wire.errors import WireError
from gossip.wire.lzw import compress, decompress
from gossip.wire.messages import (
    Ack,
    Alive,
    Dead,
    Digest,
    IndirectPing,
    Message,
    Nack,
    Ping,
    Relayed,
    Suspect,
    User,
    decode_message,
)
from gossip.wire.packet import PacketCodec
from gossip.wire.seal import Keyring
from gossip.wire.streams import (
    STATE_MAX,
    STRANGER_MAX,
    Native,
    NodeState,
    PushPull,
    StreamDecoder,
    StreamEncoder,
    StreamMessage,
    StreamUser,
)

KEY = bytes(range(16))
OTHER = bytes(range(32))


def entropy(seed: int = 1):  # type: ignore[no-untyped-def]
    return random.Random(seed).randbytes


u32 = st.integers(0, 0xFFFFFFFF)
u16 = st.integers(0, 0xFFFF)
names = st.text(min_size=1, max_size=40).filter(lambda text: len(text.encode(errors="replace")) <= 255)
names = names.filter(lambda text: text.isprintable())
addresses = st.tuples(*[st.integers(0, 255)] * 4).map(lambda parts: ".".join(map(str, parts)))
meta = st.binary(max_size=512)
versions = st.binary(min_size=6, max_size=6)
messages = st.one_of(
    st.builds(Ping, u32, names),
    st.builds(IndirectPing, u32, addresses, u16, names, st.booleans()),
    st.builds(Ack, u32, st.binary(max_size=100)),
    st.builds(Nack, u32),
    st.builds(Suspect, u32, names, names),
    st.builds(Alive, u32, names, addresses, u16, meta, versions),
    st.builds(Dead, u32, names, names),
    st.builds(User, st.binary(max_size=600)),
    st.builds(Relayed, st.binary(max_size=600)),
    st.builds(Digest, st.integers(0, 2**64 - 1), st.binary(max_size=64)),
)
node_states = st.builds(NodeState, names, addresses, u16, meta, u32, st.integers(0, 3), versions)
stream_messages = st.one_of(
    st.builds(Ping, u32, names),
    st.builds(Ack, u32, st.binary(max_size=100)),
    st.builds(PushPull, st.lists(node_states, max_size=5).map(tuple), st.binary(max_size=500), st.booleans()),
    st.builds(StreamUser, st.binary(max_size=500)),
    st.builds(Native, names, names, st.binary(max_size=500), st.text(max_size=20).filter(str.isprintable)),
)


@given(st.lists(messages, min_size=1, max_size=8), st.booleans(), st.booleans(), st.sampled_from([b"", KEY, OTHER]),
       st.binary(max_size=40))
def test_packet_round_trip(sent: list[Message], crc: bool, compressed: bool, key: bytes, label: bytes) -> None:
    codec = PacketCodec(label, Keyring([key] if key else [], entropy()))
    packet = codec.encode([message.encode() for message in sent], crc=crc, compressed=compressed)
    assert [decode_message(body) for body in codec.decode(packet)] == sent


@given(st.lists(stream_messages, min_size=1, max_size=4), st.booleans(), st.sampled_from([b"", KEY]),
       st.binary(max_size=40), st.booleans(), st.integers(1, 97))
def test_stream_round_trip_in_pieces(
    sent: list[StreamMessage], compressed: bool, key: bytes, label: bytes, dialler: bool, step: int
) -> None:
    ring = Keyring([key] if key else [], entropy())
    encoder = StreamEncoder(label, ring, dialler=dialler, compressed=compressed)
    decoder = StreamDecoder(label, ring, dialler=not dialler)
    wire = b"".join(encoder.encode(message) for message in sent)
    got: list[StreamMessage] = []
    for start in range(0, len(wire), step):
        got += decoder.feed(wire[start : start + step])
    assert got == sent


@given(st.binary(max_size=3000) | st.lists(st.sampled_from([b"aaab", b"xyz", b"\0"]), max_size=800).map(b"".join))
def test_lzw_round_trip(data: bytes) -> None:
    assert decompress(compress(data), len(data)) == data


def test_lzw_through_full_tables() -> None:
    data = random.Random(3).randbytes(60_000) + bytes(200_000)
    packed = compress(data)
    assert decompress(packed, len(data)) == data
    with pytest.raises(WireError) as caught:
        decompress(packed, len(data) - 1)
    assert caught.value.name == "too_large"


def test_lzw_of_go() -> None:
    """The classic example of the algorithm, as Go's compress/lzw (LSB, 8) writes it: clear, codes of 9 bits, end."""
    codes = [256, *b"TOBEORNOT", 258, 260, 262, 267, 261, 263, 265, 257]
    bits = sum(code << 9 * place for place, code in enumerate(codes))
    vector = bits.to_bytes((9 * len(codes) + 7) // 8, "little")
    assert compress(b"TOBEORNOTTOBEORTOBEORNOT") == vector
    assert decompress(vector, 100) == b"TOBEORNOTTOBEORTOBEORNOT"


def test_lzw_of_an_encoder_that_never_clears() -> None:
    """A full table stays as it is: codes of 12 bits go on."""
    literals = [number % 251 for number in range(6000)]
    bits = held = 0
    for place, code in enumerate([*literals, 257]):
        bits |= code << held
        # The first code adds no entry; the next free code is 257 + place when code number place is read.
        held += min(12, max(9, (257 + place).bit_length()))
    vector = bits.to_bytes((held + 7) // 8, "little")
    assert decompress(vector, 6000) == bytes(literals)


def test_known_bytes() -> None:
    """Encodings written out by hand from the format's description."""
    assert Ping(1, "a").encode() == b"\x00\x82\xa5SeqNo\x01\xa4Node\xa1a"
    assert Suspect(2, "n", "f").encode() == b"\x03\x83\xabIncarnation\x02\xa4Node\xa1n\xa4From\xa1f"
    assert encode_compound([b"ab", b"c"]) == b"\x07\x02\x00\x02\x00\x01abc"
    long_name = "n" * 200
    assert b"\xda\x00\xc8" + long_name.encode() in Ping(1, long_name).encode(), "raw16, never str8"
    body = Nack(5).encode()
    codec = PacketCodec(b"", Keyring([], entropy()))
    assert codec.encode([body], crc=True) == b"\x0c" + zlib.crc32(body).to_bytes(4, "big") + body


def test_version_0_pads_and_opens() -> None:
    ring = Keyring([KEY], entropy())
    for size in (0, 15, 16, 17):
        sealed = ring.seal(bytes(size), b"label", version=0)
        assert (len(sealed) - 29) % 16 == 0
        assert ring.open(sealed, b"label") == bytes(size)


def test_key_rotation_loses_nothing() -> None:
    old, new = Keyring([KEY], entropy(1)), Keyring([KEY], entropy(2))
    new.add(OTHER)
    assert new.open(old.seal(b"x", b""), b"") == b"x"
    old.add(OTHER)
    new.use(OTHER)
    assert old.open(new.seal(b"y", b""), b"") == b"y"
    new.remove(KEY)
    with pytest.raises(WireError):
        new.open(old.seal(b"z", b""), b"")
    with pytest.raises(ValueError, match="in use"):
        new.remove(OTHER)


def test_sealed_accepts_nothing_else() -> None:
    sealed = PacketCodec(b"one", Keyring([KEY], entropy()))
    packet = sealed.encode([Nack(1).encode()])
    strangers = {
        "plain": PacketCodec(b"one", Keyring([], entropy())).encode([Nack(1).encode()]),
        "other key": PacketCodec(b"one", Keyring([OTHER], entropy())).encode([Nack(1).encode()]),
        "other label": PacketCodec(b"two", Keyring([KEY], entropy())).encode([Nack(1).encode()]),
        "no label": PacketCodec(b"", Keyring([KEY], entropy())).encode([Nack(1).encode()]),
        "one bit": packet[:-1] + bytes((packet[-1] ^ 1,)),
        "label moved": b"\xf4\x03two" + packet[5:],
    }
    assert sealed.decode(packet)
    for what, data in strangers.items():
        with pytest.raises(WireError) as caught:
            sealed.decode(data)
        assert caught.value.name in ("unauthenticated", "wrong_label"), what


def test_plain_stream_refused_by_sealed_one() -> None:
    decoder = StreamDecoder(b"c", Keyring([KEY], entropy()), dialler=False)
    plain = StreamEncoder(b"c", Keyring([], entropy()), dialler=True).encode(PushPull((), b"", True))
    with pytest.raises(WireError) as caught:
        decoder.feed(plain)
    assert caught.value.name == "unauthenticated"


@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "sealed"])
def test_little_is_buffered_of_a_stranger(key: bytes) -> None:
    ring = Keyring([key] if key else [], entropy())
    large = Native("kind", "n1", bytes(STRANGER_MAX + 4096))
    member, stranger = (StreamDecoder(b"", ring, dialler=False, most=most) for most in (STATE_MAX, STRANGER_MAX))
    sent = StreamEncoder(b"", ring, dialler=True).encode(large)
    assert member.feed(sent) == [large]
    with pytest.raises(WireError, match="too_large"):
        stranger.feed(sent[:100])
    if key:
        known = StreamDecoder(b"", ring, dialler=False, most=STRANGER_MAX)
        encoder = StreamEncoder(b"", ring, dialler=True)
        assert known.feed(encoder.encode(Ping(1, "n1"))) == [Ping(1, "n1")]
        assert known.feed(encoder.encode(large)) == [large], "whoever has shown the key is no stranger"


def test_nesting_and_numbers_are_bounded() -> None:
    codec = PacketCodec(b"", Keyring([], entropy()))
    body = Nack(1).encode()
    for _ in range(9):
        body = encode_compound([body])
    with pytest.raises(WireError, match="nested_too_deep"):
        codec.decode(body)
    crowd = encode_compound([encode_compound([b"\x08"] * 255)] * 255)
    with pytest.raises(WireError, match="too_many_messages"):
        codec.decode(crowd)
    decoder = StreamDecoder(b"", Keyring([KEY], entropy()), dialler=True)
    with pytest.raises(WireError, match="too_large"):
        decoder.feed(b"\x0a\xff\xff\xff\xff")


def _mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@st.composite
def damaged_packets(draw: st.DrawFn) -> bytes:
    codec = PacketCodec(b"", Keyring([], entropy()))
    sent = draw(st.lists(messages, min_size=1, max_size=4))
    return _mutated(draw, codec.encode([m.encode() for m in sent], crc=False, compressed=draw(st.booleans())))


@st.composite
def damaged_streams(draw: st.DrawFn) -> bytes:
    encoder = StreamEncoder(b"", Keyring([], entropy()), dialler=True, compressed=draw(st.booleans()))
    return _mutated(draw, encoder.encode(draw(stream_messages)))


@settings(max_examples=300, deadline=20_000)
@given(st.binary(max_size=200) | damaged_packets(), st.sampled_from([b"", KEY]))
def test_packets_raise_only_the_decoders_error(data: bytes, key: bytes) -> None:
    codec = PacketCodec(b"", Keyring([key] if key else [], entropy()))
    try:
        for body in codec.decode(data):
            decode_message(body)
    except WireError as error:
        assert error.name


@settings(max_examples=300, deadline=20_000)
@given(st.binary(max_size=200) | damaged_streams(), st.sampled_from([b"", KEY]), st.booleans())
def test_streams_raise_only_the_decoders_error(data: bytes, key: bytes, dialler: bool) -> None:
    decoder = StreamDecoder(b"", Keyring([key] if key else [], entropy()), dialler=dialler)
    try:
        decoder.feed(data)
    except WireError as error:
        assert error.name


@given(st.binary(max_size=300))
def test_bare_decoders_raise_only_the_decoders_error(data: bytes) -> None:
    for decode in (decode_message, decode_compound, lambda raw: decompress(raw, 10_000)):
        try:
            decode(data)
        except WireError as error:
            assert error.name
