"""``stablenew backend check``: every finding, from small servers on real sockets."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.backend import Feature
from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_api.testing import host_of
from stablenew_plugins.backends import check as plugin
from stablenew_plugins.backends.check import doctor, probe
from stablenew_plugins.backends.check.command import backend
from stablenew_plugins.backends.check.evaluate import (
    FLAGS,
    MEMORY,
    MODELS,
    NEEDED_NODES,
    NODES,
    OPTIONS,
    SAMPLERS,
    SCHEDULERS,
    SCRIPT_INFO,
    SCRIPTS,
    STATS,
    SYSINFO,
    UPSCALERS,
    USED_NODES,
    VERSION,
    WEBUI_PATHS,
    Answer,
    Check,
    evaluate,
    family,
)
from stablenew_plugins.backends.comfyui import inventory

GIB = 2**30
GRADIO = "<html><head><title>Stable Diffusion</title></head><body>window.gradio_config = {}</body></html>"
WEBUI = {
    "/": GRADIO,
    OPTIONS: {"sd_model_checkpoint": "dream.safetensors [6ce0161689]"},
    MODELS: [{"title": "dream.safetensors [6ce0161689]", "model_name": "dream"}],
    SAMPLERS: [{"name": "Euler a"}],
    SCHEDULERS: [{"name": "karras"}],
    UPSCALERS: [{"name": "None"}, {"name": "Lanczos"}, {"name": "R-ESRGAN 4x+"}],
    SCRIPTS: {"txt2img": ["adetailer"], "img2img": []},
    SCRIPT_INFO: [{"name": "adetailer", "is_alwayson": True}],
    MEMORY: {"ram": {}, "cuda": {"system": {"free": 10 * GIB, "total": 12 * GIB}}},
    FLAGS: {"listen": False, "share": False},
    SYSINFO: {"Version": "v1.10.1"},
}


def node(**inputs: list[str]) -> dict[str, Any]:
    return {"input": {"required": {key: [values] for key, values in inputs.items()}}}


COMFYUI = {
    "/": "<html><head><title>ComfyUI</title></head></html>",
    STATS: {
        "system": {"comfyui_version": "0.3.64", "argv": ["main.py"]},
        "devices": [{"name": "cuda:0 RTX", "type": "cuda", "vram_total": 8 * GIB, "vram_free": 7 * GIB}],
    },
    NODES: {
        **{name: node() for name in (
            "CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode", "SaveImage", "LoraLoader",
            "CLIPSetLastLayer", "VAELoader", "KSamplerAdvanced", "LatentUpscale", "ImageUpscaleWithModel",
            "LoadImage", "VAEEncode", "LoadImageMask", "SetLatentNoiseMask", "ImageScale", "HypernetworkLoader",
        )},
        "CheckpointLoaderSimple": node(ckpt_name=["dream.safetensors"]),
        "UpscaleModelLoader": node(model_name=["4x.pth"]),
    },
}  # fmt: skip


@dataclass
class Fake:
    """What a server answers, by path: JSON, text, bytes, or a number for an error of that status."""

    pages: dict[str, Any]
    auth: str = ""
    hold: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""


def handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append((self.command, self.path))
            wanted = f"Basic {base64.b64encode(fake.auth.encode()).decode()}"
            if fake.auth and self.path.startswith("/sdapi") and self.headers.get("Authorization") != wanted:
                self.answer(401, {"detail": "Incorrect username or password"})
                return
            page = fake.pages.get(self.path, 404)
            if callable(page):
                page(self)
            elif isinstance(page, int):
                self.answer(page, {"detail": "Not Found"})
            else:
                self.answer(200, page)

        def answer(self, status: int, page: Any, **headers: str) -> None:
            body = page.encode() if isinstance(page, str) else json.dumps(page).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(page, str) else "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(fake: Fake, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """``fake`` on a free port; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(fake)) as server:
        server.daemon_threads = True
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that breaks off is no news
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            fake.hold.set()
            server.shutdown()
            thread.join()


