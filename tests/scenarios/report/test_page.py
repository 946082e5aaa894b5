"""The page: what it says, that it is safe and needs nothing from outside; a browser shows it without an error."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from scenarios.report.junit import junit
from scenarios.report.page import page
from scenarios.report.views import doubts, views
from scenarios.report.write import write_junit, write_report
from scenarios.running.record import RunRecord, Verdict, from_json
from tests.scenarios.report.told import record

_VOID = ("meta", "br", "img", "link", "input", "hr")


class _Reader(HTMLParser):
    """Elements that close as they should, ids, references, and the words."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.elements: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag not in _VOID:
            self.open.append(tag)
        given = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.references += [str(given[name]) for name in ("href", "src", "srcset") if given.get(name)]
        assert not [name for name in given if name.startswith("on")], "no markup may run code"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)


def _read(markup: str) -> _Reader:
    reader = _Reader()
    reader.feed(markup)
    assert reader.open == []
    return reader


def test_a_stranger_reads_what_when_where_first() -> None:
    found = _read(page(record()))
    text = " ".join(found.words)
    told = ("Failed", "it resolves to", "4.000 s", "h2/client", "stale.yaml:4", "Timeline")
    places = [text.index(words) for words in told]
    assert places == sorted(places)
    assert len(found.ids) == len(set(found.ids))
    inside = [reference[1:] for reference in found.references if reference.startswith("#")]
    assert inside and set(inside) <= set(found.ids), "each link to a line of the scenario leads somewhere"


def test_it_needs_nothing_from_outside_and_texts_stay_texts() -> None:
    markup = page(record(), {"packets": "run.pcapng"})
    found = _read(markup)
    assert found.elements.count("script") == 1, "the text of a program's output became markup"
    assert all(r.startswith("#") or r == "run.pcapng" for r in found.references)
    assert not re.search(r"https?://|url\(|@import|\bfetch\(|XMLHttp", markup)
    assert "\x00" not in markup and "\x1b" not in markup
    assert "alert('x')" in " ".join(found.words)


def test_what_members_held_of_each_other() -> None:
    told = record()
    assert [(s.start, s.end, s.state) for s in views(told)["h1"]["h2"]] == [
        (0.0, 3.0, "alive"), (3.0, 5.0, "suspect"), (5.0, 6.5, "dead"), (6.5, 10.0, "alive"),
    ]  # fmt: skip
    assert doubts(told) == {"suspect": [(0.0, 0), (3.0, 1), (5.0, 0)], "dead": [(0.0, 0), (5.0, 1), (6.5, 0)]}
    markup = page(told)
    assert "all see all alive again at 6.500 s" in markup
    assert 'class="msg lost"' in markup and 'class="verdict-mark" style="--at:40.000%"' in markup
    assert "2 of 4 probes without an answer; the longest time without one: 6.00 s" in markup


def test_a_run_that_saw_nothing_has_a_page_too() -> None:
    empty = RunRecord("empty", "e.yaml", "", "real", 1, 0.0, verdict=Verdict("error", "the hosts did not start"))
    assert "the hosts did not start" in " ".join(_read(page(empty)).words)
    assert ET.fromstring(junit([empty])).get("tests") == "1"


def test_ci_reads_each_expectation_as_a_case() -> None:
    told = record()
    later = Verdict("error", "a fault could not be undone", 9.0)
    told.failures.append(later)
    root = ET.fromstring(junit([told, record()]))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "2", "1")
    suite = root[0]
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    failure = cases["line 4: unresolved h2/client -> web"].find("failure")
    assert failure is not None and failure.get("message", "").startswith("it resolves to <script>")
    assert "partition h1 / h2" in (failure.text or "")
    assert cases["line 3: reachable h2/client -> web"].find("failure") is None
    assert {p.get("name"): p.get("value") for p in suite.iter("property")}["seed"] == "7"


def test_the_files_of_a_report(tmp_path: Path) -> None:
    told = record()
    report = write_report(told, tmp_path / "new" / "place")
    write_junit([told], tmp_path / "junit.xml")
    assert sorted(p.name for p in report.page.parent.iterdir()) == [
        "stale_name_1-sim-7.html", "stale_name_1-sim-7.json", "stale_name_1-sim-7.pcapng",
    ]  # fmt: skip
    assert from_json(report.record.read_text()) == told


@pytest.mark.parametrize("width", [1400, 480])
def test_a_browser_shows_it_at_any_width(tmp_path: Path, width: int) -> None:
    """Nothing is wider than the window, no error of the script, and the timeline has a height."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    probe = """<script>
      const wide = document.documentElement.scrollWidth, timeline = document.querySelector(".timeline").clientHeight;
      document.querySelector("[data-zoom=in]").click();
      document.querySelector(".timeline").dispatchEvent(new PointerEvent("pointermove", {clientX: innerWidth / 2}));
      document.title = JSON.stringify([innerWidth, wide, timeline, document.querySelector(".moment-at").textContent]);
    </script>"""
    file = tmp_path / "page.html"
    file.write_text(page(record()).replace("</body>", probe + "</body>"))
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path}/profile", f"--window-size={width},1000", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    title = re.search(r'<title>\[(\d+),(\d+),(\d+),"(.*?)"\]', html.unescape(done.stdout))
    assert title is not None, done.stderr[-2000:]
    window, wide, height, moment = title.groups()
    assert int(wide) <= int(window)
    assert int(height) > 100
    assert moment.endswith(" s")
    assert "Uncaught" not in done.stderr
