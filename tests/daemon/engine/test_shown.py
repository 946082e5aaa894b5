"""How long ago, which processes, which files: what Docker's clients print of a container."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from daemon.engine import archive, top
from daemon.engine.changes import changes
from daemon.engine.container import Container
from daemon.engine.shown import human_duration
from daemon.errors import BadParameter, NotFound
from tests.daemon.api.conftest import Machine, directory  # noqa: F401 - a fixture


@pytest_asyncio.fixture
async def machine(directory: Path) -> AsyncIterator[Machine]:  # noqa: F811
    made = Machine(directory)
    await made.start()
    yield made
    await made.stop()


async def _run(machine: Machine, *command: str) -> Container:
    engine = machine.host.engine
    container, _ = engine.containers.create("shown", {"Image": "alpine", "Cmd": list(command)}, (1, 47))
    await engine.containers.lifecycle.start(container)
    return container


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "Less than a second"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (3600 * 47, "47 hours"),
        (86400 * 2, "2 days"),
        (86400 * 14, "2 weeks"),
        (86400 * 60, "2 months"),
        (86400 * 730, "2 years"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


async def test_processes(machine: Machine) -> None:
    container = await _run(machine, "sleep", "600")
    full = top.top(container, "-ef", 0.0)
    assert full["Titles"] == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert [row[-1] for row in full["Processes"]] == ["sleep 600"]
    assert top.top(container, "-eo pid,comm", 0.0)["Processes"] == [[str(container.state.pid), "sleep"]]
    assert top.top(container, "aux", 0.0)["Titles"][0] == "USER"
    with pytest.raises(BadParameter):
        top.top(container, "-o nonsense", 0.0)


async def test_files_out_in_and_changed(machine: Machine) -> None:
    container = await _run(machine, "sleep", "600")
    guest = container.guest
    assert guest is not None
    files = guest.files
    files.mkdir("/opt/kept/deep", parents=True)
    files.write("/opt/kept/deep/text", b"hello")
    files.symlink("text", "/opt/kept/deep/link")
    packed = archive.pack(files, "/opt/kept")
    files.mkdir("/srv/copy")
    archive.unpack(files, "/srv/copy", packed, "shown")
    assert files.read("/srv/copy/kept/deep/text") == b"hello"
    assert files.readlink("/srv/copy/kept/deep/link") == "text"
    assert archive.path_stat(files, "/opt/kept/deep/text", "shown")["size"] == 5
    with pytest.raises(NotFound, match="Could not find the file /nosuch in container shown"):
        archive.unpack(files, "/nosuch", packed, "shown")
    with pytest.raises(BadParameter, match="tar"):
        archive.unpack(files, "/srv", b"not an archive" * 100, "shown")
    files.remove("/etc/alpine-release")
    found = {change["Path"]: change["Kind"] for change in changes(files, guest.image.tree)}
    assert found["/opt"] == 0 and found["/opt/kept/deep/text"] == 1 and found["/etc/alpine-release"] == 2
    assert not any(path.startswith(("/proc", "/sys", "/usr")) for path in found)


async def test_an_archive_cannot_leave_its_directory(machine: Machine) -> None:
    container = await _run(machine, "sleep", "600")
    assert container.guest is not None
    files = container.guest.files
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as evil:
        entry = tarfile.TarInfo("../../etc/passwd")
        entry.size = 4
        evil.addfile(entry, io.BytesIO(b"evil"))
    before = files.read("/etc/passwd")
    archive.unpack(files, "/tmp", buffer.getvalue(), "shown")
    assert files.read("/etc/passwd") == before
    assert files.read("/tmp/etc/passwd") == b"evil"
