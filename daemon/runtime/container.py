"""The simulated runtime's container: the processes of one container, its files and its network stack."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from daemon.runtime.context import ProcessContext
from daemon.runtime.descriptor import Description, PipeReader, PipeWriter
from daemon.runtime.filesystem import Filesystem
from daemon.runtime.kernelfs import mount
from daemon.runtime.process import SIGKILL, PermissionDenied, Process, ProgramNotFound
from daemon.runtime.tty import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from daemon.runtime.images import Image
    from daemon.runtime.pipe import Pipe
    from daemon.runtime.process import Program
    from overlay.sandbox import Sandbox

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class World(Protocol):
    """What comes from outside: the wall clock, chance and secrets."""

    @property
    def wall(self) -> Callable[[], float]: ...
    @property
    def random(self) -> Random: ...
    @property
    def entropy(self) -> Callable[[int], bytes]: ...


def _environment(entries: Sequence[str]) -> dict[str, str]:
    """NAME=value strings as a dict; a name alone is empty."""
    split = (entry.partition("=") for entry in entries)
    return {name: value for name, _, value in split}


class ExecFormatError(PermissionDenied):
    """The kernel would not know what to do with the file."""


async def _cannot_execute(p: ProcessContext) -> int:
    """What runc's init says when the kernel refuses the file, after the container has been started."""
    await p.error(f"exec {p.argv[0]}: exec format error")
    return 255


class NotADirectory(Exception):
    """The working directory is not there or no directory."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class NoSuchAccount(Exception):
    """A user or group that the container's /etc/passwd or /etc/group does not know."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"unable to find {kind} {name}: no matching entries in {kind.replace('user', 'passwd')} file")