@contextmanager
def raw(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of something else than HTTP: ``talk`` has each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    talk(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def look(url: str, auth: str = "") -> Check:
    target = probe.parse_target(url, auth)
    return evaluate(target.url, target.auth is not None, probe.ask(target))


def checked(fake: Fake, auth: str = "") -> Check:
    with serving(fake) as url:
        return look(url, auth)


def told(found: Check, topic: str) -> str:
    """Level, text and advice of the only finding on ``topic``."""
    (finding,) = [finding for finding in found.findings if finding.topic == topic]
    return f"{finding.level}: {finding.text} -> {finding.advice}"


def levels(found: Check) -> set[str]:
    return {finding.level for finding in found.findings}


# --- all is well ----------------------------------------------------------------------------------------------


def test_a_webui_that_lacks_nothing() -> None:
    fake = Fake(WEBUI)
    found = checked(fake)
    assert (found.kind, found.name, found.version, found.usable) == (
        "webui", "AUTOMATIC1111 WebUI", "v1.10.1", True,
    )  # fmt: skip
    assert levels(found) == {"ok"}
    assert told(found, "checkpoints") == "ok: 1; loaded is dream.safetensors [6ce0161689] -> "
    assert told(found, "GPU").startswith("ok: GPU: 12.0 GiB of memory, 10.0 free")
    assert {method for method, _ in fake.asked} == {"GET"}, "nothing is changed"


def test_a_comfyui_that_lacks_nothing() -> None:
    found = checked(Fake(COMFYUI))
    assert (found.kind, found.name, found.version, found.usable) == ("comfyui", "ComfyUI", "0.3.64", True)
    assert levels(found) == {"ok"}
    assert told(found, "GPU").startswith("ok: cuda:0 RTX: 8.0 GiB of memory, 7.0 free")


@pytest.mark.parametrize(
    ("more", "name", "version"),
    [
        ({SYSINFO: {"Version": "f2.0.1v1.10.1-659"}}, "Forge or reForge", "f2.0.1v1.10.1-659"),
        ({SYSINFO: 404, OPTIONS: {"forge_preset": "sd"}}, "Forge or reForge", ""),
        ({SYSINFO: 404, VERSION: {"app": "sd.next", "hash": "abc123"}}, "SD.Next", "abc123"),
        ({SYSINFO: 404, "/": GRADIO.replace("Stable Diffusion", "SD.Next")}, "SD.Next", ""),
        ({SYSINFO: 404, "/": GRADIO + "version: <a href='x'>v1.9.4</a>"}, "AUTOMATIC1111 WebUI", "v1.9.4"),
        ({SYSINFO: 500, "/": 404}, "AUTOMATIC1111 WebUI", ""),
    ],
)  # fmt: skip
def test_relatives_are_told_apart(more: dict[str, Any], name: str, version: str) -> None:
    found = checked(Fake({**WEBUI, **more}))
    assert (found.kind, found.name, found.version) == ("webui", name, version)
    assert found.usable


# --- no server ------------------------------------------------------------------------------------------------


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = look(f"127.0.0.1:{port}")
    assert (found.kind, found.usable) == ("", False)
    assert told(found, "connection").startswith(f"fix: http://127.0.0.1:{port}: nothing listens there -> start")


def test_no_such_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "no machine of that name" in told(look("http://nowhere.invalid:7860"), "connection")


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "READ_TIMEOUT", 0.2)
    fake = Fake({})
    fake.pages = {path: lambda _: fake.hold.wait(20) for path in ("/", OPTIONS, STATS)}
    found = checked(fake)
    assert "takes the connection and then says nothing" in told(found, "connection")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse where Linux waits")
def test_a_machine_that_drops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full backlog swallows the handshake, as a firewall does."""
    monkeypatch.setattr(probe, "CONNECT_TIMEOUT", 0.2)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        try:
            found = look(f"127.0.0.1:{address[1]}")
        finally:
            for each in waiting:
                each.close()
    assert "does not answer at all" in told(found, "connection")


def test_a_server_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then beats a timeout for each wait, but not that for all of it."""
    monkeypatch.setattr(probe, "WHOLE_TIMEOUT", 0.3)
    fake = Fake(dict(WEBUI))

    def drip(request: Any) -> None:
        request.send_response(200)
        request.end_headers()
        while not fake.hold.wait(0.02):
            request.wfile.write(b"[" * 100)
            request.wfile.flush()

    fake.pages[MODELS] = drip
    monkeypatch.setattr(probe, "_CHUNK", 64)
    found = checked(fake)
    assert told(found, MODELS).startswith("fix: it does not answer in time")


def test_an_endless_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "LARGEST", 100_000)
    fake = Fake(dict(WEBUI))

    def pour(request: Any) -> None:
        request.send_response(200)
        request.end_headers()
        while not fake.hold.is_set():
            request.wfile.write(b"[" * 65_536)

    fake.pages[MODELS] = pour
    assert "its answer is endless" in told(checked(fake), MODELS)
    fake = Fake({"/": pour})
    assert "endless" in told(checked(fake), "connection")


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.6\r\n", b"", b"\0\1\2\3" * 100])
def test_something_that_is_no_web_server(words: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(words)

    with raw(talk) as url:
        assert "no web server" in told(look(url), "connection")


def test_a_connection_that_breaks_off_is_tried_once_more() -> None:
    first = [True]

    def once(request: Any) -> None:
        if first:
            first.clear()
            request.close_connection = True
        else:
            request.answer(200, WEBUI[MODELS])

    def always(request: Any) -> None:
        request.close_connection = True

    assert checked(Fake({**WEBUI, MODELS: once})).usable
    assert "fix: it breaks off" in told(checked(Fake({**WEBUI, MODELS: always})), MODELS)


# --- TLS ------------------------------------------------------------------------------------------------------

CERTIFICATE = Path(__file__).with_name("self_signed_for_tests.pem")
"""Of 127.0.0.1, until 2126, signed by itself: key and certificate. It protects nothing."""


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def test_a_certificate_that_nobody_knows(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Fake(WEBUI), tls) as url:
        assert "certificate is not trusted" in told(look(url), "connection")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
        assert look(url).usable


def test_http_and_https_mixed_up(tls: ssl.SSLContext) -> None:
    with serving(Fake(WEBUI), tls) as url:
        plain = url.replace("https", "http")
        assert told(look(plain), "connection") == f"fix: {plain}: it speaks https, not http -> write {url}"
    with serving(Fake(WEBUI)) as url:
        secure = url.replace("http", "https")
        assert told(look(secure), "connection") == f"fix: {secure}: it speaks http, not https -> write {url}"


# --- a WebUI that lacks something -----------------------------------------------------------------------------


def test_the_api_is_off() -> None:
    found = checked(Fake({"/": GRADIO}))
    assert (found.kind, found.usable) == ("webui", False)
    assert "its page is up, its API is not (404) -> start it with --api" in told(found, "API")


def test_a_password_is_wanted() -> None:
    fake = Fake(WEBUI, auth="me:a:b c")
    assert "wants a name and a password" in told(checked(fake), "password")
    assert "refuses this name and password" in told(checked(fake, "me:wrong"), "password")
    found = checked(fake, "me:a:b c")
    assert found.usable
    with serving(fake) as url:
        assert look(url.replace("//", "//me:a%3Ab%20c@")).usable


@pytest.mark.parametrize(
    ("more", "topic", "words", "usable"),
    [
        ({MODELS: []}, "checkpoints", "fix: there is none -> put a .safetensors", False),
        ({MODELS: 500}, MODELS, "fix: it answers 500", False),
        ({MODELS: {"a": 1}}, MODELS, "fix: it answers with something else", False),
        ({OPTIONS: 500}, OPTIONS, "fix: it answers 500", False),
        ({OPTIONS: 403}, "access", "refuses us (403)", False),
        ({SAMPLERS: []}, "samplers", "fix: it has no samplers", False),
        ({SAMPLERS: 404}, SAMPLERS, "note: it answers 404", True),
        ({SCHEDULERS: 404, SYSINFO: {"Version": "v1.6.0"}}, "version", "note: it is older than 1.9 (v1", True),
        ({SCHEDULERS: 404, VERSION: {"app": "sd.next"}}, "schedulers", "note: it lists none: there", True),
        ({UPSCALERS: [{"name": "None"}, {"name": "Lanczos"}]}, "upscalers", "note: there is none but p", True),
        ({UPSCALERS: "no list"}, UPSCALERS, "note: it answers with something else", True),
        ({SCRIPTS: {"txt2img": []}, SCRIPT_INFO: []}, "ADetailer", "note: the extension is not there", True),
        ({SCRIPTS: {"txt2img": []}}, "ADetailer", "ok: is there", True),
        ({SCRIPTS: 404, SCRIPT_INFO: 404}, "ADetailer", "note: it does not list its scripts", True),
        ({MEMORY: {"cuda": {"error": "no"}}}, "GPU", "note: it tells of no GPU memory", True),
        ({MEMORY: {"cuda": {"system": {"total": 2 * GIB}}}}, "GPU", "note: GPU: 2.0 GiB of memory ->", True),
        ({FLAGS: {"listen": True}}, "network", "note: it listens on every address of this machine", True),
    ],
)  # fmt: skip
def test_what_a_webui_may_lack(more: dict[str, Any], topic: str, words: str, usable: bool) -> None:
    found = checked(Fake({**WEBUI, **more}))
    assert words in told(found, topic)
    assert found.usable is usable


def test_a_public_share_is_said() -> None:
    texts = [finding.text for finding in checked(Fake({**WEBUI, FLAGS: {"share": True}})).findings]
    assert any("open to the whole internet" in text for text in texts)


# --- a ComfyUI that lacks something ---------------------------------------------------------------------------


def comfy(nodes: dict[str, Any] | None = None, **stats: Any) -> Fake:
    return Fake({**COMFYUI, NODES: {**COMFYUI[NODES], **(nodes or {})}, STATS: {**COMFYUI[STATS], **stats}})


@pytest.mark.parametrize(
    ("fake", "topic", "words", "usable"),
    [
        (Fake({"/": COMFYUI["/"], STATS: 403}), "access", "refuses us (403) -> ComfyUI does so when", False),
        (Fake({"/": COMFYUI["/"], STATS: 500}), STATS, "fix: it answers 500", False),
        (Fake({**COMFYUI, NODES: 500}), NODES, "fix: it answers 500", False),
        (comfy({"CheckpointLoaderSimple": node(ckpt_name=[])}), "checkpoints", "fix: there is none", False),
        (comfy({"UpscaleModelLoader": node(model_name=[])}), "upscalers", "note: there is no upscale m", True),
        (comfy(devices=[{"type": "cpu", "name": "cpu"}]), "GPU", "note: it runs on the processor", True),
        (comfy(devices=[{"type": "cuda", "vram_total": 2 * GIB}]), "GPU", "note: cuda: 2.0 GiB", True),
        (comfy(system={"argv": ["main.py", "--listen"]}), "network", "note: it listens on every address", True),
        (comfy(system={"argv": ["m", "--listen", "::1,0.0.0.0"]}), "network", "note: it listens on eve", True),
    ],
)  # fmt: skip
def test_what_a_comfyui_may_lack(fake: Fake, topic: str, words: str, usable: bool) -> None:
    found = checked(fake)
    assert found.kind == "comfyui"
    assert words in told(found, topic)
    assert found.usable is usable


def test_newer_lists_of_choices_are_read() -> None:
    new = {"input": {"required": {"ckpt_name": ["COMBO", {"options": ["new.safetensors"]}]}}}
    assert told(checked(comfy({"CheckpointLoaderSimple": new})), "checkpoints") == (
        "ok: 1, such as new.safetensors -> "
    )
    assert levels(checked(comfy(system={"argv": ["main.py", "--listen", "127.0.0.1"]}))) == {"ok"}


def test_nodes_that_are_missing() -> None:
    nodes = {name: COMFYUI[NODES][name] for name in ("CheckpointLoaderSimple", "KSampler")}
    found = checked(Fake({**COMFYUI, NODES: nodes}))
    texts = [f"{finding.level}: {finding.text}" for finding in found.findings]
    assert "fix: missing: CLIPTextEncode, EmptyLatentImage, KSamplerAdvanced, VAEDecode, SaveImage" in texts
    assert "note: LoraLoader is missing: no LoRAs" in texts
    assert "note: SetLatentNoiseMask is missing: no adetailer" in texts


def test_the_nodes_looked_for_are_those_that_the_backend_needs() -> None:
    needed = {name for names in inventory._NODES.values() for name in names}
    assert needed <= {*NEEDED_NODES, *USED_NODES}
    assert set(inventory._NODES[Feature.TXT2IMG]) == set(NEEDED_NODES)


# --- something else -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "topic", "words"),
    [
        ("<title>Invoke &amp; Co</title>", "server", "its page is called 'Invoke & Co'"),
        (404, "server", "it answers 404, the server is BaseHTTP"),
        (502, "server", "the server behind it does not (502)"),
        (401, "password", "wants a name and a password"),
        (403, "access", "refuses us (403)"),
        (lambda request: request.answer(301, "", Location="https://x.example/"), "address",
         "only points to https://x.example/ -> give that address"),
    ],
)  # fmt: skip
def test_a_server_of_something_else(root: Any, topic: str, words: str) -> None:
    found = checked(Fake({"/": root}))
    assert (found.kind, found.usable) == ("", False)
    assert words in told(found, topic)


