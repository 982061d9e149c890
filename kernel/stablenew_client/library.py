"""The library of a kernel: presets, profiles, and the explanation of settings. :attr:`KernelClient.library`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import grpc

from stablenew_proto.v1 import kernel_pb2, library_pb2_grpc
from stablenew_proto.v1 import library_pb2 as pb

T = TypeVar("T")


class LibraryClient:
    """Blocking calls; safe to use from several threads. ``kind`` is "preset" or "profile".

    Raises as :class:`~stablenew_client.client.KernelClient`. Answers are the messages of ``library.proto``.
    """

    def __init__(self, channel: grpc.Channel, call: Callable[[Callable[..., Any], Any], Any]) -> None:
        """Use :attr:`KernelClient.library`."""
        self._stub = library_pb2_grpc.LibraryServiceStub(channel)
        self._call = call

    def entries(self, kind: str, *, trash: bool = False) -> pb.ListEntriesResponse:
        """All of a kind by name, or those in the trash; files that cannot be read are told with the reason."""
        request = pb.ListEntriesRequest(kind=kind, trash=trash)
        answer: pb.ListEntriesResponse = self._call(self._stub.ListEntries, request)
        return answer

    def get(self, kind: str, name: str) -> pb.GetEntryResponse:
        """One of them, with the content of its file."""
        answer: pb.GetEntryResponse = self._call(self._stub.GetEntry, pb.GetEntryRequest(kind=kind, name=name))
        return answer

    def save(
        self,
        kind: str,
        name: str,
        *,
        content: bytes | None = None,
        entry: str | None = None,
        run_id: str | None = None,
        sets: Sequence[str] = (),
        unsets: Sequence[str] = (),
        description: str | None = None,
        replace: bool = False,
    ) -> pb.SaveEntryResponse:
        """Write one. It starts from one of ``content``, ``entry`` and ``run_id``, else from the one of this
        name, else from nothing; then ``sets`` and ``unsets`` are applied, and all else stays byte by byte."""
        request = pb.SaveEntryRequest(
            kind=kind,
            name=name,
            content=content,
            entry=entry,
            run_id=run_id,
            sets=sets,
            unsets=unsets,
            description=description,
            replace=replace,
        )
        answer: pb.SaveEntryResponse = self._call(self._stub.SaveEntry, request)
        return answer

    def change(
        self, kind: str, action: str, name: str, new_name: str = "", *, replace: bool = False
    ) -> pb.ChangeEntryResponse:
        """``action`` is copy, rename, delete (into the trash) or restore (out of it)."""
        request = pb.ChangeEntryRequest(kind=kind, action=action, name=name, new_name=new_name, replace=replace)
        answer: pb.ChangeEntryResponse = self._call(self._stub.ChangeEntry, request)
        return answer

    def diff(self, left: pb.SettingsSource, right: pb.SettingsSource) -> pb.DiffSettingsResponse:
        """What differs between two sets of settings."""
        request = pb.DiffSettingsRequest(left=left, right=right)
        answer: pb.DiffSettingsResponse = self._call(self._stub.DiffSettings, request)
        return answer

    def explain(self, run: kernel_pb2.RunRequest) -> pb.ExplainSettingsResponse:
        """Every setting that ``run`` would use, and where each comes from. Its pack may be empty."""
        request = pb.ExplainSettingsRequest(run=run)
        answer: pb.ExplainSettingsResponse = self._call(self._stub.ExplainSettings, request)
        return answer
