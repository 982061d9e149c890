"""``stablenew doctor``: looks at this machine and says what to fix."""

from __future__ import annotations

import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

import click

from stablenew_api.datafolder import DataFolder
from stablenew_api.doctor import FIX, NOTE, OK, Finding
from stablenew_api.errors import KernelUnavailable, PluginError, UserError
from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.exits import ExitCode
from stablenew_kernel.cli.host import load_host, read_settings
from stablenew_kernel.cli.output import gigabytes, one_line_cell, plural, say, say_json

if TYPE_CHECKING:
    from stablenew_api.host import PluginHost

WAL_RESET_FIXED = (3, 51, 3)
"""SQLite before this can lose commits when one connection of a WAL database checkpoints while another commits
(https://sqlite.org/wal.html#walresetbug). Our kernel has one connection, so this is a note."""

LITTLE_SPACE = 2 * 2**30
"""Bytes: below this a long run may fill the disk."""

MADE_UP = "fake"
"""The probe with made-up GPUs for tests and demos; an agent, too, uses it only when asked to."""


@click.command("doctor")
@json_option
@pass_app
def command(app: App, as_json: bool) -> int:
    """Check this machine and say what to fix. Ends with 1 if something must be fixed."""
    findings = list(examine(app.data))
    to_fix = sum(finding.level == FIX for finding in findings)
    if as_json:
        say_json({"findings": [asdict(finding) for finding in findings], "to_fix": to_fix}, indent=1)
    else:
        width = max(len(finding.topic) for finding in findings)
        for finding in findings:
            say(f"{finding.level:<5} {finding.topic:<{width}}  {one_line_cell(finding.text)}")
            if finding.advice:
                say(f"{'':<5} {'':<{width}}  -> {one_line_cell(finding.advice)}")
        say()
        say(f"{plural(to_fix, 'thing')} to fix" if to_fix else "nothing to fix")
    return ExitCode.FAILED if to_fix else ExitCode.OK


def examine(data: DataFolder) -> Iterator[Finding]:
    """Every finding, in the order in which a person should mend things. One check that breaks is a finding."""
    checks: tuple[tuple[str, Callable[[DataFolder], Iterable[Finding]]], ...] = (
        ("Python", _python),
        ("packages", _packages),
        ("SQLite", _sqlite),
        ("data folder", _data_folder),
        ("settings", _settings),
        ("kernel", _kernel),
        ("plugins", _plugins),
    )
    for topic, check in checks:
        try:
            yield from check(data)
        except Exception as error:
            yield Finding(FIX, topic, f"the check itself failed: {type(error).__name__}: {error}")


def _python(_data: DataFolder) -> Iterator[Finding]:
    yield Finding(OK, "StableNew", version("stablenew"))
    text = f"{platform.python_version()} on {platform.system()} {platform.release()} ({sys.executable})"
    yield Finding(OK, "Python", text)


def _packages(_data: DataFolder) -> Iterator[Finding]:
    found: list[str] = []
    for line in requires("stablenew") or ():
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        if "extra ==" in line:
            continue
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding(FIX, "packages", f"{name} is missing", "install StableNew again: pip install .")
    yield Finding(OK, "packages", ", ".join(found))


def _sqlite(_data: DataFolder) -> Iterator[Finding]:
    # Asked in a process of its own: only the store may open databases, and the kernel uses this same Python.
    code = "import sqlite3; print(sqlite3.sqlite_version)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    found = result.stdout.strip()
    if result.returncode != 0:
        advice = "install a Python that was built with SQLite"
        yield Finding(FIX, "SQLite", f"this Python has none: {result.stderr.strip()[-200:]}", advice)
    elif sqlite_has_wal_reset_bug(found):
        yield Finding(
            NOTE,
            "SQLite",
            f"{found}: has the WAL-reset bug (mended in 3.51.3); our kernel, with one connection, is safe",
            "do not open the database with another program while the kernel runs",
        )
    else:
        yield Finding(OK, "SQLite", found)


def sqlite_has_wal_reset_bug(found: str) -> bool:
    """Whether SQLite ``found`` ("3.40.1") is older than the fix."""
    return tuple(int(part) for part in found.split(".")) < WAL_RESET_FIXED


def _data_folder(data: DataFolder) -> Iterator[Finding]:
    try:
        data.create()
        with tempfile.TemporaryFile(dir=data.root):
            pass
    except (UserError, OSError) as error:
        advice = (
            "give yourself the right to write there, or choose another folder with --data or STABLENEW_DATA"
        )
        yield Finding(FIX, "data folder", f"{data.root}: cannot be written: {error}", advice)
        return
    free = shutil.disk_usage(data.root).free
    text = f"{data.root}, {gigabytes(free)} free"
    if free < LITTLE_SPACE:
        yield Finding(FIX, "data folder", text, "make room: a full disk pauses the queue")
    else:
        yield Finding(OK, "data folder", text)


def _settings(data: DataFolder) -> Iterator[Finding]:
    try:
        changed = sorted(read_settings(data).model_fields_set)
    except UserError as error:
        yield Finding(FIX, "settings", str(error))
        return
    text = f"{data.settings} sets {', '.join(changed)}" if changed else "all at their defaults"
    yield Finding(OK, "settings", text)


