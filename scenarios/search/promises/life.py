"""Promises of one host's containers: how they begin, end and are looked after, and what they keep."""

from __future__ import annotations

import shlex

from scenarios.search.draft import PROMPT, Draft
from scenarios.search.promises.cast import IDLE, guest, known, leave, meeting, served, server, state, stay

_READY = "echo ready; while :; do sleep 0.1; done"


def pausing(draft: Draft) -> None:
    """A paused container does nothing; then it goes on."""
    at = meeting(draft, closed=True)
    asked, asker = server(draft, at.here, at.network.name), guest(draft, at.there, at.network.name)
    known(draft, asker, asked)
    served(draft, asker, asked)
    draft.add(draft.docker(at.here, f"pause {asked.name}"))
    draft.expect(exec=f"wget -q -T 1 -O - http://{asked.name}/", on=asker.place, lacks=asked.name + "\n")
    state(draft, asked, "paused 0")
    draft.expect(exec="true", on=asked.place, exit=125, prints="is paused")
    draft.expect(docker=f"start {asked.name}", on=at.here, exit=1, prints="paused")
    if draft.chance.random() < 0.3:
        draft.add(draft.docker(at.here, f"stop -t 1 {asked.name}"))
        state(draft, asked, "exited 137")
        draft.add(draft.docker(at.here, f"start {asked.name}"))
    else:
        draft.add(draft.docker(at.here, f"unpause {asked.name}"))
    state(draft, asked, "running 0")
    served(draft, asker, asked)
    leave(draft, asker)
    stay(draft, asked)


def stopping(draft: Draft) -> None:
    """A program is told, has its time, and then has none any more; what was stopped by hand stays so."""
    chance = draft.chance
    host = chance.choice(draft.hosts)
    signal, code = chance.choice(("TERM", "TERM", "USR1", "INT", "QUIT")), chance.randint(3, 60)
    policy = chance.choice(("no", "always", "unless-stopped", "on-failure:5"))
    takes = chance.choice((0, 0.5, 1))
    flags = ["--restart", policy, *(["--stop-signal", f"SIG{signal}"] if signal != "TERM" else [])]
    trap = f"trap 'echo told; sleep {takes}; echo bye; exit {code}' {signal}; "
    polite = guest(draft, host, "", *flags, program=trap + _READY)
    stubborn = guest(draft, host, "", "--restart", policy, program="trap '' TERM; " + _READY)
    for one in (polite, stubborn):
        draft.expect(docker=f"logs {one.name}", on=host, prints="ready", within=PROMPT)
    draft.add(draft.docker(host, f"stop {'-t 4 ' if chance.random() < 0.5 else ''}{polite.name}", within="5s"))
    state(draft, polite, f"exited {code}", **{"for": "2s"})
    draft.expect(docker=f"logs {polite.name}", on=host, prints="ready\ntold\nbye\n")
    draft.add(draft.docker(host, f"stop -t 1 {stubborn.name}", within="3s"))
    state(draft, stubborn, "exited 137", **{"for": "1500ms"})
    draft.add(draft.docker(host, f"start {polite.name}"))
    state(draft, polite, "running 0")
    draft.expect(docker=f"logs {polite.name}", on=host, prints="bye\nready\n", within=PROMPT)
    draft.expect(docker=f"rm {polite.name}", on=host, exit=1, prints="running")
    draft.add(draft.docker(host, f"kill {polite.name}"))
    state(draft, polite, "exited 137", **{"for": "1500ms"})
    leave(draft, polite, stubborn)


def signalled(draft: Draft) -> None:
    """A signal is a word to a program, no end."""
    host = draft.chance.choice(draft.hosts)
    signal = draft.chance.choice(("USR1", "HUP", "USR2"))
    one = guest(draft, host, "", program=f"trap 'echo heard {signal}' {signal}; " + _READY)
    draft.expect(docker=f"logs {one.name}", on=host, prints="ready", within=PROMPT)
    draft.add(draft.docker(host, f"kill -s {signal} {one.name}"))
    draft.expect(docker=f"logs {one.name}", on=host, prints=f"heard {signal}", within=PROMPT)
    state(draft, one, "running 0")
    leave(draft, one)


def ending(draft: Draft) -> None:
    """An exit status is told as it was; with --rm nothing is left, and the name is free."""
    chance = draft.chance
    host, code = chance.choice(draft.hosts), chance.randint(0, 120)
    seconds = chance.choice((0, 0.3))
    one = guest(draft, host, "", program=f"echo out; echo err >&2; sleep {seconds}; exit {code}")
    draft.expect(docker=f"wait {one.name}", on=host, prints=f"{code}\n")
    state(draft, one, f"exited {code}")
    draft.expect(docker=f"logs {one.name}", on=host, matches=r"\A(out\nerr|err\nout)\n\Z")
    draft.expect(docker=f"exec {one.name} true", on=host, exit=1, prints="is not running")
    name = draft.fresh("g")
    again = guest(draft, host, "", "--rm", name=name, program=f"sleep {seconds}")
    draft.expect(docker="ps -a", on=host, lacks=f"   {name}\n", within=PROMPT)
    leave(draft, one, guest(draft, host, "", name=again.name))
    words = shlex.join(["run", "-d", "--name", draft.fresh("g"), "alpine", "no-such-program"])
    draft.add({"docker": words, "on": host, "fails": "executable file not found"})
    draft.add(draft.docker(host, f"rm {words.split()[3]}"))


