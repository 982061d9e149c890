"""What the answers of a server mean, in plain words: pure.

Sources: ``modules/api/api.py``, ``modules/sysinfo.py`` and ``modules/cmd_args.py`` of the AUTOMATIC1111 WebUI
and of Forge; ``modules/api`` of SD.Next; ``server.py`` and ``nodes.py`` of ComfyUI.
"""

from __future__ import annotations

import html
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stablenew_api.doctor import FIX, NOTE, OK, Finding

ROOT = "/"
OPTIONS, MODELS, SAMPLERS = "/sdapi/v1/options", "/sdapi/v1/sd-models", "/sdapi/v1/samplers"
SCHEDULERS, UPSCALERS, SCRIPTS = "/sdapi/v1/schedulers", "/sdapi/v1/upscalers", "/sdapi/v1/scripts"
SCRIPT_INFO, MEMORY, FLAGS = "/sdapi/v1/script-info", "/sdapi/v1/memory", "/sdapi/v1/cmd-flags"
VERSION, SYSINFO = "/sdapi/v1/version", "/internal/sysinfo"
STATS, NODES = "/system_stats", "/object_info"

WEBUI_PATHS = (
    MODELS,
    SAMPLERS,
    SCHEDULERS,
    UPSCALERS,
    SCRIPTS,
    SCRIPT_INFO,
    MEMORY,
    FLAGS,
    VERSION,
    SYSINFO,
)
COMFYUI_PATHS = (NODES,)
WEBUI, COMFYUI = "webui", "comfyui"

