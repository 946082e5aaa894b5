"""Scenario files: what is read, and the one message for each way to get it wrong, with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.language.errors import ScenarioError
from scenarios.language.marks import load
from scenarios.language.quantities import duration, probability, rate
from scenarios.language.reading import parse
from scenarios.language.schema import PUBLISHED, schema, text

GOOD = """\
name: good
hosts: 3
matrix: {loss: [0%, 30%], image: [nginx]}
networks: [ov]
containers:
  web: {on: h1, image: "${image}", networks: ov, publish: "8080:80"}
load: [{ping: h1/web -> web}]
faults:
  - {loss: "${loss}", at: 1s, for: 2s}
steps:
  - {on: h2, docker: run -d --name c2 --network ov alpine sleep 60, capture: id}
  - {on: h2, docker: "inspect ${id}"}
  - {on: h2/c2, exec: [sh, -c, "echo $${HOME}"]}
  - expect: {reachable: "h2/c2 -> web:80", within: 1m30s}
"""


def test_a_matrix_is_a_run_for_each_choice_with_values_of_their_own_kinds() -> None:
    first, second = parse(GOOD)
    assert (first.name, second.name) == ("good[loss=0%,image=nginx]", "good[loss=30%,image=nginx]")
    assert second.scenario.faults[0].loss == 0.3
    assert second.scenario.containers["web"].image == "nginx"
    assert second.scenario.containers["web"].publish == ["8080:80"]
    assert second.scenario.steps[1].docker == "inspect ${id}", "a capture is filled in when it has a value"
    assert second.scenario.steps[3].expect is not None and second.scenario.steps[3].expect.within == 90.0
    assert second.line("steps", 3, "expect") == 14


def test_words_are_yaml_1_2s() -> None:
    found = load("f", "on: off\nports: [22:22, 0x10, 1e3, ~, true]\n").value
    assert found == {"on": "off", "ports": ["22:22", 16, 1000.0, None, True]}


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("hosts: 3\nsteps:\n  - expct: {}\n", 3, "did you mean 'expect'"),
        ("hosts: 3\nsteps:\n  - {on: h4, docker: ps}\n", 3, "no host 'h4'; there are h1, h2, h3"),
        ("hosts: 3\nsteps:\n  - wait: 1s\n  - fault: {partition: [[h1], [h9]], for: 1s}\n", 4, "no host 'h9'"),
        ("hosts: 3\nsteps:\n  - fault: {loss: 10%}\n", 3, "a fault without end"),
        ("hosts: 3\nsteps:\n  - {at: 5s, wait: 1s}\n  - {at: 2s, wait: 1s}\n", 4, "in the past"),
        ("hosts: 3\nsteps:\n  - {at: 5s, expect: {members: 3, by: 4s}}\n", 3, "a deadline in the past"),
        ("hosts: 3\ntimeout: 10s\nfaults:\n  - {loss: 1%, at: 20s, for: 1s}\n", 4, "after the run's end"),
        ("hosts: 3\nsteps:\n  - {on: h1, docker: run --nmae web nginx}\n", 3, "No such option"),
        ("hosts: 3\nsteps:\n  - {on: h1, docker: frobnicate}\n", 3, "No such command"),
        ("hosts: 3\nsteps:\n  - {wait: soon}\n", 3, "a duration such as 5s"),
        ("hosts: 3\nsteps:\n  - {wait: 1s, note: x}\n", 3, "found wait and note"),
        ("hosts: 3\nsteps:\n  - note: ${nobody}\n", 3, "no variable 'nobody'"),
        ("hosts: 3\nsteps:\n  - expect: {reachable: h1 web}\n", 3, "HOST/CONTAINER -> TARGET"),
        ("hosts: 3\nsteps:\n  - expect: {metric: nope.p95 < 1s}\n", 3, "no load 'nope'"),
        ("hosts: 3\nsteps:\n  - fault: {partition: h1,h2 / h3, for: 2s}\n", 3, "needs quotes"),
        ("hosts: 3\nsteps:\n  - fault: {partition: [[h1, h2, h3]], for: 2s}\n", 3, "nothing would be cut"),
        ("hosts: 3\nsteps:\n  - heal: gone\n", 3, "no fault with the id 'gone'"),
        ("hosts: 0\n", 1, "1 to 199 hosts"),
        ("hosts: 3\nhosts: 4\n", 2, "stands here twice"),
        ("hosts: [a\nsteps: 3\n", 2, "not YAML"),
        ("hosts: [bad_name]\n", 1, "letters, digits and hyphens"),
        ("steps: []\n", 1, "hosts: missing"),
        ("hosts: 3\ninvariants: {off: [adresses]}\n", 2, "'addresses'"),
        ("a: &a [*a]\n", 1, "contains itself"),
        ("hosts: 1\ncontainers:\n  web: {on: h1, publish: [eighty]}\n", 3, "8080:80 expected"),
        ("hosts: 1\ncontainers:\n  web: {on: h1, restart: sometimes}\n", 3, "unless-stopped or on-failure"),
        ("hosts: 1\ncontainers:\n  web: {on: h1, ip: 10.0.0.9}\n", 3, "needs a network"),
        ("hosts: 2\nnetworks: {n: {driver: bridge, on: h1}}\ncontainers:\n  web: {on: h2, networks: n}\n", 4,
         "made on h1 only"),
        ("hosts: 1\nplugins: {p: {on: h2, application: a:b}}\n", 2, "no host 'h2'"),
        ("hosts: 1\nplugins: {p: {on: h1, application: a}}\n", 2, "MODULE:FUNCTION"),
        ("hosts: 2\nchurn: [{join: h1}]\n", 2, "the first host is the manager"),
        ("hosts: 3\nchurn: [{partition: h1 / h2}]\n", 2, "the seed draws the sides"),
        ("hosts: 1\nsteps:\n  - expect: {docker: inspect -f {{.Name}} web, on: h1}\n", 3, "stands in quotes"),
        ("hosts: 2\nload: [{ping: h1/a -> b, rate: 1mbit}]\n", 2, "rate: of a stream only"),
        ("", 0, "empty"),
        ("- 1\n", 1, "a mapping with hosts"),
    ],
)
def test_each_mistake_is_one_message_with_its_line_and_what_was_expected(text: str, line: int, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, file="x.yaml")
    assert caught.value.line == line, caught.value
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"x.yaml:{line}:" if line else "x.yaml:")
    assert "\n" not in str(caught.value)


def test_the_published_schema_is_the_models() -> None:
    assert PUBLISHED.read_text() == text(), "run: shoal scenario schema > scenarios/language/schema.json"


def test_the_schema_holds_what_is_read(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(load("f", GOOD).value, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"hosts": 3, "stepz": []}, schema())
    json.loads(PUBLISHED.read_text())


def test_quantities() -> None:
    assert [duration(t) for t in ("200ms", "1m30s", 2, "1.5h")] == [0.2, 90.0, 2.0, 5400.0]
    assert [probability(t) for t in ("30%", 0.5, 1)] == [0.3, 0.5, 1.0]
    assert rate("8mbit") == rate("1MB/s") == 1e6
    for wrong in ("5", "s", "-1s", "1s!", None, True):
        with pytest.raises(ValueError, match="duration"):
            duration(wrong)
