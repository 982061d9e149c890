"""The settings window: what ``settings.toml`` has, and which engine makes the images of this machine.

The kernel writes the file, keeps what a person wrote there, and refuses what it can not make sense of. A change
takes effect at once, or says that it waits for the next start.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_api.doctor import Finding
    from stablenew_plugins.backends.check.evaluate import Check
    from stablenew_proto.v1 import kernel_pb2 as pb

EMBEDDED = "embedded"
ENGINE_KEYS = frozenset({"local_backend", "local_backend_options"})
"""Settings that are chosen as an engine, not typed."""
FOLDER_KEYS = ("pack_folders", "output_folder")
RUN_KEYS = ("confirm_above", "file_name", "learning_mode", "keep_copies_days")
MACHINE_KEYS = ("local_agent", "local_slots", "run_timeout")

BACKENDS = {"webui": "WebUI", "comfyui": "ComfyUI", "diffusers": "Diffusers", "embedded": "Embedded engine"}
"""Names of backends for people. Those of other plugins are shown as they are."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the kernel."""

    name: str
    value: Any
    """As the file has it, else the default."""
    active: Any
    """What the kernel works with now."""
    schema: Mapping[str, Any]
    description: str
    restart: bool
    """A change waits for the kernel's next start."""

    @property
    def title(self) -> str:
        """Its name for people: that of the schema, or what can be made of the key."""
        given = str(self.schema.get("title", ""))
        by_itself = self.name.replace("_", " ")
        return given if given and given != by_itself.title() else by_itself.capitalize()

    @property
    def waits(self) -> bool:
        """Whether the file says something else than what is in effect."""
        return bool(self.value != self.active)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the kernel would not write."""

    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was asked what it is."""

    url: str
    kind: str
    """``webui``, ``comfyui``, or empty: neither."""
    name: str
    """"Forge f2.0"."""
    usable: bool
    findings: Sequence[Finding] = field(default=())
    user: str = ""

    @property
    def to_fix(self) -> Sequence[Finding]:
        """What keeps it from being usable."""
        return [finding for finding in self.findings if finding.level == "fix"]


class SettingsModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.settings: Sequence[Setting] = ()
        self.path = ""
        self.problem = ""
        """Why the file can't be read."""
        self.refused: Mapping[str, Refusal] = {}
        """The last change of a setting, where it was refused, by its name."""
        self._unwritten: deque[Mapping[str, Any]] = deque()
        """Changes in their order; the first is on its way to the kernel."""
        self.servers: Sequence[Server] = ()
        """Found on this machine, and those that were used."""
        self.checked: Server | None = None
        """The one whose address was typed."""
        self.is_looking = False
        self.is_checking = False
        self.check_problem = ""
        self.section = "look"
        desk.state.on_connected.append(self.load)

    def show(self, section: str) -> None:
        """Bring a section to the front."""
        self.section = section
        self.touch()

    def value(self, name: str, default: Any = None) -> Any:
        """What the file has for ``name``."""
        return next((setting.value for setting in self.settings if setting.name == name), default)

    def shown(self, setting: Setting) -> Any:
        """What its field says: what is in the file, or what was typed and refused."""
        refusal = self.refused.get(setting.name)
        return refusal.value if refusal is not None else setting.value

    @property
    def groups(self) -> Sequence[tuple[str, Sequence[Setting]]]:
        """What is neither a folder nor chosen as an engine, by what it is about: title, settings. What the
        desktop has never heard of is in the last group."""
        known = {setting.name: setting for setting in self.settings}
        rest = [name for name in known if name not in {*ENGINE_KEYS, *FOLDER_KEYS, *RUN_KEYS, *MACHINE_KEYS}]
        groups = ((_("Runs"), RUN_KEYS), (_("This machine"), MACHINE_KEYS), (_("Kernel"), rest))
        return [(title, [known[name] for name in names if name in known]) for title, names in groups]

    # --- the file -------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Ask for all settings."""

        def done(answer: pb.GetSettingsResponse) -> None:
            self.path, self.problem = answer.path, answer.problem
            self._take(answer.settings)

        self._desk.ask(lambda kernel: kernel.settings(), done, key="settings")

    def _take(self, settings: Sequence[pb.KernelSetting]) -> None:
        self.settings = [
            Setting(
                name=setting.name,
                value=json.loads(setting.value_json or b"null"),
                active=json.loads(setting.active_json or b"null"),
                schema=json.loads(setting.schema_json or b"{}"),
                description=setting.description,
                restart=setting.restart,
            )
            for setting in settings
        ]
        self.touch()

    def change(self, name: str, value: Any) -> None:
        """Write one setting; None: back to its default. A refusal stands at the field, and changes nothing."""
        self.change_all({name: value})

    def change_all(self, values: Mapping[str, Any]) -> None:
        """Write several at once, all or none; behind what is being written, so that the last word counts."""
        self._unwritten.append(values)
        if len(self._unwritten) == 1:
            self._write(values)

    def _write(self, values: Mapping[str, Any]) -> None:
        def done(answer: pb.ChangeSettingsResponse) -> None:
            self.refused = {key: kept for key, kept in self.refused.items() if key not in values}
            self._take(answer.settings)
            if answer.notes:
                self._desk.toasts.say(answer.notes[0], "good", hint="\n".join(answer.notes[1:]))
            self._write_next()

        def failed(error: Exception) -> None:
            refused = {name: Refusal(value, str(error)) for name, value in values.items()}
            self.refused = {**self.refused, **refused}
            self.touch()
            if len(values) > 1:
                self._desk.complain(error)
            self._write_next()

        self._desk.order(lambda kernel: kernel.change_settings(values), done, failed)

    def _write_next(self) -> None:
        self._unwritten.popleft()
        if self._unwritten:
            self._write(self._unwritten[0])

    # --- engines --------------------------------------------------------------------------------------------

    @property
    def engine(self) -> str:
        """Name of the backend of this machine."""
        return str(self.value("local_backend", EMBEDDED))

    @property
    def engine_url(self) -> str:
        """Address of its server; empty: it has none."""
        options = self.value("local_backend_options", ()) or ()
        return next((text.partition("=")[2] for text in options if text.startswith("url=")), "")

    @property
    def engine_title(self) -> str:
        """The engine for people: the server's own name where it has said it, else the backend's."""
        mine = (server for server in self.servers if server.url == self.engine_url)
        return next((server.name for server in mine), BACKENDS.get(self.engine, self.engine))

    def look(self) -> None:
        """Look for servers on this machine. Asks the usual ports of loopback, nothing else."""
        from stablenew_plugins.backends.check.doctor import servers_here

        self.is_looking = True
        self.touch()

        def done(found: Sequence[tuple[str, Check]]) -> None:
            self.is_looking = False
            here = [_server(url, check) for url, check in found]
            others = [kept for kept in self.servers if kept.url not in {server.url for server in here}]
            self.servers = [*here, *(kept for kept in others if kept.url == self.engine_url)]
            self.touch()

        def failed(error: Exception) -> None:
            self.is_looking = False
            self._desk.complain(error)
            self.touch()

        self._desk.work(servers_here, done, failed, key="servers")

    def check(self, url: str, user: str = "", password: str = "") -> None:
        """Ask the server at ``url`` what it is and whether it is usable. Nothing is generated or changed."""
        from stablenew_plugins.backends.check.doctor import check
        from stablenew_plugins.backends.check.probe import parse_target

        auth = f"{user}:{password}" if user else ""
        self.is_checking, self.checked, self.check_problem = True, None, ""
        self.touch()

        def work() -> Server:
            return _server(parse_target(url, auth).url, check(url, auth), user)

        def done(server: Server) -> None:
            self.is_checking, self.checked = False, server
            self.touch()

        def failed(error: Exception) -> None:
            self.is_checking, self.check_problem = False, str(error)
            self.touch()

        self._desk.work(work, done, failed, key="check")

    def use(self, server: Server) -> None:
        """Let this machine's images be made by ``server``."""
        from stablenew_plugins.backends.check.settings import options_for

        if self.checked == server:
            self.checked, self.servers = None, [*self.servers, server]
        options, advice = options_for(server.kind, server.url, server.user)
        self.change_all({"local_backend": server.kind, "local_backend_options": options})
        if advice:
            self._desk.toasts.say(_("The password is left to you."), "warning", hint=advice)

    def use_embedded(self) -> None:
        """Let this machine's images be made by the embedded engine."""
        self.change_all({"local_backend": EMBEDDED, "local_backend_options": []})


def _server(url: str, check: Check, user: str = "") -> Server:
    name = " ".join(part for part in (check.name, check.version) if part)
    return Server(url, check.kind, name or url, check.usable, check.findings, user)
