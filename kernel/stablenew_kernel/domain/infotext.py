"""What is written into an image about how it was made.

Two texts: ``parameters``, the A1111 infotext that every tool of the ecosystem reads, and ``stablenew``, JSON
that holds the whole job so that ``stablenew replay`` can run it again. The grammar of the infotext is
:mod:`stablenew_api.infotext`; the order of its keys that of ``modules/processing.py`` (create_infotext) of the
AUTOMATIC1111 WebUI.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from stablenew_api.errors import UserError
from stablenew_api.infotext import AS_JSON, KEY, hashes_of
from stablenew_api.jobs import JobSpec, JsonValue, canonical_json

KEY_ORDER = (
    "Steps",
    "Sampler",
    "Schedule type",
    "CFG scale",
    "Image CFG scale",
    "Seed",
    "Face restoration",
    "Size",
    "Model hash",
    "Model",
    "FP8 weight",
    "Cache FP16 weight for LoRA",
    "VAE hash",
    "VAE",
    "Variation seed",
    "Variation seed strength",
    "Seed resize from",
    "Denoising strength",
    "Conditional mask weight",
    "Clip skip",
    "ENSD",
    "Token merging ratio",
    "Token merging ratio hr",
    "Init image hash",
    "RNG",
    "NGMS",
    "Tiling",
)
"""Order of A1111's ``create_infotext``; what scripts and passes add follows, then all other keys."""
PASS_KEYS = (
    "Styles",
    "Hires checkpoint",
    "Hires sampler",
    "Hires prompt",
    "Hires negative prompt",
    "Hires schedule type",
    "Hires upscale",
    "Hires resize",
    "Hires steps",
    "Hires upscaler",
    "Hires CFG Scale",
    "Hires Distilled CFG Scale",
    "Refiner",
    "Refiner switch at",
)
"""Of the passes, in the order in which A1111 comes to them."""
DETAILER = "ADetailer"
DETAILER_KEYS = (
    "model",
    "model classes",
    "prompt",
    "negative prompt",
    "confidence",
    "mask filter method",
    "mask only top k largest",
    "mask min ratio",
    "mask max ratio",
    "x offset",
    "y offset",
    "dilate erode",
    "mask merge invert",
    "mask blur",
    "denoising strength",
    "inpaint only masked",
    "inpaint padding",
    "use inpaint width height",
    "inpaint width",
    "inpaint height",
    "use separate steps",
    "steps",
    "use separate CFG scale",
    "CFG scale",
    "use separate checkpoint",
    "checkpoint",
    "use separate VAE",
    "VAE",
    "use separate sampler",
    "sampler",
    "scheduler",
    "use separate noise multiplier",
    "noise multiplier",
    "use separate CLIP skip",
    "CLIP skip",
    "restore face",
    "ControlNet model",
    "ControlNet module",
    "ControlNet weight",
    "ControlNet guidance start",
    "ControlNet guidance end",
    "version",
)
"""Behind :data:`DETAILER`, in the order of ``ALL_ARGS`` of ``adetailer/args.py``; `` 2nd`` and so on behind
them for further units."""
HASH_KEYS = ("Lora hashes", "TI hashes")
LAST_KEYS = ("Version", "User", *AS_JSON)
"""What Civitai reads as JSON stands last: see :data:`~stablenew_api.infotext.AS_JSON`."""

CHUNK_FORMAT = 1
"""Version of the ``stablenew`` JSON."""


# --- what is said about an image -----------------------------------------------------------------------------


def describe(
    spec: JobSpec,
    report: Mapping[str, JsonValue],
    *,
    version: str,
    job_id: str,
    node: str,
    extra: Mapping[str, JsonValue] | None = None,
) -> list[tuple[str, JsonValue]]:
    """The pairs of an image's infotext, in A1111's order; then those that no order is known for.

    What the worker reports as really used wins over what the job asked for. The first stage gives the plain
    keys; a later stage adds keys of its own, and where it used another value than the stage before it, the key
    with its name in front: ``img2img Steps``. ``extra`` (what plugins say) stands before our own keys and
    replaces none.

    ``report`` is the worker's: ``stages`` (a list of ``name``, ``seconds`` and ``info``, an infotext key to
    value mapping, per stage or adding up) and ``backend`` (``name``, ``version``, ``stand_in``). ``version`` is
    that of StableNew, ``node`` the name of the node that made the image.
    """
    before = {key: value for key, value in _source(spec)[1].items() if key not in _NOT_TAKEN_OVER}
    pairs: dict[str, JsonValue] = before or _asked(spec)
    seen: dict[str, JsonValue] = {}
    for index, stage in enumerate(_stage_reports(report), 1 if before else 0):
        for key, value in _clean(stage.get("info")):
            if index == 0 or (key not in seen and key not in pairs):
                pairs[key] = value
            elif str(seen.get(key, pairs.get(key))) != str(value):
                named = f"{stage.get('name', 'stage')} {key}"
                if KEY.fullmatch(named):
                    pairs[named] = value
            seen[key] = value
    if pairs.get("Clip skip") in (1, "1"):
        del pairs["Clip skip"]
    for key, value in _clean(extra):
        pairs.setdefault(key, value)
    pairs.update(_ours(spec, report, job_id, node))
    pairs["Version"] = f"StableNew {version}"
    if hashes := _hashes(pairs):
        pairs["Hashes"] = hashes
    return sorted(pairs.items(), key=lambda pair: _place(pair[0]))