REFUSED, TIMEOUT, SLOW, UNKNOWN_HOST, UNREACHABLE = "refused", "timeout", "slow", "unknown_host", "unreachable"
TLS_UNTRUSTED, TLS_PLAIN, TLS, NOT_HTTP, TOO_LARGE = (
    "tls_untrusted",
    "tls_plain",
    "tls",
    "not_http",
    "too_large",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one path."""

    status: int
    """Of HTTP; 0: there was no answer, and ``problem`` says why."""
    body: bytes = b""
    problem: str = ""
    """One of the names above; with a status: the body was not read to its end."""
    detail: str = ""
    """The trouble in the words of the library that met it."""
    location: str = ""
    server: str = ""
    """Header ``Server``."""

    @property
    def json(self) -> Any:
        """The body, where it is JSON and came with 200; else None."""
        if self.status != 200 or self.problem:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def text(self) -> str:
        """The beginning of the body."""
        return self.body[:200_000].decode("utf-8", "replace")


Answers = dict[str, Answer]
"""By path."""
_NONE = Answer(0)


@dataclass(frozen=True, slots=True)
class Check:
    """What a server is, and whether it is usable."""

    kind: str
    """:data:`WEBUI`, :data:`COMFYUI`, or empty if it is neither or cannot be told."""
    name: str
    """For people: ``Forge``."""
    version: str
    findings: tuple[Finding, ...]

    @property
    def to_fix(self) -> int:
        """How many things keep it from being usable."""
        return sum(finding.level == FIX for finding in self.findings)

    @property
    def usable(self) -> bool:
        """Whether images can be made there."""
        return not self.to_fix


# --- what is it -----------------------------------------------------------------------------------------------


def family(answers: Mapping[str, Answer]) -> str:
    """:data:`WEBUI`, :data:`COMFYUI` or empty, from the first answers (:data:`ROOT`, :data:`OPTIONS`,
    :data:`STATS`)."""
    stats, options, root = (answers.get(path, _NONE) for path in (STATS, OPTIONS, ROOT))
    if isinstance(stats.json, dict) and ("devices" in stats.json or "system" in stats.json):
        return COMFYUI
    if isinstance(options.json, dict):
        return WEBUI
    title = _title(root).lower()
    if "comfyui" in title:
        return COMFYUI
    if options.status in (401, 403) and stats.status not in (401, 403):
        return WEBUI
    page = root.text.lower()
    if root.status == 200 and ("gradio" in page or title in ("stable diffusion", "sd.next")):
        return WEBUI
    return ""


def _title(root: Answer) -> str:
    found = re.search(r"<title[^>]*>([^<]{1,200})</title>", root.text, re.IGNORECASE)
    return " ".join(html.unescape(found[1]).split()) if found else ""


_UNREACHABLE: Mapping[str, tuple[str, str]] = {
    REFUSED: (
        "nothing listens there",
        "start the WebUI or ComfyUI, and compare the port with what it prints at its start; one on another "
        "machine also needs --listen",
    ),
    TIMEOUT: (
        "it does not answer at all",
        "compare the address; if it is right, a firewall is in the way, or the machine is off",
    ),
    SLOW: (
        "it takes the connection and then says nothing",
        "it may be loading a model or making a large image: ask again later; if it stays so, start it anew",
    ),
    UNKNOWN_HOST: ("no machine of that name is known", "compare the name, or give the IP address"),
    UNREACHABLE: ("there is no way to that machine", "compare the address and your network"),
    TLS_UNTRUSTED: (
        "its certificate is not trusted",
        "set REQUESTS_CA_BUNDLE to the file of the authority that signed it, for the agent too; or use http:// "
        "where nobody else is in the network",
    ),
    TLS_PLAIN: ("the address says http and the server says https, or the other way round", ""),
    TLS: ("TLS fails", "the server's TLS is set up wrongly, or too old"),
    NOT_HTTP: (
        "something answers there that is no web server",
        "compare the port: it belongs to another program",
    ),
    TOO_LARGE: ("its page is endless", "compare the port: this is no WebUI and no ComfyUI"),
}


def evaluate(url: str, with_auth: bool, answers: Mapping[str, Answer]) -> Check:
    """What the answers to :func:`~.probe.ask` mean. ``url`` is the server's, without a password; ``with_auth``:
    a name and a password were shown to it."""
    root = answers.get(ROOT, _NONE)
    kind = family(answers)
    if kind == "" and (root.problem or not root.status):
        return Check("", "", "", (_unreachable(url, root),))
    if kind == WEBUI:
        return _webui(url, with_auth, answers)
    if kind == COMFYUI:
        return _comfyui(url, with_auth, answers)
    return Check("", "", "", tuple(_neither(url, with_auth, answers)))


def _unreachable(url: str, root: Answer) -> Finding:
    text, advice = _UNREACHABLE.get(root.problem, ("it does not answer", "compare the address"))
    if root.problem == TLS_PLAIN:
        if url.startswith("https:"):
            text, advice = "it speaks http, not https", f"write http{url[5:]}"
        else:
            text, advice = "it speaks https, not http", f"write https{url[4:]}"
    detail = f" ({root.detail})" if root.detail and root.problem not in (REFUSED, TIMEOUT, TLS_PLAIN) else ""
    return Finding(FIX, "connection", f"{url}: {text}{detail}", advice)


def _neither(url: str, with_auth: bool, answers: Mapping[str, Answer]) -> Iterator[Finding]:
    root = answers.get(ROOT, _NONE)
    if root.status in (301, 302, 303, 307, 308) and root.location:
        yield Finding(FIX, "address", f"{url} only points to {root.location}", "give that address")
        return
    if 401 in (root.status, answers.get(OPTIONS, _NONE).status):
        yield _auth_finding(with_auth)
        return
    if root.status == 403:
        yield _forbidden(url)
        return
    said = _title(root)
    what = f"its page is called {said!r}" if said else f"it answers {root.status}"
    what += f", the server is {root.server}" if root.server and not said else ""
    if root.status in (502, 503, 504):
        yield Finding(
            FIX,
            "server",
            f"the proxy at {url} answers, the server behind it does not ({root.status})",
            "start the WebUI or ComfyUI, or wait until it is up",
        )
        return
    yield Finding(
        FIX,
        "server",
        f"this is neither an A1111-like WebUI nor ComfyUI: {what}",
        "compare the port; a WebUI usually has 7860, ComfyUI 8188",
    )


def _auth_finding(with_auth: bool) -> Finding:
    if with_auth:
        return Finding(
            FIX,
            "password",
            "it refuses this name and password (401)",
            "compare them with --api-auth of the WebUI; --gradio-auth is another pair, for the page alone",
        )
    return Finding(
        FIX,
        "password",
        "it wants a name and a password (401)",
        "give --auth USER:PASSWORD, as --api-auth of the WebUI has it",
    )


def _forbidden(url: str) -> Finding:
    return Finding(
        FIX,
        "access",
        f"{url} refuses us (403)",
        "ComfyUI does so when a proxy in front changes Host or Origin: have the proxy pass Host on, or start "
        "ComfyUI with --enable-cors-header; other proxies have lists of who may ask",
    )


def _is_here(url: str) -> bool:
    """Whether the host of ``url`` is this very machine, as far as its name says."""
    host = re.sub(r"^https?://(\[[^\]]+\]|[^/:]+).*$", r"\1", url).strip("[]")
    if host.lower() in ("localhost", "ip6-localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _open_to_all(url: str, with_auth: bool, everywhere: bool, how: str) -> Iterator[Finding]:
    """Whether others can reach it, and nothing keeps them out."""
    if with_auth:
        return
    if not _is_here(url):
        yield Finding(
            NOTE,
            "network",
            "it answers over the network and wants no password: whoever is in that network can use it",
            f"{how}, or let it listen on 127.0.0.1 alone and run stablenew-agent on its machine",
        )
    elif everywhere:
        yield Finding(
            NOTE,
            "network",
            "it listens on every address of this machine (--listen) and wants no password",
            f"leave --listen out: the agent of this machine needs 127.0.0.1 alone; or {how}",
        )


# --- A1111, Forge, SD.Next ------------------------------------------------------------------------------------


def _webui(url: str, with_auth: bool, answers: Mapping[str, Answer]) -> Check:
    name, version = _webui_name(answers)
    shown = f"{name} {version}".strip()
    findings = [Finding(OK, "server", shown)]
    options = answers.get(OPTIONS, _NONE)
    if options.status == 401:
        findings.append(_auth_finding(with_auth))
    elif options.status == 403:
        findings.append(_forbidden(url))
    elif options.status == 404:
        findings.append(
            Finding(
                FIX,
                "API",
                "its page is up, its API is not (404)",
                "start it with --api (COMMANDLINE_ARGS=--api in webui-user); if it has that, it is still "
                "starting: ask again in a minute",
            )
        )
    elif not isinstance(options.json, dict):
        findings.append(_odd(OPTIONS, options))
    else:
        findings += _webui_parts(url, with_auth, name, version, answers)
    return Check(WEBUI, name, version, tuple(findings))


def _webui_name(answers: Mapping[str, Answer]) -> tuple[str, str]:
    root = answers.get(ROOT, _NONE)
    options = answers.get(OPTIONS, _NONE).json
    told = answers.get(VERSION, _NONE).json
    system = answers.get(SYSINFO, _NONE).json
    if isinstance(told, dict) and "sd.next" in str(told.get("app", "")).lower():
        return "SD.Next", str(told.get("hash") or told.get("updated") or "")
    if "sd.next" in _title(root).lower():
        return "SD.Next", ""
    version = str(system.get("Version") or "") if isinstance(system, dict) else ""
    if not version and (
        found := re.search(r"version:[^v<]{0,20}(?:<a [^>]{0,300}>)?\s*(v?\d+\.\d[\w.\-]*)", root.text)
    ):
        version = found[1]
    forge = re.match(r"f\d+\.\d", version) or "forge" in version.lower()
    if forge or (isinstance(options, dict) and any(str(key).startswith("forge_") for key in options)):
        return "Forge or reForge", version
    return "AUTOMATIC1111 WebUI", version


def _odd(path: str, answer: Answer, level: str = FIX) -> Finding:
    """A path that should give JSON and does not."""
    if answer.problem == SLOW:
        return Finding(level, path, "it does not answer in time", "it may be busy: ask again later")
    if answer.problem == TOO_LARGE:
        return Finding(level, path, "its answer is endless", "look at what the server prints")
    if answer.problem == NOT_HTTP:
        return Finding(level, path, f"it breaks off ({answer.detail})", "look at what the server prints")
    if answer.problem:
        text, advice = _UNREACHABLE.get(answer.problem, ("it breaks off", ""))
        return Finding(level, path, f"{text} ({answer.detail})", advice or "look at what the server prints")
    if answer.status == 200:
        return Finding(
            level, path, "it answers with something else than expected", "is a proxy in front of it?"
        )
    return Finding(
        level, path, f"it answers {answer.status}", "look at what the server prints: an extension may be broken"
    )


def _webui_parts(
    url: str, with_auth: bool, name: str, version: str, answers: Mapping[str, Answer]
) -> Iterator[Finding]:
    yield from _checkpoints(answers)
    yield from _list_of(answers, SAMPLERS, "samplers", FIX, "samplers: without any, it makes no image")
    yield from _schedulers(name, version, answers)
    yield from _upscalers(answers)
    yield from _detailer(name, answers)
    yield from _webui_memory(answers)
    flags = answers.get(FLAGS, _NONE).json
    everywhere = isinstance(flags, dict) and bool(
        flags.get("listen") or flags.get("share") or flags.get("ngrok")
    )
    yield from _open_to_all(url, with_auth, everywhere, "start it with --api-auth USER:PASSWORD")
    if isinstance(flags, dict) and flags.get("share"):
        yield Finding(NOTE, "network", "it is open to the whole internet (--share)", "leave --share out")


def _listed(answer: Answer) -> list[dict[str, Any]] | None:
    """A list of objects; None if it is something else."""
    found = answer.json
    if not isinstance(found, list):
        return None
    return [item for item in found if isinstance(item, dict)]


def _names(items: list[dict[str, Any]], *keys: str) -> list[str]:
    return [name for item in items if (name := next((str(item[key]) for key in keys if item.get(key)), ""))]


def _checkpoints(answers: Mapping[str, Answer]) -> Iterator[Finding]:
    models = _listed(answers.get(MODELS, _NONE))
    if models is None:
        yield _odd(MODELS, answers.get(MODELS, _NONE))
        return
    if not models:
        yield Finding(
            FIX,
            "checkpoints",
            "there is none",
            "put a .safetensors file into its folder models/Stable-diffusion, and start it anew",
        )
        return
    options = answers.get(OPTIONS, _NONE).json
    loaded = options.get("sd_model_checkpoint") if isinstance(options, dict) else None
    now = f"; loaded is {loaded}" if loaded else ""
    yield Finding(OK, "checkpoints", f"{len(models)}{now}")


def _list_of(
    answers: Mapping[str, Answer], path: str, topic: str, level: str, missing: str
) -> Iterator[Finding]:
    items = _listed(answers.get(path, _NONE))
    if items is None:
        yield _odd(path, answers.get(path, _NONE), NOTE)
    elif not items:
        yield Finding(level, topic, f"it has no {missing}", "look at what the server prints at its start")
    else:
        yield Finding(OK, topic, str(len(items)))


def _schedulers(name: str, version: str, answers: Mapping[str, Answer]) -> Iterator[Finding]:
    answer = answers.get(SCHEDULERS, _NONE)
    if answer.status != 404:
        yield from _list_of(answers, SCHEDULERS, "schedulers", NOTE, "schedulers")
    elif name == "SD.Next":
        yield Finding(NOTE, "schedulers", "it lists none: there, they are part of the sampler")
    else:
        is_old = f" ({version})" if version else ""
        yield Finding(
            NOTE,
            "version",
            f"it is older than 1.9{is_old}: it knows no schedulers, only samplers such as 'DPM++ 2M Karras'",
            "update it (git pull in its folder), or leave the setting scheduler at Automatic",
        )


_PLAIN_UPSCALERS = frozenset(("none", "lanczos", "nearest", "latent"))


def _upscalers(answers: Mapping[str, Answer]) -> Iterator[Finding]:
    answer = answers.get(UPSCALERS, _NONE)
    items = _listed(answer)
    if items is None:
        yield _odd(UPSCALERS, answer, NOTE)
        return
    real = [name for name in _names(items, "name") if name.lower() not in _PLAIN_UPSCALERS]
    if real:
        yield Finding(OK, "upscalers", f"{len(real)}, such as {real[0]}")
    else:
        yield Finding(
            NOTE,
            "upscalers",
            "there is none but plain resizing: the stage upscale makes images larger, not sharper",
            "put a model (.pth) into its folder models/ESRGAN and start it anew",
        )


def _detailer(name: str, answers: Mapping[str, Answer]) -> Iterator[Finding]:
    scripts, info = answers.get(SCRIPTS, _NONE).json, answers.get(SCRIPT_INFO, _NONE).json
    known: list[str] = []
    if isinstance(scripts, dict):
        known += [str(each) for group in scripts.values() if isinstance(group, list) for each in group]
    if isinstance(info, list):
        known += [str(each.get("name", "")) for each in info if isinstance(each, dict)]
    if any("adetailer" in each.lower() or each.lower() == "after detailer" for each in known):
        yield Finding(OK, "ADetailer", "is there")
    elif not isinstance(scripts, dict) and not isinstance(info, list):
        yield Finding(NOTE, "ADetailer", "it does not list its scripts, so there is no telling", "update it")
    else:
        own = " (SD.Next's own detailer is not used)" if name == "SD.Next" else ""
        yield Finding(
            NOTE,
            "ADetailer",
            f"the extension is not there{own}: the stage adetailer finds faces by itself, and nothing else",
            "give the agent's machine the extra detect; or, for hands and persons, install the extension under "
            "Extensions, Available (its name is !After Detailer), and start the WebUI anew",
        )


def _webui_memory(answers: Mapping[str, Answer]) -> Iterator[Finding]:
    memory = answers.get(MEMORY, _NONE).json
    cuda = memory.get("cuda") if isinstance(memory, dict) else None
    system = cuda.get("system") if isinstance(cuda, dict) else None
    total = system.get("total") if isinstance(system, dict) else None
    if isinstance(total, int | float) and total > 0:
        yield _vram("GPU", float(total), system.get("free") if isinstance(system, dict) else None)
    elif isinstance(memory, dict):
        yield Finding(
            NOTE, "GPU", "it tells of no GPU memory: it may run on the processor, which takes minutes an image"
        )


_SMALL = 4 * 2**30


def _vram(device: str, total: float, free: object) -> Finding:
    room = f", {free / 2**30:.1f} free" if isinstance(free, int | float) else ""
    text = f"{device}: {total / 2**30:.1f} GiB of memory{room}"
    if total < _SMALL:
        return Finding(NOTE, "GPU", text, "little: small images of SD 1.5, with --medvram or --lowvram")
    return Finding(OK, "GPU", text)


# --- ComfyUI --------------------------------------------------------------------------------------------------

NEEDED_NODES = (
    "CheckpointLoaderSimple",
    "CLIPTextEncode",
    "EmptyLatentImage",
    "KSampler",
    "KSamplerAdvanced",
    "VAEDecode",
    "SaveImage",
)
"""Without these no image is made."""
USED_NODES: Mapping[str, str] = {
    "LoraLoader": "LoRAs",
    "CLIPSetLastLayer": "clip_skip",
    "VAELoader": "vae",
    "HypernetworkLoader": "hypernetworks",
    "LatentUpscale": "hires with a latent upscaler",
    "ImageScale": "upscale",
    "UpscaleModelLoader": "upscaling with a model",
    "ImageUpscaleWithModel": "upscaling with a model",
    "LoadImage": "img2img and upscale",
    "VAEEncode": "img2img and hires",
    "LoadImageMask": "adetailer",
    "SetLatentNoiseMask": "adetailer",
}
"""Node that a graph of the backend may have, to what it is needed for."""


def _comfyui(url: str, with_auth: bool, answers: Mapping[str, Answer]) -> Check:
    stats = answers.get(STATS, _NONE)
    if not isinstance(stats.json, dict):
        finding = {401: _auth_finding(with_auth), 403: _forbidden(url)}.get(stats.status) or _odd(STATS, stats)
        return Check(COMFYUI, "ComfyUI", "", (Finding(OK, "server", "ComfyUI"), finding))
    system = stats.json.get("system")
    system = system if isinstance(system, dict) else {}
    version = str(system.get("comfyui_version") or "")
    findings = [Finding(OK, "server", f"ComfyUI {version}".strip())]
    findings += _comfyui_nodes(answers.get(NODES, _NONE))
    findings += _devices(stats.json)
    argv = system.get("argv")
    everywhere = isinstance(argv, list) and _listens_everywhere([str(each) for each in argv])
    findings += _open_to_all(
        url, with_auth, everywhere, "put a proxy with a password in front (ComfyUI has none of its own)"
    )
    return Check(COMFYUI, "ComfyUI", version, tuple(findings))


def _listens_everywhere(argv: list[str]) -> bool:
    if "--listen" not in argv:
        return False
    following = argv[argv.index("--listen") + 1 :][:1]
    address = following[0] if following and not following[0].startswith("-") else "0.0.0.0,::"
    return any(not _is_here(f"http://{one if ':' not in one else f'[{one}]'}") for one in address.split(","))


def _comfyui_nodes(answer: Answer) -> Iterator[Finding]:
    nodes = answer.json
    if not isinstance(nodes, dict):
        yield _odd(NODES, answer)
        return
    missing = [name for name in NEEDED_NODES if name not in nodes]
    if missing:
        yield Finding(
            FIX,
            "nodes",
            f"missing: {', '.join(missing)}",
            "these come with ComfyUI itself: update it, and look at what it prints at its start",
        )
    else:
        yield Finding(OK, "nodes", f"{len(nodes):,}")
    for name, purpose in USED_NODES.items():
        if name not in nodes:
            yield Finding(NOTE, "nodes", f"{name} is missing: no {purpose}", "update ComfyUI")
    checkpoints = _choices(nodes, "CheckpointLoaderSimple", "ckpt_name")
    if "CheckpointLoaderSimple" in nodes:
        if checkpoints:
            yield Finding(OK, "checkpoints", f"{len(checkpoints)}, such as {checkpoints[0]}")
        else:
            yield Finding(
                FIX,
                "checkpoints",
                "there is none",
                "put a .safetensors file into its folder models/checkpoints, or name your folder in its "
                "extra_model_paths.yaml",
            )
    if "UpscaleModelLoader" in nodes and not _choices(nodes, "UpscaleModelLoader", "model_name"):
        yield Finding(
            NOTE,
            "upscalers",
            "there is no upscale model: the stage upscale makes images larger, not sharper",
            "put one (.pth or .safetensors) into its folder models/upscale_models",
        )


def _choices(nodes: Mapping[str, Any], node: str, key: str) -> list[str]:
    """The values that an input of a node may have: a list, or (newer) ``["COMBO", {"options": [...]}]``."""
    found: Any = nodes.get(node)
    for step in ("input", "required", key):
        found = found.get(step) if isinstance(found, dict) else None
    if not isinstance(found, list) or not found:
        return []
    if isinstance(found[0], list):
        return [str(each) for each in found[0]]
    if len(found) > 1 and isinstance(found[1], dict) and isinstance(found[1].get("options"), list):
        return [str(each) for each in found[1]["options"]]
    return []


def _devices(stats: Mapping[str, Any]) -> Iterator[Finding]:
    devices = stats.get("devices")
    for device in devices if isinstance(devices, list) else []:
        if not isinstance(device, dict):
            continue
        name = str(device.get("name") or device.get("type") or "a device")
        if device.get("type") == "cpu":
            yield Finding(
                NOTE, "GPU", "it runs on the processor: an image takes minutes", "start it without --cpu"
            )
            continue
        total = device.get("vram_total")
        if isinstance(total, int | float) and total > 0:
            yield _vram(name, float(total), device.get("vram_free"))
