"""The invariant `model` knows what docker's lines mean, under whichever name a verb goes."""

from __future__ import annotations

from scenarios.language.reading import parse
from scenarios.running.run import run_simulated

VERBS = """\
name: verbs
hosts: 2
networks:
  ov1: {subnet: 10.0.1.0/24}
containers:
  client: {on: h2, networks: ov1, restart: always}
steps:
  - {on: h1, docker: container run -d --name web --network ov1 nginx}
  - {on: h1, docker: container run -d --name old --network ov1 --restart always alpine sleep 600}
  - {on: h1, docker: update --restart always web}
  - {on: h1, docker: update --restart no old}
  - {on: h1, docker: container create --name spare alpine true}
  - {on: h1, docker: container rm spare}
  - expect: {reachable: "h2/client -> web:80", within: 3s}
  - restart: h1
  - expect: {reachable: "h2/client -> web:80", within: 10s}
"""


def test_containers_are_judged_by_the_newer_verbs_too() -> None:
    [source] = parse(VERBS)
    record = run_simulated(source)
    assert record.passed, record.failures
