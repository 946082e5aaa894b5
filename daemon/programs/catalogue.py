"""Which programs exist, by the name they have in an image. Names that are not here are Docker's "not found"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.programs import (
    basic,
    conditions,
    digests,
    files,
    formatting,
    identity,
    listing,
    processes,
    running,
    sorting,
    text,
)
from daemon.programs.awk import awk
from daemon.programs.curl import curl
from daemon.programs.dig import dig
from daemon.programs.find import find
from daemon.programs.grep import grep
from daemon.programs.http_server import httpd, nginx_server, whoami_server
from daemon.programs.interfaces import arp, ifconfig, route
from daemon.programs.iperf3 import iperf3
from daemon.programs.iproute import ip
from daemon.programs.netcat import nc, netcat
from daemon.programs.netstat import netstat, ss
from daemon.programs.nslookup import nslookup
from daemon.programs.ping import ping
from daemon.programs.sed import sed
from daemon.programs.shell.main import sh
from daemon.programs.tcpdump import tcpdump
from daemon.programs.traceroute import traceroute
from daemon.programs.wget import wget

if TYPE_CHECKING:
    from daemon.runtime.context import Program

__all__ = ["BUSYBOX", "EXTRA", "nginx_server", "whoami_server"]

#: /bin of every image.
BUSYBOX: dict[str, Program] = {
    "[": conditions.test,
    "[[": conditions.test,
    "arp": arp,
    "ash": sh,
    "awk": awk,
    "base64": digests.base64,
    "basename": basic.basename,
    "cat": text.cat,
    "chgrp": files.chown,
    "chmod": files.chmod,
    "chown": files.chown,
    "clear": listing.clear,
    "cmp": digests.cmp,
    "cp": files.cp,
    "cut": text.cut,
    "date": identity.date,
    "dd": files.dd,
    "df": listing.df,
    "dirname": basic.dirname,
    "du": listing.du,
    "echo": basic.echo,
    "egrep": grep,
    "env": identity.env,
    "expr": conditions.expr,
    "false": basic.false,
    "fgrep": grep,
    "find": find,
    "grep": grep,
    "hd": digests.hexdump,
    "head": text.head,
    "hexdump": digests.hexdump,
    "hostname": identity.hostname,
    "httpd": httpd,
    "id": identity.id_,
    "ifconfig": ifconfig,
    "ip": ip,
    "kill": processes.kill,
    "killall": processes.killall,
    "ln": files.ln,
    "ls": listing.ls,
    "md5sum": digests.digest,
    "mkdir": files.mkdir,
    "mktemp": listing.mktemp,
    "mv": files.mv,
    "nl": text.nl,
    "nc": nc,
    "netstat": netstat,
    "nohup": running.nohup,
    "nproc": identity.nproc,
    "nslookup": nslookup,
    "od": digests.od,
    "paste": text.paste,
    "pidof": processes.pidof,
    "ping": ping,
    "ping6": ping,
    "printenv": identity.printenv,
    "printf": formatting.printf,
    "ps": processes.ps,
    "pwd": basic.pwd,
    "readlink": listing.readlink,
    "realpath": listing.realpath,
    "rev": text.rev,
    "rm": files.rm,
    "rmdir": files.rmdir,
    "route": route,
    "sed": sed,
    "seq": basic.seq,
    "sh": sh,
    "sha1sum": digests.digest,
    "sha256sum": digests.digest,
    "sha512sum": digests.digest,
    "sleep": basic.sleep,
    "sort": sorting.sort,
    "stat": listing.stat,
    "tac": text.tac,
    "tail": text.tail,
    "tee": text.tee,
    "test": conditions.test,
    "time": running.time,
    "timeout": running.timeout,
    "top": processes.top,
    "touch": files.touch,
    "tr": text.tr,
    "traceroute": traceroute,
    "traceroute6": traceroute,
    "true": basic.true,
    "truncate": files.truncate,
    "tty": identity.tty,
    "uname": identity.uname,
    "uniq": sorting.uniq,
    "uptime": identity.uptime,
    "usleep": basic.usleep,
    "watch": running.watch,
    "wc": text.wc,
    "wget": wget,
    "which": identity.which,
    "whoami": identity.whoami,
    "xargs": running.xargs,
    "xxd": digests.xxd,
    "yes": basic.yes,
}

#: /usr/bin of every image: what busybox has not, and the anchors' image had.
EXTRA: dict[str, Program] = {
    "curl": curl,
    "dig": dig,
    "iperf3": iperf3,
    "nc.openbsd": netcat,
    "netcat": netcat,
    "ss": ss,
    "tcpdump": tcpdump,
}
