"""What a run makes of the row that is edited: some of its prompts, with what was chosen in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_api.errors import KernelUnavailable, StableNewError
from stablenew_client.packfiles import PackFiles
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.packs.packtexts import edited
from stablenew_plugins.desktop.models.packs.rowedits import EditRow, Texts
from stablenew_plugins.desktop.models.prompt.choices import Span, choices_of, spans
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2

QUIET = 0.6
"""Seconds without a key before the kernel is asked."""
SHOWN = 8
"""Prompts that are shown."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt that a run makes."""

    prompt: str
    lit: Sequence[Span] = ()
    """Where what was chosen stands."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """What a run would make of the row."""

    samples: Sequence[Sample] = ()
    """Each prompt once."""
    line: str = ""
    """How many, in plain words."""
    problem: str = ""
    images: int = 0

    @property
    def prompts(self) -> Sequence[str]:
        """Those of the samples."""
        return [sample.prompt for sample in self.samples]


@dataclass(frozen=True, slots=True)
class Asked:
    """The row, and the pack that it is in."""

    files: PackFiles
    base: Sequence[Texts]
    rows: Sequence[EditRow]
    """Without those that are empty, which no file has."""
    number: int
    """Of the row among them, from 1."""


class Samples:
    """See above."""

    def __init__(
        self,
        desk: Desk,
        request: Callable[[PackFiles], kernel_pb2.RunRequest],
        failed: Callable[[Exception], None],
        touch: Callable[[], None],
    ) -> None:
        """``request``: what a run of the pack asks for; called in another thread."""
        self._desk, self._request, self._failed, self._touch = desk, request, failed, touch
        self.found = Expanded()
        self.good = Expanded()
        """The latest of this row that has no problem."""
        self.is_asking = False
        self.draws = 0
        """How often others were drawn; 0: they are those that the next run begins with."""
        self._due = 0.0
        self._row = 0
        """Grows with each other row: an answer about the one before comes too late."""

    def forget(self) -> None:
        """Another row."""
        self.found = self.good = Expanded()
        self.draws, self.is_asking = 0, False
        self._row += 1

    def soon(self, after: float) -> None:
        """Ask in so many seconds, for what the next run makes."""
        self._due = self._desk.clock() + after
        self.draws, self.is_asking = 0, True

    def is_due(self) -> bool:
        """Whether it is time to ask; then it is not due any more."""
        if not self._due or self._desk.clock() < self._due:
            return False
        self._due = 0.0
        return True

    def ask(self, asked: Asked | None) -> None:
        """Ask now; None: there is nothing in the row."""
        if asked is None:
            self.forget()
            self._touch()
            return
        of = self._row
        draws, line, images = self.draws, self.good.line, self.good.images

        def work(kernel: KernelClient) -> Expanded:
            request = self._request(asked.files)
            request.pack = content = edited(kernel, asked.files, asked.base, asked.rows)
            if asked.files.path == asked.files.sidecar_path:
                request.sidecar = content
            request.rows = str(asked.number)
            if draws:
                # All picks follow from a seed that is given. Of slots that multiply, some are drawn, too.
                request.seed, request.sample = draws, SHOWN
            samples: dict[str, Sample] = {}
            found = Expanded(line=line, images=images)
            try:
                for message in kernel.preview(request, SHOWN):
                    for job in message.jobs:
                        lit = spans(job.prompt, *choices_of(job.spec_json))
                        samples.setdefault(job.prompt, Sample(job.prompt, lit))
                    if message.HasField("summary") and not draws:
                        found = Expanded(line=message.summary.line, images=message.summary.jobs)
            except KernelUnavailable:
                raise
            except StableNewError as error:
                return Expanded(problem=str(error))
            return Expanded(list(samples.values()), found.line, images=found.images)

        def done(found: Expanded) -> None:
            if of != self._row:
                return
            self.is_asking = False
            if found.problem and draws:
                words = _("No others can be drawn here: {why}").format(why=found.problem)
                self._desk.toasts.say(words, "warning")
            else:
                self.found = found
                self.good = self.good if found.problem else found
            self._touch()

        def failed(error: Exception) -> None:
            self.is_asking = False
            if isinstance(error, KernelUnavailable) or not isinstance(error, StableNewError):
                self._failed(error)
            else:
                done(Expanded(problem=str(error)))

        self.is_asking = True
        if not self._desk.ask(work, done, failed, key="editor.expand"):
            self.is_asking = False
        self._touch()
