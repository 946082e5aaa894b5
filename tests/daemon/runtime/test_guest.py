"""A guest's processes: PID 1's privileges, signals, exit codes, terminals, pauses, and what ends with what."""

from __future__ import annotations

import asyncio
import gc
import signal
import tracemalloc

import pytest

from daemon.runtime.container import NotADirectory
from daemon.runtime.context import ProcessContext
from daemon.runtime.images import Images
from daemon.runtime.pipe import Pipe
from daemon.runtime.process import ProgramNotFound
from tests.daemon.programs.guests import drain, make_guest, make_pair, run, shut, start

TERM, KILL, INT = int(signal.SIGTERM), int(signal.SIGKILL), int(signal.SIGINT)


async def test_first_process_ignores_sigterm_and_takes_all_down_when_killed() -> None:
    guest = make_guest()
    init = start(guest, "sleep", "600")
    other = start(guest, "sh", "-c", "sleep 500 & sleep 400; echo never")
    await asyncio.sleep(0.01)
    assert [(p.pid, p.ppid, p.name) for p in guest.processes()] == [
        (1, 0, "sleep"), (2, 0, "sh"), (3, 2, "sleep"), (4, 2, "sleep")]  # fmt: skip
    init.process.kill(TERM)
    await asyncio.sleep(0.01)
    assert init.process.exit_code is None
    init.process.kill(KILL)
    assert await init.process.wait() == 137
    assert await other.process.wait() == 137
    assert guest.processes() == []
    assert await drain(other.stdout) == ""
    again = await run(guest, "sh", "-c", "echo $$")
    assert again.stdout == "1\n"
    await shut(guest)


async def test_other_processes_die_of_sigterm_and_a_trap_catches_it() -> None:
    guest = make_guest()
    start(guest, "sleep", "600")
    plain = start(guest, "sleep", "600")
    trapping = start(guest, "sh", "-c", "trap 'echo caught; exit 3' TERM; echo ready; sleep 600 & wait")
    assert await trapping.stdout.readline() == b"ready\n"
    plain.process.kill(TERM)
    trapping.process.kill(TERM)
    assert await plain.process.wait() == 143
    assert await trapping.process.wait() == 3
    assert await trapping.stdout.readline() == b"caught\n"
    await shut(guest)


async def test_shell_as_first_process_runs_its_trap_and_waits_for_children() -> None:
    guest = make_guest()
    init = start(guest, "sh", "-c", "trap 'echo bye; exit 0' TERM; sleep 600 & wait; echo never")
    await asyncio.sleep(0.01)
    init.process.kill(TERM)
    assert await asyncio.wait_for(init.process.wait(), 1) == 0
    assert await drain(init.stdout) == "bye\n"
    await shut(guest)


async def test_last_command_replaces_the_shell() -> None:
    guest = make_guest()
    start(guest, "sh", "-c", "true; sleep 600")
    await asyncio.sleep(0.01)
    assert [p.argv for p in guest.processes()] == [["sleep", "600"]]
    await shut(guest)


async def test_what_cannot_be_started_is_said() -> None:
    guest = make_guest()
    with pytest.raises(ProgramNotFound) as caught:
        start(guest, "nosuchcmd")
    assert caught.value.name == "nosuchcmd"
    with pytest.raises(NotADirectory):
        start(guest, "true", cwd="/nosuch")
    assert guest.processes() == []
    await shut(guest)


async def test_sockets_go_with_the_process() -> None:
    guest = make_guest()
    start(guest, "sleep", "600")
    server = start(guest, "httpd", "-f", "-p", "80", "-h", "/etc")
    await asyncio.sleep(0.01)
    assert [s.local[1] for s in guest.sandbox.sockets()] == [80]
    server.process.kill(KILL)
    await server.process.wait()
    assert guest.sandbox.sockets() == []
    await shut(guest)


async def test_paused_processes_take_no_step() -> None:
    guest = make_guest()
    ticker = start(guest, "sh", "-c", "while true; do echo tick; sleep 0.01; done")
    await ticker.stdout.readline()
    guest.pause()
    await asyncio.sleep(0.03)
    while ticker.stdout.buffered:
        await ticker.stdout.read()
    await asyncio.sleep(0.05)
    assert ticker.stdout.buffered == 0
    guest.unpause()
    assert await asyncio.wait_for(ticker.stdout.readline(), 1) == b"tick\n"
    await shut(guest)


async def test_stopped_process_continues() -> None:
    guest = make_guest()
    start(guest, "sleep", "600")
    process = start(guest, "sh", "-c", "sleep 0.02; echo done")
    process.process.kill(int(signal.SIGSTOP))
    await asyncio.sleep(0.05)
    assert process.process.exit_code is None
    process.process.kill(int(signal.SIGCONT))
    assert (await process.finish()).stdout == "done\n"
    await shut(guest)


