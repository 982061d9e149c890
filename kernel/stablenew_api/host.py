"""The plugin host: loads plugins, keeps them apart, lists them, calls them.

Nobody else calls a hook. :class:`PluginHost` has one typed method a hook, so isolation cannot be forgotten:
every plugin is called alone (each has a pluggy manager of its own), what it registers counts only if all of it
is in order, and whatever goes wrong is data (:class:`PluginInfo`), never a crash of the process.

Built-ins come through the same door as everybody else: entry points of our own distribution.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import logging
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pluggy

from stablenew_api import STABLENEW_API, hookspecs
from stablenew_api.discovery import Candidate, from_entry_point, from_folder, installed
from stablenew_api.doctor import FIX, Finding
from stablenew_api.errors import PluginError
from stablenew_api.jobs import JobSpec, JsonValue, canonical_json
from stablenew_api.kinds import KINDS, Kind, class_problem, text_of

if TYPE_CHECKING:
    from stablenew_api.backend import Backend
    from stablenew_api.frontend import Frontend
    from stablenew_api.importer import Importer
    from stablenew_api.learning import LearningMode
    from stablenew_api.probe import Probe
    from stablenew_api.randomizer import Randomizer
    from stablenew_api.report import Report
    from stablenew_api.scheduler import Scheduler
    from stablenew_api.stage import Stage

log = logging.getLogger(__name__)
# The process decides where logs go. Without this, a process that configured none (a short command) would put
# the traceback of a broken plugin on the person's screen, by way of logging's last resort.
log.addHandler(logging.NullHandler())

DISABLE_VARIABLE = "STABLENEW_DISABLE_PLUGINS"
"""Environment variable with plugin names, comma-separated, that are not to be loaded."""

ROLES = ("kernel", "agent", "worker", "cli")
"""The kinds of process that load plugins."""

MUTE_AFTER = 5
"""An observe hook of a plugin that fails this often in a row is muted: a plugin that writes to a full disk must
not fill the log with 2,000 tracebacks a second."""

TRY_AGAIN_EVERY = 100
"""Of the calls that a muted hook would have got, every hundredth is let through; one success unmutes it.
Counted in calls, not in seconds, so that the host needs no clock."""

INFOTEXT_KEY = re.compile(r"\w[\w \-/]+")
"""What the readers of A1111 infotext accept as a key (`modules/infotext_utils.py`, `re_param_code`)."""

_PREFIX = "stablenew_"


class PluginState(StrEnum):
    """What became of a plugin."""

    ACTIVE = "active"
    DISABLED = "disabled"  # the person said so; it was not even imported
    INCOMPATIBLE = "incompatible"  # made for another version of the contract
    FAILED = "failed"  # did not load, or broke the contract


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One plugin, as ``stablenew plugins`` lists it."""

    name: str
    """Name of the entry point, or of the file without ``.py``."""
    version: str
    """Version of the distribution, or ``__version__`` of a one-file plugin; empty when unknown."""
    distribution: str
    """Name of the distribution, or the path of a one-file plugin."""
    state: PluginState
    reason: str = ""
    """One line: why it is not active, or what is wrong with it though it is."""
    provides: tuple[str, ...] = ()
    """What it adds, for people: ``stage film_grain 1.0``, ``command publish``."""

    def to_json(self) -> dict[str, JsonValue]:
        """The plugin as JSON, for ``stablenew plugins --json``."""
        return {**asdict(self), "state": str(self.state), "provides": list(self.provides)}


