"""Two hosts with a way out, one of them with an address of its own beside the LAN's; and servers of the machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scenarios.launch import record
from scenarios.launch.record import Swarm
from tests.scenarios.shoal import done

EXTRA = "192.168.1.100"


def on(state: Path, host: str, *arguments: str, stdin: str = "") -> str:
    return done("on", host, *arguments, state=state, stdin=stdin)


@contextmanager
def tcp_server(text: bytes) -> Iterator[int]:
    """A plain process: answers each connection at 127.0.0.1 with a text and hangs up. Its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(text)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@contextmanager
def udp_server(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A plain process that answers datagrams at 127.0.0.1 until it gets an empty one. Its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                data, peer = server.recvfrom(2048)
                if not data:
                    return
                server.sendto(answer(data), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.sendto(b"", server.getsockname())
            thread.join(5)


def fetched(address: str, port: int) -> bytes:
    """What a plain process of the machine gets from a web server; raises OSError."""
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        data = b""
        while piece := connection.recv(65536):
            data += piece
    return data


def asked(address: str, port: int, data: bytes) -> bytes:
    """The answer to a datagram; raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(5)
        asker.connect((address, port))
        asker.send(data)
        return asker.recv(2048)


@pytest.fixture(scope="module")
def outside(shared_state: Path) -> Path:
    done("up", "2", "--uplink", "--host-address", f"h1={EXTRA}", "--os", "h2=windows", state=shared_state)
    return shared_state


@pytest.fixture
def swarm(outside: Path) -> Swarm:
    return record.running(outside)
