"""`DIR/swarm.json`: which hosts a state directory holds, which processes they are and where they listen.

Whoever comes later (`shoal down`, `ls`, `on`, `chaos`) knows the swarm from this file alone. It is written before
anything starts, so that whatever the launcher leaves behind when it is killed can be found.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scenarios.launch.errors import LaunchError, NotRunning
from scenarios.launch.localhttp import Place
from scenarios.launch.process import ProcessId, identify, is_alive

FILE = "swarm.json"


@dataclass(frozen=True, slots=True)
class Host:
    """One daemon. `address` is on the swarm's LAN, `real` is the machine's own address that stands for it. `tcp`: the
    ports of its two APIs on 127.0.0.1 where they are not on unix sockets."""

    name: str
    address: str
    real: str
    process: ProcessId
    directory: str
    tcp: tuple[int, int] | None = None

    @property
    def docker_api(self) -> Place:
        return ("127.0.0.1", self.tcp[0]) if self.tcp else Path(self.directory, "docker.sock")

    @property
    def control_api(self) -> Place:
        return ("127.0.0.1", self.tcp[1]) if self.tcp else Path(self.directory, "control.sock")

    @property
    def docker_host(self) -> str:
        return f"tcp://127.0.0.1:{self.tcp[0]}" if self.tcp else f"unix://{self.docker_api}"

    @property
    def log(self) -> Path:
        return Path(self.directory, "shoald.log")

    @property
    def config(self) -> Path:
        return Path(self.directory, "shoald.toml")

    @property
    def alive(self) -> bool:
        return is_alive(self.process)


@dataclass(frozen=True, slots=True)
class Swarm:
    """What `shoal up` started in one state directory. `where` is the block B of 127.0.B.x, or the first port."""

    directory: str
    mode: str
    where: int
    swarm: bool
    hosts: tuple[Host, ...]

    def host(self, name: str) -> Host:
        """Raises NotRunning when there is no such host."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise NotRunning(f"no host {name!r} in {self.directory}: there are {', '.join(h.name for h in self.hosts)}")

    def with_process(self, name: str, process: ProcessId) -> Swarm:
        return replace(self, hosts=tuple(replace(h, process=process) if h.name == name else h for h in self.hosts))

    @property
    def alive(self) -> list[Host]:
        return [host for host in self.hosts if host.alive]


def default_directory() -> Path:
    """`$SHOAL_STATE`, else `shoal` in the XDG state directory, else (no home to write to) a directory in tmp."""
    if given := os.environ.get("SHOAL_STATE"):
        return Path(given).absolute()
    if xdg := os.environ.get("XDG_STATE_HOME"):
        return Path(xdg, "shoal").absolute()
    home = Path(os.path.expanduser("~"), ".local", "state", "shoal")
    if not hasattr(os, "getuid"):
        return home
    # As setpriv and sudo leave it, HOME may be another user's, not even to be looked into.
    there = next((p for p in (home, *home.parents) if os.path.lexists(p)), Path("/"))
    if os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return home
    return Path(tempfile.gettempdir(), f"shoal-{os.getuid()}")


def resolve(given: Path | None) -> Path:
    return default_directory() if given is None else given.expanduser().absolute()


def save(swarm: Swarm) -> None:
    """Atomic: a reader sees the old file or the new one."""
    path = Path(swarm.directory, FILE)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(swarm), indent=1) + "\n")
    new.replace(path)


def load(directory: Path) -> Swarm | None:
    """The swarm of a state directory, or None; raises LaunchError for a file that is not ours."""
    path = directory / FILE
    try:
        data = json.loads(path.read_text())
        hosts = tuple(
            Host(**{**host, "process": ProcessId(**host["process"]), "tcp": tuple(host.get("tcp") or ()) or None})
            for host in data.pop("hosts")
        )
        return Swarm(**data, hosts=hosts)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise LaunchError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LaunchError(f"{path} is not a swarm's record (remove it if nothing runs there): {error}") from error


def running(directory: Path) -> Swarm:
    """The swarm of a state directory; raises NotRunning when there is none."""
    swarm = load(directory)
    if swarm is None:
        raise NotRunning(f"no swarm in {directory}; `shoal up` starts one")
    return swarm


@contextmanager
def _locked_by_file(directory: Path) -> Iterator[None]:
    """Where directories cannot be locked: a file that only one can create. One that a crash left names no live pid."""
    path = directory / "lock"
    while True:
        try:
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            holder = path.read_text() if path.exists() else ""
            if not holder.isdigit() or identify(int(holder)) is not None:
                raise LaunchError(f"another shoal is starting or stopping the swarm in {directory}") from None
            path.unlink(missing_ok=True)
    os.write(fd, str(os.getpid()).encode())
    os.close(fd)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One `up` or `down` at a time in a state directory: a lock on the directory itself, which leaves no file behind.

    Raises LaunchError at once when another holds it.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # not a Unix
        with _locked_by_file(directory):
            yield
        return
    while True:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise LaunchError(f"another shoal is starting or stopping the swarm in {directory}") from None
        try:
            same = os.path.sameopenfile(fd, (now := os.open(directory, os.O_RDONLY | os.O_CLOEXEC)))
            os.close(now)
        except FileNotFoundError:
            same = False
        if same:
            break
        os.close(fd)  # the directory was removed and made anew between open and lock
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield
    finally:
        os.close(fd)