def prompts(spec: JobSpec) -> tuple[str, str]:
    """Positive and negative prompt of the generating stage: those of the image as a whole."""
    source, _ = _source(spec)
    if source:
        return str(source.get("prompt", "")), str(source.get("negative_prompt", ""))
    return spec.stages[0].prompt, spec.stages[0].negative_prompt


_GROUPS = (KEY_ORDER, PASS_KEYS, (), HASH_KEYS)
_DETAILERS, _OTHERS, _LAST = 2, 4, 5
"""Where the keys of detailer units stand among the groups, then all others, then the last."""
_PLACES = {key: (group, 0, place) for group, keys in enumerate(_GROUPS) for place, key in enumerate(keys)}
_PLACES |= {key: (_LAST, 0, place) for place, key in enumerate(LAST_KEYS)}
_UNIT = re.compile(rf"{DETAILER} (.+?)(?: (\d+)(?:st|nd|rd|th))?")
_DETAIL = {key: place for place, key in enumerate(DETAILER_KEYS)}


def _place(key: str) -> tuple[int, int, int]:
    """Where ``key`` stands. Keys of one place stay as they came."""
    if key in _PLACES:
        return _PLACES[key]
    if (unit := _UNIT.fullmatch(key)) is not None:
        return _DETAILERS, int(unit[2] or 1), _DETAIL.get(unit[1], len(_DETAIL))
    return _OTHERS, 0, 0


_UNSAFE = re.compile(r'[{}"\\,\x00-\x1f]')
"""What in a name would end Civitai's ``Hashes`` too early, or be read as another key."""


def _hashes(pairs: Mapping[str, JsonValue]) -> dict[str, str]:
    """All hashes that are known, as Civitai wants them."""
    known = hashes_of(pairs.items())
    return {name: value for name, value in known.items() if not _UNSAFE.search(name) and name.count(":") <= 1}


_ASKED = {
    "Steps": "steps",
    "Sampler": "sampler_name",
    "Schedule type": "scheduler",
    "CFG scale": "cfg_scale",
    "Model": "model",
    "VAE": "vae",
    "Clip skip": "clip_skip",
    "Denoising strength": "denoising_strength",
}
_ASKED_HIRES = {
    "Hires checkpoint": "hr_checkpoint_name",
    "Hires sampler": "hr_sampler_name",
    "Hires schedule type": "hr_scheduler",
    "Hires upscale": "hr_scale",
    "Hires steps": "hr_second_pass_steps",
    "Hires upscaler": "hr_upscaler",
}
_NOTHING = (None, "", 0, "None", "Automatic", "Use same checkpoint", "Use same sampler", "Use same scheduler")
"""What asks for nothing of its own."""


def _asked(spec: JobSpec) -> dict[str, JsonValue]:
    first = spec.stages[0]
    config = first.config
    pairs = {key: config[field] for key, field in _ASKED.items() if config.get(field) not in (None, "")}
    if pairs.get("VAE") in _NOTHING:
        pairs.pop("VAE", None)
    pairs["Seed"] = first.seed
    if "width" in config and "height" in config:
        pairs["Size"] = f"{config['width']}x{config['height']}"
    if config.get("enable_hr"):
        pairs |= {
            key: config[field] for key, field in _ASKED_HIRES.items() if config.get(field) not in _NOTHING
        }
        if config.get("hr_resize_x") or config.get("hr_resize_y"):
            pairs.pop("Hires upscale", None)
            pairs["Hires resize"] = f"{config.get('hr_resize_x') or 0}x{config.get('hr_resize_y') or 0}"
    elif "enable_hr" in config:
        pairs.pop("Denoising strength", None)  # of the hires pass, which is off
    if config.get("subseed_strength"):
        pairs["Variation seed"] = config.get("subseed")
        pairs["Variation seed strength"] = config["subseed_strength"]
    if config.get("refiner_checkpoint") not in _NOTHING:
        pairs["Refiner"] = config["refiner_checkpoint"]
        pairs["Refiner switch at"] = config.get("refiner_switch_at")
    if config.get("face_restoration_enabled") and config.get("face_restoration_model") not in _NOTHING:
        pairs["Face restoration"] = config["face_restoration_model"]
    styles = config.get("styles")
    if styles and isinstance(styles, str | list | tuple):
        pairs["Styles"] = styles if isinstance(styles, str) else ", ".join(map(str, styles))
    return {key: value for key, value in pairs.items() if value not in (None, "")}


