"""Docker's `filters=` parameter: {"name": ["a"]} or, from newer clients, {"name": {"a": true}}."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence

from daemon.errors import BadParameter


class Filters:
    """Parsed filters. Falsy when there are none; iterating gives the keys in use."""

    def __init__(self, values: dict[str, list[str]] | None = None) -> None:
        self._values = values or {}

    def __bool__(self) -> bool:
        return bool(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def values(self, key: str) -> list[str]:
        return self._values.get(key, [])

    def with_value(self, key: str, value: str) -> Filters:
        """These and one more."""
        return Filters({**self._values, key: [*self.values(key), value]})

    def only(self, accepted: Sequence[str]) -> Filters:
        """These filters, or Docker's error for a key that the endpoint does not know."""
        for key in self._values:
            if key not in accepted:
                raise BadParameter(f"Invalid filter '{key}'")
        return self

    def match_exact(self, key: str, source: str) -> bool:
        """No such filter, or one value equals `source`."""
        return key not in self or source in self.values(key)

    def match_pattern(self, key: str, source: str) -> bool:
        """As Docker's Match: each value is a regular expression, or a plain piece of text when it is none."""
        if key not in self:
            return True
        for value in self.values(key):
            try:
                if re.search(value, source):
                    return True
            except re.error:
                if value in source:
                    return True
        return False

    def match_prefix(self, key: str, source: str) -> bool:
        """No such filter, or one value is the beginning of `source` (ids)."""
        return key not in self or any(source.startswith(v) for v in self.values(key))

    def match_labels(self, key: str, labels: dict[str, str]) -> bool:
        """Every value `name` or `name=value` holds of `labels`."""
        for wanted in self.values(key):
            name, equals, value = wanted.partition("=")
            if name not in labels or (equals and labels[name] != value):
                return False
        return True

    def boolean(self, key: str, default: bool = False) -> bool:
        """A yes/no filter; Docker's error for anything else."""
        if key not in self:
            return default
        value = self.values(key)[0].lower() if self.values(key) else ""
        if value in ("1", "t", "true"):
            return True
        if value in ("0", "f", "false"):
            return False
        raise BadParameter(f"Invalid filter '{key}=[{' '.join(self.values(key))}]'")

    def until(self, now: float) -> float | None:
        """The moment of `until=10m` (before `now`) or `until=<seconds since the epoch>`; None without one."""
        if not self.values("until"):
            return None
        text = self.values("until")[0]
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        if not re.fullmatch(r"(\d+(\.\d+)?(ms|h|m|s))+", text):
            raise BadParameter(f'failed to parse value as time or duration: "{text}"')
        units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
        return now - sum(float(n) * units[unit] for n, _, unit in re.findall(r"(\d+(\.\d+)?)(ms|h|m|s)", text))

    def match_glob(self, key: str, sources: Sequence[str]) -> bool:
        """No such filter, or one value matches one source as a shell pattern (image references)."""
        return key not in self or any(fnmatch.fnmatchcase(s, v) for v in self.values(key) for s in sources)
