"""docker's `--format`: templates over lists and over single documents (cli/command/formatter and inspect)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scenarios.cli.table import tabulate
from scenarios.gotemplate import Template, TemplateError
from scenarios.gotemplate.documents import Shape, plain, typed
from scenarios.gotemplate.functions import HEADINGS
from scenarios.gotemplate.values import Listed

Row = Mapping[str, str | bool]


@dataclass(frozen=True, slots=True)
class Columns:
    """A list that docker prints. `headings`: of each field, in the order of the table that needs no format; `more` are
    those that it has beside them. `type_name` is that of docker's own rows, as errors tell it."""

    type_name: str
    headings: Mapping[str, str]
    more: Mapping[str, str]

    def render(
        self, rows: Sequence[Row], form: str | None, *, quiet: str | None = None,
        labels: Sequence[Mapping[str, str]] = (),
    ) -> str:  # fmt: skip
        """What a `ls` prints: the table, one field alone (`quiet`), or what --format asks for. `labels`: of each row,
        for `{{.Label "x"}}`. Raises TemplateError."""
        if quiet is not None:
            return "\n".join(str(row[quiet]) for row in rows)
        if form in (None, "", "table"):
            form = "table " + "\\t".join(f"{{{{.{name}}}}}" for name in self.headings)
        assert form is not None
        as_table = form.startswith("table")
        text = "{{json .}}" if form == "json" else form.removeprefix("table").strip(" ")
        template = parsed(text.replace("\\t", "\t").replace("\\n", "\n"))
        lines = []
        for i, row in enumerate(rows):
            of = _label_of(labels[i]) if labels else {}
            lines.append(_executed(template, Listed(row, of, self.type_name)))
        if as_table:
            headings = Listed({**self.headings, **self.more}, {"Label": _heading} if labels or not rows else {})
            lines.insert(0, template.execute(headings, functions=HEADINGS))
            return tabulate("\n".join(lines))
        return "\n".join(lines)


def told(labels: Mapping[str, str] | None) -> str:
    """Labels as lists show them."""
    return ",".join(f"{key}={text}" for key, text in sorted((labels or {}).items()))


def _label_of(labels: Mapping[str, str]) -> dict[str, Callable[[str], str]]:
    return {"Label": lambda name: labels.get(name, "")}


def _heading(label: str) -> str:
    return label.rpartition(".")[2].replace("-", " ").replace("_", " ")


def parsed(form: str, name: str = "") -> Template:
    """Raises TemplateError, in the docker command's words."""
    try:
        return Template(form, name=name)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error}") from None


def _executed(template: Template, value: object) -> str:
    try:
        return template.execute(value)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error}") from None


def show(form: str, document: object, shape: Shape, *, name: str = "") -> int:
    """Prints one document as `info` and `version` do; returns the exit status."""
    try:
        template = parsed("{{json .}}" if form == "json" else form, name)
    except TemplateError as error:
        print(error, file=sys.stderr)
        return 64
    try:
        print(template.execute(typed(document, shape)))
    except TemplateError as error:
        print()
        print(error, file=sys.stderr)
        return 1
    return 0


def inspected(form: str, documents: Iterable[tuple[object, Shape, bool]]) -> tuple[str, list[str]]:
    """What `inspect --format` prints of documents, and the errors of those that the template does not fit. The flag
    says whether plain JSON is tried where Docker's types do not fit. Raises TemplateError for what is no template."""
    if form == "json":
        return json.dumps([document for document, _, _ in documents], separators=(",", ":"), ensure_ascii=False), []
    template = parsed(form)
    lines, errors = [], []
    for document, shape, again in documents:
        try:
            lines.append(_either(template, document, shape, again))
        except TemplateError as error:
            errors.append(f"template parsing error: {error}")
    return "\n".join(lines), errors


def _either(template: Template, document: object, shape: Shape, again: bool) -> str:
    try:
        return template.execute(typed(document, shape))
    except TemplateError:
        if not again:
            raise
    return template.execute(plain(document), strict=True)
