"""A process of its own that makes runs, one after the other: `python -m scenarios.search.worker`, told by pipes.

A simulation has its process's logging and output for itself, and may hang or be killed; so each worker is a process, on
this machine and in a Dask cluster alike. Jobs come as pickles with their length before them, on standard input;
outcomes leave on what was standard output. When the other end is gone the worker ends, in the middle of a run too.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO

from scenarios.search.runs import Job, Outcome, lost, run_job

_LENGTH = struct.Struct(">Q")
_GRACE = 45.0
"""Real seconds beyond its limit in which a worker has to end a run by itself; then it is killed."""
_RUNS = 400
"""Runs after which a worker is replaced: what leaks in one run must not slow down the last of thousands."""


class Worker:
    """The near end, for one thread. The process is started when there is a job, and again whenever it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._runs = 0
        self._closed = False
        self._changing = threading.Lock()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def run(self, job: Job) -> Outcome:
        """Makes a run; what becomes of the worker in it is an outcome too."""
        started = time.monotonic()
        try:
            process = self._ready()
            assert process.stdin is not None and process.stdout is not None
            _send(process.stdin, pickle.dumps(job))
            data = _receive(process.stdout, started + job.limit + _GRACE)
        except _Late:
            self.end()
            return lost(job, f"the run did not end within {job.limit:g} s of real time, nor {_GRACE:g} s after that: "
                             "its worker was killed", time.monotonic() - started)  # fmt: skip
        except (OSError, EOFError):
            how = self._how_it_ended()
            self.end()
            return lost(job, f"the worker died: {how}", time.monotonic() - started)
        self._runs += 1
        outcome: Outcome = pickle.loads(data)
        if self._runs >= _RUNS or outcome.verdict == "error":
            self.end()
        return outcome

    def _ready(self) -> subprocess.Popen[bytes]:
        with self._changing:
            if self._closed:
                raise EOFError
            if self._process is None:
                self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
                self._runs = 0
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "scenarios.search.worker"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                )  # fmt: skip
            return self._process

    def _how_it_ended(self) -> str:
        if self._process is None or self._errors is None:
            return "it was ended"
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        return how + (f", {said[-1][:300]}" if said else "")

    def end(self) -> None:
        """Ends the process, in the middle of a run too."""
        with self._changing:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, self._errors):
                if stream is not None:
                    stream.close()

    def close(self) -> None:
        """For another thread: the process ends, and none is started any more."""
        with self._changing:
            self._closed = True
            if self._process is not None:
                self._process.kill()


class _Late(Exception):
    pass


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: IO[bytes], deadline: float) -> bytes:
    """Raises _Late, EOFError."""
    ready = select.poll()
    ready.register(pipe, select.POLLIN)
    found = bytearray()
    wanted = _LENGTH.size
    while len(found) < wanted:
        if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise _Late
        data = os.read(pipe.fileno(), 1 << 16)
        if not data:
            raise EOFError
        found += data
        if wanted == _LENGTH.size and len(found) >= wanted:
            wanted += _LENGTH.unpack_from(found)[0]
    return bytes(found[_LENGTH.size :])


def main() -> None:
    """The far end."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    jobs: queue.Queue[bytes] = queue.Queue(1)

    def listen() -> None:
        while True:
            head = sys.stdin.buffer.read(_LENGTH.size)
            if len(head) < _LENGTH.size:
                os._exit(0)
            jobs.put(sys.stdin.buffer.read(_LENGTH.unpack(head)[0]))

    threading.Thread(target=listen, daemon=True).start()
    gc.freeze()  # modules are looked at no more: only what a run leaves behind
    while True:
        _send(answers, pickle.dumps(run_job(pickle.loads(jobs.get()))))
        gc.collect()


if __name__ == "__main__":
    main()
