"""Which containers `docker ps` shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from daemon.engine.filters import Filters
from daemon.engine.listing import select
from daemon.errors import ApiError
from tests.daemon.api.conftest import Machine, directory  # noqa: F401 - a fixture


@pytest_asyncio.fixture
async def machine(directory: Path) -> AsyncIterator[Machine]:  # noqa: F811
    made = Machine(directory)
    await made.start()
    engine = made.host.engine
    await engine.networks.create({"Name": "n1"})
    bodies = {
        "web": {
            "Image": "nginx",
            "Labels": {"tier": "web", "v": "1"},
            "HostConfig": {"PortBindings": {"80/tcp": [{}]}},
        },
        "job": {"Image": "alpine", "Cmd": ["sh", "-c", "exit 3"]},
        "idle": {"Image": "alpine", "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "n1"}},
        "new": {"Image": "alpine", "Cmd": ["true"], "Labels": {"tier": "db"}},
    }
    for name, body in bodies.items():
        container, _ = engine.containers.create(name, body, (1, 47))
        if name != "new":
            ended = engine.containers.lifecycle.exit_of(container)
            await engine.containers.lifecycle.start(container)
            if name == "job":
                await ended
    await engine.containers.lifecycle.pause(engine.containers.find("idle"))
    yield made
    await made.stop()


async def test_filters(machine: Machine) -> None:
    engine = machine.host.engine
    image = engine.images.resolve("nginx")
    assert image is not None
    cases: list[tuple[dict[str, list[str]], dict[str, int | bool], list[str]]] = [
        ({}, {}, ["idle", "web"]),
        ({}, {"all": True}, ["new", "idle", "job", "web"]),
        ({}, {"limit": 3}, ["new", "idle", "job"]),
        ({"status": ["exited"]}, {}, ["job"]),
        ({"status": ["paused", "created"]}, {}, ["new", "idle"]),
        ({"exited": ["3"]}, {"all": True}, ["job"]),
        ({"exited": ["0"]}, {"all": True}, []),
        ({"label": ["tier"]}, {"all": True}, ["new", "web"]),
        ({"label": ["tier=web", "v"]}, {"all": True}, ["web"]),
        ({"name": ["^/w"]}, {}, ["web"]),
        ({"name": ["e"]}, {"all": True}, ["new", "idle", "web"]),
        ({"id": [engine.containers.find("web").id[:10]]}, {}, ["web"]),
        ({"ancestor": ["nginx"]}, {}, ["web"]),
        ({"ancestor": [image.id[7:19]]}, {}, ["web"]),
        ({"network": ["n1"]}, {}, ["idle"]),
        ({"network": ["bridge"]}, {"all": True}, ["new", "job", "web"]),
        ({"publish": ["49153-49200"]}, {}, ["web"]),
        ({"publish": ["80"]}, {}, []),
        ({"publish": ["70-90/udp"]}, {}, []),
        ({"expose": ["70-90/tcp"]}, {}, ["web"]),
        ({"before": ["idle"]}, {"all": True}, ["job", "web"]),
        ({"since": ["job"]}, {"all": True}, ["new", "idle"]),
        ({"health": ["none"]}, {}, ["idle", "web"]),
        ({"volume": ["x"]}, {"all": True}, []),
    ]
    for filters, options, names in cases:
        chosen = select(engine, Filters(filters), **options)  # type: ignore[arg-type]
        assert [container.name for container in chosen] == names, (filters, options)


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"bogus": ["x"]}, "Invalid filter 'bogus'"),
        ({"status": ["odd"]}, "Invalid filter 'status=odd'"),
        ({"exited": ["x"]}, "invalid filter 'exited=x'"),
        ({"before": ["nosuch"]}, "no such container nosuch"),
        ({"publish": ["x"]}, 'error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax'),
    ],
)
async def test_refused(machine: Machine, filters: dict[str, list[str]], text: str) -> None:
    with pytest.raises(ApiError) as caught:
        select(machine.host.engine, Filters(filters))
    assert caught.value.message == text
