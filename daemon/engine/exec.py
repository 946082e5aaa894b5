"""`docker exec`: a further process in a running container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.engine.container import Container
from daemon.engine.documents import JsonObject
from daemon.engine.lifecycle import not_running
from daemon.engine.spawning import CannotStart, Running, host_pid, spawn
from daemon.engine.streams import Streams
from daemon.errors import ApiError, BadParameter, Conflict, NotFound

if TYPE_CHECKING:
    from daemon.engine.engine import Engine
    from daemon.runtime.process import Process

KEPT = 512  # execs of one host that do not run (any more) and can still be asked for
_SPARE = 64
NOT_STARTED = 126  # exit code of an exec whose program could not be started
_RUNC = "OCI runtime exec failed: exec failed: unable to start container process: "


@dataclass(slots=True, eq=False)
class Exec:
    """One exec. `exit_code` is None until it ended."""

    id: str
    container: Container
    argv: list[str]
    env: list[str]
    cwd: str
    user: str
    tty: bool
    privileged: bool
    open_stdin: bool
    open_stdout: bool
    open_stderr: bool
    detach_keys: str
    streams: Streams
    running: bool = False
    started: bool = False
    exit_code: int | None = None
    pid: int = 0
    process: Process | None = None
    size: tuple[int, int] | None = None

    def to_api(self) -> JsonObject:
        config: JsonObject = {
            "tty": self.tty,
            "entrypoint": self.argv[0],
            "arguments": self.argv[1:],
            "privileged": self.privileged,
        }
        if self.user:
            config["user"] = self.user
        return {
            "ID": self.id,
            "Running": self.running,
            "ExitCode": self.exit_code,
            "ProcessConfig": config,
            "OpenStdin": self.open_stdin,
            "OpenStderr": self.open_stderr,
            "OpenStdout": self.open_stdout,
            "CanRemove": False,
            "ContainerID": self.container.id,
            "DetachKeys": self.detach_keys,
            "Pid": self.pid,
        }


def check_active(container: Container, ref: str) -> None:
    """Docker's getActiveContainer. `ref` is what the client called it."""
    if not container.state.running:
        raise not_running(container)
    if container.state.paused:
        raise Conflict(f"Container {ref} is paused, unpause the container before exec")
    if container.state.restarting:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")


class Execs:
    """All execs of this host."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_id: dict[str, Exec] = {}

    def find(self, identity: str) -> Exec:
        """NotFound("No such exec instance: …")."""
        found = self._by_id.get(identity)
        if found is None or found.container.state.status == "removing":
            raise NotFound(f"No such exec instance: {identity}")
        return found

    def create(self, container: Container, ref: str, body: JsonObject) -> Exec:
        """Raises Conflict when the container cannot run it, BadParameter."""
        check_active(container, ref)
        argv = body.get("Cmd") or []
        if isinstance(argv, str):
            argv = [argv]
        if not argv:
            raise BadParameter("No exec command specified")
        tty = bool(body.get("Tty"))
        made = Exec(
            id=self._engine.world.hex_id(),
            container=container,
            argv=list(argv),
            env=list(body.get("Env") or []),
            cwd=body.get("WorkingDir") or container.config["WorkingDir"] or "/",
            user=body.get("User") or container.config["User"],
            tty=tty,
            privileged=bool(body.get("Privileged")),
            open_stdin=bool(body.get("AttachStdin")),
            open_stdout=bool(body.get("AttachStdout")),
            open_stderr=bool(body.get("AttachStderr")),
            detach_keys=body.get("DetachKeys") or "",
            streams=Streams(open_stdin=bool(body.get("AttachStdin")), tty=tty),
        )
        if len(size := body.get("ConsoleSize") or []) == 2:
            made.size = (int(size[0]), int(size[1]))
        self._collect()
        self._by_id[made.id] = made
        container.execs[made.id] = made
        self._publish(made, f"exec_create: {' '.join(made.argv)}")
        return made

    def _collect(self) -> None:
        """Forget the oldest of those that do not run, and those of containers that are gone: now and then, for it goes
        over all."""
        if len(self._by_id) < KEPT + _SPARE:
            return
        for old in list(self._by_id.values()):
            if old.container.state.status == "removing":
                del self._by_id[old.id]
        idle = [e for e in self._by_id.values() if e.exit_code is not None or not e.started]
        for old in idle[: max(0, len(idle) - KEPT)]:
            del self._by_id[old.id]
            old.container.execs.pop(old.id, None)

    def check_start(self, exec_: Exec) -> None:
        """What must be refused before the stream begins."""
        if exec_.exit_code is not None:
            raise Conflict(f"Error: Exec command {exec_.id} has already run")
        if exec_.started:
            raise Conflict(f"Error: Exec command {exec_.id} is already running")
        check_active(exec_.container, exec_.container.name)

    def start(self, exec_: Exec) -> None:
        """Start the process. On failure exit code 126 is noted and runc's text raised as BadParameter."""
        self.check_start(exec_)
        exec_.started = True
        guest = exec_.container.guest
        try:
            if guest is None:
                raise not_running(exec_.container)
            running = spawn(
                self._engine.tasks,
                guest,
                exec_.argv,
                env=exec_.env,
                cwd=exec_.cwd,
                user=exec_.user,
                tty=exec_.tty,
                size=exec_.size,
                streams=exec_.streams,
                take=exec_.streams.deliver,
            )
        except ApiError as error:
            exec_.exit_code = NOT_STARTED
            exec_.container.execs.pop(exec_.id, None)
            exec_.streams.end()
            text = _RUNC + error.message if isinstance(error, CannotStart) else error.message
            raise BadParameter(text) from error
        exec_.process, exec_.running = running.process, True
        exec_.pid = host_pid(exec_.container, running.process.pid)
        self._publish(exec_, f"exec_start: {' '.join(exec_.argv)}")
        self._engine.tasks.spawn(self._watch(exec_, running), "exec")

    async def _watch(self, exec_: Exec, running: Running) -> None:
        """The exit code is there before the output ends: the CLI asks once, right after the end."""
        code = await running.ended()
        exec_.exit_code, exec_.running, exec_.process = code, False, None
        exec_.container.execs.pop(exec_.id, None)
        self._publish(exec_, "exec_die", {"exitCode": str(code)})
        exec_.streams.end()

    def _publish(self, exec_: Exec, action: str, attributes: dict[str, str] | None = None) -> None:
        self._engine.containers.publish(exec_.container, action, {"execID": exec_.id, **(attributes or {})})