def _ours(spec: JobSpec, report: Mapping[str, JsonValue], job_id: str, node: str) -> dict[str, JsonValue]:
    source, told = _source(spec)
    earlier = source.get("stages", [])
    names = [*map(str, earlier), *(stage.name for stage in spec.stages)]
    pairs: dict[str, JsonValue] = {"StableNew stages": " ".join(names), "StableNew source": source.get("name")}
    backend = report.get("backend")
    if isinstance(backend, Mapping) and backend.get("name"):
        name = f"{backend['name']} {backend.get('version', '')}".strip()
        pairs["StableNew backend"] = f"{name} (stand-in, no AI model)" if backend.get("stand_in") else name
    pairs["StableNew node"] = node
    pairs["StableNew job"] = job_id
    pairs |= {key: told[key] for key in _LINEAGE if key in told}
    if spec.provenance.get("pack"):
        pairs["StableNew pack"] = spec.provenance["pack"]
    template = spec.provenance.get("template")
    if template and template != spec.stages[0].prompt:
        pairs["StableNew template"] = template
    return {key: value for key, value in pairs.items() if value not in (None, "")}


_LINEAGE = ("StableNew pack", "StableNew template")
"""Of the infotext of an image that another one is made of: what is said again among our own keys."""
_NOT_TAKEN_OVER = frozenset(
    {
        *_LINEAGE,
        "StableNew stages",
        "StableNew source",
        "StableNew backend",
        "StableNew node",
        "StableNew job",
        "Version",
        "Hashes",
    }
)
"""What is each image's own."""


def _source(spec: JobSpec) -> tuple[Mapping[str, JsonValue], dict[str, JsonValue]]:
    """The image that a job begins with, and its infotext; both empty: there is none, or it is not told."""
    source = spec.provenance.get("source")
    if not isinstance(source, Mapping):
        return {}, {}
    pairs = source.get("parameters")
    told = (
        [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2] if isinstance(pairs, list) else []
    )
    return source, {str(key): value for key, value in told if KEY.fullmatch(str(key))}


def _stage_reports(report: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]]:
    stages = report.get("stages")
    if not isinstance(stages, Sequence) or isinstance(stages, str):
        return []
    return [stage for stage in stages if isinstance(stage, Mapping)]


def _clean(info: JsonValue) -> list[tuple[str, JsonValue]]:
    """Pairs that can be written. A plugin's bad key is left out: an image is never lost for its label."""
    if not isinstance(info, Mapping):
        return []
    return [
        (key, _flat(key, value))
        for key, value in info.items()
        if isinstance(key, str) and KEY.fullmatch(key) and value not in (None, "", [], {})
    ]


def _flat(key: str, value: JsonValue) -> JsonValue:
    """``Lora hashes`` that a backend gives as name to hash, as the text that A1111 has there."""
    if key in HASH_KEYS and isinstance(value, Mapping):
        return ", ".join(f"{name}: {digest}" for name, digest in value.items())
    return value


# --- our own JSON --------------------------------------------------------------------------------------------


def stablenew_chunk(
    spec: JobSpec,
    report: Mapping[str, JsonValue],
    *,
    version: str,
    job_id: str,
    run_id: str,
    node: str,
    attempt: int,
    image_sha256: str,
) -> str:
    """The ``stablenew`` text: JSON in plain ASCII, so that it is tEXt whatever the prompt is written in.

    ``image_sha256`` is that of the pixels (:func:`stablenew_api.images.pixel_sha256`). Template and choices
    stand in the provenance of ``spec`` and once more at the top, where a reader looks first.
    """
    return json.dumps(
        {
            "format": CHUNK_FORMAT,
            "version": version,
            "job_id": job_id,
            "run_id": run_id,
            "spec_sha256": spec.sha256,
            "spec": spec.to_json(),
            "template": spec.provenance.get("template", ""),
            "choices": spec.provenance.get("choices", []),
            "node": node,
            "attempt": attempt,
            "worker_version": report.get("stablenew", ""),
            "backend": report.get("backend", {}),
            "stages": [
                {
                    **{key: stage.get(key) for key in ("name", "version", "seconds")},
                    "node": stage.get("node", node),
                }
                for stage in _stage_reports(report)
            ],
            "image_sha256": image_sha256,
        },
        separators=(",", ":"),
        ensure_ascii=True,
    )


def stored_image_sha256(text: str) -> str:
    """The hash of the pixels, as a ``stablenew`` text has it; empty if it has none, or is no such text."""
    try:
        found = json.loads(text)["image_sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) and re.fullmatch("[0-9a-f]{64}", found) else ""


def stored_spec(text: str, name: str) -> bytes:
    """Canonical JSON of the job in a ``stablenew`` text. ``name`` is the image's, for error texts.

    Raises UserError for what is no such text, for a newer format, and when the job is not the one that was
    written (its hash does not fit).
    """
    try:
        data = json.loads(text)
        newer = data["format"] > CHUNK_FORMAT
        spec = canonical_json(data["spec"])
        intact = JobSpec.from_json(data["spec"]).sha256 == data["spec_sha256"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{name}: its stablenew text cannot be read; it was changed or cut") from error
    if newer:
        raise UserError(f"{name}: made by a newer StableNew ({data.get('version')}); update this one")
    if not intact:
        raise UserError(f"{name}: the job stored in it was changed after it was made; it cannot be replayed")
    return spec