@dataclass(slots=True)
class _Plugin:
    """A candidate and what became of it."""

    candidate: Candidate
    info: PluginInfo
    priority: int = 0
    hooks: Any = None
    """The relay of this plugin's own pluggy manager; None unless it is active."""
    implements: frozenset[str] = frozenset()
    classes: list[tuple[str, type]] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    """Observe hook -> failures in a row (and calls skipped since, once muted)."""
    muted: dict[str, str] = field(default_factory=dict)
    """Observe hook -> why it is muted."""

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def described(self) -> str:
        """The plugin for people: name, distribution and version."""
        source = " ".join(part for part in (self.info.distribution, self.info.version) if part)
        return f"plugin {self.name} ({source})" if source else f"plugin {self.name}"

    def put(self, state: PluginState, reason: str) -> None:
        self.info = replace(self.info, state=state, reason=reason, provides=())
        self.hooks = None
        self.implements = frozenset()
        self.classes = []


class _Rejected(Exception):
    """A plugin breaks the contract; the text says how."""


class PluginHost:
    """The plugins of one process. Made once at its start, by :meth:`load`; its mappings never change.

    Thread-safe to read and to call, but two threads that call the same observe hook at the same time may
    count a failure twice or not at all, which only shifts the moment of muting.
    """

    def __init__(self, role: str, candidates: Iterable[Candidate], disabled: Collection[str] = ()) -> None:
        """Load ``candidates``. Use :meth:`load`, or ``host_of`` of :mod:`stablenew_api.testing` in tests.

        Raises ValueError for a role that is none of :data:`ROLES`; a broken plugin raises nothing.
        """
        if role not in ROLES:
            raise ValueError(f"role {role!r} is none of {', '.join(ROLES)}")
        self.role = role
        self._classes: dict[str, dict[str, type]] = {label: {} for label in KINDS}
        self._owners: dict[tuple[str, str], _Plugin] = {}
        self._plugins: list[_Plugin] = []
        self._load_all(list(candidates), frozenset(disabled))
        self._listeners: dict[str, tuple[_Plugin, ...]] = {
            name: tuple(plugin for plugin in self._plugins if name in plugin.implements)
            for name in (_PREFIX + hook for hook in _HOOK_NAMES)
        }

    @classmethod
    def load(
        cls,
        *,
        role: str,
        plugin_folder: Path | None = None,
        disabled: Collection[str] = (),
        entry_points: Iterable[EntryPoint] | None = None,
    ) -> PluginHost:
        """Find and load the plugins of this process.

        ``role`` is one of :data:`ROLES`. ``plugin_folder`` holds one-file plugins (``NAME.py``; names that
        begin with ``_`` or ``.`` are skipped); it need not exist. ``disabled`` names plugins to leave out,
        besides those in ``STABLENEW_DISABLE_PLUGINS``. ``entry_points`` replaces what is installed, for tests.

        Raises ValueError for an unknown role. A plugin that cannot be loaded raises nothing: it is listed in
        :attr:`plugins` with the reason.
        """
        found = installed() if entry_points is None else entry_points
        candidates = [from_entry_point(point) for point in found]
        if plugin_folder is not None:
            candidates += from_folder(plugin_folder)
        named = (name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(","))
        return cls(role, candidates, {*disabled, *(name for name in named if name)})

    # --- what there is --------------------------------------------------------------------------------------

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every plugin found, loaded or not, by (priority, name)."""
        return tuple(plugin.info for plugin in self._plugins)

    @property
    def stages(self) -> Mapping[str, type[Stage]]:
        """Stages by name."""
        return MappingProxyType(self._classes["stage"])

    @property
    def backends(self) -> Mapping[str, type[Backend]]:
        """Backends by name."""
        return MappingProxyType(self._classes["backend"])

    @property
    def schedulers(self) -> Mapping[str, type[Scheduler]]:
        """Schedulers by name."""
        return MappingProxyType(self._classes["scheduler"])

    @property
    def probes(self) -> Mapping[str, type[Probe]]:
        """Probes by name."""
        return MappingProxyType(self._classes["probe"])

    @property
    def reports(self) -> Mapping[str, type[Report]]:
        """Reports by name."""
        return MappingProxyType(self._classes["report"])

    @property
    def randomizers(self) -> Mapping[str, type[Randomizer]]:
        """Randomizer strategies by name."""
        return MappingProxyType(self._classes["randomizer"])

    @property
    def importers(self) -> Mapping[str, type[Importer]]:
        """Importers by name."""
        return MappingProxyType(self._classes["importer"])

    @property
    def learning_modes(self) -> Mapping[str, type[LearningMode]]:
        """Learning modes by name."""
        return MappingProxyType(self._classes["learning mode"])

    @property
    def frontends(self) -> Mapping[str, type[Frontend]]:
        """Front ends by name."""
        return MappingProxyType(self._classes["frontend"])

    def stage(self, name: str) -> type[Stage]:
        """The stage called ``name``. Raises PluginError that lists the names there are."""
        return self._get("stage", name)

    def backend(self, name: str) -> type[Backend]:
        """The backend called ``name``. Raises PluginError that lists the names there are."""
        return self._get("backend", name)

    def scheduler(self, name: str) -> type[Scheduler]:
        """The scheduler called ``name``. Raises PluginError that lists the names there are."""
        return self._get("scheduler", name)

    def report(self, name: str) -> type[Report]:
        """The report called ``name``. Raises PluginError that lists the names there are."""
        return self._get("report", name)

    def provider(self, kind: str, name: str) -> PluginInfo:
        """The plugin that added the ``kind`` (``stage``, ``learning mode``, ...) called ``name``.

        Raises KeyError if there is no such thing.
        """
        return self._owners[kind, name].info

    def listens(self, hook: str) -> bool:
        """Whether any plugin implements ``hook`` (``job_changed``), so that its argument is worth building."""
        return bool(self._listeners[_PREFIX + hook])

    # --- observe hooks --------------------------------------------------------------------------------------

    def started(self, role: str) -> None:
        """Tell every plugin that this process starts work. Raises nothing."""
        self._observe("stablenew_started", role=role)

    def node_changed(self, node: Mapping[str, JsonValue]) -> None:
        """Tell every plugin that a node joined, left or changed state. Raises nothing."""
        self._observe("stablenew_node_changed", node=node)

    def job_changed(self, job: Mapping[str, JsonValue]) -> None:
        """Tell every plugin that a job's new state was committed. Raises nothing."""
        self._observe("stablenew_job_changed", job=job)

    def image_saved(self, image: Mapping[str, JsonValue]) -> None:
        """Tell every plugin that an image stands complete in its folder. Raises nothing."""
        self._observe("stablenew_image_saved", image=image)

    def stopping(self, role: str) -> None:
        """Tell every plugin that this process is about to stop in good order. Raises nothing."""
        self._observe("stablenew_stopping", role=role)

    # --- filter hooks ---------------------------------------------------------------------------------------

    def filter_jobs(self, jobs: Sequence[JobSpec]) -> tuple[JobSpec, ...]:
        """The jobs of a plan after every plugin had its say, plugin after plugin by (priority, name).

        Raises PluginError that names the plugin, if one raises or returns anything but job specs.
        """
        current = tuple(jobs)
        for plugin in self._listeners["stablenew_filter_jobs"]:
            try:
                results = plugin.hooks.stablenew_filter_jobs(jobs=current)
                current = _specs(results)
            except Exception as error:
                log.exception("%s failed in filter_jobs", plugin.described, extra={"plugin": plugin.name})
                raise PluginError(
                    f"{plugin.described} stopped the plan in filter_jobs: {_one_line(error)}; "
                    f"to plan without it, set {DISABLE_VARIABLE}={plugin.name} or list it in disabled_plugins"
                ) from error
        return current

    def describe_image(self, spec: JobSpec, info: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Extra infotext keys that plugins give to an image that is about to be saved. Raises nothing.

        Left out, and logged with the plugin's name: everything of a plugin that raises; a key that breaks
        the infotext grammar, is already in ``info`` or comes from an earlier plugin; a value that is not JSON.
        """
        extra: dict[str, JsonValue] = {}
        for plugin in self._listeners["stablenew_describe_image"]:
            try:
                results = plugin.hooks.stablenew_describe_image(spec=spec, info=MappingProxyType(dict(info)))
                items = [(key, value) for result in results for key, value in result.items()]
            except Exception:
                log.exception("%s failed in describe_image", plugin.described, extra={"plugin": plugin.name})
                continue
            for key, value in items:
                problem = _infotext_problem(key, value)
                if not problem and (key in info or key in extra):
                    problem = "is already there"
                if problem:
                    log.warning(
                        "%s: infotext key %r %s; left out",
                        plugin.described,
                        key,
                        problem,
                        extra={"plugin": plugin.name},
                    )
                else:
                    extra[key] = value
        return extra

    # --- command line ---------------------------------------------------------------------------------------

    def add_commands(self, cli: Any, taken: Collection[str] = ()) -> None:
        """Let every plugin add its commands to ``cli``, a ``click.Group``. Raises nothing.

        ``taken`` are names that are in use though ``cli.commands`` does not hold them: those of a group that
        loads its own commands when they are asked for.

        A plugin that raises, or that replaces a command that is there already, loses all its commands and is
        listed as failed; the classes that it registered stay.
        """
        for plugin in self._listeners["stablenew_commands"]:
            before = _snapshot(cli)
            try:
                plugin.hooks.stablenew_commands(cli=cli)
                added = _added(cli, before, taken)
            except (Exception, SystemExit) as error:
                _restore(before)
                log.warning(
                    "%s: commands dropped", plugin.described, exc_info=True, extra={"plugin": plugin.name}
                )
                text = str(error) if isinstance(error, _Rejected) else _one_line(error)
                reason = f"its commands were dropped: {text}"
                plugin.info = replace(plugin.info, state=PluginState.FAILED, reason=reason)
            else:
                provides = plugin.info.provides + tuple(f"command {name}" for name in added)
                plugin.info = replace(plugin.info, provides=provides)

    # --- doctor ---------------------------------------------------------------------------------------------

    def doctor(self, backend: str, options: Mapping[str, str]) -> list[Finding]:
        """What the plugins find on this machine. Raises nothing: a plugin that breaks is a finding."""
        found: list[Finding] = []
        for plugin in self._listeners["stablenew_doctor"]:
            try:
                for findings in plugin.hooks.stablenew_doctor(backend=backend, options=options):
                    found += findings
            except Exception as error:
                log.exception("%s failed in doctor", plugin.described, extra={"plugin": plugin.name})
                found.append(
                    Finding(FIX, "plugins", f"{plugin.described} failed in doctor: {_one_line(error)}")
                )
        return found

    # --- inside ---------------------------------------------------------------------------------------------

    def _get(self, label: str, name: str) -> type[Any]:
        classes = self._classes[label]
        if name in classes:
            return classes[name]
        near = difflib.get_close_matches(name, classes, n=3)
        text = f"no {label} called {name!r}"
        if near:
            text += f"; did you mean {' or '.join(near)}?"
        text += f"{' Known' if near else '; known'}: {', '.join(sorted(classes)) or 'none'}"
        # The plugin that would have brought it may be one that did not load.
        lost = [f"{plugin.name} ({plugin.info.state})" for plugin in self._plugins if plugin.hooks is None]
        if lost:
            text += f"; not loaded: {', '.join(lost)}, see `stablenew plugins`"
        raise PluginError(text)

    def _load_all(self, candidates: list[Candidate], disabled: frozenset[str]) -> None:
        loaded: list[tuple[_Plugin, object]] = []
        for candidate in candidates:
            info = PluginInfo(candidate.name, candidate.version, candidate.distribution, PluginState.ACTIVE)
            plugin = _Plugin(candidate, info)
            self._plugins.append(plugin)
            if candidate.name in disabled:
                plugin.put(PluginState.DISABLED, "disabled in the settings or by " + DISABLE_VARIABLE)
                continue
            module = _import(plugin)
            if module is not None:
                loaded.append((plugin, module))
        # Entry points come in the order of the folders on disk, which differs between machines: sort them.
        self._plugins.sort(key=_order)
        # Our own distribution claims names first. Otherwise one careless plugin with a stage `txt2img` and a
        # name early in the alphabet would take all built-in stages down with the one it clashes with.
        names: dict[str, _Plugin] = {}
        for plugin, module in sorted(loaded, key=lambda pair: (not pair[0].candidate.builtin, _order(pair[0]))):
            try:
                other = names.setdefault(plugin.name, plugin)
                if other is not plugin:
                    raise _Rejected(f"another plugin has the same name: {other.described}")
                self._register(plugin, module)
            except (Exception, SystemExit) as error:
                text = str(error) if isinstance(error, _Rejected) else _one_line(error)
                plugin.put(PluginState.FAILED, text)
                log.warning(
                    "%s failed to load: %s",
                    plugin.described,
                    text,
                    exc_info=not isinstance(error, _Rejected),
                    extra={"plugin": plugin.name},
                )

    def _register(self, plugin: _Plugin, module: object) -> None:
        """Commit everything that ``module`` registers, or raise and commit nothing."""
        manager = _manager_of(plugin, module)
        implements = _implemented(manager, module)
        registered: dict[tuple[str, str], type] = {}
        for kind in KINDS.values():
            if kind.hook not in implements:
                continue
            for cls in _classes(kind, getattr(manager.hook, kind.hook)()):
                problem = class_problem(kind.label, cls)
                if problem:
                    raise _Rejected(problem)
                key = (kind.label, text_of(cls, "name"))
                if key in registered:
                    raise _Rejected(f"registers two {kind.label}s called {key[1]!r}")
                if key in self._owners:
                    raise _Rejected(
                        f"{kind.label} {key[1]!r} of {plugin.described} clashes with the one of "
                        f"{self._owners[key].described}; disable one of the two"
                    )
                registered[key] = cls
        for (label, name), cls in registered.items():
            self._owners[label, name] = plugin
            self._classes[label][name] = cls
        provides = tuple(
            " ".join(part for part in (label, name, text_of(cls, "version")) if part)
            for (label, name), cls in registered.items()
        )
        plugin.info = replace(plugin.info, provides=provides)
        plugin.implements = implements
        plugin.hooks = manager.hook

    def _observe(self, hook: str, **arguments: object) -> None:
        for plugin in self._listeners[hook]:
            failures = plugin.failures.get(hook, 0)
            if failures >= MUTE_AFTER and (failures - MUTE_AFTER + 1) % TRY_AGAIN_EVERY:
                plugin.failures[hook] = failures + 1
                continue
            short = hook.removeprefix(_PREFIX)
            try:
                getattr(plugin.hooks, hook)(**arguments)
            except Exception as error:
                plugin.failures[hook] = failures + 1
                log.exception("%s failed in %s", plugin.described, short, extra={"plugin": plugin.name})
                if failures + 1 == MUTE_AFTER:
                    plugin.muted[hook] = (
                        f"{short} is muted after {MUTE_AFTER} failures in a row: {_one_line(error)}"
                    )
                    log.error("%s: %s", plugin.described, plugin.muted[hook], extra={"plugin": plugin.name})
                    plugin.info = replace(plugin.info, reason="; ".join(plugin.muted.values()))
            else:
                if failures:
                    plugin.failures[hook] = 0
                if plugin.muted.pop(hook, None):
                    log.warning("%s: %s works again", plugin.described, short, extra={"plugin": plugin.name})
                    plugin.info = replace(plugin.info, reason="; ".join(plugin.muted.values()))


_SPECS = {
    name: value
    for name, value in vars(hookspecs).items()
    if name.startswith(_PREFIX) and inspect.isfunction(value)
}
_HOOK_NAMES = tuple(name.removeprefix(_PREFIX) for name in _SPECS)


# --- loading ------------------------------------------------------------------------------------------------


def _import(plugin: _Plugin) -> object | None:
    """The plugin's module or object, imported and of a fitting version; None if it is not to be loaded."""
    candidate = plugin.candidate
    try:
        module = candidate.load()
        version_text = getattr(module, "__version__", "")
        if not candidate.version and isinstance(version_text, str):
            plugin.info = replace(plugin.info, version=version_text)
        wanted = getattr(module, "STABLENEW_API", None)
        if wanted is not None:
            problem = _api_problem(wanted)
            if problem:
                plugin.put(PluginState.INCOMPATIBLE, problem)
                return None
        if isinstance(module, type):
            raise _Rejected(
                f"its entry point names the class {module.__name__}; name a module or an object with hooks"
            )
        priority = getattr(module, "STABLENEW_PRIORITY", 0)
        if not isinstance(priority, int) or isinstance(priority, bool):
            raise _Rejected(f"STABLENEW_PRIORITY must be an integer, not {priority!r}")
        plugin.priority = priority
    except (Exception, SystemExit) as error:
        # A plugin for another contract often fails at its first import of a name that we do not have. What it
        # says in its source about the version is then the better reason.
        problem = _api_problem_in_source(candidate)
        if problem:
            plugin.put(PluginState.INCOMPATIBLE, problem)
        else:
            plugin.put(PluginState.FAILED, str(error) if isinstance(error, _Rejected) else _one_line(error))
        log.warning(
            "%s is %s: %s",
            plugin.described,
            plugin.info.state,
            plugin.info.reason,
            exc_info=True,
            extra={"plugin": plugin.name},
        )
        return None
    return module


def _api_problem(wanted: object) -> str:
    """Why a plugin made for the contract ``wanted`` cannot run here; empty when it can. Raises _Rejected when
    ``wanted`` is no version."""
    if not (
        isinstance(wanted, tuple)
        and len(wanted) == 2
        and all(isinstance(part, int) and not isinstance(part, bool) for part in wanted)
    ):
        raise _Rejected(f"STABLENEW_API must be two integers such as {STABLENEW_API}, not {wanted!r}")
    major, minor = wanted
    ours = f"this is StableNew {_own_version()} with plugin API {STABLENEW_API[0]}.{STABLENEW_API[1]}"
    if major > STABLENEW_API[0] or (major == STABLENEW_API[0] and minor > STABLENEW_API[1]):
        return f"needs a StableNew with plugin API {major}.{minor} or later; {ours}: upgrade StableNew"
    if major < STABLENEW_API[0]:
        return f"needs a StableNew with plugin API {major}.x; {ours}: look for a newer version of the plugin"
    return ""


def _api_problem_in_source(candidate: Candidate) -> str:
    """:func:`_api_problem` of a plugin that cannot be imported, from ``STABLENEW_API = (1, 2)`` in its text."""
    if candidate.source is None:
        return ""
    try:
        for node in ast.parse(candidate.source()).body:
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == "STABLENEW_API" for target in node.targets
            ):
                return _api_problem(ast.literal_eval(node.value))
    except Exception:  # no source, no Python, no literal: then the error of the import itself is the reason
        log.debug("no version to be read from the source of plugin %s", candidate.name, exc_info=True)
    return ""


