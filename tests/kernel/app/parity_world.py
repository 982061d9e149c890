"""A kernel with a real store that many cases are asked of, one after the other: what the parity tests share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kernel_kit import House, kernel_on

from stablenew_api import hookimpl
from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import StableNewError
from stablenew_api.jobs import JobSpec
from stablenew_api.stage import Phase as StagePhase
from stablenew_api.stage import Stage, StageConfig, StageContext, StageImage
from stablenew_kernel.store.database import Connection
from stablenew_plugins import randomizers
from stablenew_proto.v1 import kernel_pb2 as pb

T = TypeVar("T")


class SoftConfig(StageConfig):
    prompt_adjust: str = ""
    steps: int = 5


class Soft(Stage):
    """A later stage whose prompt is the row's and more."""

    name, version, title = "soft", "1.0", "Soften"
    Config = SoftConfig
    phase = StagePhase.REFINE

    @classmethod
    def resolve_prompts(cls, config: Any, prompt: str, negative_prompt: str) -> tuple[str, str]:
        return f"{prompt} {config.prompt_adjust}".strip(), negative_prompt

    def run(self, ctx: StageContext, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
        raise AssertionError("the kernel runs no stage")


class Softening:
    plugin_name = "softening"

    @hookimpl
    def stablenew_stages(self) -> Sequence[type[Stage]]:
        return [Soft]


class EveryOther:
    """A filter that must be run once: twice leaves a quarter."""

    plugin_name = "every_other"

    @hookimpl
    def stablenew_filter_jobs(self, jobs: Sequence[JobSpec]) -> Sequence[JobSpec]:
        return jobs[::2]


# --- cases ----------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["cat", "{a|b|c}", "{~d|e}", "{!f|g}", "{2$$h|i|j}", "{3::k|l}", "{m|{n|o}}", "__w__", "__~w*__",
     "[[light]]", "[[style]]", "{x|[[light]]}", "<lora:my__lora:1>", r"\{lit\|eral\}", "[soft:sharp:0.5]",
     "castle", "蝶"]
)  # fmt: skip
MODES = st.sampled_from(["fanout", "random", "off"])


@st.composite
def randomizations(draw: st.DrawFn) -> dict[str, Any]:
    """A section that defines all that the pieces name."""
    section: dict[str, Any] = {
        "matrix": {
            "mode": draw(MODES),
            "limit": draw(st.sampled_from([0, 0, 2])),
            "slots": [
                {
                    "name": "Light",
                    "values": ["dawn", "{noon|dusk}"],
                    "mode": draw(st.sampled_from(["", "random"])),
                },
                {"name": "style", "values": ["oil", "ink", "chalk"]},
            ],
        },
        "wildcards": {
            "mode": draw(MODES),
            "tokens": [{"token": "__w__", "values": ["1", "2", "3"]}, {"token": "w2", "values": ["{4|5}"]}],
        },
        "choices": {"mode": draw(MODES)},
    }
    if draw(st.booleans()):
        section["prompt_sr"] = {
            "mode": draw(st.sampled_from(["fanout", "random"])),
            "raw_text": "castle => tower | keep | ruin",
        }
    return section