class Guest:
    """What runs inside one container.

    The first process spawned is PID 1; when it ends, all others are killed. After that the guest may be used again
    (a restarted container keeps its files): the next spawn is PID 1 again, and `sandbox` may have been set anew.
    """

    def __init__(
        self, *, hostname: str, image: Image, env: Sequence[str], sandbox: Sandbox, world: World, domainname: str = ""
    ) -> None:
        self.hostname = hostname
        self.domainname = domainname
        self.image = image
        self.set_environment(env)
        self.groups: list[str] = []  # names or numbers of the groups that every process is in besides its user's
        self.sandbox = sandbox
        self.world = world
        self.files = Filesystem(image.tree, wall=world.wall)
        self.gate: asyncio.Future[None] | None = None
        self._processes: dict[int, Process] = {}
        self._next_pid = 1
        self._ending: list[Process] = []
        self.booted = world.wall()
        mount(self)

    def set_environment(self, env: Sequence[str]) -> None:
        """NAME=value, over what the image says; for processes to come."""
        self.env = _environment((*self.image.env, *env))

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Sequence[str] = (),
        cwd: str = "/",
        stdin: Pipe,
        stdout: Pipe,
        stderr: Pipe,
        user: str = "",
        tty: bool = False,
    ) -> Process:
        """Start a program. `env` (NAME=value) is added to the container's. The pipes' far ends are the engine's.

        With `tty` the process gets a terminal between `stdin` and `stdout` (echo, line editing, ^C); `stderr` is not
        used then. Raises ProgramNotFound, PermissionDenied, NotADirectory, NoSuchAccount.
        """
        directory = cwd or "/"
        self._check_user(user)
        if not self.files.is_dir(directory):
            raise NotADirectory(directory)
        environment = dict(self.env)
        environment.setdefault("PATH", DEFAULT_PATH)
        environment["HOSTNAME"] = self.hostname
        if tty:
            environment.setdefault("TERM", "xterm")
        environment.update(_environment(env))
        environment.setdefault("HOME", self._home(user))
        try:
            program, arguments = self.find_program(argv, environment, directory, shell=False)
        except ExecFormatError:
            program, arguments = _cannot_execute, list(argv)
        if not self._processes:
            self._next_pid = 1
        terminal: Terminal | None = None
        if tty:
            terminal = Terminal(self, stdin, stdout)
            descriptors: dict[int, Description] = {0: terminal, 1: terminal.duplicate(), 2: terminal.duplicate()}
        else:
            out = PipeWriter(stdout)
            descriptors = {0: PipeReader(stdin), 1: out, 2: out.duplicate() if stderr is stdout else PipeWriter(stderr)}
        process = self.new_process(
            arguments,
            env=environment,
            cwd=directory,
            descriptors=descriptors,
            parent=None,
            group=0,
            user=user,
            terminal=terminal,
        )
        if terminal is not None:
            terminal.foreground = process.group
        process.run(program)
        return process

    def processes(self) -> list[Process]:
        """Those that run, by pid."""
        return [self._processes[pid] for pid in sorted(self._processes)]

    def process(self, pid: int) -> Process | None:
        return self._processes.get(pid)

    def signal_all(self, number: int) -> None:
        """Every process gets it, PID 1 last."""
        for process in reversed(self.processes()):
            process.kill(number)

    def signal_group(self, group: int, number: int) -> None:
        """Every process of a process group (the terminal's ^C)."""
        for process in self.processes():
            if process.group == group:
                process.kill(number)

    def pause(self) -> None:
        """No process takes another step until `unpause`; its packets' stack goes on (as the freezer cgroup)."""
        if self.gate is None:
            self.gate = asyncio.get_running_loop().create_future()

    def unpause(self) -> None:
        if self.gate is not None:
            gate, self.gate = self.gate, None
            gate.set_result(None)

    async def stop(self) -> None:
        """Kill everything and wait until it is gone."""
        self.unpause()
        ending = [*self._ending, *self.processes()]
        self.signal_all(SIGKILL)
        await asyncio.gather(*(process.join() for process in ending))
        self._ending.clear()

    def find_program(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, *, shell: bool = True
    ) -> tuple[Program, list[str]]:
        """The coroutine for argv[0] by PATH (execvp(3)), and the argv it gets (changed for #! scripts).

        `shell`: what is neither a program nor a script with #! goes to /bin/sh, as shells do; else it is refused, as
        by execve(2). Raises ProgramNotFound, PermissionDenied, ExecFormatError.
        """
        if not argv or not argv[0]:
            raise ProgramNotFound("")
        name = argv[0]
        if "/" in name:
            candidates = [name if name.startswith("/") else f"{cwd}/{name}"]
        else:
            candidates = [f"{place}/{name}" for place in env.get("PATH", DEFAULT_PATH).split(":") if place]
        denied = False
        for path in candidates:
            if not self.files.is_file(path):
                denied = denied or ("/" in name and self.files.is_dir(path))
                continue
            stat = self.files.stat(path)
            if not stat.mode & 0o111:
                denied = True
                continue
            if stat.program is not None:
                if path.endswith("/busybox") and len(argv) > 1:
                    return self.find_program(argv[1:], env, cwd)
                return stat.program, list(argv)
            first = self.files.head(path, 128).split(b"\n", 1)[0]
            if first.startswith(b"\x7fELF"):
                return self._by_name(path, first, argv, env, cwd)
            if not first.startswith(b"#!") and not shell:
                raise ExecFormatError(name)
            interpreter = first[2:].decode(errors="replace").split(None, 1) if first.startswith(b"#!") else ["/bin/sh"]
            if interpreter and interpreter[0] != path:
                return self.find_program([*interpreter, path, *argv[1:]], env, cwd)
        if denied:
            raise PermissionDenied(name)
        raise ProgramNotFound(name)

    def _by_name(
        self, path: str, first: bytes, argv: Sequence[str], env: Mapping[str, str], cwd: str
    ) -> tuple[Program, list[str]]:
        """An executable that came in a tarball: one of ours by the name in its mark, else by its file's name."""
        mark = first.removeprefix(b"\x7fELF ").decode("utf-8", "replace")
        for name in (mark, path.rsplit("/", 1)[-1]):
            if name == "busybox" and len(argv) > 1:
                return self.find_program(argv[1:], env, cwd)
            if (program := self.image.programs.get(name)) is not None:
                return program, list(argv)
        raise ExecFormatError(argv[0])

    def user_id(self, user: str) -> int:
        """The uid of a `--user` value (name, uid, with or without :group)."""
        name = user.split(":")[0]
        if not name:
            return 0
        if name.isdigit():
            return int(name)
        return next((int(fields[2]) for fields in self.accounts() if fields[0] == name), 0)

    def group_ids(self, user: str) -> list[int]:
        """Of a `--user` value: the group, then those of --group-add."""
        name, _, group = user.partition(":")
        account = next((row for row in self.accounts() if name in (row[0], row[2])), None)
        first = self._group(group) if group else int(account[3]) if account is not None else 0
        return list(dict.fromkeys([first or 0, *(self._group(extra) or 0 for extra in self.groups)]))

    def _group(self, name: str) -> int | None:
        if name.isdigit():
            return int(name)
        rows = self.files.text("/etc/group").splitlines() if self.files.is_file("/etc/group") else []
        return next((int(f[2]) for f in (row.split(":") for row in rows) if f[0] == name and f[2].isdigit()), None)

    def _check_user(self, user: str) -> None:
        name, _, group = user.partition(":")
        if name and not name.isdigit() and not any(row[0] == name for row in self.accounts()):
            raise NoSuchAccount("user", name)
        for wanted in [group] * bool(group) + self.groups:
            if self._group(wanted) is None:
                raise NoSuchAccount("group", wanted)

    def _home(self, user: str) -> str:
        name = user.partition(":")[0] or "0"
        row = next((row for row in self.accounts() if name in (row[0], row[2])), None)
        return row[5] or "/" if row is not None else "/root" if name == "0" else "/"

    def accounts(self) -> list[list[str]]:
        """/etc/passwd, split."""
        if not self.files.is_file("/etc/passwd"):
            return []
        lines = [line.split(":") for line in self.files.text("/etc/passwd").splitlines()]
        return [fields for fields in lines if len(fields) >= 7 and fields[2].isdigit()]

    # -- for Process -------------------------------------------------------------------------------------------

    def new_process(
        self,
        argv: list[str],
        *,
        env: dict[str, str],
        cwd: str,
        descriptors: dict[int, Description],
        parent: Process | None,
        group: int,
        user: str,
        terminal: Terminal | None,
    ) -> Process:
        pid = self._next_pid
        self._next_pid += 1
        process = Process(
            self,
            pid,
            argv,
            env=env,
            cwd=cwd,
            descriptors=descriptors,
            parent=parent,
            group=group or pid,
            user=user,
            terminal=terminal,
        )
        self._processes[pid] = process
        if parent is not None:
            parent.children.append(process)
        return process

    def process_ended(self, process: Process) -> None:
        self._processes.pop(process.pid, None)
        init = self._processes.get(1)
        for child in process.children:
            child.parent = init
        if process.parent is not None and process in process.parent.children:
            process.parent.children.remove(process)
            process.parent.kill(17)
        self._ending = [other for other in self._ending if other.exit_code is None]
        if process.pid == 1:
            self.unpause()
            self._ending.extend(self.processes())
            for other in self.processes():
                other.kill(SIGKILL)
