"""The wounds: the model is no strawman, shoal is immune, and the README tells what was counted."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scenarios.cli.main import app
from scenarios.language.reading import read
from scenarios.search.runs import Outcome, run_job, run_seed
from scenarios.wounds.keeping import load
from scenarios.wounds.real.engines import Engines, EnginesFailed, missing
from scenarios.wounds.real.staged import STAGED
from scenarios.wounds.sweep import MODELS, Count, jobs_of
from scenarios.wounds.table import BEGIN, END, render
from scenarios.wounds.wounds import STAGED as FILES
from scenarios.wounds.wounds import WOUNDS, named

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = sorted((ROOT / "scenarios" / "library").glob("*.yaml"))
BREAKS = re.compile(r"\b(fault|faults|churn|kill|stop|pause|restart):(?! *always)")
STAGES = [wound for wound in WOUNDS if wound.file.exists()]


def _told(outcome: Outcome) -> str:
    return f"seed {outcome.seed}: " + "; ".join(problem.text for problem in outcome.problems)


def _undisturbed() -> list[Path]:
    return [path for path in LIBRARY if not BREAKS.search(path.read_text()) and "[real]" not in path.read_text()]


def test_without_faults_the_model_holds_whatever_the_library_expects() -> None:
    """All expectations and all invariants."""
    chosen = _undisturbed()
    assert len(chosen) >= 7
    for path in chosen:
        source = read(path)[0]
        if "sim" in source.scenario.modes:
            outcome = run_seed(source, 1, model="docker")
            assert outcome.passed, f"{path.stem}: {_told(outcome)}"


@pytest.mark.parametrize("name", [wound.name for wound in STAGES if wound.modelled])
def test_without_its_fault_no_wound_shows_on_the_model(name: str) -> None:
    """Two seeds here, any number by `shoal wounds --calm`."""
    wound = named(name)
    assert wound is not None
    for job in jobs_of(wound, "docker", (1, 2), calmed=True):
        outcome = run_job(job)
        assert outcome.passed, _told(outcome)


@pytest.mark.parametrize("name", [wound.name for wound in STAGES])
def test_shoal_is_immune(name: str) -> None:
    """Two seeds here, thousands by `shoal wounds`."""
    wound = named(name)
    assert wound is not None
    for job in jobs_of(wound, "shoal", range(1, 2 if wound.most < 100 else 3)):
        outcome = run_job(job)
        assert outcome.passed, _told(outcome)


def test_wounds_show_on_the_model_in_some_seeds_and_not_in_others() -> None:
    for name in ("one-address-twice", "network-not-found"):
        wound = named(name)
        assert wound is not None
        count = Count(1)
        for job in jobs_of(wound, "docker", range(1, 31)):
            count.add(wound, run_job(job))
            if count.showed and count.seeds > len(count.showed):
                break
        assert count.showed and count.seeds > len(count.showed) and not count.other, name


def test_every_wound_has_reports_a_story_that_cites_them_and_a_staging() -> None:
    for wound in WOUNDS:
        assert wound.reports and (wound.file.exists() or wound.name in STAGED), wound.name
        if wound.file.exists():
            story = read(wound.file)[0].scenario.story
            assert any(report.split()[-1] in story for report in wound.reports), wound.name
    assert sorted(path.stem for path in FILES.glob("*.yaml")) == sorted(wound.name for wound in STAGES)


def test_the_readme_has_the_table_of_what_was_counted() -> None:
    text = (ROOT / "README.md").read_text()
    found = re.search(re.escape(BEGIN) + r"\n\n(.*)\n" + re.escape(END), text, re.DOTALL)
    assert found is not None
    results = load()
    assert found[1] == render(results)
    for wound, models in results.counts.items():
        assert set(models) <= set(MODELS), wound
        for model, count in models.items():
            assert len(count.showed) + len(count.other) <= count.seeds, wound
            assert model == "docker" or not (count.showed or count.other), f"{wound} shows on shoal: {count.other}"


def test_the_command_counts_goes_on_and_names_what_it_does_not_know(tmp_path: Path) -> None:
    runner = CliRunner()
    kept, readme = tmp_path / "counts.json", tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    line = ["wounds", "client-address", "--jobs", "1", "--keep", str(kept), "--readme", str(readme)]
    assert runner.invoke(app, [*line, "--seeds", "1"]).exit_code == 0
    done = runner.invoke(app, [*line, "--seeds", "2"])
    assert done.exit_code == 0 and "client-address on shoal: 0 of 2" in done.output
    assert load(kept).counts["client-address"]["shoal"].seeds == 2
    assert "| 0 of 2 * |" in readme.read_text() and readme.read_text().endswith(f"{END}\nafter\n")
    assert "no wound 'x'" in str(runner.invoke(app, ["wounds", "x"]).exception)
    calmed = runner.invoke(app, ["wounds", "client-address", "--calm", "--seeds", "1", "--jobs", "1", "--seed", "7"])
    assert calmed.output == "client-address without its fault, on shoal: 0 of 1 failed\n" and calmed.exit_code == 0
    kept.write_text("[]")
    assert "not the counts" in str(runner.invoke(app, line).exception)


def test_a_wound_on_real_engines() -> None:
    if not os.environ.get("SHOAL_REAL_ENGINES"):
        pytest.skip("SHOAL_REAL_ENGINES=1 stages it on three real Docker engines, as root")
    if why := missing():
        pytest.skip(f"no real engines here: {why}")
    import random

    staged = STAGED["wrong-source"]
    try:
        with Engines(advertise=staged.advertise) as engines:
            staged.prepare(engines)
            seen = staged.attempt(engines, random.Random(1))
    except EnginesFailed as error:
        pytest.skip(f"the engines did not start: {error}")
    assert seen.showed is True, seen.text


def test_the_commands_of_the_documentation_do_what_they_say(tmp_path: Path) -> None:
    fences = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "wounds.md").read_text(), re.M | re.S)
    assert fences
    environment = {**os.environ, "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    for script in fences:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "split-gossip: PASSED" in done.stdout and "network-not-found on shoal: 0 of 2" in done.stdout
