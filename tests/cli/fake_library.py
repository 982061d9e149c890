"""The library for the tests of the command line: the real one on the test's data folder, without a database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import grpc

from stablenew_api.clock import SystemClock
from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_api.host import PluginHost
from stablenew_kernel.app.library import Library, explanation
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.domain.settings import Settings
from stablenew_proto.v1 import library_pb2 as pb
from stablenew_proto.v1 import library_pb2_grpc

LAST: dict[str, Any] = {"txt2img": {"steps": 33}, "pipeline": {"txt2img_enabled": True}}
"""What every run used."""


class FakeLibrary(library_pb2_grpc.LibraryServiceServicer):
    """Answers as the kernel does; a run is known by any id."""

    def __init__(self, data: DataFolder) -> None:
        host = PluginHost.load(role="kernel", plugin_folder=Path(data.plugins))
        self._library = Library(data, host, SystemClock())
        self._planner = Planner(host, data, Settings(), Random(1))

    def ListEntries(self, request: Any, context: grpc.ServicerContext) -> pb.ListEntriesResponse:
        return _answer(context, lambda: self._library.list_entries(request))

    def GetEntry(self, request: Any, context: grpc.ServicerContext) -> pb.GetEntryResponse:
        return _answer(context, lambda: self._library.get_entry(request))

    def SaveEntry(self, request: Any, context: grpc.ServicerContext) -> pb.SaveEntryResponse:
        return _answer(context, lambda: self._library.save_entry(request, LAST))

    def ChangeEntry(self, request: Any, context: grpc.ServicerContext) -> pb.ChangeEntryResponse:
        return _answer(context, lambda: self._library.change_entry(request))

    def DiffSettings(self, request: Any, context: grpc.ServicerContext) -> pb.DiffSettingsResponse:
        return _answer(context, lambda: self._library.diff(request))

    def ExplainSettings(self, request: Any, context: grpc.ServicerContext) -> pb.ExplainSettingsResponse:
        run = request.run
        last = LAST if run.like_last else None
        count = run.count if run.HasField("count") else None
        seed = run.seed if run.HasField("seed") else None
        return _answer(context, lambda: explanation(self._planner.resolver(run, last), count, seed))


def _answer(context: grpc.ServicerContext, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except UserError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
