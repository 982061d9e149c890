"""What the kernel says about the texts that are edited: colours, tokens, and what is wrong, in its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from stablenew_client.packfiles import PackFiles
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.packs.highlight import Piece, pieces
from stablenew_plugins.desktop.models.packs.packtexts import KINDS, Kind, Reading
from stablenew_plugins.desktop.models.packs.textedit import TextEdit
from stablenew_plugins.desktop.models.packs.unfinished import is_unfinished
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2
    from stablenew_proto.v1 import packs_pb2 as pb

QUIET = 0.2
"""Seconds without a key before the kernel is asked what a prompt is made of."""
PATIENCE = 2.5
"""Seconds without a key before what has no end yet is called wrong."""
CHUNK = 75
"""Tokens that a model reads at once."""


class Readings:
    """See above. What is being typed is not called wrong before the caret has left it, or a moment passed."""

    def __init__(
        self,
        desk: Desk,
        texts: Mapping[Kind, TextEdit],
        request: Callable[[PackFiles], kernel_pb2.RunRequest],
        is_offered: Callable[[Kind], bool],
        failed: Callable[[Exception], None],
        touch: Callable[[], None],
    ) -> None:
        """``request``: what a run of the pack asks for; called in another thread. ``is_offered``: whether
        something is offered for what is typed in a text. ``failed``: the kernel did not answer."""
        self._desk, self._texts, self._request = desk, texts, request
        self._is_offered, self._failed, self._touch = is_offered, failed, touch
        self.found: dict[Kind, Reading] = {kind: Reading() for kind in KINDS}
        self._due: dict[Kind, float] = {}
        self._patient: dict[Kind, float] = {}
        """Until when what has no end is not called wrong."""

    def forget(self) -> None:
        """Other texts: nothing is known about them."""
        self.found = {kind: Reading() for kind in KINDS}
        self._patient.clear()

    def soon(self, after: float) -> None:
        """Ask about all of them in so many seconds."""
        self._due = dict.fromkeys(KINDS, self._desk.clock() + after)

    def typed(self, kind: Kind) -> None:
        """A text was changed."""
        now = self._desk.clock()
        self._due[kind], self._patient[kind] = now + QUIET, now + PATIENCE

    def tick(self, files: PackFiles) -> None:
        """Ask after a moment of quiet; lose patience after some more."""
        now = self._desk.clock()
        for kind, due in list(self._due.items()):
            if now >= due:
                del self._due[kind]
                self._read(kind, files)
        for kind, due in list(self._patient.items()):
            if now >= due:
                del self._patient[kind]
                self._touch()

    def _read(self, kind: Kind, files: PackFiles) -> None:
        text = self._texts[kind].text
        if not text.strip():
            self._was_read(kind, Reading(text))
            return

        def work(kernel: KernelClient) -> Reading:
            answer = kernel.packs.prompt(text, self._request(files))
            return Reading(text, answer.spans, answer.problems, answer.tokens, answer.models)

        self._desk.ask(work, lambda found: self._was_read(kind, found), self._failed, key=f"editor.{kind}")

    def _was_read(self, kind: Kind, found: Reading) -> None:
        if found.text == self._texts[kind].text:
            self.found[kind] = found
            self._touch()

    # --- what is told ---------------------------------------------------------------------------------------

    def is_fresh(self, kind: Kind) -> bool:
        """Whether what is known is about the text as it is."""
        return self.found[kind].text == self._texts[kind].text

    def _waits(self, kind: Kind, at: int) -> bool:
        """Whether what is wrong at this place is not told yet: somebody is typing it."""
        edit = self._texts[kind]
        typing = kind in self._patient or self._is_offered(kind)
        return typing and edit.caret == edit.anchor and is_unfinished(edit.text, at, edit.caret)

    def problems(self, kind: Kind) -> Sequence[pb.PackProblem]:
        """What is wrong with a text, as far as it is told."""
        return [
            one
            for one in self.found[kind].problems
            if one.file or not one.column or not self._waits(kind, one.column - 1)
        ]

    def is_patient(self, kind: Kind) -> bool:
        """Whether something is wrong that is not told yet."""
        return len(self.problems(kind)) < len(self.found[kind].problems)

    def pieces(self, kind: Kind) -> Sequence[Piece]:
        """The text in pieces, for colours."""
        found, text = self.found[kind], self._texts[kind].text
        return [
            Piece(one.start, one.end, "bracket")
            if one.kind == "error" and self._waits(kind, one.start)
            else one
            for one in pieces(found.spans, found.text, text)
        ]

    def marks(self, kind: Kind) -> Sequence[tuple[int, str]]:
        """Places of what is wrong, each with its severity."""
        if not self.is_fresh(kind):
            return ()
        return [(one.column - 1, one.severity) for one in self.problems(kind) if one.column and not one.file]

    def lines(self, kind: Kind) -> Sequence[tuple[str, str]]:
        """Severity and text of what is wrong."""
        found = []
        for problem in self.problems(kind):
            if problem.file:
                place = f"{problem.file}: "
            else:
                place = _("at character {n}: ").format(n=problem.column) if problem.column else ""
            fix = f"; {problem.fix}" if problem.fix else ""
            found.append((problem.severity, f"{place}{problem.reason}{fix}"))
        said = " ".join(text for _severity, text in found)
        missing = [name for name in self.found[kind].models if name not in said]
        found += [("warning", _("no node has {name}").format(name=name)) for name in missing]
        return found

    def is_long(self, kind: Kind) -> bool:
        """Whether a model reads it in several pieces."""
        return self.found[kind].tokens > CHUNK

    def tokens(self, kind: Kind) -> str:
        """ "about 82 tokens · 2 chunks of 75"."""
        tokens = self.found[kind].tokens
        if not tokens:
            return ""
        chunks = -(-tokens // CHUNK)
        line = many("about {n} token", "about {n} tokens", tokens)
        if chunks < 2:
            return f"{line}  /  {CHUNK}"
        return f"{line}  ·  {_('{n} chunks of {size}').format(n=chunks, size=CHUNK)}"
