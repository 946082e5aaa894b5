"""Only what was started is stopped: a pid that now belongs to another process is left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from scenarios.launch.process import ProcessId, identify, is_alive, send_signal, stop, wait_gone

_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


def started(code: str) -> tuple[subprocess.Popen[str], ProcessId]:
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    process = identify(child.pid)
    assert process is not None
    return child, process


def test_a_process_of_another_start_is_not_ours() -> None:
    child, process = started("print('up', flush=True); import time; time.sleep(60)")
    try:
        stranger = replace(process, started=process.started + "0")
        assert not is_alive(stranger)
        assert not send_signal(stranger, signal.SIGKILL)
        assert stop([stranger], grace=0.1) == []
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
    assert not is_alive(process)


@pytest.mark.parametrize(
    ("code", "killed"), [("print('up', flush=True); import time; time.sleep(60)", False), (_STUBBORN, True)]
)
def test_stop_asks_first_and_kills_those_who_stay(code: str, killed: bool) -> None:
    child, process = started(code)
    began = time.monotonic()
    assert stop([process], grace=0.5) == ([process] if killed else [])
    assert not is_alive(process)
    assert (time.monotonic() - began >= 0.5) is killed
    child.wait()


def test_a_paused_process_is_stopped_too() -> None:
    child, process = started("print('up', flush=True); import time; time.sleep(60)")
    send_signal(process, signal.SIGSTOP)
    assert stop([process], grace=2.0) == []
    child.wait()


def test_waiting_for_one_that_stays_ends_in_time() -> None:
    child, process = started("print('up', flush=True); import time; time.sleep(60)")
    assert not wait_gone(process, 0.1)
    child.kill()
    assert wait_gone(process, 5.0)
    child.wait()
