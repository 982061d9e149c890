"""How long a plan will take, from what images took before. Pure.

Each stage of a job is looked up on its own: what it took on this node for a picture of this size and so many
steps, with this model and sampler. What was never made is scaled from the nearest that was, by the growth that
the history itself shows. Medians all the way: one image that hung, or loaded a model, moves nothing.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, cycle, islice
from statistics import fmean, median

from stablenew_api.backend import Hires
from stablenew_api.jobs import JobSpec, JsonValue
from stablenew_api.models import same_model
from stablenew_kernel.domain.summary import count as counted

REST = ""
"""Stands for what a job does besides its stages: encoding and writing the image."""

_KIND = ("model", "sampler_name", "upscaler", "upscale_mode")
"""Settings that change what a stage costs, but not by a number."""
_CELL = 25
"""Newest images that a median is taken of."""
_CELLS = 24
"""Of different sizes and steps, to learn from how the time grows; more would only cost (pairs are compared)."""
_SCHEDULED = 2000
"""Jobs up to which they are laid out one by one on the slots; more are divided by the speed of the house."""
_MOST = 10**15
"""Images; beyond it, nobody cares how many ages it takes."""

Sizes = dict[tuple[float, float], list[float]]
"""(megapixels, steps) to seconds, oldest first."""


@dataclass(frozen=True, slots=True)
class StageWork:
    """What a stage has to do."""

    name: str
    kind: tuple[str, ...]
    """Model, sampler and the like; compared, never looked into."""
    megapixels: float
    """Of what comes out of it."""
    steps: float


@dataclass(frozen=True, slots=True)
class Work:
    """What a job has to do."""

    stages: tuple[StageWork, ...]
    """The last one is :data:`REST`."""
    model: str
    """Checkpoint; empty: whatever is loaded."""


@dataclass(frozen=True, slots=True)
class Made:
    """An image that was made."""

    node: str
    """Id."""
    ended_at: str
    """Sorts by time."""
    work: Work
    seconds: tuple[float, ...]
    """A number a stage of ``work``."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A node that can take the jobs."""

    node: str
    slots: int
    loaded_model: str = ""
    """Empty: not known."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """About how long, and why we think so."""

    seconds: float | None
    """Until the last image, from now; None: not known."""
    wait: float = 0.0
    """Part of it: until the first of these images begins."""
    waiting: int = 0
    """Images that come first."""
    nodes: int = 0
    images: int = 0
    """That it was learned from."""
    alike: bool = False
    """Whether those were of this very kind and size."""
    paused: bool = False
    why: str = ""
    """Why it is not known, if that is neither for lack of nodes nor of images."""

    def __str__(self) -> str:
        """In words, with its basis."""
        if self.why:
            return f"how long it takes is not known: {self.why}"
        if self.seconds is None and not self.nodes:
            return "how long it takes is not known: no node that can make these is online"
        if self.seconds is None:
            return "how long it takes is not known yet: nothing like this has run here"
        text = f"{about(self.seconds - self.wait)} on {counted(self.nodes, 'node')}"
        if self.waiting and self.wait >= 1:
            text += f", after {about(self.wait)} for {counted(self.waiting, 'image')} queued before"
        if self.paused:
            text += ", once the queue goes on"
        basis = f"{counted(self.images, 'image')} {'like these' if self.alike else 'of other kinds or sizes'}"
        return f"{text}; {'from' if self.alike else 'roughly, from'} {basis}"


def work_of(spec: JobSpec) -> Work:
    """What the job of ``spec`` has to do."""
    stages = []
    megapixels = 0.0
    for stage in spec.stages:
        config = stage.config
        width, height = _positive(config, "width"), _positive(config, "height")
        if width and height:
            megapixels = width * height / 1e6
        scale = _positive(config, "upscaling_resize") or _positive(config, "scale") or 1.0
        megapixels *= scale * scale
        steps = _positive(config, "steps") or 1.0
        strength = _positive(config, "denoising_strength") or 1.0
        if "enable_hr" not in config:
            steps *= strength  # image to image leaves out the steps before its strength
        elif config["enable_hr"] and width and height:
            hires = Hires(
                "",
                strength,
                _positive(config, "hr_scale") or 1.0,
                int(_positive(config, "hr_resize_x")),
                int(_positive(config, "hr_resize_y")),
            )
            larger, higher = hires.size(int(width), int(height))
            more = (_positive(config, "hr_second_pass_steps") or steps) * strength
            # Steps of the smaller pass, told in steps of the larger one.
            steps = steps * width * height / (larger * higher) + more
            megapixels = larger * higher / 1e6
        kind = tuple(str(config.get(name, "")) for name in _KIND)
        stages.append(StageWork(stage.name, kind, megapixels or 1.0, steps))
    stages.append(StageWork(REST, (), megapixels or 1.0, 1.0))
    return Work(tuple(stages), spec.needs.model)


def made(
    node: str, ended_at: str, spec: JobSpec, report: Mapping[str, JsonValue], run_time: float
) -> Made | None:
    """An image that a node made in ``run_time`` seconds. None if the worker's ``report`` does not tell how long
    each stage took."""
    told = report.get("stages", ())
    try:
        seconds = [float(stage["seconds"]) for stage in told]
        names = [stage["name"] for stage in told]
    except (TypeError, KeyError, ValueError):
        return None
    if names != [stage.name for stage in spec.stages] or run_time <= 0:
        return None
    return Made(node, ended_at, work_of(spec), (*seconds, max(run_time - sum(seconds), 0.0)))


class History:
    """What images took."""

    def __init__(self, images: Iterable[Made]) -> None:
        self.images = 0
        self._known: dict[tuple[Work, str], tuple[float | None, bool, int]] = {}
        self._times: dict[str, dict[tuple[str, tuple[str, ...]], Sizes]] = {}
        """By stage, then by node and kind."""
        self._growth: dict[str, tuple[float, float]] = {}
        loaded: dict[str, str] = {}
        cold: list[Made] = []
        for image in sorted(images, key=lambda one: one.ended_at):
            self.images += 1
            # The first one on a node, and each one behind another model, may have loaded its model.
            if loaded.get(image.node) == image.work.model:
                self._add(image)
            else:
                cold.append(image)
            loaded[image.node] = image.work.model
        self._loaded = loaded
        self._loads: dict[str, list[float]] = {}
        for image in cold:
            usual, alike, _ = self.of(image.work, image.node)
            if usual is not None and alike:
                self._loads.setdefault(image.node, []).append(max(sum(image.seconds) - usual, 0.0))
        for image in cold:
            if self.of(image.work, image.node)[0] is None:
                self._add(image)  # better than nothing

    def of(self, work: Work, node: str) -> tuple[float | None, bool, int]:
        """Seconds of a job on a node, the model being loaded (None: not known); whether jobs just like it were
        seen; and how many images that was learned from."""
        if (work, node) not in self._known:
            found = [self._stage(stage, node) for stage in work.stages]
            stages = [stage for stage in found if stage is not None]
            if len(stages) < len(found):
                self._known[work, node] = None, False, 0
            else:
                seconds, alike, images = zip(*stages, strict=True)
                self._known[work, node] = sum(seconds), all(alike), min(images)
        return self._known[work, node]

    def load(self, node: str) -> float:
        """Seconds that a node needs to load a model; 0 if that was never seen."""
        return median(self._loads.get(node) or [0.0])

    def loaded(self, node: str) -> str | None:
        """The model that the last image of a node asked for; None: not known."""
        return self._loaded.get(node)

    def _add(self, image: Made) -> None:
        for stage, seconds in zip(image.work.stages, image.seconds, strict=True):
            sizes = self._times.setdefault(stage.name, {}).setdefault((image.node, stage.kind), {})
            sizes.setdefault((stage.megapixels, stage.steps), []).append(seconds)
        self._growth.clear()
        self._known.clear()

    def _stage(self, stage: StageWork, node: str) -> tuple[float, bool, int] | None:
        groups = self._times.get(stage.name)
        if not groups:
            return None
        # This node and kind; else this node; else this kind; else whatever there is.
        by_likeness: dict[tuple[bool, bool], list[Sizes]] = {}
        for (where, kind), sizes in groups.items():
            by_likeness.setdefault((where == node, kind == stage.kind), []).append(sizes)
        likeness = max(by_likeness)
        times: Sizes = {}
        for sizes in by_likeness[likeness]:
            for size, seconds in sizes.items():
                times.setdefault(size, []).extend(seconds)
        wanted = stage.megapixels, stage.steps
        nearest = min(times, key=lambda size: (_distance(size, wanted), size))
        by_size, by_steps = self._growths(stage.name)
        scale = (wanted[0] / nearest[0]) ** by_size * (wanted[1] / nearest[1]) ** by_steps
        alike = nearest == wanted and (stage.name == REST or likeness[1])
        seconds = times[nearest][-_CELL:]
        return median(seconds) * scale, alike, len(seconds)

    def _growths(self, name: str) -> tuple[float, float]:
        """How the time of a stage grows with pixels and with steps: exponents, 1 where the history is silent.

        The median of the slopes of all pairs (Theil and Sen) that differ in one of the two.
        """
        if name not in self._growth:
            by_size, by_steps = [], []
            for sizes in self._times[name].values():
                recent = list(sizes.items())[-_CELLS:]
                cells = [(size, median(seconds[-_CELL:])) for size, seconds in recent]
                for (one, before), (two, after) in combinations(cells, 2):
                    if one[1] == two[1]:
                        by_size += _slope((one[0], before), (two[0], after))
                    elif one[0] == two[0]:
                        by_steps += _slope((one[1], before), (two[1], after))
            self._growth[name] = (
                min(max(median(by_size or [1.0]), 0.0), 2.0),
                min(max(median(by_steps or [1.0]), 0.0), 2.0),
            )
        return self._growth[name]


def estimate(
    jobs: Sequence[Work],
    count: int,
    workers: Sequence[Worker],
    history: History,
    *,
    ahead: Sequence[tuple[float, Work | None]] = (),
    paused: bool = False,
) -> Estimate:
    """How long ``count`` jobs take, of which ``jobs`` are a fair sample (all of them, if there are no more).

    ``workers``: the nodes that can take them. ``ahead``: what is queued before them, a number of jobs (a half:
    it is half done) and what each of those has to do; None: not known, taken to be like these.
    """
    if not workers or not jobs:
        return Estimate(None, nodes=len(workers), paused=paused)
    times: dict[str, list[float]] = {}
    alike, images = True, 0
    for worker in workers:
        fewest = history.images
        for job in jobs:
            seconds, same, learned = history.of(job, worker.node)
            if seconds is None:
                return Estimate(None, nodes=len(workers), paused=paused)
            times.setdefault(worker.node, []).append(seconds)
            alike, fewest = alike and same, min(fewest, learned)
        images += fewest
    speed = sum(worker.slots / max(fmean(times[worker.node]), 1e-6) for worker in workers)
    usual = fmean(fmean(seconds) for seconds in times.values())
    wait = sum(many * _interval(work, workers, history, usual) for many, work in ahead)
    models = {job.model for job in jobs}
    begin: dict[str, float] = {}
    for worker in workers:
        # "" asks for whatever is the default there, which only the history can know again.
        loaded = history.loaded(worker.node) if "" in models else worker.loaded_model
        known = any(model == loaded or same_model(model, loaded or "") for model in models)
        loads = len(models) / len(workers) if len(models) > 1 else float(not known)
        begin[worker.node] = history.load(worker.node) * loads
    if count <= _SCHEDULED:
        slots = [(begin[worker.node], worker.node) for worker in workers for _ in range(worker.slots)]
        heapq.heapify(slots)
        end = 0.0
        for index in islice(cycle(range(len(jobs))), count):
            free_at, node = heapq.heappop(slots)
            end = max(end, free_at + times[node][index])
            heapq.heappush(slots, (free_at + times[node][index], node))
    else:
        end = min(count, _MOST) / speed + max(begin.values())
    images = min(images, history.images)
    waiting = round(sum(many for many, _ in ahead))
    return Estimate(wait + end, wait, waiting, len(workers), images, alike, paused)


@dataclass(frozen=True, slots=True)
class Standing:
    """A run in the line of those that are not done."""

    jobs: float
    """That are left; a half: it is half done."""
    work: Work | None
    """What each of them has to do; None: not known."""
    workers: Sequence[Worker]
    """The nodes that can take them."""
    history: History | None
    """Of jobs like these; None: not known."""
    begun: bool = False
    """Whether nodes have all of what is left."""


def in_line(runs: Sequence[Standing], more: float = 0.0) -> tuple[list[float | None], float | None]:
    """About how many seconds until the last image of each of these runs, made one after the other, and until
    the last of all, ``more`` jobs behind them included, which are taken to be like the others. None: not known.

    Loading of models is left out, and a run of which nothing is known delays nobody.
    """
    ends: list[float | None] = []
    begin = jobs = 0.0
    for run in runs:
        times = [
            seconds
            for worker in run.workers
            if run.work is not None and run.history is not None
            if (seconds := run.history.of(run.work, worker.node)[0]) is not None
        ]
        if not times or len(times) < len(run.workers):
            ends.append(None)
            continue
        speed = sum(worker.slots / max(time, 1e-6) for worker, time in zip(run.workers, times, strict=True))
        if speed <= 0:
            ends.append(None)
            continue
        one = min(times) * (0.5 if run.begun else 1.0)
        ends.append(begin + max(run.jobs / speed, one))
        begin += run.jobs / speed
        jobs += run.jobs
    known = [end for end in ends if end is not None]
    if len(known) < len(ends) or (more and not jobs):
        return ends, None
    return ends, max(known, default=0.0) + (more * begin / jobs if more else 0.0)


def about(seconds: float) -> str:
    """A duration as people say it: ``about 12 min``."""
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"about {whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"about {minutes} min"
    if minutes < 48 * 60:
        return f"about {minutes // 60} h {minutes % 60:02d} min"
    days = round(minutes / 1440)
    return f"about {days} days" if days < 3650 else "more than 10 years"


def _interval(work: Work | None, workers: Sequence[Worker], history: History, usual: float) -> float:
    """Seconds from one such job to the next, when all ``workers`` are at it."""
    speed = 0.0
    for worker in workers:
        seconds = history.of(work, worker.node)[0] if work is not None else None
        speed += worker.slots / max(usual if seconds is None else seconds, 1e-6)
    return 1 / speed


def _slope(one: tuple[float, float], two: tuple[float, float]) -> list[float]:
    """The exponent of the power law through two points (size, seconds); none where there is not one."""
    if min(one[1], two[1]) <= 0:
        return []
    # Differences of logarithms: a quotient of the numbers themselves can come out as 0 or as infinity.
    apart = math.log(two[0]) - math.log(one[0])
    return [(math.log(two[1]) - math.log(one[1])) / apart] if apart else []


def _distance(one: tuple[float, float], two: tuple[float, float]) -> float:
    return abs(math.log(one[0] / two[0])) + abs(math.log(one[1] / two[1]))


def _positive(config: Mapping[str, JsonValue], name: str) -> float:
    """A setting that is a number above 0; else 0."""
    value = config.get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0
