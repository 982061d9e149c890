"""What a server has: asked list by list, since any of them may be missing or look different."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from stablenew_api.backend import Capabilities, Feature
from stablenew_plugins.backends.webui.http import Reply, Server, Trouble, failure_of, mapping
from stablenew_plugins.backends.webui.names import Named

log = logging.getLogger(__name__)

API = "/sdapi/v1"
ADETAILER = "adetailer"
"""Name of the extension's script, in small letters."""

Names = tuple[Named, ...] | None
"""A list; None: not known."""

AT_A_TIME = 4
"""Questions at the same time; enough to hide the way there and back, few enough for a small server."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was found. A list that is None is not known: nothing can be checked against it beforehand."""

    app: str = "WebUI"
    """``A1111``, ``Forge``, ``SD.Next``, or ``WebUI`` where it could not be told."""
    version: str = ""
    models: Names = None
    vaes: Names = None
    modules: bool = False
    """VAEs are Forge's modules, which text encoders are too."""
    samplers: Names = None
    schedulers: Names = None
    upscalers: Names = None
    latent_modes: Names = None
    loras: Names = None
    embeddings: Names = None
    hypernetworks: Names = None
    styles: Names = None
    face_restorers: Names = None
    scripts: Names = None
    detectors: Names = None
    """Models of ADetailer."""
    detailer: bool = False
    """Whether ADetailer is there."""
    detailer_fields: frozenset[str] | None = None
    """Keys that its units may have."""
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Path of a call to the fields that the server knows there. Others it ignores."""
    oom_count: int | None = None
    """How often memory has run out there; None: it does not count."""
    missing: tuple[str, ...] = ()
    """Lists that could not be had, each with the reason."""

    @property
    def sd_next(self) -> bool:
        """SD.Next differs in names of fields."""
        return self.app == "SD.Next"

    def takes(self, path: str, name: str) -> bool:
        """Whether the server knows the field ``name`` of ``path``; True where it does not say."""
        known = self.fields.get(path)
        return known is None or name in known

    def features(self) -> frozenset[str]:
        """What it can do, by what was found."""
        found: dict[str, bool] = {
            Feature.TXT2IMG: True,
            Feature.IMG2IMG: True,
            Feature.INPAINT: True,
            Feature.CLIP_SKIP: True,
            Feature.SUBSEED: True,
            Feature.UPSCALE: bool(self.upscalers),
            Feature.DETAIL: self.detailer,
            Feature.MODEL: bool(self.models),
            Feature.VAE: bool(self.vaes),
            Feature.LORA: bool(self.loras),
            Feature.EMBEDDING: self.embeddings is not None,
            Feature.STYLES: bool(self.styles),
            Feature.HYPERNETWORK: bool(self.hypernetworks),
            Feature.HIRES: bool(self.upscalers or self.latent_modes) and self.takes("txt2img", "enable_hr"),
            Feature.FACE_RESTORATION: bool(self.face_restorers) and self.takes("txt2img", "restore_faces"),
            # SD.Next takes these fields of A1111's and does nothing with them.
            Feature.REFINER: not self.sd_next
            and bool(self.models)
            and self.takes("txt2img", "refiner_checkpoint"),
            Feature.HIRES_MODEL: not self.sd_next
            and bool(self.models)
            and self.takes("txt2img", "hr_checkpoint_name"),
        }
        return frozenset(str(feature) for feature, there in found.items() if there)

    def capabilities(self) -> Capabilities:
        """The same, with names."""

        def names(*lists: Names) -> tuple[str, ...]:
            return tuple(dict.fromkeys(thing.name for known in lists for thing in known or ()))

        return Capabilities(
            features=self.features(),
            models=names(self.models),
            vaes=tuple(thing.name for thing in self.vaes or () if not is_text_encoder(thing)),
            samplers=names(self.samplers),
            schedulers=names(self.schedulers),
            upscalers=names(self.upscalers),
            # Without the latent modes (SD.Next does not list them) this list is not known: it would bar them.
            hires_upscalers=names(self.latent_modes, self.upscalers) if self.latent_modes is not None else (),
            loras=names(self.loras),
            embeddings=names(self.embeddings),
            hypernetworks=names(self.hypernetworks),
            styles=names(self.styles),
            face_restorers=names(self.face_restorers),
            detectors=names(self.detectors),
            scripts=names(self.scripts),
        )


def is_text_encoder(module: Named) -> bool:
    """Whether a module of Forge is a text encoder, by its folder, and no VAE."""
    return "text_encoder" in module.path.replace("\\", "/")


def discover(server: Server) -> Inventory:
    """Ask for everything. Raises StageFailure(BACKEND) if nobody answers, the API is not there or refuses
    us."""
    # One question decides whether there is an API at all; the others may fail.
    probe = _probe(server)
    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="webui-inventory") as pool:
        end = time.monotonic() + 2 * server.options.read_timeout
        questions = {path: pool.submit(_ask, server, path, end) for path in _PATHS}
        answers = {path: question.result() for path, question in questions.items()}
    return _read(probe, answers)


def _probe(server: Server) -> Reply:
    from stablenew_plugins.backends.webui.http import as_failure

    path = f"{API}/samplers"
    try:
        reply = server.get(path)
        if reply.status in (404, 405):
            # That list alone may be missing.
            path = f"{API}/options"
            reply = server.get(path)
    except Trouble as trouble:
        raise as_failure(trouble) from trouble
    if reply.status in (401, 403, 404, 405) or 300 <= reply.status < 400 or reply.status in (502, 503, 504):
        raise failure_of(reply, server.options.url, path)
    return reply


_PATHS = (
    f"{API}/samplers",
    f"{API}/schedulers",
    f"{API}/sd-models",
    f"{API}/sd-vae",
    f"{API}/sd-modules",
    f"{API}/upscalers",
    f"{API}/latent-upscale-modes",
    f"{API}/loras",
    f"{API}/extra-networks?page=lora",
    f"{API}/embeddings",
    f"{API}/hypernetworks",
    f"{API}/prompt-styles",
    f"{API}/face-restorers",
    f"{API}/scripts",
    f"{API}/script-info",
    f"{API}/options",
    f"{API}/version",
    f"{API}/memory",
    "/adetailer/v1/ad_model",
    "/adetailer/v1/schema",
    "/internal/sysinfo",
    "/openapi.json",
)


def _ask(server: Server, path: str, end: float) -> Any:
    """The answer as JSON, or a text that says why there is none. Past ``end`` (monotonic) nothing is asked."""
    if time.monotonic() > end:
        return _Missing("not asked, since others took too long")
    try:
        reply = server.get(path)
    except Trouble as trouble:
        return _Missing(str(trouble))
    if not reply.ok:
        return _Missing(f"HTTP {reply.status}")
    try:
        return reply.json()
    except ValueError:
        return _Missing(f"no JSON ({reply.content_type or 'no content type'})")


class _Missing(str):
    """Why there is no answer."""

    __slots__ = ()


def _read(probe: Reply, answers: Mapping[str, Any]) -> Inventory:
    missing: list[str] = []

    def lists(name: str, read: Callable[[Any], Iterator[Named]]) -> Names:
        path = f"{API}/{name}"
        answer = answers[path]
        if isinstance(answer, _Missing):
            missing.append(f"{path}: {answer}")
            return None
        try:
            return tuple(read(answer))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            missing.append(f"{path}: not the form expected ({error})")
            return None

    options = mapping(answers[f"{API}/options"])
    fields = _fields(mapping(answers["/openapi.json"]))
    version, app = _version(answers)
    vaes = lists("sd-vae", _files)
    modules = lists("sd-modules", _files)
    loras = lists("loras", _loras)
    if loras is None:
        loras = lists("extra-networks?page=lora", _networks)
    if vaes is not None or modules is not None:
        # A server has one or the other.
        missing = [line for line in missing if "/sd-vae" not in line and "/sd-modules" not in line]
    scripts = lists("scripts", _scripts)
    detailer, unit_fields, detectors = _detailer(answers, scripts)
    if not app:
        app = "Forge" if modules is not None else "WebUI"
    return Inventory(
        app=app,
        version=version,
        models=lists("sd-models", _models),
        vaes=modules if modules is not None and vaes is None else vaes,
        modules=modules is not None and vaes is None,
        samplers=lists("samplers", _named),
        schedulers=lists("schedulers", _schedulers),
        upscalers=lists("upscalers", _named),
        latent_modes=lists("latent-upscale-modes", _named),
        loras=loras,
        embeddings=lists("embeddings", _embeddings),
        hypernetworks=lists("hypernetworks", _named),
        styles=lists("prompt-styles", _named),
        face_restorers=lists("face-restorers", _named),
        scripts=scripts,
        detectors=detectors,
        detailer=detailer,
        detailer_fields=unit_fields,
        options=options,
        fields=fields,
        oom_count=read_oom_count(answers[f"{API}/memory"]),
        missing=tuple(missing),
    )


# --- one reader a list: each takes what it needs from the items and ignores the rest ----------------------


def _items(answer: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(answer, list):
        raise TypeError(f"a list was expected, not {type(answer).__name__}")
    if not all(isinstance(item, dict) for item in answer):
        raise TypeError("a list of objects was expected")
    return answer


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value.strip() if isinstance(value, str) else ""


def _named(answer: Any) -> Iterator[Named]:
    for item in _items(answer):
        name = item["name"]
        if not isinstance(name, str):
            raise TypeError("a name that is no text")
        aliases = item.get("aliases")
        texts = tuple(one for one in aliases if isinstance(one, str)) if isinstance(aliases, list) else ()
        # The first entry of face restorers and upscalers is "None": nothing.
        yield Named(name, texts, path=_text(item, "model_path") or _text(item, "path"))


def _schedulers(answer: Any) -> Iterator[Named]:
    """By label, which is what infotexts say; the API takes both."""
    for item in _items(answer):
        name, label = _text(item, "name"), _text(item, "label")
        aliases = item.get("aliases")
        texts = tuple(one for one in aliases if isinstance(one, str)) if isinstance(aliases, list) else ()
        yield Named(label or item["name"], tuple(dict.fromkeys(one for one in (name, *texts) if one)))


def _models(answer: Any) -> Iterator[Named]:
    for item in _items(answer):
        hashes = tuple(
            dict.fromkeys(value.lower() for value in (_text(item, "sha256"), _text(item, "hash")) if value)
        )
        name = _text(item, "model_name")
        yield Named(
            _text(item, "title") or item["model_name"],
            (name,) if name else (),
            hashes,
            _text(item, "filename"),
        )


def _files(answer: Any) -> Iterator[Named]:
    for item in _items(answer):
        yield Named(item["model_name"], path=_text(item, "filename"))


def _loras(answer: Any) -> Iterator[Named]:
    for item in _items(answer):
        alias = _text(item, "alias")
        yield Named(item["name"], (alias,) if alias and alias != item["name"] else (), path=_text(item, "path"))


def _networks(answer: Any) -> Iterator[Named]:
    """SD.Next before it had a list of LoRAs."""
    for item in _items(answer):
        if _text(item, "type").lower() in ("lora", ""):
            yield Named(item["name"], path=_text(item, "filename"))


def _embeddings(answer: Any) -> Iterator[Named]:
    """What is skipped now, because it does not suit the checkpoint that is loaded, may suit the next one."""
    if not isinstance(answer, dict):
        raise TypeError(f"an object was expected, not {type(answer).__name__}")
    for key in ("loaded", "skipped"):
        # An object by name; SD.Next: a list of names.
        for name in answer.get(key) or ():
            yield Named(str(name))


def _scripts(answer: Any) -> Iterator[Named]:
    if not isinstance(answer, dict):
        raise TypeError(f"an object was expected, not {type(answer).__name__}")
    names = [name for key in ("txt2img", "img2img") for name in answer.get(key) or ()]
    for name in dict.fromkeys(names):
        yield Named(str(name))


def _detailer(answers: Mapping[str, Any], scripts: Names) -> tuple[bool, frozenset[str] | None, Names]:
    """Whether ADetailer is there, the keys that its units may have, and its models.

    Its own routes say it best. ``script-info`` has the defaults of a unit as the value of an argument in some
    versions, and nothing in others.
    """
    properties = mapping(mapping(answers["/adetailer/v1/schema"]).get("properties"))
    keys = frozenset(key for key in properties if isinstance(key, str)) or None
    found = mapping(answers["/adetailer/v1/ad_model"]).get("ad_model")
    models = (
        tuple(Named(name) for name in found if isinstance(name, str) and name != "None")
        if isinstance(found, list)
        else None
    )
    there = models is not None or keys is not None
    there = there or any(thing.name.casefold() == ADETAILER for thing in scripts or ())
    info = answers[f"{API}/script-info"]
    for script in info if isinstance(info, list) else ():
        if _text(mapping(script), "name").casefold() != ADETAILER:
            continue
        there = True
        arguments = mapping(script).get("args")
        for argument in arguments if isinstance(arguments, list) else ():
            value = mapping(mapping(argument).get("value"))
            if keys is None and "ad_model" in value:
                keys = frozenset(str(key) for key in value)
            choices = mapping(argument).get("choices")
            if (
                models is None
                and isinstance(choices, list)
                and any(str(one).endswith(".pt") for one in choices)
            ):
                models = tuple(Named(str(one)) for one in choices if str(one) != "None")
    return there, keys, models


def _version(answers: Mapping[str, Any]) -> tuple[str, str]:
    own = mapping(answers[f"{API}/version"])
    if own:
        # {"app": "sd.next", "updated": "2025-02-02", "hash": "...", "url": ...}; keys differ between versions
        text = " ".join(str(own[key]) for key in ("updated", "commit", "hash") if own.get(key))
        return text or str(own.get("version") or ""), "SD.Next" if "next" in str(
            own.get("app", "")
        ).lower() else ""
    text = _text(mapping(answers["/internal/sysinfo"]), "Version")
    # Forge: f2.0.1v1.10.1-previous-636-gb835f24a
    forge = re.match(r"f\d", text)
    return text, "Forge" if forge else "A1111" if re.match(r"v?\d", text) else ""


def read_oom_count(memory: Any) -> int | None:
    """torch's count of allocations that failed, from an answer of ``/memory``."""
    count = mapping(mapping(mapping(memory).get("cuda")).get("events")).get("oom")
    return count if isinstance(count, int) else None


def _fields(openapi: Mapping[str, Any]) -> Mapping[str, frozenset[str]]:
    schemas = mapping(mapping(openapi.get("components")).get("schemas"))
    found: dict[str, frozenset[str]] = {}
    for path, methods in mapping(openapi.get("paths")).items():
        if not path.startswith(f"{API}/"):
            continue
        body = mapping(mapping(mapping(methods).get("post")).get("requestBody"))
        schema = mapping(mapping(mapping(body.get("content")).get("application/json")).get("schema"))
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        properties = mapping(mapping(schemas.get(name)).get("properties"))
        if properties:
            found[path.removeprefix(f"{API}/")] = frozenset(map(str, properties))
    return found
