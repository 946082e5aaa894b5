"""Writes a run's report: the page, JUnit XML, the record as JSON, and the packets, side by side in one directory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scenarios.report.junit import junit
from scenarios.report.packets import capture
from scenarios.report.page import page
from scenarios.running.record import RunRecord


@dataclass(frozen=True, slots=True)
class Report:
    """The files of one run. packets: None when none was seen."""

    page: Path
    record: Path
    packets: Path | None


def stem(record: RunRecord) -> str:
    """A file's name for a run: its scenario, its choice of the matrix, its mode and seed."""
    return f"{re.sub(r'[^A-Za-z0-9_.=-]+', '_', record.scenario).strip('_')}-{record.mode}-{record.seed}"


def write_report(record: RunRecord, directory: Path) -> Report:
    """Creates the directory. Every file is whole or the old one. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    name = stem(record)
    packets = None
    beside = {"record (JSON)": f"{name}.json"}
    if record.packets:
        packets = directory / f"{name}.pcapng"
        _replace(packets, capture(record))
        beside["packets (pcapng)"] = packets.name
        for host in record.hosts:
            host.capture = packets.name
    record.write(directory / f"{name}.json")
    html = directory / f"{name}.html"
    _replace(html, page(record, beside).encode())
    return Report(html, directory / f"{name}.json", packets)


def write_junit(records: Sequence[RunRecord], path: Path) -> None:
    _replace(path, junit(records).encode())


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    new.replace(path)
