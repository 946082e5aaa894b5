"""When a container that ended is started again (moby's restartmanager)."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.engine.documents import JsonObject

FIRST_DELAY = 0.1  # seconds
LONGEST_DELAY = 60.0
LONGEST_RETRY = 5.0  # seconds between tries to start what could not be started: an address may be had again by now
RESET_AFTER = 10.0  # seconds of running after which the delay starts over


@dataclass(slots=True)
class RestartBackoff:
    """The delay before the next restart: doubles from FIRST_DELAY, starts over after a run of RESET_AFTER."""

    delay: float = 0.0

    def next_delay(self, ran_for: float) -> float:
        """Seconds to wait now that a run of `ran_for` seconds ended."""
        if ran_for >= RESET_AFTER or not self.delay:
            self.delay = FIRST_DELAY
        else:
            self.delay = min(self.delay * 2, LONGEST_DELAY)
        return self.delay


def wants_restart(policy: JsonObject, *, exit_code: int, restarts: int, manually_stopped: bool) -> bool:
    """Docker's RestartPolicy after an exit; `restarts` so far."""
    name = policy["Name"]
    if manually_stopped or name in ("", "no"):
        return False
    if name == "on-failure":
        limit = policy["MaximumRetryCount"]
        return exit_code != 0 and (limit == 0 or restarts < limit)
    return True


def wants_start_at_boot(policy: JsonObject, *, was_running: bool, exit_code: int, manually_stopped: bool) -> bool:
    """After the daemon itself was away: `always` in any case, the others only what ran."""
    name = policy["Name"]
    if name == "always":
        return was_running or manually_stopped
    if name == "unless-stopped":
        return was_running and not manually_stopped
    return bool(name == "on-failure" and was_running and exit_code != 0)
