"""Images that go on to later stages: which stages, what that would be, and queueing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_plugins.desktop.models.core.view import ViewModel
    from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
    from stablenew_proto.v1 import kernel_pb2 as pb

OVERLAY = "promote"
QUIET = 0.2
"""Seconds without a change before the plan is asked for."""
GENERATE = "generate"
USUAL = "upscale"
"""The stage that is offered first."""


@dataclass(frozen=True, slots=True)
class LaterStage:
    """A stage that an image can go through."""

    name: str
    title: str
    description: str
    chosen: bool


class PromoteModel(Model):
    """See above. What is shown is the plan that the kernel makes of the very request that is then queued."""

    def __init__(self, desk: Desk, view: ViewModel, pipeline: PipelineModel) -> None:
        super().__init__()
        self._desk, self._view, self._pipeline = desk, view, pipeline
        self._stages: Sequence[pb.Stage] = []
        self._images: Sequence[str] = ()
        self._min_stars = 0
        self._tags: Sequence[str] = ()
        kept = desk.remembered.get("promote_stages", [USUAL])
        self._chosen: list[str] = [name for name in kept if isinstance(name, str)]
        self.like_pipeline: bool = desk.remembered.get("promote_like_pipeline", True)
        """Whether the stages have the settings of the Pipeline tab; else those each image was made with."""
        self.again = False
        """Also images that went through these stages with these settings before."""
        self.title = ""
        """"Upscale 12 images"."""
        self.summary: pb.PlanSummary | None = None
        """What would be queued; None: not known yet."""
        self.problem = ""
        """Why it can't be; empty: it can."""
        self.is_planning = self.is_submitting = False
        self._due = 0.0
        desk.state.on_connected.append(self._ask_stages)

    # --- stages ---------------------------------------------------------------------------------------------

    def _ask_stages(self) -> None:
        self._desk.ask(lambda kernel: list(kernel.stages()), self._told, key="later stages")

    def _told(self, stages: Sequence[pb.Stage]) -> None:
        self._stages = stages
        self._desk.state.know_stages(stages)
        self.touch()

    @property
    def stages(self) -> Sequence[LaterStage]:
        """Those that an image can go through, in the order of the pipeline."""
        return [
            LaterStage(stage.name, stage.title or stage.name, stage.description, stage.name in self._chosen)
            for stage in self._stages
            if stage.phase != GENERATE
        ]

    @property
    def chosen(self) -> Sequence[str]:
        """Names of the stages that are chosen, in the order of the pipeline."""
        return [stage.name for stage in self.stages if stage.chosen]

    # --- what is asked for ----------------------------------------------------------------------------------

    def begin(self, images: Sequence[str]) -> None:
        """Ask what the images of these pixels are to go through."""
        self._images, self._min_stars, self._tags = tuple(images), 0, ()
        self._begin()

    def begin_keepers(self, min_stars: int, tags: Sequence[str] = ()) -> None:
        """Like :meth:`begin`, of all images with so many stars or more, and all of ``tags``."""
        self._images, self._min_stars, self._tags = (), min_stars, tuple(tags)
        self._begin()

    def _begin(self) -> None:
        self.again = False
        self.summary, self.problem = None, ""
        self._view.open(OVERLAY)
        self._changed()

    def toggle(self, stage: str) -> None:
        """Let the images go through ``stage``, or not."""
        if stage in self._chosen:
            self._chosen.remove(stage)
        else:
            self._chosen.append(stage)
        self._desk.remembered.set("promote_stages", list(self._chosen))
        self._changed()

    def set_like_pipeline(self, like_pipeline: bool) -> None:
        """See :attr:`like_pipeline`."""
        self.like_pipeline = like_pipeline
        self._desk.remembered.set("promote_like_pipeline", like_pipeline)
        self._changed()

    def set_again(self, again: bool) -> None:
        """See :attr:`again`."""
        self.again = again
        self._changed()

    def _changed(self) -> None:
        names = [self._desk.state.stage_title(name) for name in self.chosen]
        what = " + ".join(names) if names else _("Promote")
        if self._images:
            self.title = many("{what}: {n} image", "{what}: {n} images", len(self._images)).replace(
                "{what}", what
            )
        else:
            self.title = _("{what}: all with {stars} or more").format(what=what, stars="★" * self._min_stars)
        self.is_planning = True
        self._due = self._desk.clock() + QUIET
        self.touch()

    def _request(self) -> pb.RunRequest:
        """The run that is shown and queued, as all is chosen now."""
        from stablenew_proto.v1 import kernel_pb2 as pb

        request = pb.RunRequest()
        if self.like_pipeline:
            self._pipeline.apply(request)
            # Those of other stages have no effect, and the plan would say so of each.
            sections = {RUN_SECTION, *self.chosen}
            sets = [one for one in request.sets if one.partition(".")[0] in sections]
            del request.sets[:]
            request.sets.extend(sets)
        request.only_stages.extend(self.chosen)
        request.promote.CopyFrom(
            pb.Promotion(
                min_rating=self._min_stars, tags=self._tags, again=self.again, image_sha256s=self._images
            )
        )
        return request

    # --- the plan, and doing it -----------------------------------------------------------------------------

    def tick(self) -> None:
        """Ask for the plan after a moment of quiet."""
        if self._due and self._desk.clock() >= self._due:
            self._due = 0.0
            self._ask_plan()

    def _ask_plan(self) -> None:
        if not self.chosen:
            self._planned(None)
            return
        request = self._request()

        def work(kernel: KernelClient) -> pb.PlanSummary | None:
            found = None
            for message in kernel.preview(request, 1):
                if message.HasField("summary"):
                    found = message.summary
            return found

        def done(found: pb.PlanSummary | None) -> None:
            if request == self._request():  # else another question is due
                self._planned(found)

        def failed(error: Exception) -> None:
            if request == self._request():
                self._unplanned(error)

        if not self._desk.ask(work, done, failed, key="promotion"):
            self.problem, self.is_planning = _("No kernel answers yet."), False
            self.touch()

    def _planned(self, summary: pb.PlanSummary | None) -> None:
        self.summary, self.problem, self.is_planning = summary, "", False
        if summary is None:
            self.problem = _("Choose a stage at least.")
        self.touch()

    def _unplanned(self, error: Exception) -> None:
        self.summary, self.problem, self.is_planning = None, str(error), False
        self.touch()

    @property
    def can_submit(self) -> bool:
        """Whether there is something to queue."""
        return (
            self.summary is not None and self.summary.jobs > 0 and not (self.is_planning or self.is_submitting)
        )

    def submit(self) -> None:
        """Queue what was shown. Its question, if it has one, was shown with it."""
        if not self.can_submit:
            return
        request = self._request()
        request.confirmed = True

        def work(kernel: KernelClient) -> pb.SubmitRunResponse:
            return kernel.submit(request)

        def done(answer: pb.SubmitRunResponse) -> None:
            self.is_submitting = False
            text = many("{n} image queued.", "{n} images queued.", answer.summary.jobs)
            self._desk.toasts.say(text, "good", hint="\n".join(answer.summary.warnings[:3]))
            if self._view.overlay == OVERLAY:
                self._view.close()

        def failed(error: Exception) -> None:
            self.is_submitting = False
            self.problem = str(error)
            self.touch()

        self.is_submitting = True
        self.touch()
        self._desk.order(work, done, failed)
