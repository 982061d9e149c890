"""What the window remembers from one time to the next: sizes, the tab, the theme, what was selected.

One JSON file, ``desktop.json`` in the data folder. It is nobody's work: if it can't be read, all is as at the
first time, and if it can't be written, the next time is as this one began.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stablenew_api.datafolder import DataFolder
from stablenew_api.files import write_atomic

_LARGEST = 2**53
"""Numbers as large as that are no size of anything."""

Value = str | int | float | bool | None | list[Any] | dict[str, Any]


class Remembered:
    """Values by name."""

    def __init__(self, path: Path) -> None:
        """Read ``path``, if it is there."""
        self._path = path
        self._values: dict[str, Value] = _read(path)
        self._saved = _text(self._values)

    @classmethod
    def of(cls, data: DataFolder) -> Remembered:
        """That of the data folder."""
        return cls(data.root / "desktop.json")

    def get(self, name: str, default: Any) -> Any:
        """The value called ``name``; ``default`` if there is none of its kind."""
        value = self._values.get(name, default)
        if isinstance(default, bool) or default is None or not isinstance(default, int | float):
            return value if default is None or isinstance(value, type(default)) else default
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # JSON as Python reads it knows NaN, infinity, and whole numbers that no float holds.
        return value if is_number and -_LARGEST < value < _LARGEST else default

    def set(self, name: str, value: Value) -> None:
        """Remember ``value``; :meth:`save` writes it."""
        self._values[name] = value

    def save(self) -> None:
        """Write what changed. Raises OSError; then the file is as it was."""
        text = _text(dict(self._values))  # the thread that draws may set one meanwhile
        if text != self._saved:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._path, (text + "\n").encode("utf-8"))
            self._saved = text


def _text(values: dict[str, Value]) -> str:
    return json.dumps(values, ensure_ascii=False, indent=1)


def _read(path: Path) -> dict[str, Value]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
