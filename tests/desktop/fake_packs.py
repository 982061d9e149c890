"""What :class:`~.fake_house.FakeHouse` answers about packs and presets: what the real code says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stablenew_kernel.app.library import Library, explanation
from stablenew_kernel.app.packs import PackReader, inventory_of
from stablenew_kernel.app.planning import Planner
from stablenew_proto.v1 import kernel_pb2, library_pb2, packs_pb2


class FakePacks:
    """As :class:`~stablenew_client.PackClient`, by the real reader."""

    def __init__(self, reader: PackReader, nodes: Any) -> None:
        self._reader, self._nodes = reader, nodes

    def describe(
        self, run: kernel_pb2.RunRequest, *, check: bool = True, rows: int = 0
    ) -> packs_pb2.DescribePackResponse:
        request = packs_pb2.DescribePackRequest(run=run, check=check, rows=rows)
        return self._reader.describe(request, inventory_of(self._nodes()))

    def edit(self, name: str, content: bytes, edits: Sequence[packs_pb2.PackEdit]) -> bytes:
        return self._reader.edit(packs_pb2.EditPackRequest(name=name, content=content, edits=edits))

    def prompt(self, prompt: str, run: kernel_pb2.RunRequest | None = None) -> packs_pb2.ReadPromptResponse:
        request = packs_pb2.ReadPromptRequest(prompt=prompt, run=run)
        return self._reader.read_prompt(request, inventory_of(self._nodes()))

    def wildcards(self) -> Sequence[packs_pb2.WildcardInfo]:
        return self._reader.wildcards().wildcards


class FakeLibrary:
    """As :class:`~stablenew_client.LibraryClient`, by the real library."""

    def __init__(self, library: Library, planner: Planner) -> None:
        self._library, self._planner = library, planner

    def entries(self, kind: str, *, trash: bool = False) -> library_pb2.ListEntriesResponse:
        return self._library.list_entries(library_pb2.ListEntriesRequest(kind=kind, trash=trash))

    def get(self, kind: str, name: str) -> library_pb2.GetEntryResponse:
        return self._library.get_entry(library_pb2.GetEntryRequest(kind=kind, name=name))

    def save(self, kind: str, name: str, **more: Any) -> library_pb2.SaveEntryResponse:
        more.pop("run_id", None)
        given = {key: value for key, value in more.items() if value is not None}
        return self._library.save_entry(library_pb2.SaveEntryRequest(kind=kind, name=name, **given), None)

    def change(
        self, kind: str, action: str, name: str, new_name: str = "", *, replace: bool = False
    ) -> library_pb2.ChangeEntryResponse:
        request = library_pb2.ChangeEntryRequest(
            kind=kind, action=action, name=name, new_name=new_name, replace=replace
        )
        return self._library.change_entry(request)

    def diff(
        self, left: library_pb2.SettingsSource, right: library_pb2.SettingsSource
    ) -> library_pb2.DiffSettingsResponse:
        return self._library.diff(library_pb2.DiffSettingsRequest(left=left, right=right))

    def explain(self, run: kernel_pb2.RunRequest) -> library_pb2.ExplainSettingsResponse:
        return explanation(self._planner.resolver(run))
