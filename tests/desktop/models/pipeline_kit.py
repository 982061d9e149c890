"""A kernel as far as the pipeline asks it: stages, presets and images by the kernel's rules, without a wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from stablenew_api.clock import SystemClock
from stablenew_api.datafolder import DataFolder
from stablenew_api.host import PluginHost
from stablenew_kernel.app.library import Library, explanation
from stablenew_kernel.domain.cards import offered
from stablenew_kernel.domain.pipeline import Resolver
from stablenew_kernel.domain.presets import Layer
from stablenew_kernel.hub import views
from stablenew_proto.v1 import gallery_pb2, kernel_pb2
from stablenew_proto.v1 import library_pb2 as pb

HOST = PluginHost.load(role="kernel")


class LibraryClient:
    """The kernel's library, without a wire between."""

    def __init__(self, data: DataFolder) -> None:
        self._library = Library(data, HOST, SystemClock())

    def entries(self, kind: str, *, trash: bool = False) -> pb.ListEntriesResponse:
        return self._library.list_entries(pb.ListEntriesRequest(kind=kind, trash=trash))

    def get(self, kind: str, name: str) -> pb.GetEntryResponse:
        return self._library.get_entry(pb.GetEntryRequest(kind=kind, name=name))

    def save(self, kind: str, name: str, **options: Any) -> pb.SaveEntryResponse:
        return self._library.save_entry(pb.SaveEntryRequest(kind=kind, name=name, **options))

    def change(self, kind: str, action: str, name: str, new_name: str = "") -> pb.ChangeEntryResponse:
        return self._library.change_entry(
            pb.ChangeEntryRequest(kind=kind, action=action, name=name, new_name=new_name)
        )

    def diff(self, left: pb.SettingsSource, right: pb.SettingsSource) -> pb.DiffSettingsResponse:
        return self._library.diff(pb.DiffSettingsRequest(left=left, right=right))

    def explain(self, run: kernel_pb2.RunRequest) -> pb.ExplainSettingsResponse:
        content = json.loads(self.get("preset", run.preset).content) if run.preset else {}
        layers = [Layer(f"preset {run.preset}.json", content)]
        if run.sidecar:
            layers.append(Layer(f"sidecar {run.sidecar_name}", json.loads(run.sidecar)))
        return explanation(Resolver(layers, run.sets, HOST.stages))


class Kernel:
    """As much of a KernelClient as the models ask."""

    def __init__(self, data: DataFolder) -> None:
        self.library = LibraryClient(data)
        self.gallery = SimpleNamespace(image=self._image, read=self._read)
        self.settings: dict[str, Any] = {}
        self.stages_of_image: Sequence[str] = ()

    def stages(self) -> Sequence[kernel_pb2.Stage]:
        return [views.stage(kind, "stablenew") for kind in offered(HOST.stages)]

    def _image(self, sha256: str) -> gallery_pb2.GetImageResponse:
        return gallery_pb2.GetImageResponse(
            image=gallery_pb2.Image(image_sha256=sha256, path="/x/one.png", stages=self.stages_of_image),
            settings_json=json.dumps(self.settings).encode(),
        )

    def _read(self, name: str, data: bytes) -> gallery_pb2.ReadImageResponse:
        return gallery_pb2.ReadImageResponse(
            program="A1111", settings_json=json.dumps(self.settings).encode(), notes=["Hashes are not known"]
        )

    def close(self) -> None:
        """Nothing is open."""
