"""The image that is looked at: a live one while it is made, then the final one, and those of its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.opening import open_path
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.images.imagefacts import Fact, facts_of
from stablenew_plugins.desktop.models.images.reseed import reseeded
from stablenew_plugins.desktop.models.images.starkeys import star_keys
from stablenew_plugins.desktop.text import _, duration, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_plugins.desktop.models.core.view import ViewModel
    from stablenew_plugins.desktop.models.images.promote import PromoteModel
    from stablenew_plugins.desktop.models.images.ratings import Opinion, Ratings
    from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
    from stablenew_proto.v1 import gallery_pb2, kernel_pb2

LIVE_EVERY = 0.2
"""Seconds between two live previews that are decoded."""
STRIP = 400
"""Images of the run that can be gone through; the newest."""
REFRESH_EVERY = 10.0
"""Seconds between two looks at what others changed."""
SETTLE = 0.3
"""Seconds that further images are waited for before the run's list is asked for again."""
VARIATIONS = 4


@dataclass(frozen=True, slots=True)
class Live:
    """A job that runs, as it looks just now."""

    job_id: str
    node: str
    text: str
    """"Upscale, step 3 of 20"."""
    eta: str
    """"0:12 left"; empty: not known."""
    fraction: float
    """Of the job, 0 to 1."""
    jpeg: bytes
    """Its latest preview; empty: none came yet."""
    number: int
    """Another one for each new ``jpeg``."""


