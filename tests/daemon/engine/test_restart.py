"""Which containers come back, and when."""

from __future__ import annotations

import pytest

from daemon.engine.restart import LONGEST_DELAY, RestartBackoff, wants_restart, wants_start_at_boot


def _policy(name: str, retries: int = 0) -> dict[str, object]:
    return {"Name": name, "MaximumRetryCount": retries}


@pytest.mark.parametrize(
    ("policy", "exit_code", "restarts", "stopped", "again"),
    [
        (_policy(""), 1, 0, False, False),
        (_policy("no"), 1, 0, False, False),
        (_policy("always"), 0, 99, False, True),
        (_policy("always"), 0, 0, True, False),
        (_policy("unless-stopped"), 0, 0, False, True),
        (_policy("on-failure"), 0, 0, False, False),
        (_policy("on-failure"), 1, 99, False, True),
        (_policy("on-failure", 2), 1, 1, False, True),
        (_policy("on-failure", 2), 1, 2, False, False),
    ],
)
def test_after_an_exit(policy: dict[str, object], exit_code: int, restarts: int, stopped: bool, again: bool) -> None:
    assert wants_restart(policy, exit_code=exit_code, restarts=restarts, manually_stopped=stopped) is again


@pytest.mark.parametrize(
    ("policy", "was_running", "exit_code", "stopped", "again"),
    [
        (_policy("no"), True, 255, False, False),
        (_policy("always"), True, 255, False, True),
        (_policy("always"), False, 0, True, True),  # Docker: always comes back with the daemon
        (_policy("unless-stopped"), True, 255, False, True),
        (_policy("unless-stopped"), False, 0, True, False),
        (_policy("on-failure"), True, 255, False, True),
        (_policy("on-failure"), False, 1, False, False),
        (_policy("always"), False, 0, False, False),  # only created, never started
    ],
)
def test_at_boot(policy: dict[str, object], was_running: bool, exit_code: int, stopped: bool, again: bool) -> None:
    wanted = wants_start_at_boot(policy, was_running=was_running, exit_code=exit_code, manually_stopped=stopped)
    assert wanted is again


def test_backoff_doubles_and_starts_over() -> None:
    backoff = RestartBackoff()
    assert [backoff.next_delay(0.1) for _ in range(4)] == [0.1, 0.2, 0.4, 0.8]
    assert max(backoff.next_delay(0.1) for _ in range(20)) == LONGEST_DELAY
    assert backoff.next_delay(11.0) == 0.1