def _own_version() -> str:
    try:
        return version("stablenew")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "(not installed)"


def _order(plugin: _Plugin) -> tuple[int, str, str]:
    return plugin.priority, plugin.name, plugin.info.distribution


def _manager_of(plugin: _Plugin, module: object) -> pluggy.PluginManager:
    """A manager that knows this plugin alone: pluggy stops at the first exception of a call, and so would take
    the plugins after it down with it. Raises pluggy's PluginValidationError for wrong arguments."""
    manager = pluggy.PluginManager("stablenew")
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=plugin.name)
    return manager


def _implemented(manager: pluggy.PluginManager, module: object) -> frozenset[str]:
    """The hooks that the plugin implements. Raises _Rejected for a misspelt, doubled or unmarked one."""
    names = set()
    for caller in manager.get_hookcallers(module) or ():
        implementations = caller.get_hookimpls()
        if not caller.has_spec():
            if all(implementation.optionalhook for implementation in implementations):
                continue
            near = difflib.get_close_matches(caller.name, _SPECS, n=1)
            raise _Rejected(f"there is no hook {caller.name}" + (f"; did you mean {near[0]}?" if near else ""))
        if len(implementations) > 1:
            raise _Rejected(f"implements {caller.name} more than once")
        if implementations[0].hookwrapper or implementations[0].wrapper:
            raise _Rejected(
                f"{caller.name} is a hook wrapper; each plugin is called alone, so it can wrap nothing"
            )
        names.add(caller.name)
    for name in _SPECS:
        # A function that is imported from elsewhere may only happen to have the name.
        function = getattr(module, name, None)
        if (
            name not in names
            and inspect.isfunction(function)
            and function.__module__ == getattr(module, "__name__", None)
        ):
            raise _Rejected(f"function {name} lacks @hookimpl (from stablenew_api import hookimpl)")
    if not names:
        raise _Rejected("implements no hook; mark its functions with @hookimpl (from stablenew_api)")
    return frozenset(names)