class PreviewModel(Model):
    """See above. While ``follow`` is on, what is newest is shown; whoever chooses an image keeps it."""

    def __init__(
        self,
        desk: Desk,
        view: ViewModel,
        pipeline: PipelineModel,
        ratings: Ratings,
        promote: PromoteModel,
        rng: Random | None = None,
    ) -> None:
        """``rng`` draws the seeds of variations."""
        super().__init__()
        self._desk, self._view = desk, view
        self._pipeline, self.ratings, self._promote = pipeline, ratings, promote
        self._rng = rng or Random()  # noqa: S311
        self.follow: bool = desk.remembered.get("follow", True)
        self.all_facts: bool = desk.remembered.get("all_facts", False)
        """Whether also those that few people ask for are shown."""
        self.image: gallery_pb2.Image | None = None
        """That is shown."""
        self.detail: gallery_pb2.GetImageResponse | None = None
        """All that is known of it; None: not told yet."""
        self.strip: Sequence[gallery_pb2.Image] = []
        """Those of its run, the newest first."""
        self.strip_total = 0
        self.live: Live | None = None
        """What is being made, to be shown in place of the image; None: nothing, or something else is wanted."""
        self.is_loading = False
        self._live_at = 0.0
        self._numbers = 0
        self._seen_state = -1
        self._arrived: tuple[str, str] | None = None
        """Run and pixels of an image that was just saved."""
        self._due = 0.0
        self._asked_at = 0.0
        self._is_asking = False
        """Whether the run's list is on its way."""
        self._ratings_seen = ratings.revision
        self._stages_seen: Sequence[kernel_pb2.Stage] = ()
        desk.state.on_image.append(self._saved)
        desk.state.on_connected.append(self._connected)

    # --- what is shown --------------------------------------------------------------------------------------

    @property
    def opinion(self) -> Opinion | None:
        """Stars and tags of the image; None: there is none."""
        return None if self.image is None else self.ratings.of(self.image)

    @property
    def index(self) -> int:
        """Place of the image among those of its run; -1: it is not there."""
        pixels = "" if self.image is None else self.image.image_sha256
        return next((i for i, one in enumerate(self.strip) if one.image_sha256 == pixels), -1)

    @property
    def shown(self) -> gallery_pb2.Image | None:
        """As :class:`~.viewer.Album` has it."""
        return self.image

    @property
    def place(self) -> str:
        """Where the image stands in its run: "3 of 48"."""
        return (
            _("{n} of {all}").format(n=f"{self.index + 1:,}", all=f"{self.strip_total:,}") if self.image else ""
        )

    @property
    def facts(self) -> Sequence[Fact]:
        """What is to be known of the image, by line."""
        return [] if self.image is None else facts_of(self.image, self.detail, self._desk.state.stage_title)

    def show_all_facts(self, shown: bool) -> None:
        """See :attr:`all_facts`."""
        self.all_facts = shown
        self._desk.remembered.set("all_facts", shown)
        self.touch()

    @property
    def is_live(self) -> bool:
        """Whether a live preview is shown in place of the image."""
        return self.live is not None and (self.follow or self.image is None)

    def show(self, image: gallery_pb2.Image) -> None:
        """Look at ``image``, and stay there."""
        self._pin()
        self._show(image)

    def step(self, by: int) -> None:
        """Look at another one of the run: 1 is the next older one."""
        if not self.strip:
            return
        index = min(max(self.index + by, 0), len(self.strip) - 1)
        self.show(self.strip[index])

    def set_follow(self, follow: bool) -> None:
        """Show what is newest, always; or stay at the image that is shown."""
        self.follow = follow
        self._desk.remembered.set("follow", follow)
        if follow:
            self._ask_newest()
        self.touch()

    def _pin(self) -> None:
        if self.follow:
            self.follow = False
            self._desk.remembered.set("follow", False)

    def _show(self, image: gallery_pb2.Image) -> None:
        another_run = self.image is None or self.image.run_id != image.run_id
        self._look_at(image)
        if another_run:
            self.strip, self.strip_total = [image], 1
            self._ask_strip(image.run_id)
        self.touch()

    def _look_at(self, image: gallery_pb2.Image) -> None:
        before, self.image = self.image, image
        if before is None or before.image_sha256 != image.image_sha256:
            self.detail = None
            self._desk.ask(
                lambda kernel: kernel.gallery.image(image.image_sha256), self._told, self._untold, key="image"
            )

    def _told(self, detail: gallery_pb2.GetImageResponse) -> None:
        if self.image is not None and detail.image.image_sha256 == self.image.image_sha256:
            self.detail = detail
            self.touch()

    def _untold(self, error: Exception) -> None:
        # The kernel went away, or forgot the image: what the list told is shown all the same.
        self._desk.toasts.say(_("Not all is known of this image."), "warning", detail=str(error))

    # --- keeping up -----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Follow what runs and what is saved."""
        now = self._desk.clock()
        state = self._desk.state
        if state.revision != self._seen_state and now - self._live_at >= LIVE_EVERY:
            self._seen_state, self._live_at = state.revision, now
            self._follow_jobs()
        if self._due and now >= self._due and not self._is_asking:
            self._due = 0.0
            self._take_arrived()
        if self.ratings.revision != self._ratings_seen or state.stages is not self._stages_seen:
            self._ratings_seen, self._stages_seen = self.ratings.revision, state.stages
            self.touch()
        if self._view.preview_shown and self.image is not None and now - self._asked_at >= REFRESH_EVERY:
            self._ask_strip(self.image.run_id)

    def _connected(self) -> None:
        self._seen_state = -1
        if self.image is None or self.follow:
            self._ask_newest()
        else:
            self._ask_strip(self.image.run_id)

    def _follow_jobs(self) -> None:
        running = self._desk.state.running
        before = self.live
        if before is not None and before.job_id in running:
            job = running[before.job_id]
        else:
            # Of several that run, the one that shows something.
            jobs = list(running.values())
            found = next((job for job in jobs if job.progress.preview_jpeg), jobs[0] if jobs else None)
            if found is None:
                if before is not None:
                    self.live = None
                    self.touch()
                return
            job, before = found, None
        live = self._live_of(job, before)
        if live != self.live:
            self.live = live
            self.touch()

    def _live_of(self, job: kernel_pb2.RunningJob, before: Live | None) -> Live:
        progress = job.progress
        jpeg = progress.preview_jpeg or (before.jpeg if before is not None else b"")
        number = before.number if before is not None else 0
        if jpeg and (before is None or jpeg != before.jpeg):
            self._numbers += 1
            number = self._numbers
        title = self._desk.state.stage_title(progress.stage) if progress.stage else _("Starting")
        text = (
            _("{stage}, step {step} of {steps}").format(stage=title, step=progress.step, steps=progress.steps)
            if progress.steps
            else title
        )
        known = progress.eta >= 0 and progress.fraction > 0
        eta = _("{time} left").format(time=duration(progress.eta)) if known else ""
        return Live(job.job_id, job.node, text, eta, min(max(progress.fraction, 0.0), 1.0), jpeg, number)

    def _saved(self, image: kernel_pb2.SavedImage) -> None:
        """An image stands in its folder: followed at once, or counted in when it is of this run."""
        if self.follow or self.image is None:
            self._arrived = (image.run_id, image.image_sha256)
        elif self.image.run_id != image.run_id:
            return
        self._due = self._due or self._desk.clock() + (SETTLE if self.image is not None else 0.0)

    def _take_arrived(self) -> None:
        arrived, self._arrived = self._arrived, None
        if arrived is not None:
            self._ask_strip(arrived[0], show=arrived[1])
        elif self.image is not None:
            self._ask_strip(self.image.run_id)

    def _ask_newest(self) -> None:
        """Show the newest image of all."""

        def done(answer: gallery_pb2.ListImagesResponse) -> None:
            if answer.images and (self.follow or self.image is None):
                self._show(answer.images[0])

        self._desk.ask(lambda kernel: kernel.gallery.images(limit=1), done, self._unlisted, key="newest")

    def _ask_strip(self, run_id: str, show: str = "") -> None:
        """Ask for the images of a run; then show the one of the pixels ``show``, if it is followed still."""
        self._asked_at = self._desk.clock()
        mark = self.ratings.mark()

        def work(kernel: KernelClient) -> gallery_pb2.ListImagesResponse:
            from stablenew_proto.v1 import gallery_pb2

            return kernel.gallery.images(gallery_pb2.ImageFilter(run_id=run_id), limit=STRIP)

        def done(answer: gallery_pb2.ListImagesResponse) -> None:
            self.is_loading = self._is_asking = False
            images = list(answer.images)
            self.ratings.arrived(images, mark)
            new = next((one for one in images if one.image_sha256 == show), None)
            if new is not None and (self.follow or self.image is None):
                self.strip, self.strip_total = images, answer.total
                self._look_at(new)
            elif self.image is not None and self.image.run_id == run_id:
                self.strip, self.strip_total = images, answer.total
                pixels = self.image.image_sha256
                self.image = next((one for one in images if one.image_sha256 == pixels), self.image)
            self.touch()

        def failed(error: Exception) -> None:
            self._is_asking = False
            self._unlisted(error)

        self._is_asking = True
        if not self._desk.ask(work, done, failed, key="strip"):
            self._is_asking = False
        self.is_loading = self._is_asking and not self.strip

    def _unlisted(self, error: Exception) -> None:
        self.is_loading = False
        self.touch()
        if self._desk.state.is_connected:
            self._desk.complain(error)

    # --- what can be done with it ---------------------------------------------------------------------------

    def rate(self, stars: int) -> None:
        """Give it 1 to 5 stars; 0 takes them back."""
        if (image := self._judged()) is not None:
            self.ratings.rate([image], stars)

    def toggle_tag(self, tag: str) -> None:
        """Give it ``tag``, or take it away."""
        if (image := self._judged()) is not None:
            self.ratings.toggle_tag([image], tag)

    def add_tag(self, name: str) -> None:
        """Give it a tag of one's own."""
        if (image := self._judged()) is not None:
            self.ratings.add_tag([image], name)

    def _judged(self) -> gallery_pb2.Image | None:
        """What stars and tags are for: the image that is to be seen, not one that is hidden by a live one."""
        if self.is_live:
            self._desk.toasts.say(
                _("This image is still being made."), hint=_("Choose one below to rate it now.")
            )
            return None
        return self.image

    def use_settings(self) -> None:
        """Put the settings that it was made with into the pipeline."""
        if self.image is not None:
            self._pipeline.take_from_image(self.image.image_sha256)

    def vary_seed(self) -> None:
        """Queue its job again, some times, with seeds that are drawn."""
        seeds = [self._rng.getrandbits(32) for _number in range(VARIATIONS)]
        told = many("{n} variation queued.", "{n} variations queued.", len(seeds))
        self._again(lambda spec: [reseeded(spec, seed) for seed in seeds], _("{name} varied"), told)

    def replay(self) -> None:
        """Queue its job again exactly as it was."""
        self._again(lambda spec: [spec], "{name}", _("Queued again, exactly as it was made."))

    def _again(self, specs_of: Callable[[bytes], Sequence[bytes]], name: str, told: str) -> None:
        image = self.image
        if image is None:
            return
        file = Path(image.path)

        def work(kernel: KernelClient) -> kernel_pb2.ReplayResponse:
            from stablenew_proto.v1 import kernel_pb2

            spec = kernel.gallery.image(image.image_sha256).spec_json
            request = kernel_pb2.ReplayRequest(source_name=name.format(name=file.stem))
            for number, content in enumerate(specs_of(spec), 1):
                request.specs.add(name=f"{file.stem}-{number}{file.suffix}", content=content)
            return kernel.replay_batch(request)

        def done(answer: kernel_pb2.ReplayResponse) -> None:
            self._desk.toasts.say(told, "good", hint="\n".join(answer.summary.warnings[:3]))

        self._desk.order(work, done)

    def promote(self) -> None:
        """Ask which later stages it is to go through."""
        if self.image is not None:
            self._promote.begin([self.image.image_sha256])

    def open_file(self) -> None:
        """Open its file with the program that the system has for it."""
        self._open(reveal=False)

    def reveal(self) -> None:
        """Show its file in its folder."""
        self._open(reveal=True)

    def _open(self, *, reveal: bool) -> None:
        if self.image is not None:
            path = Path(self.image.path)
            self._desk.work(lambda: open_path(path, reveal=reveal), lambda _none: None)

    # --- keys -----------------------------------------------------------------------------------------------

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys of the preview, where no tab has a use of its own for them."""
        group = _("Preview")
        made = [
            Shortcut("Left", _("Newer image of the run"), lambda: self.step(-1), group=group),
            Shortcut("Right", _("Older image of the run"), lambda: self.step(1), group=group),
            Shortcut(
                "F",
                _("Follow what is newest, or stay"),
                lambda: self.set_follow(not self.follow),
                group=group,
                repeats=False,
            ),
        ]
        undo = Shortcut("Ctrl+Z", _("Take the last rating back"), self.ratings.undo, group=group)
        return [*made, *star_keys(self.rate, group=group), undo]
