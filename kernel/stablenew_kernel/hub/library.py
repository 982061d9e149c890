"""LibraryService: presets, profiles and the explanation of settings, passed on to the kernel."""

from __future__ import annotations

from typing import Any, Protocol

from stablenew_kernel.hub.answers import answer, finish
from stablenew_proto.v1 import library_pb2 as pb
from stablenew_proto.v1 import library_pb2_grpc


class LibraryPort(Protocol):
    """What clients can ask of the library; see ``library.proto`` for what each call does."""

    async def list_entries(self, request: pb.ListEntriesRequest) -> pb.ListEntriesResponse: ...
    async def get_entry(self, request: pb.GetEntryRequest) -> pb.GetEntryResponse: ...
    async def save_entry(self, request: pb.SaveEntryRequest) -> pb.SaveEntryResponse: ...
    async def change_entry(self, request: pb.ChangeEntryRequest) -> pb.ChangeEntryResponse: ...
    async def diff(self, request: pb.DiffSettingsRequest) -> pb.DiffSettingsResponse: ...
    async def explain(self, request: pb.ExplainSettingsRequest) -> pb.ExplainSettingsResponse: ...


class LibraryServicer(library_pb2_grpc.LibraryServiceServicer):
    """Serves one kernel's library."""

    def __init__(self, library: LibraryPort) -> None:
        self._library = library

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Any) -> pb.ListEntriesResponse:
        """Presets or profiles, or those in the trash."""
        return await answer(context, self._library.list_entries(request))

    async def GetEntry(self, request: pb.GetEntryRequest, context: Any) -> pb.GetEntryResponse:
        """One of them, as its file has it."""
        return await answer(context, self._library.get_entry(request))

    async def SaveEntry(self, request: pb.SaveEntryRequest, context: Any) -> pb.SaveEntryResponse:
        """Write one of the person's own."""
        return await finish(context, self._library.save_entry(request))

    async def ChangeEntry(self, request: pb.ChangeEntryRequest, context: Any) -> pb.ChangeEntryResponse:
        """Copy, rename, delete or restore."""
        return await finish(context, self._library.change_entry(request))

    async def DiffSettings(self, request: pb.DiffSettingsRequest, context: Any) -> pb.DiffSettingsResponse:
        """What differs."""
        return await answer(context, self._library.diff(request))

    async def ExplainSettings(
        self, request: pb.ExplainSettingsRequest, context: Any
    ) -> pb.ExplainSettingsResponse:
        """Where each setting of a run comes from."""
        return await answer(context, self._library.explain(request))
