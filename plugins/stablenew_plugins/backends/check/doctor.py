"""What ``stablenew doctor`` says of servers that make images. It looks where the settings point, and else at
the usual ports of this machine."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from stablenew_api.doctor import FIX, NOTE, OK, Finding
from stablenew_api.errors import UserError
from stablenew_plugins.backends.check.evaluate import COMFYUI, WEBUI, Check, evaluate
from stablenew_plugins.backends.check.probe import ask, parse_target

USUAL_PORTS = (7860, 8188)
"""Of WebUIs, and of ComfyUI."""
HERE = "127.0.0.1"
KNOCK_TIMEOUT = 0.3
"""Seconds for a connection within this machine; it takes less than a millisecond, or is refused."""
PATIENCE = 3.0
"""Seconds of silence of a server before it counts as one that does not answer: a person waits for doctor."""

DEFAULT_URLS: Mapping[str, str] = {WEBUI: f"http://{HERE}:7860", COMFYUI: f"http://{HERE}:8188"}
"""Where the backends look if no option says so."""


def examine(backend: str, options: Mapping[str, str], ports: Sequence[int] = USUAL_PORTS) -> list[Finding]:
    """Whether the server of ``backend`` is usable; for another backend, or none, which servers ``ports`` of
    this machine have."""
    if backend in DEFAULT_URLS:
        return [_of_settings(backend, options)]
    return [_found(backend, url, server) for url, server in servers_here(ports)]


def servers_here(ports: Sequence[int] = USUAL_PORTS) -> list[tuple[str, Check]]:
    """The servers that make images on ``ports`` of this machine, with their addresses."""
    urls = [f"http://{HERE}:{port}" for port in ports if _listens(port)]
    found = [(url, check(url)) for url in urls]
    return [(url, server) for url, server in found if server.kind]


def check(url: str, auth: str = "") -> Check:
    """What the server at ``url`` is. Raises UserError for an address that is none."""
    target = parse_target(url, auth)
    return evaluate(target.url, target.auth is not None, ask(target, patience=PATIENCE))


def _of_settings(backend: str, options: Mapping[str, str]) -> Finding:
    url = options.get("url", DEFAULT_URLS[backend])
    try:
        server = check(url, _credentials(options))
    except UserError as error:
        return Finding(FIX, "server", str(error), "mend url in local_backend_options in settings.toml")
    shown = parse_target(url).url
    if server.kind and server.kind != backend:
        advice = f"stablenew backend use {shown}"
        return Finding(FIX, "server", f"{shown} is {server.name}, and the backend is {backend}", advice)
    if server.usable:
        return Finding(OK, "server", f"{_named(server)} answers at {shown}")
    first = next(finding for finding in server.findings if finding.level == FIX)
    where = f"{shown}{first.topic}" if first.topic.startswith("/") else shown
    text = first.text if shown in first.text else f"{where}: {first.text}"
    return Finding(FIX, "server", text, first.advice)


def _found(backend: str, url: str, server: Check) -> Finding:
    text = f"{_named(server)} answers at {url}"
    if not server.usable:
        return Finding(NOTE, "server", f"{text}, and is not usable yet", f"stablenew backend check {url}")
    instead = f" instead of {backend}" if backend else ""
    return Finding(NOTE, "server", text, f"to use it{instead}: stablenew backend use {url}")


def _named(server: Check) -> str:
    return " ".join(part for part in (server.name, server.version) if part)


def _credentials(options: Mapping[str, str]) -> str:
    """``USER:PASSWORD`` as the options of either backend have it. A password that stands in the environment is
    shown as the backend would."""
    import os

    if "auth" in options:
        return options["auth"]
    if not options.get("user"):
        return ""
    return f"{options['user']}:{options.get('password') or os.environ.get('STABLENEW_WEBUI_PASSWORD', '')}"


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HERE, port), KNOCK_TIMEOUT):
            return True
    except OSError:
        return False
