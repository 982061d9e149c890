"""Every hook, in the order of life.

*Register* hooks return classes. They are called once a plugin, each plugin alone, when a process loads its
plugins (kernel, agent and worker each load them); what a plugin returns counts only if its whole call
succeeds. *Observe* hooks tell what happened; errors are logged, and a plugin that fails five times in a row
is muted. *Filter* hooks change a plan; an error stops the plan and names the plugin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pluggy import HookspecMarker

if TYPE_CHECKING:
    from stablenew_api.backend import Backend
    from stablenew_api.doctor import Finding
    from stablenew_api.frontend import Frontend
    from stablenew_api.importer import Importer
    from stablenew_api.jobs import JobSpec, JsonValue
    from stablenew_api.learning import LearningMode
    from stablenew_api.probe import Probe
    from stablenew_api.randomizer import Randomizer
    from stablenew_api.report import Report
    from stablenew_api.scheduler import Scheduler
    from stablenew_api.stage import Stage

hookspec = HookspecMarker("stablenew")

# --- register -----------------------------------------------------------------------------------------------


@hookspec
def stablenew_stages() -> Sequence[type[Stage]]:
    """Add stages. Called at load in kernel, agent and worker, on the loading thread. A raised exception or a
    name that another plugin has taken makes the whole plugin *failed*; the others load on."""
    raise NotImplementedError


@hookspec
def stablenew_backends() -> Sequence[type[Backend]]:
    """Add backends. Called at load, as :func:`stablenew_stages`."""
    raise NotImplementedError


@hookspec
def stablenew_randomizers() -> Sequence[type[Randomizer]]:
    """Add randomizer strategies. Called at load, as :func:`stablenew_stages`."""
    raise NotImplementedError


@hookspec
def stablenew_importers() -> Sequence[type[Importer]]:
    """Add readers of other programs' files. Called at load, as :func:`stablenew_stages`."""
    raise NotImplementedError


@hookspec
def stablenew_learning_modes() -> Sequence[type[LearningMode]]:
    """Add learning modes. Called at load, as :func:`stablenew_stages`."""
    raise NotImplementedError


@hookspec
def stablenew_schedulers() -> Sequence[type[Scheduler]]:
    """Add schedulers. Called at load, as :func:`stablenew_stages`."""
    raise NotImplementedError


@hookspec
def stablenew_probes() -> Sequence[type[Probe]]:
    """Add GPU probes. Called at load, as :func:`stablenew_stages`; an agent asks each ``available()``."""
    raise NotImplementedError


@hookspec
def stablenew_reports() -> Sequence[type[Report]]:
    """Add reports. Called at load, as :func:`stablenew_stages`."""
    raise NotImplementedError


@hookspec
def stablenew_frontends() -> Sequence[type[Frontend]]:
    """Add front ends. Called at load, as :func:`stablenew_stages`."""
    raise NotImplementedError


@hookspec
def stablenew_commands(cli: Any) -> None:
    """Add commands to the ``stablenew`` command line. ``cli`` is the ``click.Group``. Called once, at start of
    the command line; an exception drops this plugin's commands and is shown by ``stablenew plugins``."""
    raise NotImplementedError


@hookspec
def stablenew_doctor(backend: str, options: Mapping[str, str]) -> Sequence[Finding]:
    """What ``stablenew doctor`` should say beside what it sees itself. ``backend`` and ``options`` are those of
    the local agent, from the settings. Called once, in the command line, when a person runs the command: take
    few seconds at most and change nothing. An exception is a finding that names the plugin."""
    raise NotImplementedError


# --- observe ------------------------------------------------------------------------------------------------


@hookspec
def stablenew_started(role: str) -> None:
    """A process has loaded its plugins and starts work. ``role`` is ``kernel``, ``agent`` or ``worker``."""
    raise NotImplementedError


@hookspec
def stablenew_node_changed(node: Mapping[str, JsonValue]) -> None:
    """In the kernel, in a plugin thread, after a node joined, left or changed state."""
    raise NotImplementedError


@hookspec
def stablenew_job_changed(job: Mapping[str, JsonValue]) -> None:
    """In the kernel, in a plugin thread, after a job's new state was committed."""
    raise NotImplementedError


@hookspec
def stablenew_image_saved(image: Mapping[str, JsonValue]) -> None:
    """In the kernel, in a plugin thread, after an image stands complete in its output folder. ``image`` is its
    line in ``manifest.jsonl``."""
    raise NotImplementedError


@hookspec
def stablenew_stopping(role: str) -> None:
    """A process is about to stop in good order."""
    raise NotImplementedError


# --- filter -------------------------------------------------------------------------------------------------


@hookspec
def stablenew_filter_jobs(jobs: Sequence[JobSpec]) -> Sequence[JobSpec]:
    """Change, drop or add jobs of a plan. Called in the kernel at plan time, in a thread, once a plan (dry run
    and real run alike), plugin after plugin by (priority, name). Must be pure."""
    raise NotImplementedError


@hookspec
def stablenew_describe_image(spec: JobSpec, info: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Extra infotext keys for an image that is about to be saved. Called in the kernel, in a thread. Keys must
    match ``\\w[\\w \\-/]+``. An error leaves the keys out, is logged and names the plugin: an image that is
    made is never lost for its label."""
    raise NotImplementedError