def _kernel(data: DataFolder) -> Iterator[Finding]:
    from stablenew_client import KernelClient

    try:
        with KernelClient.connect(data) as kernel:
            status = kernel.status()
            nodes = kernel.nodes()
    except KernelUnavailable as error:
        if data.read_kernel() is None:
            yield Finding(OK, "kernel", "none runs; the first command that needs one starts it")
        else:
            yield Finding(
                NOTE, "kernel", f"{error}", "it ended without a word (a crash?); the next start takes over"
            )
        yield from _port(data)
        return
    text = f"runs: pid {status.pid}, {status.address}, SQLite {status.sqlite_version}"
    yield Finding(OK, "kernel", text)
    if status.version != version("stablenew"):
        advice = "stablenew kernel stop --wait, then start it again"
        yield Finding(
            FIX, "kernel", f"is of version {status.version}, this command of {version('stablenew')}", advice
        )
    if status.problem:
        yield Finding(FIX, "kernel", status.problem)
    if _settings_changed_since_start(data):
        advice = "stablenew kernel stop; the next command starts it with them"
        yield Finding(
            NOTE, "kernel", f"it started before {data.settings} was changed, and has not read it", advice
        )
    if status.queue.paused:
        reason = f" ({status.queue.paused_reason})" if status.queue.paused_reason else ""
        yield Finding(NOTE, "queue", f"paused{reason}", "stablenew queue resume")
    if not nodes:
        yield Finding(
            NOTE, "nodes", "none in touch", "wait a moment for the local agent, or start stablenew-agent"
        )
    for node in nodes:
        if node.report.problem:
            yield Finding(FIX, "nodes", f"{node.info.name}: {node.report.problem}")
        else:
            yield Finding(OK, "nodes", f"{node.info.name}: {node.state}, backend {node.info.backend.name}")


def _settings_changed_since_start(data: DataFolder) -> bool:
    info = data.read_kernel()
    if info is None or not data.settings.exists():
        return False
    # Its start is known to the second.
    return data.settings.stat().st_mtime >= datetime.fromisoformat(info.started_at).timestamp() + 1


def _port(data: DataFolder) -> Iterator[Finding]:
    """Whether the fixed port of the settings is free; called when no kernel of ours can hold it."""
    try:
        port = read_settings(data).port
    except UserError:
        return  # told by the check of the settings
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            advice = f"end the program that holds it, or set another port in {data.settings} (0 picks one)"
            yield Finding(FIX, "port", f"{port} is not to be had: {error.strerror}", advice)
            return
    yield Finding(OK, "port", f"{port} is free" if port else "any free one will do")


def _plugins(data: DataFolder) -> Iterator[Finding]:
    host = load_host(data)
    active = sum(info.state == "active" for info in host.plugins)
    yield Finding(OK, "plugins", f"{active} active")
    for info in host.plugins:
        if info.state in ("failed", "incompatible"):
            advice = (
                f"mend or remove it ({info.distribution}), or list it in disabled_plugins in {data.settings}"
            )
            yield Finding(FIX, "plugins", f"{info.name}: {info.state}: {info.reason}", advice)
    for name, backend in host.backends.items():
        yield Finding(OK, "backend", f"{name} {backend.version}: {backend.title}")
    if not host.backends:
        yield Finding(
            FIX, "backend", "none is installed", "install StableNew again: pip install --force-reinstall ."
        )
    yield from _from_plugins(data, host)
    yield from _gpus(host)


def _from_plugins(data: DataFolder, host: PluginHost) -> Iterator[Finding]:
    """What only plugins know, such as servers that answer."""
    from stablenew_kernel.domain.settings import options_problem

    try:
        settings = read_settings(data)
    except UserError:
        return  # told by the check of the settings
    name = settings.local_backend
    options = dict(option.partition("=")[::2] for option in settings.local_backend_options)
    if not settings.local_agent:
        yield Finding(NOTE, "backend", "no local agent is wanted (local_agent = false)")
        yield from host.doctor("", {})
        return
    try:
        problem = options_problem(host.backend(name), settings.local_backend_options)
    except PluginError as error:
        yield Finding(FIX, "backend", f"local_backend: {error}", f"mend it in {data.settings}")
        return
    if problem:
        yield Finding(FIX, "backend", f"local_backend_options: {problem}", f"mend it in {data.settings}")
        return
    yield Finding(OK, "backend", f"the local agent uses {name}")
    yield from host.doctor(name, options)


def _gpus(host: PluginHost) -> Iterator[Finding]:
    seen = 0
    for name, probe_class in host.probes.items():
        if name == MADE_UP:
            continue
        probe = probe_class()
        reason = probe.available()
        if reason is not None:
            yield Finding(NOTE, "GPU", f"probe {name}: {reason}")
            continue
        for gpu in probe.read():
            seen += 1
            text = f"{gpu.name}, {gigabytes(gpu.vram_used_bytes)} of {gigabytes(gpu.vram_total_bytes)} used"
            yield Finding(OK, "GPU", f"{text} (probe {name})")
    if not seen:
        yield Finding(NOTE, "GPU", "none seen; the embedded engine and servers on other machines need none")
