"""Where plugins come from: entry points of installed distributions, and one-file plugins."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

GROUP = "stablenew.plugins"
"""Entry-point group of plugins."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that was found and not loaded yet."""

    name: str
    distribution: str
    version: str
    load: Callable[[], object]
    """Imports it and returns the module or object with the hooks. May raise anything."""
    source: Callable[[], str] | None = None
    """Its source text, if that can be had without importing it."""
    builtin: bool = False


def installed() -> Iterable[EntryPoint]:
    """The entry points of this environment, not loaded."""
    return entry_points(group=GROUP)


def from_entry_point(point: EntryPoint) -> Candidate:
    """The plugin that an entry point names."""
    distribution = point.dist
    name = distribution.name if distribution is not None else ""
    return Candidate(
        name=point.name,
        distribution=name or point.value,
        version=distribution.version if distribution is not None else "",
        load=point.load,
        source=lambda: _source_of(point.value.partition(":")[0].strip()),
        builtin=name == "stablenew",
    )


def _source_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(module)
    return Path(spec.origin).read_text(encoding="utf-8")


def from_folder(folder: Path) -> list[Candidate]:
    """One-file plugins, ``NAME.py``; names that begin with ``_`` or ``.`` are skipped."""
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith(("_", ".")))
    return [_from_file(path.absolute()) for path in files]


def _from_file(path: Path) -> Candidate:
    return Candidate(
        name=path.stem,
        distribution=str(path),
        version="",
        load=lambda: _load_file(path),
        source=lambda: path.read_text(encoding="utf-8"),
    )


def _load_file(path: Path) -> ModuleType:
    # The module's name holds a digest of the path, so that two folders with a `grain.py` do not share a module,
    # and a file called `json.py` hides nothing.
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    name = f"stablenew_plugin_file_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic and dataclasses look their module up while a class is being made
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
