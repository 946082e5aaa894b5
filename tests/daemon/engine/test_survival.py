"""What is left of containers when the daemon stops, dies and comes back; and that it stops in time, leaving nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.engine.container import Container
from tests.daemon.api.conftest import Machine, directory  # noqa: F401 - a fixture


def _body(command: list[str], policy: str = "no", **host: object) -> dict[str, object]:
    return {"Image": "alpine", "Cmd": command, "HostConfig": {"RestartPolicy": {"Name": policy}, **host}}


async def _run(machine: Machine, name: str, policy: str = "no", **host: object) -> Container:
    engine = machine.host.engine
    container, _ = engine.containers.create(name, _body(["sleep", "600"], policy, **host), (1, 47))
    await engine.containers.lifecycle.start(container)
    return container


async def _running(machine: Machine, name: str) -> Container:
    container = machine.host.engine.containers.find(name)
    async with asyncio.timeout(5):
        while not container.state.running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return container


async def test_after_a_crash(directory: Path) -> None:  # noqa: F811
    machine = Machine(directory)
    await machine.start()
    first = await _run(machine, "plain")
    await _run(machine, "always", "always")
    await _run(machine, "gone", AutoRemove=True)
    stopped = await _run(machine, "stopped", "unless-stopped")
    await machine.host.engine.containers.lifecycle.stop(stopped, 0)
    crashed = machine.store
    # What a crash leaves is the disk as it was: the later writes of the dying daemon must not reach it.
    machine.store = type(crashed)()
    for kind in ("containers", "container-state", "network", "engine"):
        machine.store.commit([(kind, key, value) for key, value in crashed.all(kind)])
    survivor = machine.store
    await machine.stop()

    machine.store = survivor
    await machine.start()
    try:
        containers = machine.host.engine.containers
        again = await _running(machine, "always")
        assert again.endpoints["bridge"].ip_address and again.state.pid
        plain = containers.find("plain")
        assert plain.id == first.id
        assert (plain.state.status, plain.state.exit_code) == ("exited", 255)
        assert containers.find("stopped").state.status == "exited"
        assert [c.name for c in containers.all()] == ["stopped", "always", "plain"], "--rm containers are gone"
        assert machine.host.engine.images.resolve(plain.image_id) is not None
    finally:
        await machine.stop()


async def test_stopping_is_quick_and_leaves_no_task(directory: Path) -> None:  # noqa: F811
    loop, before = asyncio.get_running_loop(), len(asyncio.all_tasks())
    machine = Machine(directory)
    await machine.start()
    for n in range(20):
        await _run(machine, f"busy{n}", "always" if n % 2 else "unless-stopped")
    session = machine.session()
    following = asyncio.create_task(session.get("/v1.41/containers/busy0/logs?follow=1&stdout=1"))
    watching = asyncio.create_task(session.get("/v1.41/events"))
    await asyncio.gather(following, watching)
    begin = loop.time()
    await machine.stop()
    assert loop.time() - begin < 2.0
    await session.close()
    assert len(asyncio.all_tasks()) <= before

    await machine.start()  # both policies bring them back after an orderly stop too
    try:
        await asyncio.gather(*(_running(machine, f"busy{n}") for n in range(20)))
    finally:
        await machine.stop()
