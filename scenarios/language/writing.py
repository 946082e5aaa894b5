"""Scenarios as text: the YAML that `marks` reads back, of plain values."""

from __future__ import annotations

import yaml

from scenarios.language.marks import _Loader


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
    """What must be quoted to stay text is what the reader takes for something else."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def dump(document: object) -> str:
    """One key a line, small mappings and lists on one line."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110,
                         default_flow_style=None))  # fmt: skip
