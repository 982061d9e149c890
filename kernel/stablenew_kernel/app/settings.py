"""The person's settings for clients: shown, written into settings.toml, and put into effect."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from stablenew_api.errors import UserError
from stablenew_api.files import write_new
from stablenew_client.packfiles import replace_file
from stablenew_kernel.app.core import Core
from stablenew_kernel.domain.settings import (
    AT_START,
    OF_THE_LOCAL_AGENT,
    Settings,
    change_settings_toml,
    options_problem,
    parse_settings_toml,
    schema_of,
)
from stablenew_proto.v1 import kernel_pb2 as pb

log = logging.getLogger(__name__)


class SettingsDesk:
    """What clients ask about settings; see ``kernel.proto``. Lives on the loop."""

    def __init__(
        self, core: Core, changed: Callable[[Settings], None], agent: Callable[[Settings], str]
    ) -> None:
        """``changed`` hears of new settings that count from now on; ``agent`` puts those of the local agent
        into effect and says what happens."""
        self._core, self._changed, self._agent = core, changed, agent
        self._started_with = core.settings
        self._one_at_a_time = asyncio.Lock()

    async def get(self) -> pb.GetSettingsResponse:
        """All of them. A file that cannot be read is told of; the defaults stand in for it."""
        path = self._core.data.settings
        try:
            data = await self._core.in_thread(_read, path)
            shown, problem = parse_settings_toml(str(path), data), ""
        except UserError as error:
            shown, problem = Settings(), str(error)
        return pb.GetSettingsResponse(settings=self._messages(shown), path=str(path), problem=problem)

    async def change(self, request: pb.ChangeSettingsRequest) -> pb.ChangeSettingsResponse:
        """Write some, and put into effect what can be. Raises UserError; nothing was written then."""
        values = {name: _value(name, text) for name, text in sorted(request.values_json.items())}
        core = self._core
        async with self._one_at_a_time:
            new = await core.in_thread(self._write, values)
            now = {name: getattr(new, name) for name in values if name not in AT_START}
            notes = [
                f"{name} takes effect at the kernel's next start: stablenew kernel stop"
                for name in values
                if name in AT_START and getattr(new, name) != getattr(self._started_with, name)
            ]
            core.settings = core.settings.model_copy(update=now)
            self._changed(core.settings)
            if set(OF_THE_LOCAL_AGENT) & set(values) and (note := self._agent(core.settings)):
                notes.append(note)
            return pb.ChangeSettingsResponse(settings=self._messages(new), notes=notes)

    def _write(self, values: dict[str, object]) -> Settings:
        core = self._core
        path = core.data.settings
        old = _read(path)
        data = change_settings_toml(str(path), old, values)
        new = parse_settings_toml(str(path), data)
        # With a name that nothing answers to, the next kernel would not start, nor the agent with such options.
        if new.local_agent and set(OF_THE_LOCAL_AGENT) & set(values):
            kind = core.host.backend(new.local_backend)
            if problem := options_problem(kind, new.local_backend_options):
                raise UserError(f"local_backend_options: {problem}")
        if "scheduler" in values:
            core.host.scheduler(new.scheduler)
        if data == old:
            return new
        if path.exists():
            replace_file(path, old, data)
            return new
        try:
            write_new(path, data)
        except FileExistsError as error:
            raise UserError(
                f"{path}: somebody else made it meanwhile; nothing was written, try again"
            ) from error
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}); check its rights") from error
        return new

    def _messages(self, shown: Settings) -> Sequence[pb.KernelSetting]:
        values, active = shown.model_dump(mode="json"), self._core.settings.model_dump(mode="json")
        return [
            pb.KernelSetting(
                name=name,
                value_json=_json(values[name]),
                active_json=_json(active[name]),
                schema_json=_json(schema_of(name)),
                description=info.description,
                restart=name in AT_START,
            )
            for name, info in Settings.model_fields.items()
        ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; check its permissions") from error


def _json(value: object) -> bytes:
    return json.dumps(value).encode("ascii")


def _value(name: str, text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f"{name}: its value is no JSON ({error})") from error