async def test_terminal_echoes_edits_and_interrupts() -> None:
    guest = make_guest()
    start(guest, "sleep", "600")
    keys, screen = Pipe(), Pipe()
    shell = guest.spawn(["sh"], env=[], cwd="/", stdin=keys, stdout=screen, stderr=Pipe(), tty=True)
    seen = ""

    async def until(text: str) -> None:
        nonlocal seen
        while text not in seen:
            seen += (await asyncio.wait_for(screen.read(), 2)).decode()

    await until("/ # ")
    await keys.write(b"echo helx\x7flo\r")
    await until("hello\r\n/ # ")
    assert "echo helx\b \blo\r\nhello\r\n" in seen
    seen = ""
    await keys.write(b"sleep 100\r")
    await until("sleep 100\r\n")
    await asyncio.sleep(0.01)
    await keys.write(b"\x03")
    await until("/ # ")
    assert "^C\r\n" in seen
    seen = ""
    await keys.write(b"echo $?\r")
    await until("130\r\n/ # ")
    await keys.write(b"cat > f\rline\r\x04cat f\r")  # typed ahead, so all of it is echoed before anything is read
    await until("/ # line\r\n/ # ")
    await keys.write(b"\x1b[A\r")  # the last command again
    await until("cat f\r\nline\r\n")
    await keys.write(b"exit 4\r")
    assert await asyncio.wait_for(shell.wait(), 2) == 4
    await shut(guest)


async def test_guests_of_one_image_share_what_they_do_not_write() -> None:
    images = Images()
    one, two = make_guest(images=images), make_guest(images=images)
    await run(one, "sh", "-c", "echo mine > /etc/motd; rm /bin/ls; echo x >> /etc/passwd")
    assert "motd" not in two.files.listdir("/etc")
    assert two.files.exists("/bin/ls")
    assert two.files.text("/etc/passwd").endswith("nologin\n")
    await shut(one, two)


async def test_full_disk_is_an_error_that_programs_tell() -> None:
    guest = make_guest()
    guest.files.tree.limit = 100_000
    result = await run(guest, "sh", "-c", "yes | head -c 200000 > /tmp/big; wc -c < /tmp/big")
    assert "No space left on device" in result.stderr
    assert int(result.stdout) <= 100_000
    await run(guest, "rm", "/tmp/big")
    assert (await run(guest, "sh", "-c", "yes | head -c 90000 > /tmp/fits; wc -c < /tmp/fits")).stdout == "90000\n"
    await shut(guest)


async def test_a_coroutine_is_an_image() -> None:
    async def greeter(p: ProcessContext) -> int:
        listener = p.keep(p.sandbox.tcp_listen("0.0.0.0", 7))
        while True:
            connection = await listener.accept()
            await connection.write(f"hello from {p.hostname}\n".encode())
            connection.close()

    images = Images()
    image = images.register("greeter", greeter, exposed_ports=("7/tcp",))
    assert images.resolve("greeter") is image and image.tags == ("greeter:latest",)
    guest = make_guest("g1", "greeter", images)
    start(guest, *image.entrypoint)
    await asyncio.sleep(0.01)
    assert (await run(guest, "nc", "127.0.0.1", "7")).stdout == "hello from g1\n"
    await shut(guest)


def test_unknown_images_are_none_and_names_are_normalised() -> None:
    images = Images()
    alpine = images.resolve("alpine")
    assert alpine is not None
    assert images.resolve("docker.io/library/alpine:latest") is alpine
    assert images.resolve(alpine.id) is alpine and images.resolve(alpine.id[7:19]) is alpine
    assert images.resolve("nosuchimage:latest") is None and images.resolve("alpine:0.1") is None


async def test_kernel_files_show_the_stack() -> None:
    one, two = make_pair()
    start(one, "sleep", "600")
    script = "cd /sys/class/net; cat eth0/mtu eth0/address; ls; cat /proc/1/comm; cat /proc/self/comm"
    assert (await run(one, "sh", "-c", script)).stdout == "1450\n02:42:0a:00:00:02\neth0\nlo\nsleep\ncat\n"
    await shut(one, two)


async def test_a_sleeping_container_is_cheap() -> None:
    images = Images()
    warm = make_guest(images=images)
    start(warm, "sh", "-c", "true; sleep 600")
    await asyncio.sleep(0.01)
    gc.collect()
    tracemalloc.start()
    guests = [make_guest(f"c{n}", images=images, seed=n) for n in range(50)]
    for guest in guests:
        start(guest, "sh", "-c", "true; sleep 600")
    await asyncio.sleep(0.05)
    gc.collect()
    each = tracemalloc.get_traced_memory()[0] / len(guests)
    tracemalloc.stop()
    await shut(warm, *guests)
    assert each < 100_000, each