def _classes(kind: Kind, results: Sequence[Any]) -> list[Any]:
    """What a register hook returned, as one list. Raises _Rejected for anything but a list or tuple."""
    if not results:
        raise _Rejected(f"{kind.hook} returned None; it must return a list of classes")
    (classes,) = results
    if not isinstance(classes, Sequence) or isinstance(classes, str):
        raise _Rejected(f"{kind.hook} returned {classes!r}; it must return a list of classes")
    return list(classes)


# --- calling ------------------------------------------------------------------------------------------------


def _specs(results: Sequence[Any]) -> tuple[JobSpec, ...]:
    """What filter_jobs returned. Raises TypeError for anything but a sequence of job specs."""
    if not results:
        raise TypeError("it returned None; it must return the jobs")
    (jobs,) = results
    if not isinstance(jobs, Sequence) or isinstance(jobs, str):
        raise TypeError(f"it returned {type(jobs).__name__}; it must return a list of JobSpec")
    for job in jobs:
        if not isinstance(job, JobSpec):
            raise TypeError(f"it returned a {type(job).__name__} among the jobs; it must return JobSpec only")
    return tuple(jobs)


def _infotext_problem(key: object, value: JsonValue) -> str:
    """Why ``key: value`` cannot stand in an infotext; empty when it can."""
    if not isinstance(key, str) or not INFOTEXT_KEY.fullmatch(key):
        return "must be letters, digits, spaces, '-' and '/', at least two characters"
    try:
        canonical_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        return f"has a value that is not JSON ({_one_line(error)})"
    return ""


def _one_line(error: BaseException) -> str:
    """The error as one line: its type and the first line of its text."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text[:300]}" if text else name


_Commands = list[tuple[dict[str, Any], dict[str, Any]]]


def _snapshot(cli: Any) -> _Commands:
    """The command tables of a click group and of every group below it, each with a copy of what is in it."""
    table = getattr(cli, "commands", None)
    if not isinstance(table, dict):
        return []
    found: _Commands = [(table, dict(table))]
    for command in table.values():
        found += _snapshot(command)
    return found


def _restore(before: _Commands) -> None:
    for table, content in before:
        table.clear()
        table.update(content)


def _added(cli: Any, before: _Commands, taken: Collection[str]) -> list[str]:
    """Names of the commands that are new in ``cli``. Raises _Rejected if one of them was there before."""
    for table, content in before:
        for name, command in content.items():
            if table.get(name) is not command:
                raise _Rejected(f"command {name!r} is there already; choose another name")
    added = sorted(set(cli.commands) - set(before[0][1])) if before else []
    for name in added:
        if name in taken:
            raise _Rejected(f"command {name!r} is there already; choose another name")
    return added
