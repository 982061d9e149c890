"""Finished images to their run's folder, with their metadata; records to the learning journal; reports.

Driven by the database: whatever is *pending* there is delivered, so a start after a crash is nothing special.
For each image: file written and synced, line in ``manifest.jsonl``, learning record, and last the commit that
calls it saved. Each step finds what an earlier try has done and does not do it again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, TypeVar

from stablenew_api.clock import Clock
from stablenew_api.faults import crash_point
from stablenew_api.host import PluginHost
from stablenew_api.jobs import JobSpec, JsonValue, canonical_json
from stablenew_api.learning import LearningRecord
from stablenew_api.report import RunImage
from stablenew_kernel.domain.infotext import describe, format_infotext, prompts, stablenew_chunk
from stablenew_kernel.domain.naming import FilePattern, parse_pattern
from stablenew_kernel.domain.png import with_text
from stablenew_kernel.store import meta, outputs, runs
from stablenew_kernel.store.artifacts import ArtifactStore
from stablenew_kernel.store.database import Database
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

VERSION = version("stablenew")


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
    started: datetime
    request: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class _Delivered:
    saved: SavedOutput
    run_id: str
    manifest: dict[str, JsonValue]
    record: LearningRecord
    image_sha256: str


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
        self._runs: dict[str, _OpenRun] = {}
        self._to_end: dict[str, None] = {}
        self._work = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    # --- runs -----------------------------------------------------------------------------------------------

    def add(self, row: runs.RunRow, folder: RunFolder) -> None:
        """A run whose folder was just made."""
        request = json.loads(row.request)
        started = datetime.fromisoformat(row.created_at).astimezone()
        self._runs[row.run_id] = _OpenRun(folder, parse_pattern(request["file_name"]), started, request)

    def knows(self, run_id: str) -> bool:
        """Whether the run's folder is open."""
        return run_id in self._runs

    async def reopen(self, row: runs.RunRow) -> None:
        """A run found at start, or opened again by a retry. Raises StoreError."""
        lines = await self._database.read_async(lambda connection: outputs.manifest(connection, row.run_id))
        run = {"run_id": row.run_id, "created_at": row.created_at, "jobs": row.total, **json.loads(row.request)}
        self.add(row, await self._in_thread(RunFolder.reopen, Path(row.folder), row.run_id, lines, run))

    def end_run(self, run_id: str) -> None:
        """Nothing is left of this run: make its reports and end it."""
        self._to_end[run_id] = None
        self._work.set()

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

    async def _run(self) -> None:
        troubled = False
        while not self._stopping:
            await self._work.wait()
            self._work.clear()
            try:
                while not self._stopping and await self._deliver():
                    pass
                while not self._stopping and self._to_end:
                    await self._end(next(iter(self._to_end)))
                if troubled:
                    troubled = False
                    self._listener.trouble("")
            except StoreError as error:
                # A full disk, a folder that is gone: nothing is lost, it is all still pending. Try again later.
                troubled = True
                self._listener.trouble(str(error))
                asyncio.get_running_loop().call_later(RETRY_INTERVAL, self._work.set)

    # --- images ---------------------------------------------------------------------------------------------

    async def _deliver(self) -> bool:
        """Deliver a batch; return whether there was one."""
        batch = await self._database.read_async(lambda connection: outputs.pending(connection, limit=BATCH))
        if not batch:
            return False
        for run_id in {output.run_id for output in batch} - self._runs.keys():
            await self.reopen(await self._database.read_async(partial(runs.get, run_id=run_id)))
        # Files of one batch are written side by side: their syncs overlap.
        results = await asyncio.gather(
            *(self._in_thread(self._write, output) for output in batch), return_exceptions=True
        )
        delivered = [result for result in results if isinstance(result, _Delivered)]
        if delivered:
            await self._in_thread(self._note, delivered)
            at = meta.timestamp(self._clock)
            saved = [item.saved for item in delivered]
            await self._database.write_async(lambda connection: outputs.mark_saved(connection, saved, at))
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
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return True

    def _write(self, output: PendingOutput) -> _Delivered:
        """One image, with its metadata, to its folder. In a thread."""
        run = self._runs[output.run_id]
        spec = JobSpec.from_json(json.loads(output.spec))
        report = json.loads(output.report) if output.report else {}
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
        data = with_text(self._artifacts.read(output.artifact.sha256), texts)
        name = run.pattern.name(spec, output.job_index, run.started)
        if output.index:
            name = f"{name}_{output.index}"
        path = run.folder.save_image(f"{name}.png", data)
        timings = _timings(report, output.run_time)
        manifest: dict[str, JsonValue] = {
            "file": path.name,
            "index": output.job_index,
            "job_id": output.job_id,
            "row": spec.provenance.get("row", 0),
            "prompt": prompt,
            "negative_prompt": negative_prompt,
            "seed": spec.stages[0].seed,
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
                "template": spec.provenance.get("template", ""),
                "choices": spec.provenance.get("choices", {}),
            },
            image_sha256=image_sha256,
            node=output.node_name,
            timings=timings,
        )
        saved = SavedOutput(output.job_id, output.index, str(path), canonical_json(manifest))
        return _Delivered(saved, output.run_id, manifest, record, image_sha256)

    def _note(self, delivered: Sequence[_Delivered]) -> None:
        """Manifest lines and learning records of a batch. In a thread."""
        by_run: dict[str, list[bytes]] = {}
        for item in delivered:
            by_run.setdefault(item.run_id, []).append(item.saved.manifest)
        for run_id, lines in by_run.items():
            self._runs[run_id].folder.append_manifest(lines)
        self._learning.record_images([item.record for item in delivered])

    # --- the end of a run -----------------------------------------------------------------------------------

    async def _end(self, run_id: str) -> None:
        run = self._runs.get(run_id)
        files: list[str] = []
        lines = await self._database.read_async(lambda connection: outputs.manifest(connection, run_id))
        if run is not None and lines:
            files = await self._in_thread(self._reports, run, [json.loads(line) for line in lines])
        at = meta.timestamp(self._clock)
        row = await self._database.write_async(lambda connection: runs.end_run(connection, run_id, files, at))
        if row is not None and run is not None:
            await self._in_thread(run.folder.write_run_json, _run_json(row, run.request))
            del self._runs[run_id]
        del self._to_end[run_id]
        self._listener.run_ended(row, run_id)

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
