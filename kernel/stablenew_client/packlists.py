"""Named lists of packs, which a person keeps: one JSON file in the data folder.

``{"lists": {"evening": ["/home/me/packs/sea.txt", ...]}}``; whatever else is in it stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_api.files import write_atomic
from stablenew_client.packfiles import find_packs


class PackLists:
    """The lists of one data folder. Each method raises UserError for a file that is no such JSON."""

    def __init__(self, data: DataFolder) -> None:
        self._data = data
        self._path = data.pack_lists

    def all(self) -> Mapping[str, Sequence[str]]:
        """Paths of packs and folders by the list's name."""
        lists = self._read().get("lists", {})
        good = isinstance(lists, dict) and all(
            isinstance(paths, list) and all(isinstance(path, str) for path in paths) for paths in lists.values()
        )
        if not good:
            raise UserError(f'{self._path}: lists must be {{"NAME": ["PATH", ...]}}; correct it')
        return dict(lists)

    def get(self, name: str) -> Sequence[str]:
        """The paths of one list. Raises UserError if there is no such list."""
        lists = self.all()
        if name not in lists:
            known = ", ".join(sorted(lists)) or "none"
            raise UserError(
                f"there is no list {name!r} of packs (there are: {known}); make it: packs lists add"
            )
        return lists[name]

    def add(self, name: str, paths: Sequence[str]) -> Sequence[str]:
        """Put ``paths`` behind what is in the list, each once; make it if it isn't there."""
        self._check(name)
        before = self.all().get(name, [])
        return self._write(name, [*before, *(path for path in dict.fromkeys(paths) if path not in before)])

    def remove(self, name: str, paths: Sequence[str]) -> Sequence[str]:
        """Take ``paths`` out of the list. The packs themselves stay."""
        before = self.get(name)
        for path in paths:
            if path not in before:
                raise UserError(f"list {name}: {path} is not in it; see: stablenew packs lists show {name}")
        return self._write(name, [path for path in before if path not in paths])

    def drop(self, name: str) -> None:
        """Forget the list. The packs themselves stay."""
        self.get(name)
        self._write(name, None)

    def _check(self, name: str) -> None:
        if not name or name != name.strip() or name.startswith(("@", "-")) or not name.isprintable():
            raise UserError(f"{name!r} is no name for a list; use letters, digits, blanks, - and _")

    def _read(self) -> dict[str, Any]:
        try:
            text = self._path.read_text(encoding="utf-8-sig")
            values = json.loads(text)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{self._path}: cannot be read ({error}); correct it, or take it away") from error
        if not isinstance(values, dict):
            raise UserError(f"{self._path}: must be one JSON object; correct it, or take it away")
        return values

    def _write(self, name: str, paths: Sequence[str] | None) -> Sequence[str]:
        whole = self._read()
        lists = dict(whole.get("lists", {}))
        if paths is None:
            del lists[name]
        else:
            lists[name] = list(paths)
        whole["lists"] = lists
        self._data.create()
        text = json.dumps(whole, ensure_ascii=False, indent=2) + "\n"
        try:
            write_atomic(self._path, text.encode("utf-8"))
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written ({error.strerror}); check its rights") from error
        return paths or ()


def packs_of(paths: Sequence[str]) -> list[str]:
    """The packs among ``paths``, with those in folders among them, in order, each once."""
    found: dict[Path, str] = {}
    for path in paths:
        folder = Path(path).expanduser()
        for pack in [str(pack) for pack in find_packs(folder)] if folder.is_dir() else [path]:
            found.setdefault(Path(pack).expanduser().absolute(), pack)
    return list(found.values())