@dataclass(frozen=True)
class Case:
    """What is asked to be run."""

    request: pb.RunRequest
    show: int

    def __repr__(self) -> str:
        return f"Case({self.show}, {self.request})"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Packs, sections, presets, sets, counts, limits, samples."""
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        row = " ".join(["row", *draw(st.lists(PIECES, max_size=4))])
        negative = draw(st.lists(PIECES, max_size=2))
        rows.append(row + (f"\nneg: {' '.join(negative)}" if negative else ""))
    pack = draw(st.sampled_from(["", "# a pack\n"])) + "\n\n".join(rows)
    preset: dict[str, Any] = {
        "txt2img": {"steps": draw(st.integers(1, 9))},
        "soft": {
            "enabled": draw(st.booleans()),
            "prompt_adjust": draw(st.sampled_from(["", "mild", "[[light]]"])),
        },
        "randomization": draw(randomizations()),
    }
    sidecar: dict[str, Any] = {"txt2img": {"steps": 3}}
    if draw(st.booleans()):
        sidecar["randomization"] = draw(randomizations())
    if draw(st.booleans()):
        sidecar["pipeline"] = {"images_per_prompt": draw(st.integers(1, 3))}
    request = pb.RunRequest(
        pack_name="p.txt",
        pack=pack.encode("utf-8"),
        preset_json=json.dumps(preset).encode("utf-8"),
        preset_name="p.json",
        sidecar=json.dumps(sidecar).encode("utf-8") if draw(st.booleans()) else b"",
        rows=draw(st.sampled_from(["", "", "1"])),
        sets=draw(st.lists(st.sampled_from(["txt2img.steps=4", "soft.enabled=1", "soft.seed=7"]), max_size=2)),
        limit=draw(st.sampled_from([0, 0, 1, 5, 40])),
        sample=draw(st.sampled_from([0, 0, 1, 4, 30])),
        confirmed=True,
    )
    if (count := draw(st.sampled_from([None, 1, 2, 3]))) is not None:
        request.count = count
    if (seed := draw(st.sampled_from([None, -1, 0, 5, 2**32 - 1]))) is not None:
        request.seed = seed
    return Case(request, draw(st.sampled_from([0, 1, 3, 250])))


@cache
def some_cases(count: int) -> list[Case]:
    """The same cases each time, for the mutants."""
    found: list[Case] = []

    @settings(
        max_examples=count, phases=[Phase.generate], database=None, derandomize=True, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases())
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


# --- the world ------------------------------------------------------------------------------------------------


class World:
    """A kernel, on a loop that stands still between two cases."""

    def __init__(self, data: DataFolder, *plugins: object) -> None:
        self._loop = asyncio.new_event_loop()
        self._context: AbstractAsyncContextManager[House] = kernel_on(data, Softening(), randomizers, *plugins)

    def __enter__(self) -> Self:
        self.house = self._loop.run_until_complete(self._context.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self._loop.run_until_complete(self._context.__aexit__(None, None, None))
        self._loop.close()

    def check(self, case: Case) -> int:
        """Fails, with a word for what, unless count, preview and queue are one. Returns how many jobs."""
        return self._loop.run_until_complete(self._check(case))

    async def _check(self, case: Case) -> int:
        runs = self.house.kernel.runs

        async def preview(show: int) -> tuple[list[pb.PlannedJob], pb.PlanSummary]:
            messages = [m async for m in runs.preview(pb.PreviewRunRequest(run=case.request, show=show))]
            assert [message.HasField("summary") for message in messages].count(True) == 1
            return [job for message in messages for job in message.jobs], messages[-1].summary

        async def submit() -> pb.SubmitRunResponse:
            return await runs.submit(pb.RunRequest.FromString(case.request.SerializeToString()))

        looked, answer = await _attempt(preview(0)), await _attempt(submit())
        if isinstance(looked, StableNewError) or isinstance(answer, StableNewError):
            assert str(looked) == str(answer), f"REFUSED: dry run {looked}, run {answer}"
            return 0
        shown, counted = looked
        rows = await self.house.database.read_async(lambda connection: _queued(connection, answer.run_id))
        total = counted.jobs
        assert total == answer.summary.jobs == len(rows), f"COUNT: {total}, queued {len(rows)}"
        assert total == len(shown), f"COUNT: {total}, previewed {len(shown)}"
        assert [index for index, _ in rows] == [job.index for job in shown] == list(range(total)), "INDEX"
        assert counted.line == answer.summary.line, "LINE"
        part = counted.line.partition(";")[0].rpartition(" = ")[2]
        whole = int(part.partition(" ")[0].replace(",", ""))
        if ";" not in counted.line or "each takes its own" in counted.line.partition("; ")[2].split("; ")[-1]:
            assert whole == total, f"LINE: {counted.line}, but {total}"
        assert whole >= total, f"LINE: {counted.line}, but {total}"
        for job, (_, spec) in zip(shown, rows, strict=True):
            assert job.spec_json == spec, f"SPEC: job {job.index}: {job.spec_json!r} and {spec!r}"
            first = json.loads(spec)["stages"][0]
            told = job.prompt, job.negative_prompt, job.seed
            assert told == (first["prompt"], first["negative_prompt"], first["seed"]), (
                f"PROMPT: {told}, {first}"
            )
        return total

    def check_that_looking_changes_nothing(self, case: Case) -> None:
        """Dry runs before, after and between tell the same, in full or in part, and of the run that follows."""
        runs = self.house.kernel.runs

        async def main() -> None:
            async def preview(show: int) -> list[bytes]:
                request = pb.PreviewRunRequest(run=case.request, show=show)
                return [job.spec_json async for message in runs.preview(request) for job in message.jobs]

            try:
                whole = await preview(0)
            except StableNewError:
                return
            assert await preview(case.show) == whole[: case.show or None], "SHOW: not the first ones"
            assert await preview(0) == whole, "LOOKED: the second dry run differs"
            answer = await runs.submit(case.request)
            rows = await self.house.database.read_async(lambda connection: _queued(connection, answer.run_id))
            assert [spec for _, spec in rows] == whole, "LOOKED: the run differs from the dry runs"

        self._loop.run_until_complete(main())


async def _attempt(asked: Awaitable[T]) -> T | StableNewError:
    try:
        return await asked
    except StableNewError as error:
        return error


def _queued(connection: Connection, run_id: str) -> list[tuple[int, bytes]]:
    return connection.execute(
        "SELECT job.idx, job_spec.spec FROM run JOIN job ON job.run_seq = run.seq"
        " JOIN job_spec ON job_spec.job_seq = job.seq WHERE run.run_id = ? ORDER BY job.seq",
        (run_id,),
    ).fetchall()
