"""Which programs exist, by the name they have in an image. Names that are not here are Docker's "not found"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.programs import basic, conditions, formatting, identity, processes, text
from daemon.programs.http_server import httpd, nginx_server, whoami_server
from daemon.programs.iproute import ip
from daemon.programs.nslookup import nslookup
from daemon.programs.ping import ping
from daemon.programs.shell.main import sh
from daemon.programs.wget import wget

if TYPE_CHECKING:
    from daemon.runtime.process import Program

__all__ = ["BUSYBOX", "EXTRA", "nginx_server", "whoami_server"]

#: /bin of every image.
BUSYBOX: dict[str, Program] = {
    "sh": sh, "ash": sh, "[": conditions.test, "[[": conditions.test, "test": conditions.test,
    "basename": basic.basename, "dirname": basic.dirname, "echo": basic.echo, "expr": conditions.expr,
    "false": basic.false, "kill": processes.kill, "killall": processes.killall, "pidof": processes.pidof,
    "printf": formatting.printf, "ps": processes.ps, "pwd": basic.pwd, "seq": basic.seq, "sleep": basic.sleep,
    "cat": text.cat, "cut": text.cut, "date": identity.date, "env": identity.env, "head": text.head,
    "hostname": identity.hostname, "httpd": httpd, "id": identity.id_, "ip": ip, "nl": text.nl,
    "nproc": identity.nproc, "nslookup": nslookup, "ping": ping, "ping6": ping, "printenv": identity.printenv,
    "rev": text.rev, "tac": text.tac, "tail": text.tail, "tee": text.tee, "tr": text.tr, "tty": identity.tty,
    "uname": identity.uname, "uptime": identity.uptime, "wc": text.wc, "wget": wget, "which": identity.which,
    "whoami": identity.whoami,
    "top": processes.top, "true": basic.true, "usleep": basic.usleep, "yes": basic.yes,
}

#: /usr/bin of every image: what busybox has not, and the anchors' image had.
EXTRA: dict[str, Program] = {}
