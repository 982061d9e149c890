"""The models of the tab Prompt on a desk, and a kernel that answers at once and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from desk_kit import Clock

from stablenew_api.errors import NotConfirmed, UserError
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.packs.packs import PacksModel
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.prompt.randomizer import RandomizerModel
from stablenew_plugins.desktop.models.prompt.variants import VariantsModel
from stablenew_plugins.desktop.models.run import RunModel
from stablenew_proto.v1 import kernel_pb2 as pb
from stablenew_proto.v1 import packs_pb2


def slot(name: str, options: Sequence[str], kind: str = "slot", **more: Any) -> packs_pb2.PackSlot:
    values: dict[str, Any] = {
        "mode": "rotate",
        "rows": [1],
        "setting": f"randomization.modes.{name}",
        "options_setting": "" if kind == "choice" else f"randomization.values.{name}",
        "option_count": len(options),
    }
    return packs_pb2.PackSlot(name=name, kind=kind, options=options, **{**values, **more})


class FakeKernel:
    """Answers at once, and keeps what it was asked."""

    def __init__(self) -> None:
        self.slots: dict[str, list[packs_pb2.PackSlot]] = {}
        self.rows = 3
        self.images = 20
        self.question = ""
        self.problem = ""
        self.described: list[pb.RunRequest] = []
        self.previewed: list[tuple[pb.RunRequest, int]] = []
        self.submitted: list[pb.RunRequest] = []
        self.calls: list[str] = []
        self.refusal: Exception | None = None
        self.changed: list[tuple[str, str]] = []
        self.reset: list[tuple[str, str]] = []
        self.kept: list[pb.Place] = []
        self.stage_list: list[pb.Stage] = []
        self.packs = SimpleNamespace(describe=self._describe)

    def _describe(
        self, run: pb.RunRequest, *, check: bool = True, rows: int = 0
    ) -> packs_pb2.DescribePackResponse:
        self.described.append(copy(run))
        if self.problem:
            raise UserError(self.problem)
        return packs_pb2.DescribePackResponse(
            slots=self.slots.get(run.pack_name, []),
            row_count=self.rows,
            rows=[packs_pb2.PackRow(number=n + 1, positive=f"row {n + 1}") for n in range(self.rows)],
        )

    def preview(self, run: pb.RunRequest, show: int = 0) -> Iterator[pb.PreviewRunResponse]:
        self.previewed.append((copy(run), show))
        images = range(min(show, self.images))
        yield pb.PreviewRunResponse(
            jobs=[pb.PlannedJob(index=n, row=1, prompt=f"{run.pack_name} {n}", seed=n) for n in images]
        )
        yield pb.PreviewRunResponse(
            summary=pb.PlanSummary(jobs=self.images, line=f"{self.images} images", question=self.question)
        )

    def submit(self, run: pb.RunRequest) -> pb.SubmitRunResponse:
        self.calls.append("submit")
        if self.refusal is not None:
            raise self.refusal
        if self.question and not run.confirmed:
            raise NotConfirmed(self.question, b"")
        self.submitted.append(copy(run))
        return pb.SubmitRunResponse(
            run_id=f"run {len(self.submitted)}", summary=pb.PlanSummary(jobs=self.images)
        )

    def set_paused(self, paused: bool, reason: str = "") -> pb.QueueSummary:
        self.calls.append(f"paused {paused}")
        return pb.QueueSummary(paused=paused)

    def change_jobs(self, action: str, *, run_id: str = "", reason: str = "") -> None:
        self.changed.append((action, run_id))

    def stages(self) -> Sequence[pb.Stage]:
        return self.stage_list

    def places(self, pack: str = "", slot: str = "") -> Sequence[pb.Place]:
        return self.kept

    def reset_places(self, pack: str = "", slot: str = "") -> int:
        self.reset.append((pack, slot))
        return 1

    def close(self) -> None:
        pass


def copy(run: pb.RunRequest) -> pb.RunRequest:
    made = pb.RunRequest()
    made.CopyFrom(run)
    return made


class Bench:
    """The models of the tab, on a desk."""

    def __init__(self, desk: Desk, kernel: Any) -> None:
        self.desk, self.kernel = desk, kernel
        self.packs, self.pipeline = PacksModel(desk), PipelineModel(desk)
        self.randomizer = RandomizerModel(desk, self.packs, self.pipeline)
        self.run = RunModel(desk, self.packs, self.pipeline, self.randomizer)
        self.variants = VariantsModel(desk, self.run, self.randomizer)
        if desk.state.kernel is not None:
            self.randomizer._connected()
        self.settle()

    def select(self, *paths: Path) -> None:
        self.packs.selected = list(paths)
        self.packs.plan_revision += 1
        self.settle()

    def settle(self) -> None:
        """Let a few quiet moments pass."""
        clock = self.desk.clock
        assert isinstance(clock, Clock)
        for _moment in range(12):
            clock.move(0.3)
            for model in (self.randomizer, self.run, self.variants):
                model.tick()


def write(folder: Path, name: str, text: str = "a [[style]] house") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
