"""What a real engine (20.10) answered to network requests that cannot be served: status and text, word for word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate

ROWS = json.loads(Path(__file__).with_name("recorded.json").read_text())


@pytest.fixture(scope="module")
def answers() -> dict[int, tuple[int, str]]:
    """All rows on one daemon: none of them may change anything."""

    async def main() -> dict[int, tuple[int, str]]:
        found = {}
        async with SimulatedSwarm(1, 1) as swarm:
            ids = {}
            for name, config in (("n1", "10.20.0.0/24"), ("n2", "10.30.0.0/24"), ("auto", None)):
                body = {"Name": name, "IPAM": {"Config": [{"Subnet": config}]} if config else {}}
                made = await swarm.api("h1", "POST", "/networks/create", body)
                assert isinstance(made, dict)
                ids[name] = made["Id"]
            ids["m1"] = await swarm.run("h1", "m1", ["sleep", "600"], network="n1")
            ids["hst"] = await swarm.run("h1", "hst", ["sleep", "600"], network="host")
            before = await swarm.api("h1", "GET", "/networks"), await swarm.api("h1", "GET", "/containers/m1/json")
            for index, row in enumerate(ROWS):
                try:
                    await swarm.api("h1", *row["request"])
                except ApiRefused as error:
                    text = error.message
                    for name, value in ids.items():
                        text = text.replace(value, f"{{{name}}}")
                    found[index] = (error.status, text)
            assert before == (
                await swarm.api("h1", "GET", "/networks"),
                await swarm.api("h1", "GET", "/containers/m1/json"),
            )
        return found

    return simulate(main())


@pytest.mark.parametrize("index", range(len(ROWS)), ids=[" ".join(map(str, row["request"][:2])) for row in ROWS])
def test_row(answers: dict[int, tuple[int, str]], index: int) -> None:
    assert answers.get(index) == (ROWS[index]["status"], ROWS[index]["message"])
