"""Which programs exist, by the name they have in an image. Names that are not here are Docker's "not found"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.programs import basic, conditions, formatting, processes
from daemon.programs.shell.main import sh

if TYPE_CHECKING:
    from daemon.runtime.process import Program

#: /bin of every image.
BUSYBOX: dict[str, Program] = {
    "sh": sh, "ash": sh, "[": conditions.test, "[[": conditions.test, "test": conditions.test,
    "basename": basic.basename, "dirname": basic.dirname, "echo": basic.echo, "expr": conditions.expr,
    "false": basic.false, "kill": processes.kill, "killall": processes.killall, "pidof": processes.pidof,
    "printf": formatting.printf, "ps": processes.ps, "pwd": basic.pwd, "seq": basic.seq, "sleep": basic.sleep,
    "top": processes.top, "true": basic.true, "usleep": basic.usleep, "yes": basic.yes,
}

#: /usr/bin of every image: what busybox has not, and the anchors' image had.
EXTRA: dict[str, Program] = {}
whoami_server = nginx_server = basic.true
