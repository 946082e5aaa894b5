"""JUnit XML, as CI systems read it: a suite for each run, a case for each expectation and for each invariant."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime

from scenarios.running.record import ERROR, RunRecord, Verdict

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(records: Sequence[RunRecord]) -> str:
    """A whole document. Times are seconds of the run (simulated ones, too)."""
    root = ET.Element("testsuites", name="shoal")
    totals = {"tests": 0, "failures": 0, "errors": 0}
    for record in records:
        suite = _suite(record)
        root.append(suite)
        for name in totals:
            totals[name] += int(suite.get(name, "0"))
    for name, value in totals.items():
        root.set(name, str(value))
    root.set("time", f"{sum(r.duration for r in records):.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(record: RunRecord) -> ET.Element:
    suite = ET.Element("testsuite", name=_clean(record.scenario), time=f"{record.duration:.3f}",
                       timestamp=datetime.fromtimestamp(record.started, UTC).strftime("%Y-%m-%dT%H:%M:%S"))  # fmt: skip
    properties = ET.SubElement(suite, "properties")
    known = {"mode": record.mode, "seed": record.seed, "file": record.file, "digest": record.digest, **record.variables}
    for name, value in known.items():
        ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    told: list[Verdict] = []
    for event in record.events:
        if event.kind != "expectation":
            continue
        case = _case(suite, record, f"line {event.line}: {event.text}", (event.until or event.at) - event.at)
        if event.ok is False:
            verdict = next((v for v in record.failures if v.line == event.line and v not in told), None)
            if verdict is not None:
                told.append(verdict)
            _failed(case, verdict or Verdict("failed", event.text, event.until, event.host, event.line))
    for verdict in record.failures:
        if verdict not in told:
            _failed(_case(suite, record, f"line {verdict.line}" if verdict.line else "the run", 0.0), verdict)
    _case(suite, record, "the run ends", record.duration)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    return suite


def _case(suite: ET.Element, record: RunRecord, name: str, time: float) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_clean(record.scenario), name=_clean(name), time=f"{time:.3f}",
                         file=_clean(record.file))  # fmt: skip


def _failed(case: ET.Element, verdict: Verdict) -> None:
    kind = "error" if verdict.outcome == ERROR else "failure"
    element = ET.SubElement(case, kind, message=_clean(verdict.what), type=kind)
    when = f"at {verdict.when:.3f} s" if verdict.when is not None else ""
    lines = [verdict.what, " ".join(filter(None, [when, f"at {verdict.where}" if verdict.where else ""]))]
    lines += [f"{e.at:9.3f}  {e.host + ': ' if e.host else ''}{e.text}" for e in verdict.leading]
    element.text = _clean("\n".join(filter(None, lines)))


def _clean(text: object) -> str:
    """XML 1.0 has no place for most control characters; output of programs has them."""
    return _NOT_XML.sub("\ufffd", str(text))
