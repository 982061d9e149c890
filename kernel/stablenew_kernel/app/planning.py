"""From a client's request to a plan: finds the preset, reads the files that came along, asks the domain."""

from __future__ import annotations

from pathlib import Path
from random import Random

from stablenew_api.errors import UserError
from stablenew_api.host import PluginHost
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.pipeline import near
from stablenew_kernel.domain.plan import Plan, PlanRequest, plan_run, replay_plan
from stablenew_kernel.domain.presets import parse_settings
from stablenew_kernel.domain.settings import Settings
from stablenew_proto.v1 import kernel_pb2 as pb

SHIPPED = (
    Path(__file__).resolve().parents[1] / "content",  # in an installed wheel
    Path(__file__).resolve().parents[3],  # in a checkout: the top-level folders `presets` and `packs`
)
"""Where the presets that come with StableNew may lie."""


QUICK = 2048
"""Bytes of a request that is planned in a moment."""


class Planner:
    """Plans runs. Blocking; call it in a thread. Thread-safe: it holds nothing that changes but ``rng``."""

    def __init__(self, host: PluginHost, presets: Path, settings: Settings, rng: Random) -> None:
        self._host = host
        self._presets = presets
        self._settings = settings
        self._rng = rng

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
            rng=self._rng,
            randomizers=self._host.randomizers,
            filter_jobs=filter_jobs,
        )

    def quick(self, run: pb.RunRequest) -> bool:
        """Whether :meth:`plan` takes less than a millisecond: a short request with no file to read (presets by
        name, wildcards) and no plugin to ask (filters, randomizers)."""
        texts = (run.pack, run.sidecar, run.preset_json)
        return (
            not run.preset
            and sum(map(len, texts)) <= QUICK
            and not any(sign in text for text in texts for sign in (b"__", b"randomization"))
            and not self._host.listens("filter_jobs")
        )

    def replay(self, spec_json: bytes, source_name: str) -> Plan:
        """The one job that an image carries."""
        return replay_plan(spec_json, source_name, self._host.stages)

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
