"""YAML with the line of every value, in YAML 1.2's reading of plain words.

PyYAML reads YAML 1.1, where the key `on` is true and the port mapping 22:22 a number of base 60; both are text here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from scenarios.language.errors import ScenarioError

Path = tuple[str | int, ...]

_MOST_VALUES = 100_000
_BIGGEST = 4 << 20


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (yaml's own interface)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])


@dataclass(slots=True)
class Marked:
    """A document, the line (1…) of each of its values and keys, by path."""

    file: str
    value: object
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of what is nearest to a path: a key that is missing is missing in its mapping."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: Path, message: str) -> ScenarioError:
        return ScenarioError(self.file, self.line(path), message)


def load(file: str, text: str) -> Marked:
    """Raises ScenarioError for what is not YAML, has a key twice or is larger than a scenario can be."""
    if len(text) > _BIGGEST:
        raise ScenarioError(file, 0, f"a scenario of at most {_BIGGEST >> 20} MB expected")
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "not YAML"
        if what == "but found another document":
            what = "one scenario a file expected, and here another document begins"
        if error.context and "flow" in error.context:
            what += "; inside { } and [ ] a text with any of { } [ ] , : stands in quotes"
        raise ScenarioError(file, mark.line + 1 if mark else 0, f"not YAML: {what}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ScenarioError(file, 0, f"not YAML: {str(error).splitlines()[0]}") from None
    if node is None:
        raise ScenarioError(file, 0, "the file is empty: a scenario with hosts and steps expected")
    marked = Marked(file, None)
    marked.value = _plain(node, (), marked, [0], ())
    return marked


def _plain(node: yaml.Node, path: Path, marked: Marked, count: list[int], above: tuple[int, ...]) -> object:
    line = node.start_mark.line + 1
    count[0] += 1
    if count[0] > _MOST_VALUES:
        raise ScenarioError(marked.file, line, f"more than {_MOST_VALUES} values: aliases that multiply?")
    if id(node) in above:
        raise ScenarioError(marked.file, line, "an alias that contains itself")
    marked.lines.setdefault(path, line)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(v, (*path, i), marked, count, (*above, id(node))) for i, v in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ScenarioError(marked.file, key.start_mark.line + 1, "a key that is a plain word expected")
            name = key.value
            if name in found:
                raise ScenarioError(marked.file, key.start_mark.line + 1, f"the key {name!r} stands here twice")
            marked.lines[(*path, name)] = key.start_mark.line + 1
            found[name] = _plain(value, (*path, name), marked, count, (*above, id(node)))
        return found
    try:
        return _scalar(node)
    except ValueError:
        raise ScenarioError(
            marked.file, line, f"{node.value!r} cannot be read as {node.tag.rpartition(':')[2]}"
        ) from None


def _scalar(node: yaml.Node) -> object:
    text = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text, 16) if text.lower().startswith("0x") else int(text)
        case "float":
            return float(
                text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf").replace(".NaN", "nan")
            )
        case _:
            return text
