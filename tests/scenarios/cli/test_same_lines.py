"""One list of command lines through the docker command on real daemons and through our parser in simulated time: the
same exit status, output and errors, but for what is chance (ids) or time. Of `events --until 0s` the docker command
makes whole seconds, so what it is to show must be a second old; of `images` it shows an image's repositories in any
order, so one of them is asked for."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import subprocess

import pytest

from scenarios.api import Swarm
from scenarios.api.lines import Printed

LINES = r"""h1 | network create -d overlay --attachable --subnet 10.7.0.0/24 ov
h2 | network create --subnet 10.8.0.0/24 --label tier=back --internal br
h1 | network create --subnet 10.9.0.0/24 --gateway 10.9.0.9 -o com.docker.network.bridge.enable_icc=false br2
h1 | network create -d overlay ov
h1 | network create -d nosuch bad
h1 | network ls
h1 | network ls -q
h1 | network ls -f driver=overlay --format {{.Name}}
h1 | network inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Attachable}} {{json .IPAM.Config}}' ov
h2 | network inspect nosuch
h1 | run -d --name web --network ov --ip 10.7.0.80 --network-alias www -p 8080:80 -e A=1 -l job=x nginx
h1 | run -d --name c1 --network ov --ip 10.7.0.11 alpine sleep 600
h2 | run -d --name c2 --network ov --ip 10.7.0.12 --hostname inner --restart always alpine sleep 600
h2 | create --name made --network br --ip 10.8.0.5 alpine sh -c 'echo made; exit 4'
h1 | run -d --name c1 alpine sleep 1
h1 | run --rm alpine sh -c 'echo out; echo err >&2; exit 7'
h1 | run --rm -i alpine cat < some input
h1 | run --rm alpine nosuch
h1 | run --rm --network nosuch alpine true
h1 | run --rm --entrypoint echo alpine one two
h1 | run --rm -w /tmp -u 1000:1000 alpine sh -c 'pwd; id -u'
h1 | ps --format '{{.Names}} {{.Image}} {{.Command}} {{.Ports}}'
h1 | ps -a -f label=job=x --format {{.Names}}
h1 | ps -q -f name=nosuch
h1 | ps --format 'table {{.Names | upper}}\t{{.ID}}\t{{join (split .Image ":") "/"}}\t{{.Label "job"}}'
h1 | ps --format 'table {{.Names}}\t{{.State}}\t{{.Networks}}\t{{.Mounts}}\t{{.LocalVolumes}}\t{{.Size}}'
h1 | ps --format '{{.Names}} {{.RunningFor}}'
h1 | exec c1 sleep 1.2
h1 | events --since 10m --until 0s -f event=create -f container=web --format '{{.Action}} {{.Actor.Attributes.name}}'
h1 | container ls --format '{{if eq .State "running"}}{{printf "%-6s" .Names}}{{end}}\n{{json .Names}}'
h1 | network ls --format 'table {{.Name}}\t{{.Driver}}\t{{.Scope}}\t{{.IPv6}}\t{{.Internal}}\t{{.Labels}}'
h1 | network ls --format '{{.Nosuch}}'
h1 | network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}} {{.IPAM.Config}} {{.Labels}}' ov
h1 | network inspect -f '{{range .Containers}}{{slice .IPv4Address 0 5}} {{end}}{{len .Containers}}' ov
h1 | inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}} {{end}}{{.State.Health}}' web
h1 | inspect -f '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}} {{.NetworkSettings.Ports}}' web
h1 | inspect -f '{{.Mounts}} {{.Config.Env}} {{.Config.Entrypoint}} {{.HostConfig.Binds}} {{.Config.Volumes}}' web
h1 | inspect -f '{{.NetworkSettings.Networks.nosuch.IPAddress}} {{.Config.Labels.no}} {{.Config.Labels.job}}' web
h1 | inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{json .Config.Labels}}' web
h1 | inspect -f '{{.State.Health.Status}}' web
h1 | inspect -f '{{.State.Nosuch}}' web c1
h1 | inspect -f '{{.Name' web
h1 | inspect -f '{{range .Name}}' web
h1 | inspect -f '{{nosuch .Name}}' web
h1 | inspect -f '{{.Name}}' web nosuch
h1 | inspect -f '{{.Name}} {{.Attachable}}' ov
h1 | image inspect -f '{{.Config.Cmd}} {{len .RepoTags}} {{.Config.Labels}}' nginx
h1 | container inspect -f '{{.Name}}' nosuch
h2 | inspect -f '{{.State.Status}} {{.Name}} {{.HostConfig.RestartPolicy.Name}} {{.Config.Hostname}}' c2
h2 | inspect -f '{{json .NetworkSettings.Networks.ov.IPAddress}}' c2
h1 | inspect nosuch
h1 | port web
h1 | exec c1 hostname -i
h1 | exec c1 sh -c 'exit 3'
h1 | exec -i c1 wc -c < twelve bytes
h1 | exec -e X=5 -w /etc c1 sh -c 'echo $X; pwd'
h1 | exec c1 nosuch
h1 | exec nosuch true
h2 | exec made true
h2 | start made
h2 | wait made
h2 | logs made
h2 | logs --since 10m made
h2 | logs --tail 1 nosuch
h2 | network connect br c2
h2 | network connect --alias second --ip 10.8.0.77 br c2
h2 | network disconnect br c2
h2 | network disconnect br c2
h2 | network create --config-only --subnet 10.11.0.0/24 recipe
h2 | network create -d macvlan --config-from recipe cooked
h2 | network create --config-from nosuch raw
h2 | network inspect -f '{{.ConfigOnly}} {{.ConfigFrom}} {{(index .IPAM.Config 0).Subnet}}' recipe cooked
h2 | update --restart no c2
h2 | inspect -f '{{.HostConfig.RestartPolicy}}' c2
h2 | update c2
h2 | network rm ov
h1 | rename c1 first
h1 | stop -t 0 first
h1 | stop -t 0 nosuch first
h1 | ps -a -f status=exited --format '{{.Names}}'
h1 | start first
h1 | restart -t 0 first
h1 | kill -s TERM nosuch
h1 | kill first
h1 | rm first
h1 | rm web
h1 | rm -f web nosuch
h2 | rm -f c2 made
h1 | network rm ov br2
h1 | network rm ov
h2 | network rm cooked recipe
h2 | network prune -f
h2 | volume create kept
h2 | volume prune -f
h2 | volume prune -f -a
h2 | create --name spare alpine true
h2 | container prune -f
h2 | container prune -f
h1 | images -f reference=alpine --format '{{.Repository}}:{{.Tag}}'
h1 | images -f reference=nginx --format '{{.Repository}}:{{.Tag}}'
h1 | node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}'
h2 | node ls
h1 | node inspect -f '{{.Description.Hostname}} {{.Spec.Role}} {{.Status.State}}' self
h1 | node inspect -f '{{.ManagerStatus}} {{if .ManagerStatus}}m{{else}}w{{end}} {{.Spec.Labels}}' h2
h1 | node inspect -f '{{.Nosuch}}' self
h1 | node ls --format 'table {{.Hostname}}\t{{.Self}}\t{{.TLSStatus}}'
h1 | node rm h2
h2 | node rm h1
h1 | info -f '{{.Swarm.LocalNodeState}} {{.Swarm.Nodes}}'
h1 | info -f '{{range .Swarm.RemoteManagers}}{{.Addr}} {{end}}{{.Driver}} {{.Plugins.Network}}'
h1 | info -f '{{.Nosuch}}'
h1 | version -f '{{.Server.Version}} {{.Server.APIVersion}}'
h1 | version -f '{{.Server.Nosuch}}'
h2 | swarm join-token worker
h2 | swarm init
h2 | swarm leave --force
h2 | info -f '{{.Swarm.LocalNodeState}}'
h2 | node ls
""".strip().splitlines()

_CHANCE = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "ID64"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "ID12"),
    (re.compile(r"\b[0-9a-z]{25}\b"), "NODE"),
    (re.compile(r"^(?=[0-9a-z]*\d)[0-9a-z]{12}\b", re.MULTILINE), "ID12"),  # of a network of the cluster
    (re.compile(r"SWMTKN-1-\S+"), "TOKEN"),
    (re.compile(r"\d+ (?:seconds?|minutes?)(?: ago)?|Less than a second(?: ago)?|About a minute(?: ago)?"), "TIME"),
    (re.compile(r"^See 'docker .*--help'\.$|^Usage:.*|^Run 'docker .*", re.MULTILINE), ""),
    (re.compile(r" +"), " "),
)


def _normal(text: str) -> str:
    for pattern, stands_for in _CHANCE:
        text = pattern.sub(stands_for, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines() if line.strip())


def _split(entry: str) -> tuple[str, str, str]:
    host, _, rest = entry.partition(" | ")
    line, _, stdin = rest.partition(" < ")
    return host, line, stdin


async def _told(swarm: Swarm, host: str, line: str, stdin: str) -> Printed:
    printed = await swarm.on(host, line, stdin=stdin.encode(), check=False)
    await asyncio.sleep(0.3)  # a command of a real machine takes as long: the next one finds what this one did
    return printed


def test_the_parser_says_what_the_docker_command_says() -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("needs the docker command")
    answers: list[list[tuple[int, str, str]]] = [[], []]
    with Swarm(hosts=2) as real, Swarm(hosts=2, simulated=True) as simulated:
        environments = {host: {**os.environ, "DOCKER_HOST": real.docker_host(host)} for host in ("h1", "h2")}
        for entry in LINES:
            host, line, stdin = _split(entry)
            done = subprocess.run([docker, *shlex.split(line)], env=environments[host], input=stdin, text=True,
                                  capture_output=True, timeout=60)  # fmt: skip
            answers[0].append((done.returncode, _normal(done.stdout), _normal(done.stderr)))
            printed = simulated.run(_told(simulated, host, line, stdin))
            answers[1].append((printed.exit_code, _normal(printed.stdout), _normal(printed.stderr)))
    different = [
        f"{entry}\n  docker:     {ours}\n  simulated:  {theirs}"
        for entry, ours, theirs in zip(LINES, *answers, strict=True)
        if ours != theirs
    ]
    assert not different, "\n".join(different)
