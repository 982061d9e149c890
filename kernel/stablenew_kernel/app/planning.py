"""From a client's request to a plan: finds the preset, reads the files that came along, asks the domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from os.path import isdir
from pathlib import Path
from random import Random
from threading import Lock

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_api.host import PluginHost
from stablenew_api.jobs import JsonValue
from stablenew_client.wildcardfolder import WildcardFolder
from stablenew_kernel.app.sources import PROMOTED, ImageSources
from stablenew_kernel.domain.later import plan_later
from stablenew_kernel.domain.packs import Pack, parse_pack
from stablenew_kernel.domain.pipeline import GlobalNegative, Later, Pipeline, Resolver
from stablenew_kernel.domain.plan import Plan, PlanRequest, plan_run, resolver_of
from stablenew_kernel.domain.presets import parse_settings
from stablenew_kernel.domain.profiles import Profiles
from stablenew_kernel.domain.randomizer.variants import Place
from stablenew_kernel.domain.replay import replay_batch, replay_plan
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.store.shelf import ProfileFolder, preset_shelf, profile_shelf
from stablenew_proto.v1 import kernel_pb2 as pb

SHIPPED = (
    Path(__file__).resolve().parents[1] / "content",  # in an installed wheel
    Path(__file__).resolve().parents[3],  # in a checkout: the top-level folders `presets` and `packs`
)
"""Where the presets that come with StableNew may lie."""

GLOBAL_NEGATIVE_FILE = "global_negative.txt"
"""Beside the presets."""


QUICK = 2048
"""Bytes of a request that is planned in a moment."""


SETTINGS_KEPT = 8
"""Presets, each with its sidecar and ``--set``, whose settings are kept as they came out: people run the same
one again and again."""


DRAWS_KEPT = 10_000
"""Packs of which is known that they have been queued. What others draw changes when there are more."""

_Key = tuple[str, bytes, str, bytes, tuple[str, ...], GlobalNegative]
"""Name and content of preset and sidecar, ``--set``, global negative prompt: all that settings depend on, but
for profiles."""


@dataclass(frozen=True, slots=True)
class _Settings:
    """The settings of a request, read and brought together."""

    preset: Mapping[str, JsonValue] | None
    sidecar: Mapping[str, JsonValue] | None
    profiles: Profiles
    resolver: Resolver
    pipeline: Pipeline
    """Without overrides."""


class _Kept(Mapping[Place, JsonValue]):
    """What strategies kept, read when the first one asks: most plans have none that keeps anything."""

    def __init__(self, recall: Callable[[], Mapping[Place, JsonValue]]) -> None:
        self._recall = recall

    @cached_property
    def _places(self) -> Mapping[Place, JsonValue]:
        return self._recall()

    def __getitem__(self, place: Place) -> JsonValue:
        return self._places[place]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def is_later(run: pb.RunRequest) -> bool:
    """Whether ``run`` is one of later stages, on images that exist."""
    return bool(run.images or run.from_stage or run.only_stages or run.HasField("promote"))


def pack_of(run: pb.RunRequest) -> str:
    """Which pack ``run`` is of: its path, or its name where it has none."""
    return run.pack_path or run.pack_name


class Planner:
    """Plans runs. Blocking; call it in a thread. Thread-safe.

    What is drawn for a pack stays the same until a run of it is queued (see :meth:`turn`): a dry run shows the
    very images that the run after it makes, however many dry runs there are, and whatever other packs are
    queued before it.
    """

    def __init__(
        self,
        host: PluginHost,
        data: DataFolder,
        settings: Settings,
        rng: Random,
        recall: Callable[[str], Mapping[Place, JsonValue]] = lambda pack: {},
        sources: ImageSources | None = None,
    ) -> None:
        """``data`` has the person's presets, profiles and wildcards. ``recall`` gives what randomizer
        strategies kept of the pack of this title; it may block. ``sources`` finds images for later stages;
        None: there are none."""
        self._host = host
        self._data = data
        self._presets = preset_shelf(data.presets, [place / "presets" for place in SHIPPED])
        self._profiles = ProfileFolder(profile_shelf(data.profiles))
        self._wildcards = WildcardFolder(data.wildcards)
        self._folders = str(data.profiles), str(data.wildcards)
        self.settings = settings
        """Those that count now."""
        self._rng = rng
        self._sources = sources
        self._recall = recall
        self._draw = rng.getrandbits(64)
        """All that is drawn for a pack that has not been queued yet follows from it and the pack's name."""
        self._draws: dict[str, int] = {}
        """All that the next plan of a pack draws follows from it; of packs that have been queued."""
        self._lock = Lock()
        self._read: dict[_Key, _Settings] = {}
        """The latest last. Threads may replace it at any time, by another one."""

    @contextmanager
    def turn(self, *, wait: bool = True) -> Iterator[bool]:
        """In this block nobody else makes a plan that is to be queued; :meth:`draw_anew` ends it when it is
        certain that it will be. False, unless ``wait``, if somebody else has the turn."""
        ours = self._lock.acquire(blocking=wait)
        try:
            yield ours
        finally:
            if ours:
                self._lock.release()

    def draw_anew(self, pack: str) -> None:
        """The plan of this turn is to be queued: the next one of ``pack`` (see :func:`pack_of`) draws something
        else. Plans of other packs do not change: who queues several gets of each what was shown."""
        if len(self._draws) >= DRAWS_KEPT and pack not in self._draws:
            self._draws.clear()
            self._draw = self._rng.getrandbits(
                64
            )  # or those that are forgotten would draw what they drew first
        self._draws[pack] = self._rng.getrandbits(64)

    def _random(self, run: pb.RunRequest) -> Random:
        """What the next plan of the pack of ``run`` draws from."""
        pack = pack_of(run)
        drawn = self._draws.get(pack)
        return Random(f"{self._draw} {pack}" if drawn is None else drawn)  # noqa: S311

    def plan(
        self, run: pb.RunRequest, last_run: Mapping[str, JsonValue] | None = None, *, dry: bool = False
    ) -> Plan:
        """The plan of ``run``. ``last_run``: the settings that it should be like, if it asks for that. ``dry``:
        it is only to be shown, so images that it begins with need not be here.

        Raises UserError or PluginError; nothing has been queued then.
        """
        if is_later(run):
            return self._plan_later(run, last_run, dry=dry)
        request, known = self._request(run, last_run, parse_pack(run.pack_name, run.pack))
        filter_jobs = self._host.filter_jobs if self._host.listens("filter_jobs") else None
        return plan_run(
            request,
            self._host.stages,
            rng=self._random(run),
            randomizers=self._host.randomizers,
            filter_jobs=filter_jobs,
            memory=_Kept(partial(self._recall, request.pack.title)),
            resolved=self._resolved(request, known),
        )

    def _plan_later(self, run: pb.RunRequest, last_run: Mapping[str, JsonValue] | None, *, dry: bool) -> Plan:
        """Of later stages, on images that were sent or are rated."""
        if run.pack:
            raise UserError("a run has a pack or images, not both")
        later = Later(run.from_stage, tuple(run.only_stages))
        later.check(self._host.stages)
        if self._sources is None:
            raise UserError("there is no place for images here")
        promotes = run.HasField("promote")
        if promotes:
            found = self._sources.promoted(run.promote)
        else:
            found = self._sources.sent(run.images, stored=not dry)
        nameless = Pack(run.pack_name or (PROMOTED if promotes else "images"), "", ())
        plan = plan_later(
            self._request(run, last_run, nameless)[0],
            found.sources,
            later,
            self._host.stages,
            rng=self._random(run),
            filter_jobs=self._host.filter_jobs if self._host.listens("filter_jobs") else None,
        )
        if promotes and not run.promote.again:
            plan = self._sources.done_before(plan)
        return replace(plan, warnings=(*plan.warnings, *found.notes))

    def resolver(self, run: pb.RunRequest, last_run: Mapping[str, JsonValue] | None = None) -> Resolver:
        """The settings of :meth:`plan`. The pack is not looked at. Raises UserError."""
        return resolver_of(self._request(run, last_run, Pack(run.pack_name, "", ()))[0], self._host.stages)

    def request(self, run: pb.RunRequest, last_run: Mapping[str, JsonValue] | None = None) -> PlanRequest:
        """What ``run`` asks for, without its pack, which is not looked at. Raises UserError."""
        return self._request(run, last_run, Pack(run.pack_name, "", ()))[0]

    def _request(
        self, run: pb.RunRequest, last_run: Mapping[str, JsonValue] | None, pack: Pack
    ) -> tuple[PlanRequest, _Settings | _Key]:
        """What is asked for, and its settings: as they came out before, or else what to keep them by."""
        preset_name, preset_json = self._preset(run)
        sidecar_name = (run.sidecar_name or f"{Path(run.pack_name).stem}.json") if run.sidecar else ""
        profiles, global_negative = self._profiles.profiles(), self._global_negative()
        key = (preset_name, preset_json, sidecar_name, run.sidecar, tuple(run.sets), global_negative)
        known = self._read.get(key) if last_run is None else None
        if known is not None and known.profiles is profiles:
            preset, sidecar = known.preset, known.sidecar
        else:
            known = None
            preset = parse_settings(preset_name, preset_json) if preset_name else None
            sidecar = parse_settings(sidecar_name, run.sidecar) if run.sidecar else None
        request = PlanRequest(
            pack=pack,
            preset=preset,
            preset_name=preset_name,
            sidecar=sidecar,
            sidecar_name=sidecar_name,
            last_run=last_run,
            profiles=profiles,
            global_negative=global_negative,
            rows=run.rows,
            sets=key[4],
            count=run.count if run.HasField("count") else None,
            seed=run.seed if run.HasField("seed") else None,
            run_timeout=self.settings.run_timeout,
            limit=run.limit,
            sample=run.sample,
            wildcards=self._wildcard_files(run),
            axes=tuple(run.axes),
        )
        return request, known or key

    def _resolved(self, request: PlanRequest, known: _Settings | _Key) -> tuple[Resolver, Pipeline]:
        """The settings of ``request``; kept, so that they are brought together once."""
        if isinstance(known, tuple):
            resolver = resolver_of(request, self._host.stages)
            key, pipeline = known, resolver.resolve()
            known = _Settings(request.preset, request.sidecar, request.profiles, resolver, pipeline)
            if request.last_run is None:
                self._read = {**dict([*self._read.items()][1 - SETTINGS_KEPT :]), key: known}
        return known.resolver, known.pipeline

    def quick(self, run: pb.RunRequest) -> bool:
        """Whether :meth:`plan` takes less than a millisecond: a short request with no file to read (presets by
        name, profiles, wildcards, the last run) and no plugin to ask (filters, randomizers)."""
        texts = (run.pack, run.sidecar, run.preset_json)
        return (
            not (is_later(run) or run.preset or run.like_last or run.axes or run.wildcards)
            and sum(map(len, texts)) <= QUICK
            and not any(sign in text for text in texts for sign in (b"__", b"randomization", b"matrix"))
            and not any("randomization" in one for one in run.sets)
            and b"{" not in run.pack
            and not any(map(isdir, self._folders))
            and not self._host.listens("filter_jobs")
        )

    def replay(self, request: pb.ReplayRequest) -> Plan:
        """The job that an image carries, or those of a batch."""
        if request.specs:
            specs = [(spec.name, spec.content) for spec in request.specs]
            return replay_batch(specs, request.source_name or "replay", self._host.stages)
        return replay_plan(request.spec_json, request.source_name, self._host.stages)

    def _wildcard_files(self, run: pb.RunRequest) -> list[Mapping[str, bytes]]:
        """Those that came along, then our own."""
        sent = {file.name: file.content for file in run.wildcards}
        return [files for files in (sent, self._wildcards.files()) if files]

    def _preset(self, run: pb.RunRequest) -> tuple[str, bytes]:
        """Name and content of the preset; both empty if the run has none."""
        if run.preset_json:
            return run.preset_name or "preset", run.preset_json
        if not run.preset:
            return "", b""
        file = self._presets.find(run.preset)
        return file.path.name, self._presets.read(file)

    def _global_negative(self) -> GlobalNegative:
        """The prompt in ``presets/global_negative.txt``: the person's, else one that came along."""
        path = self._presets.beside(GLOBAL_NEGATIVE_FILE)
        if path is None:
            return GlobalNegative(source=str(self._presets.own / GLOBAL_NEGATIVE_FILE))
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            problem = f"global negative prompt {path}: {error.strerror}; check the file and its permissions"
            return GlobalNegative(source=str(path), problem=problem)
        except UnicodeDecodeError:
            problem = f"global negative prompt {path}: not UTF-8 text; save the file as UTF-8"
            return GlobalNegative(source=str(path), problem=problem)
        return GlobalNegative(" ".join(text.split()), str(path))
