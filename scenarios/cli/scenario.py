"""`shoal scenario …`: check, show and run scenario files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scenarios.cli.verdicts import judges
from scenarios.launch.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.language.reading import Source
    from scenarios.running.record import Event, RunRecord

app = typer.Typer(help="Scenarios: what hosts do, what breaks, what must hold.", no_args_is_help=True,
                  rich_markup_mode=None)  # fmt: skip

LIBRARY = Path(__file__).resolve().parent.parent / "library"

File = Annotated[str, typer.Argument(metavar="FILE", help="A scenario's file, or a name from the library.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A variable; repeatable.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Instead of the file's.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write the report here: HTML, JUnit, JSON, pcapng.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="The verdict only.")]


def find(text: str) -> Path:
    """A file, or one of the library's by name. Raises LaunchError."""
    path = Path(text)
    if path.exists() or path.suffix in (".yaml", ".yml") or "/" in text:
        return path
    if (inside := LIBRARY / f"{text}.yaml").exists():
        return inside
    raise LaunchError(f"no file {text!r}, and no scenario of that name (`shoal scenario ls` lists them)")


def _variables(texts: list[str]) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise LaunchError(f"--set {text!r}: NAME=VALUE expected")
        found[name] = yaml.safe_load(value) if value else ""
    return found


def _read(text: str, variables: list[str] | None = None) -> list[Source]:
    from scenarios.language.errors import ScenarioError
    from scenarios.language.reading import read

    try:
        return read(find(text), variables=_variables(variables or []))
    except ScenarioError as error:
        raise LaunchError(str(error)) from None


@app.command("ls")
def list_scenarios() -> None:
    """The library: name and the first line of each story."""
    from scenarios.cli.table import render
    from scenarios.language.errors import ScenarioError
    from scenarios.language.reading import read

    rows = []
    for path in sorted(LIBRARY.glob("*.yaml")):
        try:
            sources = read(path)
        except ScenarioError as error:
            rows.append([path.stem, "-", f"cannot be read: {error}"])
            continue
        story = sources[0].scenario.story.strip().splitlines() or [""]
        rows.append([path.stem, str(len(sources[0].scenario.hosts)), story[0]])
    if not rows:
        print("the library is empty")
        return
    print(render(["NAME", "HOSTS", "STORY"], rows))


@app.command()
def show(file: File) -> None:
    """A scenario's story, hosts, steps and faults, in words."""
    from scenarios.language.checking import ACTIONS, given, load_name
    from scenarios.running.breaking import describe
    from scenarios.running.steps import words

    source = _read(file)[0]
    scenario = source.scenario
    print(f"{source.name} ({source.file})\n")
    if scenario.story:
        print(scenario.story.strip() + "\n")
    print(f"hosts: {', '.join(scenario.hosts)}")
    for fault in scenario.faults:
        print(f"  at {fault.at:g} s: {describe(fault)[0]} for {fault.for_}")
    for load in scenario.load:
        print(f"  all along: {load_name(load)} every {load.every:g} s")
    for number, step in enumerate(scenario.steps, 1):
        action = given(step, ACTIONS)[0]
        when = f"at {step.at:g} s: " if step.at is not None else ""
        print(f"{number:3}. {when}{words(step, action)}")
    print(f"watched: {', '.join(scenario.invariants.watched()) or 'nothing'}")


@app.command()
def validate(files: Annotated[list[str], typer.Argument(metavar="FILE...")], variables: Set = None) -> None:
    """Check files without starting anything. Exit status 1: one cannot be run; its line and what was expected."""
    wrong = 0
    for file in files:
        try:
            sources = _read(file, variables)
        except LaunchError as error:
            print(error, file=sys.stderr)
            wrong = 1
            continue
        runs = f", {len(sources)} runs" if len(sources) > 1 else ""
        print(f"{file}: good ({len(sources[0].scenario.hosts)} hosts, {len(sources[0].scenario.steps)} steps{runs})")
    raise typer.Exit(wrong)


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors and checkers."""
    from scenarios.language.schema import text

    sys.stdout.write(text())


_NEW = """\
# yaml-language-server: $schema={schema}
name: {name}
story: |
  What happens here, and why it matters.
hosts: 3
networks: [ov1]
containers:
  web: {{on: h1, image: nginx, networks: ov1}}
  client: {{on: h2, networks: ov1}}
load:
  - {{ping: h2/client -> web, every: 500ms}}
