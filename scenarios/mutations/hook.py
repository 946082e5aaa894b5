"""Loads a module of the daemons broken: the source is changed on its way to the compiler, no file is.

It must be done before anything of the daemons is imported, so in a process of its own:
`python -m scenarios.mutations`.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

from scenarios.mutations.mutation import Mutation


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutation: Mutation) -> None:
        super().__init__(fullname, path)
        self._mutation = mutation

    def get_code(self, fullname: str) -> CodeType:
        """Never from a cache: that has the whole one."""
        source = self.get_source(fullname)
        assert source is not None
        return compile(self._mutation.applied(source), self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutation.module:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None:
            return None
        loader = _Loader(fullname, found.origin, self._mutation)
        return importlib.util.spec_from_file_location(
            fullname, found.origin, loader=loader, submodule_search_locations=found.submodule_search_locations
        )


def install(mutation: Mutation) -> None:
    """From now on the module is broken. Raises DoesNotApply at its import; RuntimeError when it is too late."""
    if mutation.module in sys.modules:
        raise RuntimeError(f"{mutation.module} is loaded already: it must be broken before")
    sys.meta_path.insert(0, _Finder(mutation))
