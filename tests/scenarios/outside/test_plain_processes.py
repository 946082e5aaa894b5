"""P1: a plain process of the machine and a plain host of the LAN reach containers and are reached by them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.launch.record import Swarm
from tests.scenarios.outside.conftest import fetched, on, tcp_server, udp_server
from tests.scenarios.shoal import done, shoal

MACHINE = "192.0.2.254"


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_P1_a_container_reaches_a_plain_process(outside: Path, network: str) -> None:
    with tcp_server(b"from the machine\n") as port:
        said = on(outside, "h1", "run", "--rm", "--network", network, "alpine", "nc", "-w", "5", MACHINE, str(port))
    assert said == "from the machine\n"


def test_P1_a_refusal_out_there_is_a_refusal_in_here(outside: Path) -> None:
    with tcp_server(b"") as port:
        pass
    refused = shoal("on", "h1", "run", "--rm", "alpine", "wget", "-T", "5", f"http://{MACHINE}:{port}/", state=outside)
    assert refused.returncode == 1 and "Connection refused" in refused.stderr


def test_P1_datagrams_go_out_and_come_back(outside: Path) -> None:
    with udp_server(lambda data: b"you said " + data) as port:
        ask = f"echo hello | netcat -u -w 1 {MACHINE} {port}"
        assert on(outside, "h1", "run", "--rm", "alpine", "sh", "-c", ask) == "you said hello\n"


def test_P1_an_overlay_s_container_goes_out_by_its_host(outside: Path) -> None:
    on(outside, "h1", "network", "create", "-d", "overlay", "--attachable", "spread")
    try:
        with tcp_server(b"seen\n") as port:
            seen = on(outside, "h2", "run", "--rm", "--network", "spread", "alpine", "nc", MACHINE, str(port))
        assert seen == "seen\n"
    finally:
        on(outside, "h1", "network", "rm", "spread")


def test_P1_a_plain_host_of_the_lan_both_ways(outside: Path, swarm: Swarm) -> None:
    """h2 without Docker's networks is a plain host: what runs there with --network host has its stack and no other."""
    on(outside, "h2", "run", "-d", "--name", "plain", "--network", "host", "nginx")
    on(outside, "h1", "run", "-d", "--name", "web", "-p", "18180:80", "nginx")
    try:
        assert "nginx" in on(outside, "h1", "run", "--rm", "alpine", "wget", "-qO-", "http://192.0.2.2/")
        assert "nginx" in on(outside, "h2", "exec", "plain", "wget", "-qO-", "http://192.0.2.1:18180/")
        assert b"nginx" in fetched(swarm.host("h1").real, 18180)
    finally:
        on(outside, "h2", "rm", "-f", "plain")
        on(outside, "h1", "rm", "-f", "web")


def test_P6_route_tables_are_the_same_before_and_after_an_overlay(outside: Path) -> None:
    def routes() -> list[str]:
        return [on(outside, host, "run", "--rm", "--network", "host", "alpine", "ip", "route") for host in ("h1", "h2")]

    before = routes()
    on(outside, "h1", "network", "create", "-d", "overlay", "--attachable", "o1")
    on(outside, "h2", "run", "-d", "--name", "there", "--network", "o1", "alpine", "sleep", "60")
    try:
        assert routes() == before
    finally:
        on(outside, "h2", "rm", "-f", "there")
        on(outside, "h1", "network", "rm", "o1")


def test_P3_a_host_is_declared_of_another_platform(outside: Path) -> None:
    assert "OSType: windows" in on(outside, "h2", "info") and "OSType: linux" in on(outside, "h1", "info")
    node = json.loads(on(outside, "h1", "node", "inspect", "h2"))[0]
    assert node["Description"]["Platform"]["OS"] == "windows"
    assert "windows" in on(outside, "h2", "version")


def test_wrong_words_about_platforms_and_addresses(state: Path) -> None:
    for words in (["--os", "plan9"], ["--os", "h7=linux"], ["--host-address", "h1=127.0.0.9"],
                  ["--host-address", "h1=192.0.2.9"], ["--api", "tcp"]):  # fmt: skip
        result = shoal("up", "2", *words, state=state)
        assert result.returncode == 1 and len(result.stderr.strip().splitlines()) == 1, words
    assert not state.exists()


def test_without_an_uplink_the_lan_is_all_there_is(state: Path) -> None:
    done("up", "1", "--no-swarm", state=state)
    with tcp_server(b"never\n") as port:
        assert shoal("on", "h1", "run", "--rm", "alpine", "nc", "-w", "2", MACHINE, str(port), state=state).returncode
