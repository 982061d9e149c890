"""The prompt editor: the rows of a pack, with colours, checks, completion, and what a run makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_api.errors import KernelUnavailable, StableNewError
from stablenew_client.packfiles import PackFiles, read_pack, replace_file, request_of
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.packs.attention import weigh
from stablenew_plugins.desktop.models.packs.completion import Completion
from stablenew_plugins.desktop.models.packs.offers import Offers
from stablenew_plugins.desktop.models.packs.packinfo import in_words
from stablenew_plugins.desktop.models.packs.packs import PacksModel
from stablenew_plugins.desktop.models.packs.packtexts import (
    KINDS,
    Kind,
    Loaded,
    edited,
    read_rows,
    settled,
)
from stablenew_plugins.desktop.models.packs.readings import Readings
from stablenew_plugins.desktop.models.packs.rowedits import EditRow, Texts, merge
from stablenew_plugins.desktop.models.packs.samples import QUIET as SAMPLE_QUIET
from stablenew_plugins.desktop.models.packs.samples import Asked, Expanded, Samples
from stablenew_plugins.desktop.models.packs.textedit import TextEdit
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.prompt.randomizer import RandomizerModel
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2


class EditorModel(Model):
    """See above. Nothing is written before :meth:`save`; what is written changes no other byte of the file."""

    def __init__(
        self, desk: Desk, packs: PacksModel, pipeline: PipelineModel, randomizer: RandomizerModel
    ) -> None:
        super().__init__()
        self._desk = desk
        self._packs = packs
        self._pipeline, self._randomizer = pipeline, randomizer
        self.path: Path | None = None
        """Of the pack that is open."""
        self.rows: Sequence[EditRow] = ()
        self.at = 0
        """The row that is edited, from 0."""
        self.texts: Mapping[Kind, TextEdit] = {kind: TextEdit() for kind in KINDS}
        self.active: Kind = "positive"
        """The text that is typed into."""
        self.offers = Offers(desk, self.touch)
        self.readings = Readings(
            desk, self.texts, self._request, self._is_offered, self._complain_gently, self.touch
        )
        self.samples = Samples(desk, self._request, self._complain_gently, self.touch)
        self.problem = ""
        """Why nothing can be edited; empty: it can."""
        self.is_loading = False
        self.is_saving = False
        self.conflict: PackFiles | None = None
        """The file as somebody else wrote it meanwhile; None: nobody did."""
        self.asks_to_close = False
        """Whether it is asked what to do with what is not saved."""
        self.close_view: Callable[[], None] = lambda: None
        """Takes the overlay away; set by whoever has it."""
        self.is_open: Callable[[], bool] = lambda: False
        """Whether the editor is to be seen; set by whoever knows."""
        self._files: PackFiles | None = None
        self._base: Sequence[Texts] = ()
        self._past: list[tuple[Sequence[EditRow], int]] = []
        self._keys = 0
        self._stamp: tuple[int, ...] = ()
        self._close_then = False
        self._begin_at: tuple[Path, int] | None = None
        """Pack, and row of its file from 0, that is to be edited when they are here."""
        desk.state.on_connected.append(self._connected)

    # --- opening --------------------------------------------------------------------------------------------

    def begin_at(self, path: Path, row: int) -> None:
        """Let the editor begin at ``row`` of the file, from 0, when it next opens ``path``."""
        self._begin_at = path, row

    def _begin(self) -> None:
        """Go to the row that was asked for."""
        if self._begin_at is None or self._files is None:
            return
        (path, origin), self._begin_at = self._begin_at, None
        if path == self.path:
            found = [at for at, row in enumerate(self.rows) if row.origin == origin]
            self.choose(found[0] if found else self.at)

    def open_pack(self, path: Path | None) -> None:
        """Edit ``path``. What is not saved stays as it is; of another pack, that one stays open."""
        if path is not None and path != self.path and self.path is not None and self.is_dirty:
            words = _("{pack} has changes that are not saved. Save or revert them first.")
            self._desk.toasts.say(words.format(pack=self.path.name), "warning")
            path = self.path
        if path is None or (path == self.path and self._files is not None):
            self._begin()
            self.offers.ask()
            self._read_soon(0.0)
            return
        self.path, self.rows, self._base, self._files = path, (), (), None
        self.at, self.conflict, self.problem, self.asks_to_close = 0, None, "", False
        self._past.clear()
        self._load_texts()
        self._load()
        self.offers.ask()

    def _load(self) -> None:
        path = self.path
        if path is None:
            return

        def work(kernel: KernelClient) -> Loaded:
            return read_rows(kernel, path)

        self.is_loading = self._desk.ask(work, self._loaded, self._not_loaded, key="editor.load")
        if not self.is_loading:
            self.problem = _("The kernel does not answer; the prompts are shown when it does.")
        self.touch()

    def _connected(self) -> None:
        if self.path is not None and self._files is None:
            self._load()
        self.offers.ask()

    def _loaded(self, loaded: Loaded) -> None:
        if loaded.files.path != self.path:
            return
        at = self.at
        self._take(loaded)
        self.rows = [self._row(texts, number) for number, texts in enumerate(loaded.rows)]
        self.at = min(at, max(0, len(self.rows) - 1))
        self._past.clear()
        self.conflict = None
        self._load_texts()
        self._begin()

    def _take(self, loaded: Loaded) -> None:
        """What is on the disk is what edits begin from."""
        self.is_loading, self.problem = False, ""
        self._files, self._base = loaded.files, loaded.rows
        entry = self._packs.entries.get(loaded.files.path)
        self._stamp = entry.stamp if entry is not None else ()
        self.offers.of_pack(loaded.wildcards, loaded.answer.slots)
        if not loaded.rows and loaded.answer.problems:
            self.problem = in_words(loaded.answer.problems[0])
        self.touch()

    def _not_loaded(self, error: Exception) -> None:
        self.is_loading = False
        if not isinstance(error, StableNewError):
            self._desk.complain(error)
        self.problem = str(error)
        self.touch()

    def _row(self, texts: Texts, origin: int | None) -> EditRow:
        self._keys += 1
        return EditRow(self._keys, texts[0], texts[1], origin)

    # --- the row --------------------------------------------------------------------------------------------

    @property
    def row(self) -> EditRow | None:
        """The row that is edited."""
        return self.rows[self.at] if self.at < len(self.rows) else None

    @property
    def is_dirty(self) -> bool:
        """Whether something is not saved."""
        if len(self.rows) != len(self._base):
            return True
        return any(
            row.origin != number or row.texts != texts
            for number, (row, texts) in enumerate(zip(self.rows, self._base, strict=True))
        )

    def is_changed(self, row: EditRow) -> bool:
        """Whether this row is not as the file has it."""
        return row.origin is None or self._base[row.origin] != row.texts

    def choose(self, index: int) -> None:
        """Edit another row, from 0; one that is not there is the nearest."""
        self.at = min(max(index, 0), max(0, len(self.rows) - 1))
        self._load_texts()
        self.touch()

    def _load_texts(self) -> None:
        row = self.row
        for kind in KINDS:
            self.texts[kind].load(getattr(row, kind) if row is not None else "")
        self.offers.completion = None
        self.readings.forget()
        self.samples.forget()
        self._read_soon(0.0)
        self.touch()

    def typed(self, kind: Kind) -> None:
        """The text of ``kind`` was changed, or the caret moved."""
        row, text = self.row, self.texts[kind].text
        if row is None:
            return
        changed = getattr(row, kind) != text
        if changed:
            made = replace(row, positive=text) if kind == "positive" else replace(row, negative=text)
            self.rows = [*self.rows[: self.at], made, *self.rows[self.at + 1 :]]
            self.readings.typed(kind)
            self.samples.soon(SAMPLE_QUIET)
        self.active = kind
        self.offers.look(kind, self.texts[kind], typed=changed)
        self.touch()

    def edit(self, kind: Kind, text: str) -> None:
        """Write all of a text anew."""
        self.texts[kind].replace(0, len(self.texts[kind].text), text)
        self.typed(kind)

    def weigh(self, steps: int) -> None:
        """Change the weight of what is selected, or of what is at the caret, by so many tenths."""
        edit = self.texts[self.active]
        made = weigh(edit.text, *edit.selection, steps)
        if made is not None and self.row is not None:
            edit.rewrite(made.text, made.start, made.end)
            self.typed(self.active)
            self.offers.completion = None

    # --- rows -----------------------------------------------------------------------------------------------

    def add_row(self) -> None:
        """A new one below, with the same negative prompt."""
        row = self.row
        negative = row.negative if row is not None else ""
        self._change_rows(self.at + 1 if row is not None else 0, ("", negative))

    def duplicate_row(self) -> None:
        """The same again, below."""
        if (row := self.row) is not None:
            self._change_rows(self.at + 1, row.texts)

    def remove_row(self) -> None:
        """Take it out. :meth:`undo_rows` brings it back."""
        if self.row is not None:
            self._keep()
            self.rows = [row for row in self.rows if row is not self.row]
            self.choose(self.at)

    def move_row(self, steps: int) -> None:
        """So many down; up if negative."""
        row, to = self.row, self.at + steps
        if row is None or not 0 <= to < len(self.rows):
            return
        self._keep()
        rest = [other for other in self.rows if other is not row]
        self.rows = [*rest[:to], row, *rest[to:]]
        self.at = to
        self.touch()

    def _change_rows(self, at: int, texts: Texts) -> None:
        self._keep()
        self.rows = [*self.rows[:at], self._row(texts, None), *self.rows[at:]]
        self.choose(at)

    def _keep(self) -> None:
        self._past.append((self.rows, self.at))

    @property
    def can_undo_rows(self) -> bool:
        """Whether rows were added, moved or taken out."""
        return bool(self._past)

    def undo_rows(self) -> None:
        """Take back the last that happened to the rows as such, with what was typed since."""
        if self._past:
            self.rows, at = self._past.pop()
            self.choose(at)

    # --- what it says about the text ------------------------------------------------------------------------

    def tick(self) -> None:
        """Ask about texts after a moment of quiet; see whether somebody else wrote the file."""
        if self._files is None or not self.is_open():
            return
        self.readings.tick(self._files)
        if self.samples.is_due():
            self.samples.ask(self._asked())
        entry = self._packs.entries.get(self._files.path)
        if entry is not None and entry.stamp != self._stamp and not self.is_saving:
            self._stamp = entry.stamp
            self._look_again()

    def _read_soon(self, after: float) -> None:
        self.readings.soon(after)
        self.samples.soon(after)

    def _request(self, files: PackFiles) -> kernel_pb2.RunRequest:
        """What a run of the pack asks for now. Reads wildcards."""
        request = request_of(files)
        request.pack_path = str(files.path)
        self._pipeline.apply(request)
        self._randomizer.apply(request)
        return request

    def _complain_gently(self, error: Exception) -> None:
        """A kernel that went away is told of elsewhere; colours and samples come back with it."""
        if isinstance(error, KernelUnavailable):
            self._read_soon(2.0)
            return
        self._desk.complain(error)

    def _asked(self) -> Asked | None:
        """The row, for its samples."""
        files, row = self._files, self.row
        if files is None or row is None or not row.positive.strip():
            return None
        rows = [one for one in self.rows if one.positive.strip()]
        return Asked(files, self._base, rows, rows.index(row) + 1)

    @property
    def expanded(self) -> Expanded:
        """What a run makes of the row. While something in it has no end yet, what it made of it before."""
        found = self.samples.found
        return self.samples.good if found.problem and self.readings.is_patient("positive") else found

    def draw_others(self) -> None:
        """Show what else the row could become."""
        if not self.samples.is_asking:
            self.samples.draws += 1
            self.samples.ask(self._asked())

    # --- completion -----------------------------------------------------------------------------------------

    @property
    def completion(self) -> Completion | None:
        """What is offered."""
        return self.offers.completion

    def _is_offered(self, kind: Kind) -> bool:
        return self.offers.completion is not None and self.offers.completing == kind

    def accept(self, index: int | None = None) -> bool:
        """Write the chosen option, or that of ``index``. False: nothing is offered."""
        offers = self.offers
        found, kind = offers.completion, offers.completing
        if found is None:
            return False
        chosen = found.texts[offers.choice if index is None else index]
        self.texts[kind].replace(found.start, found.end, chosen)
        self.typed(kind)
        offers.completion = None
        return True

    # --- saving ---------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write what changed, and nothing else."""
        files, base, rows = self._files, self._base, self.rows
        if files is None or not self.is_dirty or self.is_saving or self.conflict is not None:
            return

        def work(kernel: KernelClient) -> Loaded | PackFiles:
            content = edited(kernel, files, base, rows)
            now = read_pack(str(files.path))
            if now.pack != files.pack:
                return now
            replace_file(files.path, files.pack, content)
            return read_rows(kernel, files.path)

        self.is_saving = True
        self.touch()
        self._desk.order(work, lambda result: self._saved(rows, result), self._not_saved)

    def _saved(self, sent: Sequence[EditRow], result: Loaded | PackFiles) -> None:
        self.is_saving = False
        if isinstance(result, PackFiles):
            self.conflict, self._close_then = result, False
            self.touch()
            return
        self._take(result)
        self._packs.rescan()
        # What was typed since stays, and is not saved.
        places = {row.key: number for number, row in enumerate(sent)}
        self.rows = [settled(row, places.get(row.key), sent, result.rows) for row in self.rows]
        self._past.clear()
        if (row := self.row) is not None and row.texts != tuple(self.texts[kind].text for kind in KINDS):
            self._load_texts()
        if self._close_then:
            self._close_then = False
            self._close()
        self.touch()

    def _not_saved(self, error: Exception) -> None:
        self.is_saving = self._close_then = False
        self._desk.complain(error)
        self.touch()

    def revert(self) -> None:
        """Forget what is not saved."""
        self.rows = [self._row(texts, number) for number, texts in enumerate(self._base)]
        self._past.clear()
        self.choose(self.at)

    def _look_again(self) -> None:
        """Somebody may have written the file: read it."""
        files = self._files
        if files is None:
            return

        def done(now: PackFiles) -> None:
            if self._files is not files or (now.pack, now.sidecar) == (files.pack, files.sidecar):
                return
            if now.pack != files.pack and self.is_dirty:
                self.conflict = now
                self.touch()
            else:
                self._load()

        self._desk.work(lambda: read_pack(str(files.path)), done, key="editor.again")

    def take_theirs(self) -> None:
        """Of two versions, that on the disk: what is not saved here is forgotten."""
        self.conflict = None
        self._load()

    def keep_mine(self) -> None:
        """Of two versions, both: what was changed here, on top of what is on the disk now. Not saved yet."""
        path, base = self.path, self._base
        if path is None:
            return

        def done(loaded: Loaded) -> None:
            mine = merge(base, loaded.rows, self.rows)
            self._take(loaded)
            row = self.row
            self.rows, self.conflict = mine, None
            self._past.clear()
            keys = [one.key for one in mine]
            self._keys = max([self._keys, *keys])
            self.choose(keys.index(row.key) if row is not None and row.key in keys else 0)

        self._desk.order(lambda kernel: read_rows(kernel, path), done)

    # --- closing --------------------------------------------------------------------------------------------

    def may_close(self) -> bool:
        """Whether the overlay may go; else it is asked what to do with what is not saved."""
        if self.offers.dismiss():
            return False
        if not self.is_dirty:
            self.asks_to_close = False
            return True
        self.asks_to_close = not self.asks_to_close  # Escape again: stay
        self.touch()
        return False

    def holds_back(self) -> bool:
        """Whether the window must not close yet: then it is asked what to do with what is not saved."""
        if not self.is_dirty:
            return False
        self.asks_to_close = True
        if not self.is_open():
            self._packs.open("editor")
        self.touch()
        return True

    def save_and_close(self) -> None:
        """Write, then close."""
        if not self.is_dirty:
            self._close()
            return
        self._close_then = True
        self.asks_to_close = False
        self.save()

    def discard_and_close(self) -> None:
        """Forget what is not saved, and close."""
        self.revert()
        self._close()

    def stay(self) -> None:
        """Do not close."""
        self.asks_to_close = False
        self.touch()

    def _close(self) -> None:
        self.asks_to_close = False
        self.close_view()

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys of the editor; those of the text itself are the field's."""
        group = _("Prompt editor")

        def shortcut(keys: str, what: str, act: Callable[[], None]) -> Shortcut:
            return Shortcut(keys, what, act, while_typing=True, overlay="editor", group=group)

        return [
            shortcut("Ctrl+S", _("Save the pack"), self.save),
            shortcut("PageUp", _("Row above"), lambda: self.choose(self.at - 1)),
            shortcut("PageDown", _("Row below"), lambda: self.choose(self.at + 1)),
            shortcut("Alt+Shift+Up", _("Move the row up"), lambda: self.move_row(-1)),
            shortcut("Alt+Shift+Down", _("Move the row down"), lambda: self.move_row(1)),
            shortcut("Ctrl+Shift+N", _("New row"), self.add_row),
            shortcut("Ctrl+D", _("Duplicate the row"), self.duplicate_row),
            shortcut("Ctrl+Shift+D", _("Remove the row"), self.remove_row),
            shortcut("Ctrl+Up", _("More weight for the selection or the word"), partial(self.weigh, 1)),
            shortcut("Ctrl+Down", _("Less weight"), partial(self.weigh, -1)),
            shortcut("Ctrl+Shift+Z", _("Undo the last change of rows"), self.undo_rows),
        ]
