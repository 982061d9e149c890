"""A kernel that has settings and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stablenew_kernel.domain.settings import (
    AT_START,
    Settings,
    change_settings_toml,
    parse_settings_toml,
    schema_of,
)
from stablenew_proto.v1 import kernel_pb2 as pb


class SettingsKernel:
    """Answers the window when it asks for settings, by the real rules: ``file`` is its settings.toml."""

    def __init__(self) -> None:
        self.file = b"# mine\nconfirm_above = 200\n"

    def settings(self) -> pb.GetSettingsResponse:
        values = self.now.model_dump(mode="json")
        answer = pb.GetSettingsResponse(path="settings.toml")
        for name, info in Settings.model_fields.items():
            value, schema = json.dumps(values[name]).encode(), json.dumps(schema_of(name)).encode()
            active = json.dumps(info.get_default()).encode() if name in AT_START else value
            answer.settings.add(name=name, value_json=value, active_json=active, schema_json=schema)
        return answer

    @property
    def now(self) -> Settings:
        """What is in the file."""
        return parse_settings_toml("settings.toml", self.file)

    def change_settings(self, values: Mapping[str, Any]) -> pb.ChangeSettingsResponse:
        self.file = change_settings_toml("settings.toml", self.file, values)
        return pb.ChangeSettingsResponse(settings=self.settings().settings)

    def close(self) -> None:
        pass
