"""What the next run will make, image by image: pages of the very jobs that the plan has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from stablenew_api.errors import StableNewError
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.prompt.axisdraft import AxisDraft
from stablenew_plugins.desktop.models.prompt.choices import Choice, Span, choices_of, spans
from stablenew_plugins.desktop.models.prompt.hints import Hint
from stablenew_plugins.desktop.models.prompt.randomizer import RandomizerModel
from stablenew_plugins.desktop.models.prompt.sources import Source
from stablenew_plugins.desktop.models.run import FEWER, Plan, RunModel
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb

PAGE = 8
"""Images of a page."""

MOST = 400
"""Images that can be looked at; of more the first ones."""

AHEAD = 60
"""Images that are asked for at a time."""

LARGEST_RUN = 1_000_000
"""Images that one run may have."""


@dataclass(frozen=True, slots=True)
class Variant:
    """An image that will be made."""

    number: int
    """In the whole of it, from 1."""
    source: Source
    job: pb.PlannedJob
    choices: Sequence[Choice]
    lit: Sequence[Span]
    """Where in the prompt what was chosen stands."""

    @property
    def settings(self) -> Sequence[Choice]:
        """Settings that vary."""
        return [choice for choice in self.choices if choice.is_setting]


class VariantsModel(Model):
    """See above. What is beyond the first jobs of the plan is asked for when a page of it is looked at."""

    def __init__(self, desk: Desk, run: RunModel, randomizer: RandomizerModel) -> None:
        super().__init__()
        self._desk, self._run, self._randomizer = desk, run, randomizer
        self.draft = AxisDraft(randomizer)
        self.page = 0
        self.shown: Sequence[Variant] = ()
        """Of this page, as far as they are here."""
        self.is_asking = False
        self.problem = ""
        """Why this page is not here."""
        self._plan: Plan | None = None
        self._jobs: list[Sequence[pb.PlannedJob]] = []
        """The first jobs of each pack of the plan."""

    def tick(self) -> None:
        """Show the plan that there is."""
        if self._run.plan is not self._plan:
            self._plan = self._run.plan
            self._jobs = [pack.jobs for pack in self._plan.packs]
            self.is_asking, self.problem = False, ""
            self.page = min(self.page, self.pages - 1)
            self._show()

    @property
    def total(self) -> int:
        """How many images there will be."""
        return self._run.plan.images

    @property
    def pages(self) -> int:
        """How many pages can be looked at, at least one."""
        return max(1, -(-min(self.total, MOST) // PAGE))

    @property
    def place(self) -> str:
        """``1-8 of 24``."""
        if not self.total:
            return ""
        first = self.page * PAGE + 1
        last = min(first + PAGE - 1, self.total)
        return _("{first}-{last} of {total}").format(first=first, last=last, total=f"{self.total:,}")

    def turn(self, pages: int) -> None:
        """Go so many pages on, or back."""
        page = min(max(self.page + pages, 0), self.pages - 1)
        if page != self.page:
            self.page, self.problem = page, ""
            self._show()

    def _wanted(self) -> list[tuple[int, int, int]]:
        """Of this page: pack, first and last place in its plan."""
        first = self.page * PAGE
        last = min(first + PAGE, self.total)
        found = []
        begin = 0
        for number, pack in enumerate(self._run.plan.packs):
            end = begin + pack.images
            if begin < last and end > first:
                found.append((number, max(first - begin, 0), min(last, end) - begin))
            begin = end
        return found

    def _show(self) -> None:
        shown: list[Variant] = []
        packs = self._run.plan.packs
        number = self.page * PAGE
        missing: list[tuple[int, int]] = []
        for pack, first, last in self._wanted():
            for job in self._jobs[pack][first:last]:
                number += 1
                choices, template = choices_of(job.spec_json)
                lit = spans(job.prompt, choices, template)
                shown.append(Variant(number, packs[pack].source, job, choices, lit))
            if last > len(self._jobs[pack]):
                missing.append((pack, last))
                break  # what follows would stand in its place
        self.shown = shown
        if missing and not self.problem:
            self._ask(*missing[0])
        self.touch()

    def _ask(self, pack: int, last: int) -> None:
        """For jobs of one pack, up to ``last`` and some more."""
        plan = self._run.plan
        source = plan.packs[pack].source
        show = -(-last // AHEAD) * AHEAD
        self.is_asking = True

        def work(kernel: KernelClient) -> Sequence[pb.PlannedJob]:
            messages = kernel.preview(self._randomizer.request(source), show)
            return list(islice((job for message in messages for job in message.jobs), show))

        def done(jobs: Sequence[pb.PlannedJob]) -> None:
            if plan is not self._run.plan:
                return
            self.is_asking = False
            if len(jobs) < last:
                self.problem = _("The plan has changed meanwhile.")
            else:
                self._jobs[pack] = jobs
            self._show()

        def failed(error: Exception) -> None:
            if plan is not self._run.plan:
                return
            self.is_asking = False
            self.problem = str(error) if isinstance(error, StableNewError) else ""
            if not self.problem:
                self._desk.complain(error)
                self.problem = _("These could not be planned.")
            self.touch()

        if not self._desk.ask(work, done, failed, key="variants"):
            self.is_asking, self.problem = False, _("The kernel is not there.")

    # --- a word before it runs ------------------------------------------------------------------------------

    @property
    def line(self) -> str:
        """What varies and how many images that makes, in plain words."""
        plan = self._run.plan
        lines = [pack.summary.line for pack in plan.packs if pack.summary is not None]
        if len(lines) == 1:
            return lines[0]
        if not lines:
            return ""
        packs = many("{n} pack", "{n} packs", len(plan.packs))
        return f"{packs} = " + many("{n} image", "{n} images", plan.images)

    @property
    def plain(self) -> str:
        """How many images of how many prompts, before anybody reads how that comes about."""
        images = self._run.plan.images
        if not images:
            return ""
        words = many("{n} image", "{n} images", images)
        prompts = sum(len(self._randomizer.rows_of(pack)) for pack in self._randomizer.packs)
        return words + (_(" from ") + many("{n} prompt", "{n} prompts", prompts) if prompts else "")

    @property
    def time(self) -> str:
        """How long it takes, in plain words."""
        times = [pack.summary.time for pack in self._run.plan.packs if pack.summary is not None]
        return times[0] if len(times) == 1 else ""

    @property
    def hints(self) -> Sequence[Hint]:
        """What is worth a word about the plan: what can't run, what is very large, what the kernel warns of."""
        plan = self._run.plan
        found = [
            Hint(problem if path.name in problem else f"{path.name}: {problem}", "error")
            for path, problem in plan.problems
        ]
        for pack in plan.packs:
            if pack.images > LARGEST_RUN:
                text = _("{n} images are too many for one run. Draw some of them, or take the first ones.")
                found.append(Hint(text.format(n=f"{pack.images:,}"), "error"))
            elif pack.summary is not None and pack.summary.question:
                found.append(Hint(_("You will be asked first: ") + pack.summary.question.partition(FEWER)[0]))
        found += [Hint(text) for text in plan.warnings]
        return [*found, *self._randomizer.hints]

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys of the tab Prompt."""
        group = _("Prompt")
        return (
            Shortcut(
                "PageDown", _("Next page of what will be made"), lambda: self.turn(1), "prompt", group=group
            ),
            Shortcut("PageUp", _("The page before"), lambda: self.turn(-1), "prompt", group=group),
            Shortcut(
                "Ctrl+R",
                _("Let things vary, or not"),
                self._randomizer.toggle,
                "prompt",
                while_typing=True,
                group=group,
            ),
        )
