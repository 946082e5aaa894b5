"""Names and messages by calling them: libnetwork's rules of resolution, and DNS's of answers."""

from random import Random

from dnslib import QTYPE, DNSHeader, DNSQuestion, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from overlay.directory import Directory
from overlay.dns import messages
from overlay.dns.names import Names
from overlay.spec import EndpointFact


def directory() -> Directory:
    known = Directory()
    for number, (network, address, names) in enumerate(
        [
            ("n1", "10.40.0.2/24", ("web", "d5ef4e23425e")),
            ("n1", "10.40.0.4/24", ("al1", "app", "app-a")),
            ("n1", "10.40.0.5/24", ("al2", "app", "app-b")),
            ("n2", "10.41.0.2/24", ("al2", "db")),
            ("n2", "10.41.0.9/24", ("web",)),
            ("n3", "10.42.0.2/24", ("a.b",)),
        ]
    ):
        mac = f"02:42:0a:00:00:{number:02x}"
        known.put(EndpointFact(network, f"e{number}", "h", None, mac, (address,), names))
    return known


TITLES = {"n1": "n1", "n2": "Net.Two", "n3": "n3"}


def seen_from(*networks: str, **links: str) -> Names:
    return Names(directory(), lambda: networks, TITLES.__getitem__, links)


def test_names_are_those_of_the_sandbox_s_networks_in_order() -> None:
    assert seen_from("n1").addresses("web") == ["10.40.0.2"]
    assert seen_from("n2", "n1").addresses("WEB.") == ["10.41.0.9"]
    assert seen_from("n1").addresses("app") == ["10.40.0.4", "10.40.0.5"]
    assert seen_from("n1").addresses("d5ef4e23425e") == ["10.40.0.2"]
    assert seen_from("n1").addresses("db") is None
    assert seen_from().addresses("web") is None


def test_a_name_with_its_network() -> None:
    both = seen_from("n1", "n2", "n3")
    assert both.addresses("web.n1") == ["10.40.0.2"]
    assert both.addresses("web.net.two") == ["10.41.0.9"]
    assert both.addresses("a.b") == both.addresses("a.b.n3") == ["10.42.0.2"]
    assert both.addresses("web.n3") is None
    assert seen_from("n1").addresses("db.net.two") is None


def test_links_come_before_names() -> None:
    assert seen_from("n1", store="web").addresses("store") == ["10.40.0.2"]
    assert seen_from("n1", app="web").addresses("app") == ["10.40.0.2"]
    assert seen_from("n1", gone="nobody").addresses("gone") is None


def test_reverse_gives_the_container_s_name_and_network() -> None:
    assert seen_from("n1", "n2").name_of("10.41.0.2") == "al2.Net.Two"
    assert seen_from("n1").name_of("10.41.0.2") is None
    assert messages.reverse_address("2.0.40.10.IN-ADDR.arpa.") == "10.40.0.2"
    for none in ("x.0.40.10.in-addr.arpa.", "0.40.10.in-addr.arpa.", "web."):
        assert messages.reverse_address(none) is None


def query(name: str, kind: str) -> DNSRecord:
    return DNSRecord(DNSHeader(id=7, rd=1), q=DNSQuestion(name, getattr(QTYPE, kind)))


def test_the_family_that_was_asked_for_under_the_name_as_it_was_asked() -> None:
    addresses = ["10.0.0.2", "fd00::2"]
    for kind, expected in (("A", ["10.0.0.2"]), ("AAAA", ["fd00::2"]), ("MX", [])):
        asked = query("WeB", kind)
        reply = messages.answer(asked)
        messages.add_addresses(reply, addresses)
        back = DNSRecord.parse(messages.pack(reply, asked, stream=False))
        assert [str(rr.rdata) for rr in back.rr] == expected
        assert str(back.q.qname) == "WeB."
        assert (back.header.id, back.header.qr, back.header.ra, back.header.aa, back.header.rcode) == (7, 1, 1, 0, 0)


def test_what_is_too_large_for_udp_is_truncated() -> None:
    asked = query("many", "A")
    reply = messages.answer(asked)
    messages.add_addresses(reply, [f"10.0.0.{n}" for n in range(1, 100)])
    assert len(DNSRecord.parse(messages.pack(reply, asked, stream=True)).rr) == 99
    packed = messages.pack(reply, asked, stream=False)
    back = DNSRecord.parse(packed)
    assert len(packed) <= 512 and back.header.tc == 1 and 20 < len(back.rr) < 99


def test_names_that_dns_cannot_carry() -> None:
    asked = query("2.0.40.10.in-addr.arpa", "PTR")
    for name, rcode in (("web.bad name", 0), ("x" * 64 + ".n1", 2), (("y" * 60 + ".") * 5, 2)):
        reply = messages.answer(asked)
        messages.add_pointer(reply, name)
        assert DNSRecord.parse(messages.pack(reply, asked, stream=False)).header.rcode == rcode
    assert messages.pack(messages.answer(asked), asked, stream=False)


@given(st.binary(max_size=80))
def test_garbage_is_no_query(data: bytes) -> None:
    found = messages.parse_query(data)
    assert found is None or found.header.qr == 0


def test_damaged_queries_are_no_query_or_answerable() -> None:
    random = Random(5)
    good = bytes(query("web.n1", "A").pack())
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(random.randint(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        found = messages.parse_query(bytes(data))
        if found is not None:
            seen_from("n1").addresses(messages.asked(found)[0])
            messages.pack(messages.answer(found), found, stream=False)
