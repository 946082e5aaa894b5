"""P17–P22: what a published port is reached by, what not, and what of it a user is told."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from scenarios.launch.record import Swarm
from tests.scenarios.outside.conftest import EXTRA, asked, fetched, on
from tests.scenarios.shoal import done, shoal

PAGE = b"Welcome to nginx"


def real(swarm: Swarm, host: str) -> str:
    return swarm.host(host).real


def extra(swarm: Swarm) -> str:
    """The machine's address that stands for the one that h1 was given."""
    return f"127.1.{swarm.where}.1"


def page(state: Path, host: str, url: str, *options: str) -> bool:
    command = ["on", host, "run", "--rm", *options, "alpine", "wget", "-T", "2", "-qO-", url]
    return PAGE.decode() in shoal(*command, state=state).stdout


def test_P17_an_unpublished_port_answers_nobody_from_outside(outside: Path, swarm: Swarm) -> None:
    on(outside, "h1", "run", "-d", "--name", "closed", "--expose", "81", "nginx")
    address = on(outside, "h1", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", "closed").strip()
    on(outside, "h1", "network", "create", "elsewhere")
    try:
        assert json.loads(on(outside, "h1", "inspect", "closed"))[0]["NetworkSettings"]["Ports"] == {
            "80/tcp": None, "81/tcp": None,
        }  # fmt: skip
        for place in (real(swarm, "h1"), extra(swarm), "127.0.0.1"):
            with pytest.raises(ConnectionRefusedError):
                fetched(place, 80)
        assert not page(outside, "h2", "http://192.0.2.1/", "--network", "host"), "from another host"
        assert not page(outside, "h2", f"http://{address}/", "--network", "host"), "by its address, from another host"
        assert not page(outside, "h1", f"http://{address}/", "--network", "elsewhere"), "from another network"
        assert page(outside, "h1", f"http://{address}/"), "within its network it is there"
    finally:
        on(outside, "h1", "rm", "-f", "closed")
        on(outside, "h1", "network", "rm", "elsewhere")


def test_P18_P19_reached_from_the_machine_other_hosts_and_other_networks(outside: Path, swarm: Swarm) -> None:
    on(outside, "h1", "run", "-d", "--name", "web", "-p", "18080:80", "nginx")
    on(outside, "h1", "network", "create", "n1")
    try:
        for place in (real(swarm, "h1"), "127.0.0.1"):
            assert PAGE in fetched(place, 18080)
        assert page(outside, "h2", "http://192.0.2.1:18080/"), "a container of another host"
        assert page(outside, "h2", "http://192.0.2.1:18080/", "--network", "host"), "another host itself"
        assert page(outside, "h1", "http://192.0.2.1:18080/", "--network", "n1"), "another network"
        assert page(outside, "h1", "http://localhost:18080/", "--network", "host"), "the host itself"
        assert on(outside, "h1", "exec", "web", "wget", "-qO-", "http://192.0.2.1:18080/"), "hairpin"
        seen = on(outside, "h1", "logs", "web")
        assert "192.0.2.2 - - " in seen, "the address of another host is kept"
        assert "172.17.0.1 - - " in seen, "on the host itself it is the gateway that asks, as through docker-proxy"
        rules = done("nat", "h1", state=outside)
        assert "DNAT" in rules and "this host:18080" in rules and "goes to 172.17.0." in rules and "(web)" in rules
        assert "MASQUERADE" in rules and "networks are isolated from one another" in rules
        assert "18080" not in done("nat", "h2", state=outside)
        assert on(outside, "h1", "port", "web").splitlines()[0] == "80/tcp -> 0.0.0.0:18080"
        on(outside, "h1", "stop", "-t", "0", "web")
        with pytest.raises(ConnectionRefusedError):
            fetched(real(swarm, "h1"), 18080)
    finally:
        on(outside, "h1", "rm", "-f", "web")
        on(outside, "h1", "network", "rm", "n1")


def test_P20_on_one_address_of_the_host_only(outside: Path, swarm: Swarm) -> None:
    on(outside, "h1", "run", "-d", "--name", "one", "-p", f"{EXTRA}:18081:80", "nginx")
    on(outside, "h1", "run", "-d", "--name", "local", "-p", "127.0.0.1:18082:80", "nginx")
    try:
        assert PAGE in fetched(extra(swarm), 18081)
        for place in (real(swarm, "h1"), "127.0.0.1", real(swarm, "h2")):
            with pytest.raises(ConnectionRefusedError):
                fetched(place, 18081)
        assert page(outside, "h2", f"http://{EXTRA}:18081/"), "from another host's containers"
        assert page(outside, "h2", f"http://{EXTRA}:18081/", "--network", "host"), "from another host"
        assert not page(outside, "h2", "http://192.0.2.1:18081/", "--network", "host")
        assert page(outside, "h1", f"http://{EXTRA}:18081/", "--network", "host")
        assert PAGE in fetched("127.0.0.1", 18082)
        with pytest.raises(ConnectionRefusedError):
            fetched(real(swarm, "h1"), 18082)
        assert not page(outside, "h2", "http://192.0.2.1:18082/", "--network", "host")
        refused = shoal("on", "h1", "run", "-d", "-p", "203.0.113.9:18083:80", "nginx", state=outside)
        assert refused.returncode == 125 and "cannot assign requested address" in refused.stderr
    finally:
        on(outside, "h1", "rm", "-f", "one", "local")


def test_P21_udp_alone(outside: Path, swarm: Swarm) -> None:
    answer = "while true; do echo answered | timeout 2 netcat -u -l -p 53; done"
    on(outside, "h2", "run", "-d", "--name", "only", "-p", "18085:53/udp", "alpine", "sh", "-c", answer)
    try:
        assert asked(real(swarm, "h2"), 18085, b"from a plain process\n") == b"answered\n"
        with pytest.raises(ConnectionRefusedError):
            fetched(real(swarm, "h2"), 18085)
        inside = "for i in 1 2 3 4 5 6; do echo from h1 | netcat -u -w 1 192.0.2.2 18085 || sleep 1; done"
        assert "answered" in on(outside, "h1", "run", "--rm", "alpine", "sh", "-c", inside)
        assert {"from a plain process", "from h1"} <= set(on(outside, "h2", "logs", "only").splitlines())
    finally:
        on(outside, "h2", "rm", "-f", "only")


def test_P22_tcp_and_udp_on_one_port(outside: Path, swarm: Swarm) -> None:
    both = "echo answered | netcat -u -l -p 80 & httpd -p 80 -h /etc; wait"
    command = ["-p", "18084:80/tcp", "-p", "18084:80/udp", "alpine", "sh", "-c", both]
    on(outside, "h2", "run", "-d", "--name", "both", *command)
    try:
        ports = json.loads(on(outside, "h2", "inspect", "both"))[0]["NetworkSettings"]["Ports"]
        assert sorted(ports) == ["80/tcp", "80/udp"]
        assert {each["HostPort"] for entries in ports.values() for each in entries} == {"18084"}
        assert fetched(real(swarm, "h2"), 18084).startswith(b"HTTP/1.")
        assert asked(real(swarm, "h2"), 18084, b"hello") == b"answered\n"
    finally:
        on(outside, "h2", "rm", "-f", "both")


def test_ranges_ephemeral_ports_and_collisions(outside: Path, swarm: Swarm) -> None:
    on(outside, "h1", "run", "-d", "--name", "r1", "-p", "18090-18091:80", "nginx")
    on(outside, "h1", "run", "-d", "--name", "r2", "-p", "18090-18091:80", "nginx")
    on(outside, "h1", "run", "-d", "--name", "all", "-P", "nginx")
    try:
        assert sorted(on(outside, "h1", "port", each, "80/tcp").splitlines()[0] for each in ("r1", "r2")) == [
            "0.0.0.0:18090", "0.0.0.0:18091",
        ]  # fmt: skip
        chosen = int(on(outside, "h1", "port", "all", "80/tcp").splitlines()[0].rpartition(":")[2])
        assert chosen >= 49153 and PAGE in fetched(real(swarm, "h1"), chosen)
        taken = shoal("on", "h1", "run", "-d", "--name", "late", "-p", "18090:80", "nginx", state=outside)
        assert taken.returncode == 125
        assert "Bind for 0.0.0.0:18090 failed: port is already allocated" in taken.stderr
        on(outside, "h2", "run", "-d", "--name", "same", "-p", "18090:80", "nginx")
        assert PAGE in fetched(real(swarm, "h2"), 18090), "another host has ports of its own"
    finally:
        on(outside, "h1", "rm", "-f", "r1", "r2", "all", "late")
        on(outside, "h2", "rm", "-f", "same")


def test_a_port_that_a_stranger_has_is_published_inside_the_lan(outside: Path, swarm: Swarm) -> None:
    with socket.create_server((real(swarm, "h2"), 18095)), socket.create_server(("127.0.0.1", 18096)):
        on(outside, "h2", "run", "-d", "--name", "inside", "-p", "18095:80", "nginx")
        on(outside, "h1", "run", "-d", "--name", "partly", "-p", "18096:80", "nginx")
        try:
            assert page(outside, "h1", "http://192.0.2.2:18095/")
            assert PAGE in fetched(real(swarm, "h1"), 18096)
            listed = done("ls", state=outside)
            why = f"{real(swarm, 'h2')}:18095/tcp: another program of this machine has it"
            assert why in listed and "published inside the LAN only" in listed
            assert "127.0.0.1:18096/tcp: another program of this machine has it" in listed
            assert why in done("logs", "h2", state=outside)
        finally:
            on(outside, "h2", "rm", "-f", "inside")
            on(outside, "h1", "rm", "-f", "partly")