def test_a_server_that_answers_everything_with_its_page() -> None:
    page = "<title>Some App</title>"
    pages = dict.fromkeys(("/", STATS, NODES, *WEBUI_PATHS, OPTIONS), page)
    assert "neither an A1111-like WebUI nor ComfyUI" in told(checked(Fake(pages)), "server")


def test_over_the_network_without_a_password() -> None:
    answers = {path: Answer(200, json.dumps(page).encode()) for path, page in WEBUI.items()}
    assert "whoever is in that network can use it" in told(
        evaluate("http://attic:7860", False, answers), "network"
    )
    assert not [f for f in evaluate("http://attic:7860", True, answers).findings if f.topic == "network"]
    for here in ("http://localhost:7860", "http://127.0.0.2", "https://[::1]:7860/x"):
        assert not [f for f in evaluate(here, False, answers).findings if f.topic == "network"]


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["system", "devices", "cuda", "total", "name", "argv", "input", "vram_total", "version"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
any_answer = st.builds(
    Answer,
    st.sampled_from([0, 200, 200, 200, 401, 404, 500]),
    st.one_of(any_json.map(lambda value: json.dumps(value).encode()), st.binary(max_size=30)),
    problem=st.sampled_from(["", "", "", "slow", "refused", "odd"]),
)


@given(
    st.dictionaries(
        st.sampled_from(["/", OPTIONS, STATS, NODES, *WEBUI_PATHS]), any_answer, min_size=1, max_size=8
    ),
    st.booleans(),
)
@A_THIRD
def test_no_answers_are_too_odd(answers: dict[str, Answer], with_auth: bool) -> None:
    found = evaluate("http://host:1", with_auth, answers)
    assert found.findings
    assert found.kind == family(answers)
    assert all(finding.text and finding.level in ("ok", "note", "fix") for finding in found.findings)
    assert all(finding.advice for finding in found.findings if finding.level == "fix")


# --- the address, and the command -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:7860", "http://127.0.0.1:7860"),
        (" http://attic:7860/ ", "http://attic:7860"),
        ("https://host/webui/", "https://host/webui"),
        ("http://host:7860/sdapi/v1/txt2img", "http://host:7860"),
        ("http://host:7860/docs#/default", "http://host:7860"),
        ("http://[::1]:8188/?token=x", "http://[::1]:8188"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    assert probe.parse_target(text) == probe.Target(url, None)


@pytest.mark.parametrize(
    "text", ["", "ftp://host", "http://", "http://host:99999", "host:0", "a b", "http://[::1"]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="address"):
        probe.parse_target(text)


def test_credentials() -> None:
    assert probe.parse_target("http://a:b@host").auth == ("a", "b")
    assert probe.parse_target("http://a:b@host", "c:d:e").auth == ("c", "d:e")
    assert "b" not in probe.parse_target("http://a:b@host").url.replace("http", "")
    with pytest.raises(UserError, match="USER:PASSWORD"):
        probe.parse_target("host", "no-colon")


def test_the_command() -> None:
    run = CliRunner().invoke
    with serving(Fake({**WEBUI, UPSCALERS: []})) as url:
        result = run(backend, ["check", url], standalone_mode=False)
        assert result.return_value == 0
        lines = result.output.splitlines()
        assert lines[0] == "ok    server       AUTOMATIC1111 WebUI v1.10.1"
        assert any(line.startswith("                   -> put a model (.pth)") for line in lines)
        assert lines[-1] == "usable, with 1 note"
        as_json = json.loads(run(backend, ["check", url, "--json"], standalone_mode=False).output)
        assert (as_json["url"], as_json["kind"], as_json["usable"], as_json["to_fix"]) == (
            url,
            "webui",
            True,
            0,
        )
    with serving(Fake({"/": GRADIO})) as url:
        result = run(backend, ["check", url], standalone_mode=False)
        assert (result.return_value, result.output.splitlines()[-1]) == (1, "not usable: 1 thing to fix")


def test_the_plugin_loads() -> None:
    (loaded,) = host_of(plugin).plugins
    assert loaded.state == "active", loaded.reason


# --- backend use ----------------------------------------------------------------------------------------------


@dataclass
class App:
    """What the command line hands to its commands."""

    data: DataFolder


def use(tmp_path: Path, *arguments: str) -> tuple[Any, str, Path]:
    """What it ended with, what it said, and the settings file."""
    data = DataFolder(tmp_path)
    result = CliRunner().invoke(backend, ["use", *arguments], obj=App(data), standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output, data.settings


@pytest.mark.parametrize(("fake", "kind"), [(WEBUI, "webui"), (COMFYUI, "comfyui")])
def test_use_makes_the_settings_where_there_are_none(tmp_path: Path, fake: Any, kind: str) -> None:
    with serving(Fake(fake)) as url:
        assert use(tmp_path, url, "--dry-run")[0] == 0
        assert not (tmp_path / "settings.toml").exists()
        code, output, settings = use(tmp_path, url)
        wanted = {"local_backend": kind, "local_backend_options": [f"url={url}"]}
        assert (code, tomllib.loads(settings.read_text("utf-8"))) == (0, wanted)
        assert f'local_backend = "{kind}"' in output
        assert use(tmp_path, url)[0] == 0, "they are there already"


@pytest.mark.parametrize("before", ["# mine\nport = 7000\n", 'local_backend = "embedded"\n'])
def test_use_never_changes_what_a_person_wrote(tmp_path: Path, before: str) -> None:
    (tmp_path / "settings.toml").write_text(before, encoding="utf-8")
    with serving(Fake(WEBUI)) as url:
        code, output, settings = use(tmp_path, url)
    assert (code, settings.read_text("utf-8")) == (2, before)
    assert f'local_backend_options = ["url={url}"]' in output


def test_use_writes_no_password_and_no_settings_for_a_server_that_is_not_usable(tmp_path: Path) -> None:
    with serving(Fake(WEBUI)) as url:
        code, output, settings = use(tmp_path, url, "--auth", "me:secret")
        assert code == 0
        assert "STABLENEW_WEBUI_PASSWORD" in output
        assert "user=me" in settings.read_text("utf-8")
        assert "secret" not in settings.read_text("utf-8") + output
    settings.unlink()
    with serving(Fake({**WEBUI, MODELS: []})) as url:
        assert use(tmp_path, url)[0] == 1
    assert not settings.exists()


# --- doctor ---------------------------------------------------------------------------------------------------


def test_doctor_finds_the_servers_of_this_machine() -> None:
    with (
        serving(Fake(WEBUI)) as webui,
        serving(Fake(COMFYUI)) as comfyui,
        serving(Fake({"/": "hello"})) as other,
    ):
        ports = [int(url.rpartition(":")[2]) for url in (webui, comfyui, other)]
        found = doctor.examine("embedded", {}, [*ports, closed_port()])
    assert [(finding.level, finding.topic) for finding in found] == [("note", "server")] * 2
    assert found[0].text == f"AUTOMATIC1111 WebUI v1.10.1 answers at {webui}"
    assert found[1].advice == f"to use it instead of embedded: stablenew backend use {comfyui}"


def test_doctor_looks_at_the_server_that_is_set() -> None:
    with serving(Fake(WEBUI)) as url:
        (fine,) = doctor.examine("webui", {"url": url})
        (mixed_up,) = doctor.examine("comfyui", {"url": url})
    (gone,) = doctor.examine("webui", {"url": url})
    (odd,) = doctor.examine("webui", {"url": "ftp://x"})
    with serving(Fake({"/": GRADIO})) as url:
        (without_api,) = doctor.examine("webui", {"url": url})
    assert (fine.level, fine.text.split(" answers")[0]) == ("ok", "AUTOMATIC1111 WebUI v1.10.1")
    assert (mixed_up.level, "is AUTOMATIC1111 WebUI" in mixed_up.text) == ("fix", True)
    assert (gone.level, gone.text.endswith("nothing listens there")) == ("fix", True)
    assert odd.level == "fix"
    assert (without_api.level, "--api" in without_api.advice) == ("fix", True)
    with serving(Fake({**WEBUI, MODELS: {"odd": 1}})) as url:
        (no_list,) = doctor.examine("webui", {"url": url})
    assert no_list.text.startswith(f"{url}{MODELS}: ")


def test_doctor_does_not_wait_long_for_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 0.2)
    with raw(lambda connection: bool(connection.recv(1)) and connection.recv(65536) and None) as url:
        (finding,) = doctor.examine("webui", {"url": url})
    assert finding.level == "fix"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
