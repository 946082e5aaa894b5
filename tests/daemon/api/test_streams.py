"""Attach, exec, logs, wait and events over hijacked and plain connections, by docker-py and by the CLI."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import socket
from collections.abc import AsyncIterator

import aiohttp
import docker
import pytest_asyncio
from docker.errors import ContainerError, ImageNotFound

from tests.daemon.api.conftest import Machine


@pytest_asyncio.fixture
async def client(machine: Machine) -> AsyncIterator[docker.DockerClient]:
    """docker-py; it blocks, so its calls go through `asyncio.to_thread`."""
    made = await asyncio.to_thread(docker.DockerClient, machine.url)
    yield made
    made.close()


async def test_docker_py_runs_and_execs(client: docker.DockerClient) -> None:
    def story() -> None:
        assert client.containers.run("alpine", "echo hi", remove=True) == b"hi\n"
        try:
            client.containers.run("alpine", ["sh", "-c", "echo no >&2; exit 3"], remove=True)
            raise AssertionError("exit status 3 went unnoticed")
        except ContainerError as error:
            assert error.exit_status == 3 and error.stderr == b"no\n"
        try:
            client.containers.run("nosuch", "true")
            raise AssertionError("there is no such image")
        except ImageNotFound:
            pass
        kept = client.containers.run("alpine", "sleep 600", detach=True)
        # docker-py loses output that comes together with the answer's head; 30 times, for it is a race
        for _ in range(30):
            assert kept.exec_run("echo x") == (0, b"x\n")
        assert kept.exec_run(["sh", "-c", "echo out; echo err >&2; exit 2"], demux=True) == (2, (b"out\n", b"err\n"))
        execution = client.api.exec_create(kept.id, ["cat"], stdin=True)
        stream = client.api.exec_start(execution["Id"], socket=True)
        stream._sock.sendall(b"through\n")
        assert stream._sock.recv(100)[8:] == b"through\n"
        stream._sock.shutdown(1)  # a half-close: cat ends, and its output's end comes back
        assert stream._sock.recv(100) == b""
        stream.close()
        assert client.api.exec_inspect(execution["Id"])["ExitCode"] == 0
        kept.kill()
        assert kept.wait()["StatusCode"] == 137
        kept.remove()

    await asyncio.to_thread(story)


async def test_attach_before_start_and_logs_after(client: docker.DockerClient) -> None:
    def story() -> None:
        made = client.containers.create("alpine", ["sh", "-c", "read x; echo got $x; echo end >&2"], stdin_open=True)
        stream = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        made.start()
        stream._sock.sendall(b"word\n")
        assert stream._sock.recv(100)[8:] == b"got word\n"
        assert made.wait()["StatusCode"] == 0
        assert made.logs() == b"got word\nend\n"
        assert made.logs(stderr=False) == b"got word\n"
        assert made.logs(tail=1) == b"end\n"
        assert made.attach(logs=True, stream=False) == b"got word\nend\n"
        stamped = made.logs(timestamps=True, tail=1).split(b" ")
        assert len(stamped[0]) == len("2026-11-24T02:13:35.123456789Z") and stamped[1] == b"end\n"

    await asyncio.to_thread(story)


async def test_the_last_that_one_who_detaches_reads(client: docker.DockerClient) -> None:
    """Nothing of a container, a line of an exec: as docker-py's own tests want it of Docker."""

    def rest(connection: socket.socket) -> bytes:
        return b"".join(iter(lambda: connection.recv(1000), b""))

    def story() -> None:
        made = client.containers.run("alpine", "cat", tty=True, stdin_open=True, detach=True)
        execution = client.api.exec_create(made.id, ["cat"], stdin=True, tty=True)
        attached = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        entered = client.api.exec_start(execution["Id"], socket=True, tty=True)
        for stream in (attached, entered):
            stream._sock.sendall(b"\x10\x11")
        assert b"escape" not in rest(attached._sock)
        assert rest(entered._sock).endswith(b"exec attach failed: error on attach stdin: read escape sequence\r\n")
        for stream in (attached, entered):
            stream.close()
        made.reload()
        assert made.status == "running"
        made.remove(force=True)

    await asyncio.to_thread(story)


async def test_following_ends_with_the_container(client: docker.DockerClient) -> None:
    def story() -> list[bytes]:
        made = client.containers.run("alpine", ["sh", "-c", "echo a; sleep 0.2; echo b"], detach=True)
        return list(made.logs(stream=True, follow=True))

    assert b"".join(await asyncio.to_thread(story)) == b"a\nb\n"


async def test_much_output_arrives_whole(machine: Machine, docker_cli: str) -> None:
    script = "i=0; while [ $i -lt 400 ]; do echo $i-$(printf %0500d 0); i=$((i+1)); done"
    printed = await machine.shell(f"docker run --rm alpine sh -c '{script}'")
    lines = printed.stdout.splitlines()
    assert printed.exit == 0 and len(lines) == 400
    assert [line.partition("-")[0] for line in lines] == [str(n) for n in range(400)]