steps:
  - expect: {{reachable: "h2/client -> web:80", within: 5s}}
  - fault: {{partition: [[h1], [h2, h3]], for: 8s}}
  - expect: {{node: h1, on: h2, is: Down, within: 10s}}
  - wait: 5s
  - expect: {{resolves: h2/client -> web, to: h1/web, within: 10s}}
  - expect: {{exec: wget -q -O - http://web, on: h2/client, prints: Welcome, within: 5s}}
"""


@app.command()
def new(file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")]) -> None:
    """Write a scenario to start from: three hosts, a network, a partition, and what must hold."""
    from scenarios.language.schema import PUBLISHED

    try:
        with file.open("x") as target:
            target.write(_NEW.format(name=file.stem, schema=PUBLISHED))
    except FileExistsError:
        raise LaunchError(f"{file} exists already") from None
    print(f"{file}: run it with `shoal scenario run {file}`, or in simulated time with `shoal scenario sim {file}`")


@app.command()
@judges
def run(
    file: File, seed: Seed = None, variables: Set = None, output: Output = None, quiet: Quiet = False,
    state: Annotated[Path | None, typer.Option("--state", metavar="DIR", help="A state directory to use.")] = None,
) -> None:  # fmt: skip
    """Run a scenario on real processes. Exit status: 0 passed, 1 failed, 2 it could not be run to its end."""
    from scenarios.running.run import run_real

    def one(source: Source, tell: Callable[[Event], None]) -> RunRecord:
        return run_real(source, seed=seed, tell=tell, directory=state)

    run_all(read_for(file, variables, "real"), output, quiet, one)


@app.command()
def report(
    record: Annotated[Path, typer.Argument(metavar="RECORD", help="A run's record, the JSON file of a report.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where to write.")] = Path("."),
) -> None:
    """Write the report of a run again from its record: HTML, JUnit XML, pcapng."""
    from scenarios.running.record import BadRecord, read

    try:
        found = read(record)
    except (BadRecord, OSError) as error:
        raise LaunchError(f"{record}: {error}") from None
    print(f"report: {write_reports([found], output)}")


def read_for(file: str, variables: list[str] | None, mode: str) -> list[Source]:
    """The scenarios of a file, which must be able to run in real or simulated time. Raises LaunchError."""
    sources = _read(file, variables)
    if mode not in sources[0].scenario.modes:
        why = "; it needs processes of its own, which a simulation has not" if mode == "sim" else ""
        raise LaunchError(f"{file}: this scenario runs in {' and '.join(sources[0].scenario.modes)} time only{why}")
    return sources


def run_all(
    sources: list[Source], output: Path | None, quiet: bool,
    one: Callable[[Source, Callable[[Event], None]], RunRecord],
) -> None:  # fmt: skip
    records: list[RunRecord] = []
    worst = 0
    for source in sources:
        record = one(source, (lambda event: None) if quiet else tell)
        worst = max(worst, {"passed": 0, "failed": 1, "error": 2}[record.verdict.outcome])
        print_verdict(record, quiet)
        records.append(record)
        if output is not None:
            print(f"report: {write_reports(records, output)}")
        if record.verdict.what.startswith("interrupted"):
            raise typer.Exit(130)
    raise typer.Exit(worst)


def write_reports(records: list[RunRecord], output: Path) -> Path:
    """The last run's report, and the JUnit file of all until now. The page's path."""
    from scenarios.report.write import write_junit, write_report

    try:
        report = write_report(records[-1], output)
        write_junit(records, output / "junit.xml")
    except OSError as error:
        raise LaunchError(f"the report cannot be written to {output}: {error.strerror}") from None
    return report.page


_MARKS = {True: "ok", False: "FAILED", None: ""}


def tell(event: Event) -> None:
    if event.kind in ("member", "container") or (event.kind == "step" and event.until is None):
        return
    if event.kind == "expectation" and event.until is None:
        return
    ended = " (ended)" if event.kind == "fault" and event.until is not None else ""
    at = event.until if event.until is not None else event.at
    print(f"{at:9.3f}  {event.kind:<12} {event.text}{ended} {_MARKS[event.ok]}".rstrip(), flush=True)


def print_verdict(record: RunRecord, quiet: bool) -> None:
    verdict = record.verdict
    where = f"{record.file}:{verdict.line}: " if verdict.line else ""
    place = f" [{verdict.where}]" if verdict.where else ""
    digest = f", digest {record.digest[:16]}" if record.digest else ""
    head = f"{record.scenario}: {verdict.outcome.upper()}"
    print(f"{head} ({record.mode}, seed {record.seed}, {record.duration:.1f} s, took {record.took:.1f} s{digest})")
    if not record.passed:
        at = f"at {verdict.when:.3f} s: " if verdict.when is not None else ""
        print(f"  {where}{at}{verdict.what}{place}")
        if not quiet:
            for event in verdict.leading:
                host = f"{event.host}: " if event.host else ""
                print(f"    {event.at:9.3f}  {host}{event.text}")
        for other in record.failures:
            if other is not verdict and other.what != verdict.what:
                print(f"  also: {other.what}")
