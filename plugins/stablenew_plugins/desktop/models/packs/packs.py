"""Prompt packs: found, searched, selected, looked into."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_api.errors import KernelUnavailable, StableNewError, UserError
from stablenew_client.examples import add_examples
from stablenew_client.importing import ImportedPacks
from stablenew_client.packfiles import NO_PACKS, find_packs
from stablenew_client.packlists import PackLists
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.core.toasts import Level
from stablenew_plugins.desktop.models.packs import packdisk
from stablenew_plugins.desktop.models.packs.moved import renamed
from stablenew_plugins.desktop.models.packs.packdisk import Scan, Stamp
from stablenew_plugins.desktop.models.packs.packfolders import PackFolders
from stablenew_plugins.desktop.models.packs.packinfo import PackEntry, PackInfo, describe, info_of
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_proto.v1 import packs_pb2 as pb

log = logging.getLogger(__name__)

SCAN_EVERY = 3.0
"""Seconds between two looks at the disk."""
AT_ONCE = 2
"""Packs that are described at a time: the kernel has other work, too."""
NOTES = 3
"""Remarks about an import that are shown at once."""
ROWS = 200
"""Rows of the pack that is looked at."""
RECENT = 40
"""Packs that are remembered as used lately."""

LIST = "list:"
"""How the filter begins that shows one list."""


class PacksModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.entries: Mapping[Path, PackEntry] = {}
        """All packs, by path, in order of their names."""
        self.selected: Sequence[Path] = []
        """Packs that the next run is made of, in order."""
        self.plan_revision = 0
        """Grows when the selection or the content of a selected pack changed."""
        self.current: Path | None = None
        """The pack that is looked at."""
        self.look: pb.DescribePackResponse | None = None
        """What is in it; None: not known yet."""
        self.row = 0
        """Of its rows the one that is shown, from 0."""
        self.search = ""
        self.filter = "all"
        """``all``, ``selected``, ``recent`` or ``list:NAME``."""
        self.lists: Mapping[str, Sequence[Path]] = {}
        self.problems: Sequence[str] = ()
        """Folders and lists that could not be read."""
        self.is_scanned = False
        """Whether the disk was looked at; before that an empty list says nothing."""
        self.search_wanted = 0
        """Grows when somebody wants to type into the search."""
        self.open: Callable[[str], None] = lambda _overlay: None
        """Opens an overlay; set by whoever has them."""
        self.folders = PackFolders(desk, self.rescan)
        self._shown: Sequence[Path] | None = None
        self._wanted: Sequence[Path] = ()
        self._asked: dict[Path, Stamp] = {}
        self._all_asked = False
        self._alike: Counter[str] = Counter()
        self._missing: Sequence[Path] = ()
        self._selected_before: Sequence[Path] = ()
        self._untold: Sequence[Path] = ()
        """Selected packs that went away and of which nothing was said yet."""
        self._look_of: tuple[Path, Stamp] | None = None
        self._anchor: Path | None = None
        self._next_scan = 0.0
        self._scanning = False
        self._remembered = [Path(path) for path in desk.remembered.get("packs_selected", []) if path]
        self._chosen_before = desk.remembered.get("packs_selected", None) is not None
        current = desk.remembered.get("pack_current", "")
        self._look_first = Path(current) if current else None
        self.recent: list[Path] = [Path(path) for path in desk.remembered.get("packs_recent", []) if path]
        desk.state.on_connected.append(self._connected)

    # --- the disk -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Look at the disk now and then; ask about packs that are not known."""
        if self._desk.clock() >= self._next_scan and not self._scanning:
            self.rescan()
        self._describe_some()

    def rescan(self) -> None:
        """Look at the disk now."""
        self._scanning, self._next_scan = True, self._desk.clock() + SCAN_EVERY
        folders = self.folders.all
        self._desk.work(
            lambda: packdisk.scan(self._desk.data, folders), self._scanned, self._not_scanned, key="packs.scan"
        )

    def _not_scanned(self, error: Exception) -> None:
        self._scanning = False
        self._desk.complain(error)

    def _scanned(self, found: Scan) -> None:
        self._scanning = False
        self._next_scan = self._desk.clock() + SCAN_EVERY
        first, self.is_scanned = not self.is_scanned, True
        before = [(entry.path, entry.stamp) for entry in self.entries.values()]
        changed = {pack.path for pack in found.packs} ^ set(self.entries)
        entries: dict[Path, PackEntry] = {}
        for pack in sorted(found.packs, key=lambda pack: (pack.path.stem.lower(), str(pack.path))):
            entry = self.entries.get(pack.path)
            if entry is None:
                entry = PackEntry(pack.path, pack.stamp, pack.path.stem)
            elif entry.stamp != pack.stamp:
                entry.stamp = pack.stamp
                changed.add(pack.path)
            entries[pack.path] = entry
        if not first:
            self._follow(entries)
        self.entries = entries
        self._alike = Counter(entry.name.lower() for entry in entries.values())
        self._all_asked = False
        nothing = not self.selected and not self._missing
        if nothing and (first or (entries and not self._chosen_before)):
            self._restore()
        lists_changed = (self.lists, self.problems) != (found.lists, found.problems)
        for problem in found.problems:
            if problem not in self.problems:
                self._desk.complain(UserError(problem))
        self.lists, self.problems = found.lists, found.problems
        if self.filter.startswith(LIST) and self.filter.removeprefix(LIST) not in self.lists:
            self.filter = "all"
        if before == [(entry.path, entry.stamp) for entry in entries.values()] and not (first or lists_changed):
            return
        if not first and changed.intersection([*self.selected, *self._missing]):
            wanted = [*self.selected, *self._missing]
            self.selected = [path for path in wanted if path in entries]
            self._missing = [path for path in wanted if path not in entries]
            self.plan_revision += 1
        self._untold = [path for path in self._missing if path in self._selected_before]
        if self.current not in entries:
            self.look_at(next(iter(self.shown or entries), None), note=False)
        else:
            self._look_into()
        self._touch_list()

    def _follow(self, entries: Mapping[Path, PackEntry]) -> None:
        """Let what was renamed stay selected; say it of a selected pack that is not there any more. A file that
        a program takes away to write it anew is back at the next look."""
        lost = [path for path in self._untold if path not in entries]
        if lost:
            names = ", ".join(path.stem for path in lost[:NOTES]) + (", …" if len(lost) > NOTES else "")
            words = many(
                "{names} is not there any more, so it does not run.",
                "{names} are not there any more, so they do not run.",
                len(lost),
            )
            hint = _("It is selected again if it comes back.")
            self._desk.toasts.say(words.format(names=names), "warning", hint=hint)
        self._untold = ()
        self._selected_before = list(self.selected)
        gone = {path: entry.stamp for path, entry in self.entries.items() if path not in entries}
        came = {path: entry.stamp for path, entry in entries.items() if path not in self.entries}
        for old, new in renamed(gone, came).items() if gone and came else ():
            if old in self.selected:
                self.selected = [new if path == old else path for path in self.selected]
                self._selected_before = list(self.selected)
                self._desk.remembered.set("packs_selected", [str(path) for path in self.selected])
                self.plan_revision += 1
                words = _("{old} is called {new} now, and stays selected.")
                self._desk.toasts.say(words.format(old=old.stem, new=new.stem), "info")
            if old == self.current:
                self.current, self._look_of = new, None
                self._desk.remembered.set("pack_current", str(new))
            if old in self.recent:
                self.recent = [new if path == old else path for path in self.recent]

    def _restore(self) -> None:
        """What was selected and looked at the last time; the first time of all, the first pack."""
        chosen = [path for path in self._remembered if path in self.entries]
        if not chosen and not self._chosen_before:
            chosen = list(self.entries)[:1]
        self.selected = chosen
        self._missing = [path for path in self._remembered if path not in self.entries]
        self.plan_revision += 1
        current = self._look_first if self._look_first in self.entries else None
        self.look_at(current or next(iter(chosen or self.entries), None), note=False)

    def _connected(self) -> None:
        self._asked.clear()
        self._all_asked = False
        self._look_of = None
        self.folders.ask()
        self._look_into()

    # --- what is in them ------------------------------------------------------------------------------------

    @property
    def can_read(self) -> bool:
        """Whether there is somebody who says what is in them."""
        return self._desk.state.is_connected

    def want(self, paths: Sequence[Path]) -> None:
        """These are to be seen: ask about them first."""
        self._wanted = paths

    def _describe_some(self) -> None:
        if len(self._asked) >= AT_ONCE or not self._desk.state.is_connected:
            return
        if self._all_asked:
            return
        for path in (*self._wanted, *self.entries):
            entry = self.entries.get(path)
            if entry is None or entry.is_current or path in self._asked:
                continue
            stamp = self._asked[path] = entry.stamp
            self._desk.ask(
                partial(describe, path=path, rows=ROWS),
                partial(self._described, path, stamp),
                partial(self._not_described, path, stamp),
            )
            if len(self._asked) >= AT_ONCE:
                return
        self._all_asked = True

    def _described(self, path: Path, stamp: Stamp, answer: pb.DescribePackResponse) -> None:
        self._know(path, stamp, info_of(path, answer))

    def _not_described(self, path: Path, stamp: Stamp, error: Exception) -> None:
        if isinstance(error, KernelUnavailable):
            self._asked.clear()
            self._all_asked = True  # until it answers again
            return
        if not isinstance(error, StableNewError):
            self._desk.complain(error)
        self._know(path, stamp, PackInfo(errors=1, problems=[str(error)], text=path.stem.lower()))

    def _know(self, path: Path, stamp: Stamp, info: PackInfo) -> None:
        self._asked.pop(path, None)
        entry = self.entries.get(path)
        if entry is not None:
            entry.info, entry.described = info, stamp
            if self.search:
                self._shown = None
            self.touch()

    def _look_into(self) -> None:
        """Ask what is in the pack that is looked at, if that is not known."""
        entry = self.entries.get(self.current) if self.current is not None else None
        if entry is None:
            self.look = self._look_of = None
            return
        wanted = (entry.path, entry.stamp)
        if self._look_of == wanted:
            return
        if self._look_of is None or self._look_of[0] != entry.path:
            self.look = None
        asked = self._desk.ask(
            partial(describe, path=entry.path, rows=ROWS),
            partial(self._looked, entry.path),
            self._not_looked,
            key="packs.look",
        )
        self._look_of = wanted if asked else None

    def _looked(self, path: Path, answer: pb.DescribePackResponse) -> None:
        if path != self.current:  # renamed, or gone, while it was being read
            return
        self.look = answer
        self.row = min(self.row, max(0, len(answer.rows) - 1))
        self.touch()

    def _not_looked(self, error: Exception) -> None:
        self._look_of = None if isinstance(error, KernelUnavailable) else self._look_of
        if not isinstance(error, StableNewError):
            self._desk.complain(error)
        self.touch()

    # --- which are shown ------------------------------------------------------------------------------------

    @property
    def shown(self) -> Sequence[Path]:
        """Those that search and filter leave, in order."""
        if self._shown is None:
            words = self.search.lower().split()
            self._shown = [path for path in self._filtered() if self._matches(path, words)]
        return self._shown

    def _filtered(self) -> Sequence[Path]:
        if self.filter == "selected":
            return self.selected
        if self.filter == "recent":
            return [path for path in self.recent if path in self.entries]
        if self.filter.startswith(LIST):
            listed = set(self.lists.get(self.filter.removeprefix(LIST), ()))
            return [path for path in self.entries if path in listed]
        return list(self.entries)

    def _matches(self, path: Path, words: Sequence[str]) -> bool:
        entry = self.entries[path]
        name = entry.name.lower()
        text = entry.info.text if entry.info is not None else ""
        return all(word in name or word in text for word in words)

    def look_for(self, words: str) -> None:
        """Show packs with all of ``words`` in name, prompts, slots or wildcards."""
        self.search = words
        self._touch_list()

    def choose_filter(self, name: str) -> None:
        """``all``, ``selected``, ``recent`` or ``list:NAME``."""
        self.filter = name
        self._touch_list()

    def folder_of(self, entry: PackEntry) -> str:
        """Where it is, if another pack has the same name; else empty."""
        return entry.path.parent.name if self._alike[entry.name.lower()] > 1 else ""

    def _touch_list(self) -> None:
        self._shown = None
        self.touch()

    # --- selecting and looking ------------------------------------------------------------------------------

    def is_selected(self, path: Path) -> bool:
        """Whether the next run has it."""
        return path in self.selected

    def toggle(self, path: Path) -> None:
        """Take it into the next run, or out of it."""
        self._anchor = path
        if path in self.selected:
            self._select([other for other in self.selected if other != path])
        else:
            self._select([*self.selected, path])
            self._used(path)

    def click(self, path: Path, *, ctrl: bool = False, shift: bool = False) -> None:
        """Look at it; with ``ctrl`` select it too, or no longer; with ``shift`` select all between the one
        that was clicked before and this one."""
        if shift and self._anchor in self.shown and path in self.shown:
            ends = sorted((self.shown.index(self._anchor), self.shown.index(path)))
            between = self.shown[ends[0] : ends[1] + 1]
            self._select([*self.selected, *(one for one in between if one not in self.selected)])
        elif ctrl:
            self.toggle(path)
        self._anchor = path if not shift else self._anchor
        self.look_at(path)

    def select_shown(self, *, selected: bool = True) -> None:
        """Select all that are shown, or none of them."""
        shown = list(self.shown)
        others = [path for path in self.selected if path not in shown]
        self._select(
            [*self.selected, *(one for one in shown if not self.is_selected(one))] if selected else others
        )

    def toggle_shown(self) -> None:
        """Select all that are shown; if all are, none of them."""
        self.select_shown(selected=not all(self.is_selected(path) for path in self.shown))

    def _select(self, paths: Sequence[Path]) -> None:
        self.selected, self._missing, self._chosen_before = paths, (), True
        self.plan_revision += 1
        self._desk.remembered.set("packs_selected", [str(path) for path in paths])
        self._touch_list()

    def look_at(self, path: Path | None, *, note: bool = True) -> None:
        """Show what is in ``path``. ``note``: it counts as used."""
        if path != self.current:
            self.current, self.row = path, 0
            self._desk.remembered.set("pack_current", str(path or ""))
        if note and path is not None:
            self._used(path)
        self._look_into()
        self.touch()

    def move(self, steps: int) -> None:
        """Look at the pack so many below."""
        if self.shown:
            at = self.shown.index(self.current) + steps if self.current in self.shown else 0
            self.look_at(self.shown[min(max(at, 0), len(self.shown) - 1)], note=False)

    def turn(self, steps: int) -> None:
        """Show the row so many behind the one that is shown."""
        if self.look is not None and self.look.rows:
            self.row = (self.row + steps) % len(self.look.rows)
            self.touch()

    def _used(self, path: Path) -> None:
        self.recent = [path, *(other for other in self.recent if other != path)][:RECENT]
        self._desk.remembered.set("packs_recent", [str(path) for path in self.recent])
        if self.filter == "recent":
            self._shown = None

    # --- lists ----------------------------------------------------------------------------------------------

    def save_list(self, name: str) -> None:
        """Keep the selection as the list ``name``, in place of what was in it."""
        chosen = [str(path) for path in self.selected]

        def work() -> None:
            lists = PackLists(self._desk.data)
            if name in lists.all():
                lists.drop(name)
            lists.add(name, chosen)

        self._change_lists(work, LIST + name)

    def add_to_list(self, name: str, paths: Sequence[Path]) -> None:
        """Put packs into a list."""
        self._change_lists(lambda: PackLists(self._desk.data).add(name, [str(path) for path in paths]))

    def remove_from_list(self, name: str, paths: Sequence[Path]) -> None:
        """Take packs out of a list; those that a folder in the list brings stay."""
        gone = {str(path) for path in paths}

        def work() -> None:
            lists = PackLists(self._desk.data)
            given = [one for one in lists.get(name) if str(Path(one).expanduser().absolute()) in gone]
            if not given:
                raise UserError(
                    _("list {name}: this pack is there because its folder is in the list").format(name=name)
                )
            lists.remove(name, given)

        self._change_lists(work)

    def drop_list(self, name: str) -> None:
        """Forget a list. Its packs stay."""
        self._change_lists(lambda: PackLists(self._desk.data).drop(name))

    def select_list(self, name: str) -> None:
        """Select what is in the list, and nothing else."""
        self._select([path for path in self.lists.get(name, ()) if path in self.entries])

    def _change_lists(self, work: Callable[[], object], then: str = "") -> None:
        def done(_nothing: object) -> None:
            if then:
                self.filter = then
                self.lists = {**self.lists, then.removeprefix(LIST): list(self.selected)}
                self._touch_list()
            self.rescan()

        self._desk.work(work, done)

    # --- more packs -----------------------------------------------------------------------------------------

    def add_examples(self) -> None:
        """Copy the packs that come with StableNew to the person's own, and select them."""
        self._desk.work(lambda: add_examples(self._desk.data.packs), self._added)

    def new(self, name: str) -> None:
        """Make a pack and open it in the editor."""

        def done(path: Path) -> None:
            self._added([path])
            self.open("editor")

        self._desk.work(lambda: packdisk.new_pack(self._desk.data.packs, name), done)

    def bring(self, given: str) -> None:
        """Copy the pack ``given`` to the person's own, or make packs of a file of another program; of a folder
        with packs, show all in it from now on."""
        text = given.strip().strip('"')
        folder = Path(text).expanduser().absolute()
        if not text:
            return

        def work() -> ImportedPacks | None:
            if folder.is_dir() and folder.name not in NO_PACKS and find_packs(folder):
                return None
            return packdisk.bring(self._desk.data, text)

        def done(found: ImportedPacks | None) -> None:
            if found is None:
                self.folders.add(folder)
            else:
                self._brought(found)

        self._desk.work(work, done)

    def _brought(self, found: ImportedPacks) -> None:
        """Show what was imported, and say what of it is not as it was."""
        parts = [
            many("{n} pack imported.", "{n} packs imported.", len(found.packs)) if found.packs else "",
            many("{n} wildcard file imported.", "{n} wildcard files imported.", len(found.wildcards))
            if found.wildcards
            else "",
        ]
        words = " ".join(filter(None, parts)) or _("Nothing was imported.")
        level: Level = "warning" if found.notes or not any(parts) else "good"
        detail = "\n".join(found.notes) if len(found.notes) > NOTES else ""
        self._desk.toasts.say(words, level, hint="\n".join(found.notes[:NOTES]), detail=detail)
        self._added(found.packs)

    def reveal(self) -> None:
        """Show the pack that is looked at, or the folder of packs, in the system's file manager."""
        path = self.current or self._desk.data.packs
        self._desk.work(lambda: packdisk.reveal(path), lambda _nothing: None)

    def edit(self) -> None:
        """Open the pack that is looked at in the editor."""
        if self.current is not None:
            self.open("editor")

    def _added(self, paths: Sequence[Path]) -> None:
        """New packs: shown, selected, looked at."""
        now = self._desk.clock()
        entries = dict(self.entries)
        for path in paths:
            entries.setdefault(path, PackEntry(path, (), path.stem))
        self.entries, self.filter, self.search = entries, "all", ""
        self._select([*self.selected, *(path for path in paths if path not in self.selected)])
        if paths:
            self.look_at(paths[0])
        self._next_scan = now
        self._touch_list()

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys of the packs."""
        group = _("Prompt packs")

        def toggle() -> None:
            if self.current is not None:
                self.toggle(self.current)

        def search() -> None:
            self.search_wanted += 1
            self.touch()

        return [
            Shortcut("Ctrl+F", _("Search packs"), search, while_typing=True, group=group),
            Shortcut("Ctrl+E", _("Edit the pack"), self.edit, while_typing=True, group=group),
            Shortcut("Ctrl+O", _("Import a pack"), lambda: self.open("import"), while_typing=True, group=group),
            Shortcut("Ctrl+N", _("New pack"), lambda: self.open("newpack"), while_typing=True, group=group),
            Shortcut("Alt+Up", _("Pack above"), lambda: self.move(-1), group=group),
            Shortcut("Alt+Down", _("Pack below"), lambda: self.move(1), group=group),
            Shortcut("Alt+Left", _("Row before"), lambda: self.turn(-1), group=group),
            Shortcut("Alt+Right", _("Row behind"), lambda: self.turn(1), group=group),
            Shortcut("Alt+Enter", _("Select the pack, or not"), toggle, group=group),
            Shortcut("Ctrl+Shift+A", _("Select all that are shown, or none"), self.toggle_shown, group=group),
        ]
