"""What managers decide about nodes and the swarm, by `shoal on`'s own verbs: labels, autolock, the root CA."""

from __future__ import annotations

from scenarios.language.reading import parse
from scenarios.search.runs import run_seed

STORY = """
hosts: {h1: {role: manager}, h2: {role: manager}, h3: {}}
steps:
  - {docker: node update --label-add gen=1 --label-add a=b h3, on: h2}
  - expect: {docker: "node inspect -f '{{.Spec.Labels.gen}}' h3", on: h1, prints: "1", within: 2s}
  - {docker: node update --label-rm gen --availability drain h3, on: h1}
  - expect: {docker: "node inspect h3", on: h1, lacks: '"gen"'}
  - expect: {docker: "node inspect -f '{{.Spec.Availability}}' h3", on: h1, prints: drain}
  - {docker: swarm unlock-key, on: h1, fails: no unlock key is set}
  - {docker: swarm update --autolock, on: h1}
  - {docker: swarm unlock-key -q, on: h1, capture: key}
  - wait: 2s
  - restart: h2
  - expect: {docker: info, on: h2, prints: "Swarm: locked"}
  - {docker: swarm unlock, on: h2, stdin: "${key}"}
  - expect: {docker: info, on: h2, prints: "Swarm: active", within: 10s}
  - {docker: swarm update --no-autolock, on: h2}
  - {docker: swarm ca, on: h1, capture: before}
  - {docker: swarm ca --rotate, on: h1, fails: say --detach as well}
  - {docker: swarm ca --rotate -d, on: h2}
  - expect: {docker: swarm ca, on: h1, lacks: "${before}", exit: 0, within: 30s}
"""


def test_each_does_what_dockers_does() -> None:
    outcome = run_seed(parse(STORY, file="settings.yaml")[0], 1)
    assert outcome.passed, outcome.problems