def made_first(draft: Draft) -> None:
    """`create` starts nothing; `start` does; what was set is so inside."""
    chance = draft.chance
    host, name = chance.choice(draft.hosts), draft.fresh("g")
    folder = chance.choice(("/tmp", "/var", "/made/for/it"))
    flags = ["--hostname", "its-name", "-e", f"COLOUR={name}", "-w", folder, "--add-host", "far-away:192.0.2.77"]
    program = "echo $COLOUR $PWD; grep far-away /etc/hosts; hostname; " + IDLE
    draft.add(draft.docker(host, shlex.join(["create", "--name", name, *flags, "alpine", "sh", "-c", program])))
    line = f"inspect -f '{{{{.State.Status}}}}' {name}"
    draft.expect(docker=line, on=host, prints="created")
    draft.add(draft.docker(host, f"start {name}"))
    told = rf"\A{name} {folder}\n192\.0\.2\.77\s+far-away\nits-name\n\Z"
    draft.expect(docker=f"logs {name}", on=host, matches=told, within=PROMPT)
    words = ["exec", "-e", "OTHER=x", "-w", "/", name, "sh", "-c", "echo $COLOUR $OTHER $PWD; exit 7"]
    draft.expect(docker=shlex.join(words), on=host, prints=f"{name} x /\n", exit=7)
    draft.add(draft.docker(host, f"restart -t 0 {name}"))
    draft.expect(docker=f"logs {name}", on=host, matches=r"(?s)its-name\n.*its-name\n\Z", within=PROMPT)
    draft.add(draft.docker(host, f"rm -f {name}"))


def health(draft: Draft) -> None:
    """A health check tells how it is with a container, after so many tries."""
    chance = draft.chance
    host, retries = chance.choice(draft.hosts), chance.choice((1, 2, 4))
    flags = ["--health-cmd", "cat /well", "--health-interval", "500ms", "--health-retries", str(retries)]
    grace = chance.choice((0, 2))
    flags += ["--health-start-period", f"{grace}s"] if grace else []
    one = guest(draft, host, "", *flags)
    line = f"inspect -f '{{{{.State.Health.Status}}}} {{{{.State.Health.FailingStreak}}}}' {one.name}"
    draft.expect(docker=line, on=host, matches="^starting 0")
    if grace or retries > 1:
        draft.expect(docker=line, on=host, matches="^starting ", **{"for": f"{grace + 0.5 * (retries - 1) - 0.2:.1f}s"})
    draft.expect(docker=line, on=host, matches="^unhealthy ", within=f"{1.5 * retries + 1}s")
    draft.expect(docker="ps", on=host, matches=rf"\(unhealthy\).*{one.name}\b")
    draft.add({"exec": "touch /well", "on": one.place})
    draft.expect(docker=line, on=host, matches="^healthy 0", within="1500ms")
    draft.add({"exec": "rm /well", "on": one.place})
    draft.expect(docker=line, on=host, matches=f"^unhealthy {retries}", within=f"{1.5 * retries + 1}s")
    leave(draft, one)


def volumes(draft: Draft) -> None:
    """A volume outlives its containers, is shared by those that have it, and is not removed under them."""
    chance = draft.chance
    host, name, text = chance.choice(draft.hosts), draft.fresh("vol"), draft.fresh("text")
    if chance.random() < 0.5:
        draft.add(draft.docker(host, f"volume create {name}"))
    writer = guest(draft, host, "", "-v", f"{name}:/data", "-v", "/own", program=f"echo {text} > /data/file; {IDLE}")
    reader = guest(draft, host, "", "-v", f"{name}:/there:ro")
    draft.expect(exec="cat /there/file", on=reader.place, prints=f"{text}\n", within=PROMPT)
    draft.expect(exec="touch /there/file2", on=reader.place, exit=1, prints="Read-only")
    draft.expect(exec="ls /there", on=reader.place, prints="file\n", lacks="file2")
    draft.add({"docker": f"volume rm {name}", "on": host, "fails": "in use"})
    draft.add(draft.docker(host, f"rm -f -v {writer.name}"))
    draft.add({"docker": f"volume rm {name}", "on": host, "fails": "in use"})
    leave(draft, reader)
    draft.expect(docker="volume ls -q", on=host, prints=f"{name}\n")
    last = guest(draft, host, "", "-v", f"{name}:/data")
    draft.expect(exec="cat /data/file", on=last.place, prints=f"{text}\n")
    draft.add(draft.docker(host, f"restart -t 0 {last.name}"))
    draft.expect(exec="cat /data/file", on=last.place, prints=f"{text}\n")
    leave(draft, last)
    draft.add(draft.docker(host, f"volume rm {name}"))
    draft.expect(docker="volume ls -q", on=host, matches=r"\A\s*\Z")
