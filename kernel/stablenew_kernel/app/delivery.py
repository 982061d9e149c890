"""Finished images to their run's folder, with their metadata; records to the learning journal; reports.

Driven by the database: whatever is *pending* there is delivered, so a start after a crash is nothing special.
For each image: file written and synced, line in ``manifest.jsonl``, learning record, and last the commit that
calls it saved. Each step finds what an earlier try has done and does not do it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, TypeVar

from stablenew_api.clock import Clock
from stablenew_api.faults import crash_point
from stablenew_api.host import PluginHost
from stablenew_api.infotext import format_infotext
from stablenew_api.jobs import JobSpec, JsonValue, canonical_json
from stablenew_api.learning import LearningRecord
from stablenew_api.report import RunImage
from stablenew_kernel.app.saving import file_of
from stablenew_kernel.domain.gallery import Facts, facts_of
from stablenew_kernel.domain.infotext import describe, prompts, stablenew_chunk
from stablenew_kernel.domain.naming import FilePattern, parse_pattern
from stablenew_kernel.domain.saving import SavedAs
from stablenew_kernel.store import gallery, meta, outputs, runs
from stablenew_kernel.store.artifacts import ArtifactStore
from stablenew_kernel.store.database import Connection, Database
from stablenew_kernel.store.errors import StoreError
from stablenew_kernel.store.learning import LearningJournal
from stablenew_kernel.store.outputs import PendingOutput, SavedOutput
from stablenew_kernel.store.runfolder import RunFolder
from stablenew_proto.v1 import kernel_pb2 as pb

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 16
"""Images that share a manifest write, a journal write and a commit."""

RETRY_INTERVAL = 5.0
"""Seconds between attempts when a folder cannot be written."""

TAKE_UP_DELAY = 0.1
"""Seconds until the folder of a new run is seen to, if no image comes first."""

END_DELAY = 0.002
"""Seconds until a run is ended whose last result has come: whoever watches hears of that result first."""

VERSION = version("stablenew")

_DATABASE = ""
"""Stands for a run where none is to blame."""


class DeliveryListener(Protocol):
    """Who wants to know. All calls are on the loop."""

    def image_saved(self, image: pb.SavedImage) -> None:
        """An image stands in its folder, and that is committed."""

    def run_ended(self, row: runs.RunRow | None, run_id: str) -> None:
        """A run is over; None: it is not, after all."""

    def trouble(self, text: str) -> None:
        """Something cannot be written, and is tried again; empty: it can again."""


@dataclass(frozen=True, slots=True)
class _OpenRun:
    folder: RunFolder
    pattern: FilePattern
    saved_as: SavedAs
    started: datetime
    request: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class _Delivered:
    saved: SavedOutput
    run_id: str
    manifest: dict[str, JsonValue]
    record: LearningRecord
    image_sha256: str
    facts: Facts


class Delivery:
    """Delivers in the background, a batch at a time."""

    def __init__(
        self,
        *,
        database: Database,
        artifacts: ArtifactStore,
        learning: LearningJournal,
        host: PluginHost,
        clock: Clock,
        threads: ThreadPoolExecutor,
        listener: DeliveryListener,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._learning = learning
        self._host = host
        self._clock = clock
        self._threads = threads
        self._listener = listener
        self.records = True
        """Whether finished images are recorded in the learning journal."""
        self._runs: dict[str, _OpenRun] = {}
        self._to_open: dict[str, None] = {}
        self._to_end: dict[str, None] = {}
        self._problems: dict[str, str] = {}
        """What is wrong, by run."""
        self._resting: dict[str, asyncio.TimerHandle] = {}
        """Runs in trouble, until they are tried again."""
        self._work = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    # --- runs -----------------------------------------------------------------------------------------------

    def take_up(self, run_id: str) -> None:
        """A run that is new, or found at start: see to its folder soon, so that a disk that is not plugged in
        is told of before an image is made."""
        self._to_open[run_id] = None
        # Not at once: whoever submitted one small job waits for it now, and nobody for this.
        asyncio.get_running_loop().call_later(TAKE_UP_DELAY, self._take_up_now, run_id)

    def _take_up_now(self, run_id: str) -> None:
        if run_id in self._to_open:  # else it was seen to with its first image, or its end
            self._work.set()

    def end_run(self, run_id: str) -> None:
        """Nothing is left of this run: make its reports and end it."""
        self._to_end[run_id] = None
        asyncio.get_running_loop().call_later(END_DELAY, self._work.set)

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; whatever is pending is delivered first."""
        self._work.set()
        self._task = asyncio.create_task(self._run(), name="delivery")

    def wake(self) -> None:
        """There may be something pending."""
        self._work.set()

    async def stop(self) -> None:
        """Finish the batch under way and end. What is pending stays pending."""
        self._stopping = True
        self._work.set()
        if self._task is not None:
            await self._task
        for timer in self._resting.values():
            timer.cancel()

    async def _run(self) -> None:
        while not self._stopping:
            await self._work.wait()
            self._work.clear()
            aside = set(self._resting)
            with self._trouble_with(_DATABASE, aside):
                await self._round(aside)
            self._problems = {run_id: text for run_id, text in self._problems.items() if run_id in aside}
            self._listener.trouble(next(iter(self._problems.values()), ""))

    async def _round(self, aside: set[str]) -> None:
        """Do all there is to do for the runs that are not put aside."""
        for run_id in [run_id for run_id in self._to_open if run_id not in aside]:
            with self._trouble_with(run_id, aside):
                await self._open(run_id)
                del self._to_open[run_id]
        while not self._stopping and await self._deliver(aside):
            pass
        for run_id in [run_id for run_id in self._to_end if run_id not in aside]:
            if not self._stopping:
                with self._trouble_with(run_id, aside):
                    await self._end(run_id)

    @contextlib.contextmanager
    def _trouble_with(self, run_id: str, aside: set[str]) -> Iterator[None]:
        """A full disk, a folder that is gone: nothing is lost, it is all still pending. Put the run aside and
        try again later; other runs go on."""
        try:
            yield
        except Exception as error:  # whatever one image brings must not stop the others
            self._put_aside(run_id, aside, error)

    def _put_aside(self, run_id: str, aside: set[str], error: BaseException) -> None:
        if isinstance(error, StoreError):
            text = str(error)
        else:
            text = f"run {run_id}: cannot be saved: {error}; the kernel's log has the details"
            log.error("%s", text, exc_info=error, extra={"run_id": run_id})
        aside.add(run_id)
        self._problems[run_id] = text
        # Opened again at the next try: lines of the manifest that were not followed by their commit go then.
        self._runs.pop(run_id, None)
        if run_id not in self._resting:
            loop = asyncio.get_running_loop()
            self._resting[run_id] = loop.call_later(RETRY_INTERVAL, self._rested, run_id)

    def _rested(self, run_id: str) -> None:
        del self._resting[run_id]
        self._work.set()

    async def _open(self, run_id: str) -> _OpenRun:
        """The run, its folder taken up if that was not done before. By the delivery's own task alone: the
        manifest is rebuilt there. Raises StoreError."""
        if run_id not in self._runs:
            row = await self._database.read_async(partial(runs.get, run_id=run_id))
            lines = await self._database.read_async(lambda connection: outputs.manifest(connection, run_id))
            run = {"run_id": run_id, "created_at": row.created_at, "jobs": row.total, **json.loads(row.request)}
            folder = await self._in_thread(RunFolder.reopen, Path(row.folder), run_id, lines, run)
            request = json.loads(row.request)
            started = datetime.fromisoformat(row.created_at).astimezone()
            pattern, saved_as = parse_pattern(request["file_name"]), SavedAs.of_request(request)
            self._runs[run_id] = _OpenRun(folder, pattern, saved_as, started, request)
        return self._runs[run_id]

    # --- images ---------------------------------------------------------------------------------------------

    async def _deliver(self, aside: set[str]) -> bool:
        """Deliver a batch; return whether there was one."""
        batch = await self._database.read_async(
            lambda connection: outputs.pending(connection, limit=BATCH, without_runs=aside)
        )
        if not batch:
            return False
        for run_id in {output.run_id for output in batch}:
            with self._trouble_with(run_id, aside):
                await self._open(run_id)
        batch = [output for output in batch if output.run_id not in aside]
        # Files of one batch are written side by side: their syncs overlap.
        results = await asyncio.gather(
            *(self._in_thread(self._write, output) for output in batch), return_exceptions=True
        )
        delivered = [result for result in results if isinstance(result, _Delivered)]
        try:
            await self._commit(delivered)
        except Exception as error:  # as in _trouble_with
            for run_id in {item.run_id for item in delivered}:
                self._put_aside(run_id, aside, error)
        for output, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                self._put_aside(output.run_id, aside, result)
        return True

    async def _commit(self, delivered: Sequence[_Delivered]) -> None:
        """Note images whose files are written, call them saved, and tell."""
        if not delivered:
            return
        await self._in_thread(self._note, delivered)
        at = meta.timestamp(self._clock)
        await self._database.write_async(lambda connection: _mark_saved(connection, delivered, at))
        crash_point("kernel.output.after_commit")
        for item in delivered:
            self._listener.image_saved(
                pb.SavedImage(
                    run_id=item.run_id,
                    job_id=item.saved.job_id,
                    path=item.saved.path,
                    image_sha256=item.image_sha256,
                )
            )
            if self._host.listens("image_saved"):
                self._threads.submit(self._host.image_saved, item.manifest)

    def _write(self, output: PendingOutput) -> _Delivered:
        """One image, with its metadata, to its folder. In a thread."""
        run = self._runs[output.run_id]
        spec = JobSpec.from_json(json.loads(output.spec))
        report = _report(output)
        image_sha256 = output.artifact.tags.get("pixel_sha256", "")
        extra: dict[str, JsonValue] = self._host.describe_image(spec, report)
        pairs = describe(
            spec, report, version=VERSION, job_id=output.job_id, node=output.node_name, extra=extra
        )
        prompt, negative_prompt = prompts(spec)
        texts = {
            "parameters": format_infotext(prompt, negative_prompt, pairs),
            "stablenew": stablenew_chunk(
                spec,
                report,
                version=VERSION,
                job_id=output.job_id,
                run_id=output.run_id,
                node=output.node_name,
                attempt=output.attempt,
                image_sha256=image_sha256,
            ),
        }
        artifact = self._artifacts.read(output.artifact.sha256, cached=False)
        ending, data = file_of(artifact, texts, run.saved_as)
        name = run.pattern.name(spec, output.job_index, run.started)
        if output.index:
            name = f"{name}_{output.index}"
        path = run.folder.save_image(f"{name}{ending}", data)
        timings = _timings(report, output.run_time)
        manifest: dict[str, JsonValue] = {
            "file": path.name,
            "index": output.job_index,
            "job_id": output.job_id,
            "row": spec.provenance.get("row", 0),
            "prompt": prompt,
            "negative_prompt": negative_prompt,
            "choices": spec.provenance.get("choices", []),
            "seed": spec.stages[0].seed,
            "seed_mode": spec.provenance.get("seed_mode", ""),
            "stages": [stage.name for stage in spec.stages],
            "width": int(output.artifact.tags.get("width", 0)),
            "height": int(output.artifact.tags.get("height", 0)),
            "node": output.node_name,
            "attempt": output.attempt,
            "seconds": timings["total"],
            "spec_sha256": output.spec_sha256,
            "image_sha256": image_sha256,
        }
        record = LearningRecord(
            record_id=f"{output.job_id}/{output.index}",
            at=output.ended_at,
            run_id=output.run_id,
            job_id=output.job_id,
            spec_sha256=output.spec_sha256,
            pack=str(spec.provenance.get("pack", "")),
            pack_sha256=str(spec.provenance.get("pack_sha256", "")),
            row=int(spec.provenance.get("row", 0)),
            prompt=prompt,
            negative_prompt=negative_prompt,
            config={stage.name: stage.to_json() for stage in spec.stages},
            variant={
                name: spec.provenance.get(name, default)
                for name, default in (
                    ("template", ""),
                    ("choices", []),
                    ("image", 0),
                    ("base_seed", 0),
                    ("seed_mode", ""),
                )
            },
            image_sha256=image_sha256,
            node=output.node_name,
            timings=timings,
        )
        saved = SavedOutput(output.job_id, output.index, str(path), canonical_json(manifest))
        facts = facts_of(spec, pairs, path.name)
        return _Delivered(saved, output.run_id, manifest, record, image_sha256, facts)

    def _note(self, delivered: Sequence[_Delivered]) -> None:
        """Manifest lines and learning records of a batch. In a thread."""
        by_run: dict[str, list[bytes]] = {}
        for item in delivered:
            by_run.setdefault(item.run_id, []).append(item.saved.manifest)
        for run_id, lines in by_run.items():
            self._runs[run_id].folder.append_manifest(lines)
        if self.records:
            self._learning.record_images([item.record for item in delivered])

    # --- the end of a run -----------------------------------------------------------------------------------

    async def _end(self, run_id: str) -> None:
        row: runs.RunRow | None = await self._database.read_async(partial(runs.get, run_id=run_id))
        if row is not None and row.complete and not row.ended_at:
            run = await self._open(run_id)
            lines = await self._database.read_async(lambda connection: outputs.manifest(connection, run_id))
            files = await self._in_thread(self._reports, run, [json.loads(line) for line in lines])
            at = meta.timestamp(self._clock)
            # The file first, as with images: a crash in between and all of this is done again.
            ended = replace(row, state=row.end_state, files=tuple(files), ended_at=at)
            await self._in_thread(run.folder.write_run_json, _run_json(ended, run.request))
            row = await self._database.write_async(
                lambda connection: runs.end_run(connection, run_id, files, at)
            )
        # No await from here on: a retry whose commit came after ours opens the run again after this.
        self._to_end.pop(run_id, None)
        if row is not None and row.ended_at:
            self._runs.pop(run_id, None)
            self._listener.run_ended(row, run_id)
        else:
            self._listener.run_ended(None, run_id)

    def _reports(self, run: _OpenRun, manifest: Sequence[dict[str, JsonValue]]) -> list[str]:
        """Make the run's reports; return their paths. In a thread. A report that fails costs only itself."""
        wanted = run.request.get("reports") or [
            name for name, report in self._host.reports.items() if report.default_enabled
        ]
        images = [
            RunImage(run.folder.path / line["file"], f"{line['row']} · {line['prompt']}", line)
            for line in manifest
            if (run.folder.path / line["file"]).is_file()
        ]
        files: list[str] = []
        if not images:
            return files

        def write(name: str, data: bytes) -> Path:
            path = run.folder.write_file(name, data)
            files.append(str(path))
            return path

        for name in wanted:
            try:
                self._host.report(name)().build(str(run.request.get("name", "")), images, write)
            except StoreError:
                raise
            except Exception:
                log.exception("report %s failed; the images are not touched", name, extra={"plugin": name})
        return files

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _mark_saved(connection: Connection, delivered: Sequence[_Delivered], at: str) -> None:
    """Call these images saved, and take them into the gallery."""
    outputs.mark_saved(connection, [item.saved for item in delivered], at)
    gallery.add(connection, [(item.saved.job_id, item.saved.index, item.facts) for item in delivered])


def _report(output: PendingOutput) -> dict[str, JsonValue]:
    """What the worker told. An image that is made is never lost for its label: a report that is none is left
    out."""
    try:
        report = json.loads(output.report or b"{}")
        if not isinstance(report, dict):
            raise ValueError("no JSON object")
    except ValueError as error:
        log.error("the report of job %s is left out: %s", output.job_id, error, extra={"job_id": output.job_id})
        return {}
    return report


def _timings(report: dict[str, JsonValue], run_time: float) -> dict[str, float]:
    """Seconds by stage, and in all."""
    timings: dict[str, float] = {}
    for stage in report.get("stages", ()):
        timings[stage["name"]] = timings.get(stage["name"], 0.0) + float(stage["seconds"])
    return {**timings, "total": run_time}


def _run_json(row: runs.RunRow, request: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {
        "run_id": row.run_id,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
        "state": row.state,
        "jobs": row.total,
        "done": row.done,
        "failed": row.failed,
        "cancelled": row.cancelled,
        "files": [Path(file).name for file in row.files],
        **request,
    }
