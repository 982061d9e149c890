"""The library: presets and profiles kept, changed and compared; settings explained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from stablenew_api.clock import Clock
from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_api.host import PluginHost
from stablenew_api.jobs import JsonValue
from stablenew_kernel.app.core import Core
from stablenew_kernel.app.planning import SHIPPED, Planner
from stablenew_kernel.app.runs import last_run
from stablenew_kernel.domain.editing import differences, edit_profile, edit_settings, new_preset
from stablenew_kernel.domain.jsontext import JsonFile, new_object, parse_object
from stablenew_kernel.domain.layers import Setting
from stablenew_kernel.domain.pipeline import Resolver
from stablenew_kernel.domain.presets import Layer, parse_settings, sections_of
from stablenew_kernel.domain.profiles import parse_profile
from stablenew_kernel.domain.words import near
from stablenew_kernel.store import recall
from stablenew_kernel.store.shelf import Shelf, Shelved, preset_shelf, profile_shelf
from stablenew_proto.v1 import library_pb2 as pb


class Library:
    """What clients ask about presets and profiles; see ``library.proto``. Blocking; thread-safe.

    Every method raises UserError, and StoreError where the disk refuses.
    """

    def __init__(self, data: DataFolder, host: PluginHost, clock: Clock) -> None:
        self._shelves = {
            "preset": preset_shelf(data.presets, [place / "presets" for place in SHIPPED]),
            "profile": profile_shelf(data.profiles),
        }
        self._host = host
        self._clock = clock

    def list_entries(self, request: pb.ListEntriesRequest) -> pb.ListEntriesResponse:
        """All of a kind, or those in the trash; what cannot be read is listed with its reason."""
        shelf = self._shelf(request.kind)
        problems, entries = [], []
        for file in shelf.trashed() if request.trash else shelf.files().values():
            try:
                entries.append(self._entry(shelf, file, strict=not request.trash))
            except UserError as error:
                problems.append(str(error))
        return pb.ListEntriesResponse(entries=entries, problems=problems)

    def get_entry(self, request: pb.GetEntryRequest) -> pb.GetEntryResponse:
        """One, as its file has it, and what in it has no effect."""
        shelf = self._shelf(request.kind)
        file = shelf.find(request.name)
        content = shelf.read(file)
        parsed = _parse(request.kind, file.path.name, content)
        return pb.GetEntryResponse(
            entry=self._entry(shelf, file),
            content=content,
            warnings=self._warnings(request.kind, file.path.name, parsed),
        )

    def save_entry(
        self, request: pb.SaveEntryRequest, used: Mapping[str, JsonValue] | None = None
    ) -> pb.SaveEntryResponse:
        """Write one. ``used``: the settings of the run that it comes from, if it comes from one."""
        shelf = self._shelf(request.kind)
        file = self._origin(shelf, request, used)
        edit = edit_settings if request.kind == "preset" else edit_profile
        file = edit(file, request.sets, request.unsets, Resolver((), (), self._host.stages))
        if request.HasField("description"):
            file = file.put(["description"], request.description)
        file_name = f"{request.name}{shelf.ending}"
        file = _parse(request.kind, file_name, file.data)
        replaced = shelf.write(request.name, file.data, self._clock.now(), replace=request.replace)
        return pb.SaveEntryResponse(
            entry=self._entry(shelf, shelf.find(request.name)),
            trash_path=_text(replaced),
            warnings=self._warnings(request.kind, file_name, file),
        )

    def _origin(
        self, shelf: Shelf, request: pb.SaveEntryRequest, used: Mapping[str, JsonValue] | None
    ) -> JsonFile:
        """What the new one starts from."""
        label = f"{shelf.kind} {request.name}{shelf.ending}"
        origin = request.WhichOneof("origin")
        if origin == "content":
            return parse_object(label, request.content)
        if origin == "run_id":
            return new_preset(label, used or {})
        source = request.entry if origin == "entry" else request.name
        if origin is None and source not in shelf.files():
            return new_object(label)
        return parse_object(label, shelf.read(shelf.find(source)))

    def change_entry(self, request: pb.ChangeEntryRequest) -> pb.ChangeEntryResponse:
        """Copy, rename, delete or restore."""
        shelf, now = self._shelf(request.kind), self._clock.now()
        name, new_name, replace = request.name, request.new_name, request.replace
        if request.action == "delete":
            entry = self._entry(shelf, shelf.find(name), strict=False)
            return pb.ChangeEntryResponse(entry=entry, trash_path=_text(shelf.delete(name, now)))
        if request.action == "restore":
            new_name = new_name or name
            replaced = shelf.restore(name, new_name, now, replace=replace)
        elif request.action == "copy":
            replaced = shelf.write(new_name, shelf.read(shelf.find(name)), now, replace=replace)
        elif request.action == "rename":
            replaced = shelf.rename(name, new_name, now, replace=replace)
        else:
            actions = ("copy", "rename", "delete", "restore")
            raise UserError(f"there is no action {request.action!r}; {near(request.action, actions)}")
        entry = self._entry(shelf, shelf.find(new_name), strict=False)
        return pb.ChangeEntryResponse(entry=entry, trash_path=_text(replaced))

    def diff(self, request: pb.DiffSettingsRequest) -> pb.DiffSettingsResponse:
        """What differs."""
        known = Resolver((), (), self._host.stages).known
        found, equal = differences(self._layer(request.left), self._layer(request.right), known)
        return pb.DiffSettingsResponse(
            differences=[
                pb.Difference(
                    name=one.name,
                    left_json=b"" if one.left is None else _json(one.left),
                    right_json=b"" if one.right is None else _json(one.right),
                )
                for one in found
            ],
            equal=equal,
        )

    def _layer(self, source: pb.SettingsSource) -> Layer:
        if not source.preset:
            label = source.label or "settings"
            return Layer(label, parse_settings(label, source.content or b"{}"))
        shelf = self._shelves["preset"]
        file = shelf.find(source.preset)
        return Layer(f"preset {file.path.name}", parse_settings(file.path.name, shelf.read(file)))

    # --- plumbing -------------------------------------------------------------------------------------------

    def _shelf(self, kind: str) -> Shelf:
        if kind not in self._shelves:
            raise UserError(f"there is no kind {kind!r} of entries; {near(kind, self._shelves)}")
        return self._shelves[kind]

    def _entry(self, shelf: Shelf, file: Shelved, *, strict: bool = True) -> pb.Entry:
        """What a list says of a file. Not ``strict``: of one that cannot be read, too."""
        description, subject = "", ""
        try:
            parsed = _parse(shelf.kind, file.path.name, shelf.read(file))
            text = parsed.value.get("description")
            description = text if isinstance(text, str) else ""
            if shelf.kind == "profile":
                subject = parse_profile(f"{file.name}{shelf.ending}", parsed.data).settings.kind
        except UserError:
            if strict:
                raise
        return pb.Entry(
            kind=shelf.kind,
            name=file.name,
            path=str(file.path),
            shipped=file.shipped,
            changed_at=file.changed_at.isoformat(timespec="milliseconds"),
            description=description,
            subject=subject,
        )

    def _warnings(self, kind: str, file_name: str, file: JsonFile) -> Sequence[str]:
        """What would be said of it in a run with it alone: what is ignored, or why there is no such run."""
        if kind == "profile":
            profile = parse_profile(file_name, file.data)
            said, layer = list(profile.warnings), profile.layer
        else:
            said, layer = [], Layer(f"preset {file_name}", sections_of(file))
        try:
            return [*said, *Resolver([layer], (), self._host.stages).resolve().warnings]
        except UserError as error:
            return [*said, str(error)]


def _parse(kind: str, file_name: str, content: bytes) -> JsonFile:
    """The file, checked to be one of its kind."""
    if kind == "profile":
        parse_profile(file_name, content)
    file = parse_object(f"{kind} {file_name}", content)
    sections_of(file)
    return file


def _json(value: JsonValue) -> bytes:
    return json.dumps(value).encode("ascii")


def _text(path: Path | None) -> str:
    return str(path) if path is not None else ""


def explanation(
    resolver: Resolver, count: int | None = None, seed: int | None = None
) -> pb.ExplainSettingsResponse:
    """Every setting of a run, where it comes from and what lay under it. Raises UserError."""
    pipeline = resolver.resolve()
    return pb.ExplainSettingsResponse(
        stages=[planned.stage.name for planned in pipeline.stages],
        settings=[_setting(setting) for setting in resolver.explain(count=count, seed=seed)],
        warnings=pipeline.warnings,
    )


def _setting(setting: Setting) -> pb.Setting:
    return pb.Setting(
        name=setting.name,
        value_json=_json(setting.value),
        source=setting.source,
        place=setting.place,
        title=setting.title,
        used=setting.used,
        below=[pb.SettingBelow(source=source, value_json=_json(value)) for source, value in setting.below],
    )


class LibraryDesk:
    """:class:`Library` for the kernel's loop, with what only the database knows. Raises as it does."""

    def __init__(self, core: Core, planner: Planner, library: Library) -> None:
        self._core = core
        self._planner = planner
        self._library = library

    async def list_entries(self, request: pb.ListEntriesRequest) -> pb.ListEntriesResponse:
        """All of a kind."""
        return await self._core.in_thread(self._library.list_entries, request)

    async def get_entry(self, request: pb.GetEntryRequest) -> pb.GetEntryResponse:
        """One of them."""
        return await self._core.in_thread(self._library.get_entry, request)

    async def save_entry(self, request: pb.SaveEntryRequest) -> pb.SaveEntryResponse:
        """Write one, perhaps from the settings of a run."""
        used = None
        if request.WhichOneof("origin") == "run_id":
            used = await self._core.database.read_async(
                lambda connection: recall.settings_of(connection, request.run_id)
            )
            if used is None:
                raise UserError(f"run {request.run_id}: its settings were not recorded (it is a replay)")
        return await self._core.in_thread(self._library.save_entry, request, used)

    async def change_entry(self, request: pb.ChangeEntryRequest) -> pb.ChangeEntryResponse:
        """Copy, rename, delete or restore."""
        return await self._core.in_thread(self._library.change_entry, request)

    async def diff(self, request: pb.DiffSettingsRequest) -> pb.DiffSettingsResponse:
        """What differs."""
        return await self._core.in_thread(self._library.diff, request)

    async def explain(self, request: pb.ExplainSettingsRequest) -> pb.ExplainSettingsResponse:
        """Where each setting of a run comes from."""
        run = request.run
        last = await last_run(self._core, run)
        count = run.count if run.HasField("count") else None
        seed = run.seed if run.HasField("seed") else None
        return await self._core.in_thread(lambda: explanation(self._planner.resolver(run, last), count, seed))