async def test_wait_sends_its_head_at_once(api: aiohttp.ClientSession) -> None:
    await api.post("/v1.41/containers/create?name=later", json={"Image": "alpine", "Cmd": ["sh", "-c", "exit 5"]})
    async with api.post("/v1.41/containers/later/wait?condition=next-exit") as waiting:
        assert waiting.status == 200, "the CLI starts the container only after this"
        await api.post("/v1.41/containers/later/start")
        assert await waiting.json() == {"Error": None, "StatusCode": 5}
    async with api.post("/v1.41/containers/later/wait") as waiting:
        assert (await waiting.json())["StatusCode"] == 5


async def test_events_end_at_until(api: aiohttp.ClientSession, machine: Machine) -> None:
    now = machine.host.world.wall()
    labelled = {"Image": "alpine", "Cmd": ["true"], "Labels": {"k": "v"}}
    await api.post("/v1.41/containers/create?name=seen", json=labelled)
    await api.post("/v1.41/containers/create?name=other", json={"Image": "alpine", "Cmd": ["true"]})
    await api.post("/v1.41/containers/seen/start")
    query = {"since": str(now), "until": str(now + 0.6), "filters": '{"container":["seen"],"label":{"k=v":true}}'}
    async with api.get("/v1.41/events", params=query) as answer:
        seen = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert [event["Action"] for event in seen] == ["create", "start", "die"]
    assert seen[-1]["Actor"]["Attributes"] == {"k": "v", "image": "alpine", "name": "seen", "exitCode": "0"}
    assert seen[0]["timeNano"] < seen[1]["timeNano"] < seen[2]["timeNano"]


async def test_a_failed_start_answers_all_who_wait(api: aiohttp.ClientSession) -> None:
    body = {"Image": "alpine", "Cmd": ["nosuchcmd"], "HostConfig": {"AutoRemove": True}}
    await api.post("/v1.41/containers/create?name=bad", json=body)
    async with (
        api.post("/v1.41/containers/bad/attach?stream=1&stdout=1") as attached,
        api.post("/v1.41/containers/bad/wait?condition=removed") as waiting,
    ):
        async with api.post("/v1.41/containers/bad/start") as started:
            assert started.status == 400
            assert '"nosuchcmd": executable file not found in $PATH' in (await started.json())["message"]
        assert (await waiting.json())["StatusCode"] == 127
        assert await attached.read() == b""


async def test_a_terminal(machine: Machine, docker_cli: str) -> None:
    """An interactive shell on a pseudo-terminal: echo, CR LF, ^C, exit code."""
    master, slave = pty.openpty()
    environment = dict(os.environ, DOCKER_HOST=machine.url, DOCKER_CONFIG=str(machine.config.state_dir))
    process = await asyncio.create_subprocess_exec(
        docker_cli, "run", "-it", "--rm", "alpine", "sh",
        env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    loop = asyncio.get_running_loop()
    seen, changed = bytearray(), asyncio.Event()

    def readable() -> None:
        try:
            seen.extend(os.read(master, 4096))
        except OSError:
            loop.remove_reader(master)
        changed.set()

    async def until(text: bytes) -> None:
        async with asyncio.timeout(10):
            while text not in seen:
                changed.clear()
                await changed.wait()

    loop.add_reader(master, readable)
    try:
        await until(b"# ")
        os.write(master, b"echo two$((1+1))\r")
        await until(b"\r\ntwo2\r\n")
        os.write(master, b"sleep 100\r")
        await until(b"sleep 100\r\n")
        os.write(master, b"\x03")
        await until(b"^C")
        os.write(master, b"exit 7\r")
        async with asyncio.timeout(10):
            assert await process.wait() == 7
    finally:
        loop.remove_reader(master)
        os.close(master)


async def test_a_client_that_dies_leaves_nothing(machine: Machine, docker_cli: str) -> None:
    await machine.shell("docker run -d --name stays alpine sleep 600")
    before = len(asyncio.all_tasks())
    environment = dict(os.environ, DOCKER_HOST=machine.url)
    for arguments in (("exec", "-i", "stays", "cat"), ("logs", "-f", "stays"), ("attach", "stays"), ("events",)):
        process = await asyncio.create_subprocess_exec(
            docker_cli, *arguments, env=environment, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - what is awaited has no event
                await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) <= before
    running = await machine.shell("docker inspect -f '{{.State.Running}} {{.ExecIDs}}' stays")
    assert running.stdout.startswith("true")


async def test_a_start_survives_its_client(machine: Machine, api: aiohttp.ClientSession) -> None:
    """The client hangs up right after asking: the container is started all the same, and whole."""
    await api.post("/v1.41/containers/create?name=alone", json={"Image": "alpine", "Cmd": ["sleep", "600"]})
    _, writer = await asyncio.open_unix_connection(str(machine.config.socket))
    writer.write(b"POST /v1.41/containers/alone/start HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.transport.abort()
    container = machine.host.engine.containers.find("alone")
    async with asyncio.timeout(5):
        while not container.state.running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert container.endpoints["bridge"].ip_address.startswith("172.17.")


async def test_an_exec_ends_with_its_container(machine: Machine, docker_cli: str) -> None:
    await machine.shell("docker run -d --name short alpine sleep 600")
    execution = asyncio.create_task(machine.shell("docker exec short sleep 500"))
    container = machine.host.engine.containers.find("short")
    async with asyncio.timeout(5):
        while not any(exec_.running for exec_ in container.execs.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await machine.shell("docker kill short")
    printed = await execution
    assert (printed.exit, printed.stderr) == (137, "")
