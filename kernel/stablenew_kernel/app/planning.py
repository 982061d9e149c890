"""From a client's request to a plan: finds the preset, reads the files that came along, asks the domain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Lock

from stablenew_api.errors import UserError
from stablenew_api.host import PluginHost
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.pipeline import near
from stablenew_kernel.domain.plan import Plan, PlanRequest, plan_run, replay_batch, replay_plan
from stablenew_kernel.domain.presets import parse_settings
from stablenew_kernel.domain.settings import Settings
from stablenew_proto.v1 import kernel_pb2 as pb

SHIPPED = (
    Path(__file__).resolve().parents[1] / "content",  # in an installed wheel
    Path(__file__).resolve().parents[3],  # in a checkout: the top-level folders `presets` and `packs`
)
"""Where the presets that come with StableNew may lie."""


class Planner:
    """Plans runs. Blocking; call it in a thread. Thread-safe.

    What is drawn for a plan stays the same until a plan is queued (see :meth:`turn`): a dry run shows the very
    images that the run after it makes, and however many dry runs there are, they change nothing.
    """

    def __init__(self, host: PluginHost, presets: Path, settings: Settings, rng: Random) -> None:
        self._host = host
        self._presets = presets
        self._settings = settings
        self._rng = rng
        self._draw = rng.getrandbits(64)
        """All that the next plan draws follows from it."""
        self._lock = Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The plan that is made in this block is to be queued, so the next one draws anew; unless an error
        leaves the block."""
        with self._lock:
            yield
            self._draw = self._rng.getrandbits(64)

    def plan(self, run: pb.RunRequest) -> Plan:
        """The plan of ``run``. Raises UserError or PluginError; nothing has been queued then."""
        preset_name, preset_json = self._preset(run)
        sidecar_name = run.sidecar_name or f"{Path(run.pack_name).stem}.json"
        request = PlanRequest(
            pack=parse_pack(run.pack_name, run.pack),
            preset=parse_settings(preset_name, preset_json) if preset_name else None,
            preset_name=preset_name,
            sidecar=parse_settings(sidecar_name, run.sidecar) if run.sidecar else None,
            sidecar_name=sidecar_name if run.sidecar else "",
            rows=run.rows,
            sets=tuple(run.sets),
            count=run.count if run.HasField("count") else None,
            seed=run.seed if run.HasField("seed") else None,
            run_timeout=self._settings.run_timeout,
            limit=run.limit,
            sample=run.sample,
        )
        filter_jobs = self._host.filter_jobs if self._host.listens("filter_jobs") else None
        return plan_run(
            request,
            self._host.stages,
            rng=Random(self._draw),  # noqa: S311
            randomizers=self._host.randomizers,
            filter_jobs=filter_jobs,
        )

    def replay(self, request: pb.ReplayRequest) -> Plan:
        """The job that an image carries, or those of a batch."""
        if request.specs:
            specs = [(spec.name, spec.content) for spec in request.specs]
            return replay_batch(specs, request.source_name or "replay", self._host.stages)
        return replay_plan(request.spec_json, request.source_name, self._host.stages)

    def _preset(self, run: pb.RunRequest) -> tuple[str, bytes]:
        """Name and content of the preset; both empty if the run has none."""
        if run.preset_json:
            return run.preset_name or "preset", run.preset_json
        if not run.preset:
            return "", b""
        known: dict[str, Path] = {}
        for folder in (*(place / "presets" for place in reversed(SHIPPED)), self._presets):
            if folder.is_dir():
                known.update({path.stem: path for path in sorted(folder.glob("*.json"))})
        path = known.get(run.preset)
        if path is None:
            raise UserError(f"no preset is called {run.preset!r}; {near(run.preset, known)}")
        try:
            return path.name, path.read_bytes()
        except OSError as error:
            raise UserError(f"preset {path}: {error.strerror}; check the file and its permissions") from error
