"""Docker's flags as bodies of its API, and its tables."""

from __future__ import annotations

import pytest

from scenarios.cli import table
from scenarios.cli.moment import moment
from scenarios.cli.pools import pools
from scenarios.cli.runflags import RunFlags, body
from scenarios.client import published


@pytest.mark.parametrize(
    ("text", "key", "ip", "port"),
    [
        ("80", "80/tcp", "", ""),
        ("8080:80", "80/tcp", "", "8080"),
        ("8080:80/udp", "80/udp", "", "8080"),
        ("192.168.1.100:8080:80", "80/tcp", "192.168.1.100", "8080"),
        ("127.0.0.1::80", "80/tcp", "127.0.0.1", ""),
        ("[::1]:8080:80", "80/tcp", "::1", "8080"),
        ("8000-8010:80", "80/tcp", "", "8000-8010"),
    ],
)
def test_a_published_port(text: str, key: str, ip: str, port: str) -> None:
    exposed, bindings = published([text])
    assert exposed == {key: {}}
    assert bindings == {key: [{"HostIp": ip, "HostPort": port}]}


def test_a_range_is_published_port_by_port() -> None:
    _, bindings = published(["9000-9001:80-81"])
    assert bindings == {
        "80/tcp": [{"HostIp": "", "HostPort": "9000"}],
        "81/tcp": [{"HostIp": "", "HostPort": "9001"}],
    }


@pytest.mark.parametrize("text", ["x:80", "8080:y", "70000:80", "8080:80/icmp", "1:2:3:4", "8000-8001:80-82", ""])
def test_a_port_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        published([text])


def test_the_flags_of_run() -> None:
    document = body(RunFlags(
        "alpine", ["sleep", "1"], detach=True, network=["ov1", "name=ov2,alias=db,ip=10.7.0.9"],
        network_alias=["web"], ip="10.0.1.9", env=["A=1"], label=["k=v"], hostname="box", restart="on-failure:3",
    ))  # fmt: skip
    assert document["HostConfig"]["NetworkMode"] == "ov1"
    assert document["NetworkingConfig"]["EndpointsConfig"] == {
        "ov1": {"Aliases": ["web"], "IPAMConfig": {"IPv4Address": "10.0.1.9"}},
        "ov2": {"Aliases": ["db"], "IPAMConfig": {"IPv4Address": "10.7.0.9"}},
    }
    assert document["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert (document["Env"], document["Labels"], document["Hostname"]) == (["A=1"], {"k": "v"}, "box")
    assert not document["AttachStdout"]


def test_volumes_and_a_health_check() -> None:
    document = body(RunFlags("alpine", volume=["vol1:/a:ro", "/b"], health_cmd="true", health_interval="1m500ms",
                             health_retries=2))  # fmt: skip
    assert document["HostConfig"]["Binds"] == ["vol1:/a:ro"]
    assert document["Volumes"] == {"/b": {}}
    assert document["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 60_500_000_000, "Retries": 2}
    assert "Healthcheck" not in body(RunFlags("alpine"))
    with pytest.raises(ValueError, match='invalid duration "5"'):
        body(RunFlags("alpine", health_timeout="5"))


def test_each_address_goes_to_its_subnet() -> None:
    assert pools(["10.1.0.0/16", "10.2.0.0/16"], ["10.2.0.1"], ["10.1.5.0/24"], ["nas=10.1.0.9"]) == [
        {"Subnet": "10.1.0.0/16", "IPRange": "10.1.5.0/24", "AuxiliaryAddresses": {"nas": "10.1.0.9"}},
        {"Subnet": "10.2.0.0/16", "Gateway": "10.2.0.1"},
    ]
    with pytest.raises(ValueError, match="no matching subnet for gateway"):
        pools(["10.1.0.0/16"], ["10.9.0.1"], [], [])


def test_tables_are_laid_out_as_dockers() -> None:
    assert table.render(["ID", "A LONG HEADING", "Z"], [["1", "x", "last"]]) == (
        "ID        A LONG HEADING   Z\n1         x                last"
    )
    assert table.tabulate("a\tb\nalone\nlonger than ten\tb") == "a         b\nalone\nlonger than ten   b"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (61, "About a minute"), (600, "10 minutes"),
     (3700, "About an hour"), (7300, "2 hours"), (50 * 3600, "2 days"), (21 * 86400, "3 weeks")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert table.human_duration(seconds) == text


def test_moments() -> None:
    assert moment(None, 0.0) is None
    assert moment("1700000000", 0.0) == "1700000000"
    assert moment("2023-11-14T22:13:20Z", 0.0) == "1700000000.000000000"
    with pytest.raises(ValueError):
        moment("yesterday", 0.0)
