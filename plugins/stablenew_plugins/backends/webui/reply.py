"""Checking a reply against what was asked. A WebUI that does not find something uses something else and says
200; what it says about the image that it made is the truth, and a difference fails the stage."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stablenew_api.backend import GenerationResult
from stablenew_api.errors import StageFailure
from stablenew_api.infotext import Infotext, parse_infotext
from stablenew_api.jobs import FailureKind, JsonValue
from stablenew_api.models import model_name
from stablenew_plugins.backends.outofmemory import is_out_of_memory
from stablenew_plugins.backends.webui.http import Reply, failure_of, mapping
from stablenew_plugins.backends.webui.names import Named, find, plain
from stablenew_plugins.backends.webui.payload import Call, Expectation, same_file

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")
"""Image formats that a WebUI may be set to."""

INFO_EVIDENCE = 4000
"""Characters of an ``info`` that are kept."""

CLOSE = 1e-3
"""Numbers go through text on their way: 7.0 and 7 are the same, 0.35 and 0.3500001 too."""

ASKED_SEED = "StableNew seed"
"""Infotext key with the seed that was asked for, where the server's range made another of it."""


class NoImage(StageFailure):
    """The reply has no image at all."""


_SAMPLING_KEYS = ("Steps", "Sampler", "Schedule type", "Size", "CFG scale", "Denoising strength")


def check_status(reply: Reply, url: str, path: str) -> None:
    """Raises StageFailure for anything but 200: OUT_OF_MEMORY where the text says so."""
    if reply.status == 200:
        return
    text = reply.body[:65536].decode("utf-8", "replace")
    if reply.status >= 500 and is_out_of_memory(text):
        raise StageFailure(
            FailureKind.OUT_OF_MEMORY, f"the WebUI ran out of memory: {reply.error_text()}", reply.evidence()
        )
    raise failure_of(reply, url, path)


def read_sampled(reply: Reply, call: Call) -> GenerationResult:
    """The result of txt2img or img2img. Raises StageFailure."""
    answer = _object(reply)
    info_text = answer.get("info")
    info = _info(info_text)
    evidence = _evidence(reply, info_text)
    images = answer.get("images")
    if not isinstance(images, list) or not all(isinstance(one, str) for one in images):
        raise _wrong("the reply has no list of images", evidence)
    first = info.get("index_of_first_image", 0)
    first = first if isinstance(first, int) and first >= 0 else 0
    count = len(images) - first
    if count != 1:
        said = info_text if isinstance(info_text, str) else ""
        if count < 1 and is_out_of_memory(f"{said} {answer.get('error', '')} {answer.get('detail', '')}"):
            raise StageFailure(
                FailureKind.OUT_OF_MEMORY, "the WebUI ran out of memory and sent no image", evidence
            )
        grid = f", {first} of them a grid" if first else ""
        hint = (
            "" if count < 1 else "; does a script or a setting of the WebUI add images (masks, control maps)?"
        )
        kind = NoImage if count < 1 else StageFailure
        raise kind(
            FailureKind.BACKEND, f"1 image was asked for, the reply has {len(images)}{grid}{hint}", evidence
        )
    if not info:
        raise _wrong("the reply does not say how the image was made (no info)", evidence)
    image = decode_image(images[first], evidence)
    text = _infotext(info, first, image)
    compare(info, text, call.expect, evidence)
    image = _fit(image, call.expect, evidence)
    return GenerationResult(image, result_info(text, info, call.expect, image.size))


def read_upscaled(reply: Reply, call: Call) -> GenerationResult:
    """The result of extra-single-image. Raises StageFailure."""
    answer = _object(reply)
    html = answer.get("html_info")
    evidence = _evidence(reply, html)
    encoded = answer.get("image")
    if not isinstance(encoded, str) or not encoded:
        if is_out_of_memory(str(html)):
            raise StageFailure(
                FailureKind.OUT_OF_MEMORY, "the WebUI ran out of memory and sent no image", evidence
            )
        raise _wrong("the reply has no image", evidence)
    image = _fit(decode_image(encoded, evidence), call.expect, evidence)
    info: dict[str, JsonValue] = {
        "Size": f"{image.width}x{image.height}",
        "Postprocess upscale by": _number(call.body["upscaling_resize"]),
        "Postprocess upscaler": call.body["upscaler_1"],
    }
    for key, name in (
        ("gfpgan_visibility", "Postprocess GFPGAN visibility"),
        ("codeformer_visibility", "Postprocess CodeFormer visibility"),
        ("codeformer_weight", "Postprocess CodeFormer weight"),
    ):
        if call.body[key]:
            info[name] = _number(call.body[key])
    return GenerationResult(image, info)


# --- taking a reply apart -----------------------------------------------------------------------------------


def _object(reply: Reply) -> Mapping[str, Any]:
    try:
        answer = reply.json()
    except ValueError as error:
        raise _wrong(
            f"the reply is no JSON ({reply.content_type or 'no content type'}); does something else answer "
            "there?",
            reply.evidence(),
        ) from error
    if not isinstance(answer, dict):
        raise _wrong("the reply is no object", reply.evidence())
    return answer


def _info(text: object) -> Mapping[str, Any]:
    if isinstance(text, str):
        try:
            return mapping(json.loads(text))
        except (ValueError, RecursionError):
            return {}
    return mapping(text)


def _evidence(reply: Reply, info: object) -> str:
    said = info if isinstance(info, str) else json.dumps(info)
    return f"HTTP {reply.status}, {len(reply.body)} bytes, {reply.content_type}\ninfo: {said[:INFO_EVIDENCE]}"


def decode_image(text: str, evidence: str) -> Image:
    """The image in ``text``, base64 or a data URI, loaded. Raises StageFailure(BACKEND) if it is none."""
    from PIL import Image

    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _wrong(f"an image is no base64 ({error})", f"{evidence}\nbegins with {text[:200]!r}") from error
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        image.load()
    # Pillow raises all kinds for damaged files; a bomb is one more.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _wrong(
            f"what came back is no image ({error})", f"{evidence}\nbegins with {data[:100]!r}"
        ) from error
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image


def _infotext(info: Mapping[str, Any], index: int, image: Image) -> Infotext:
    """Of the image at ``index``: that in ``info`` where it has one for it, else that in the image."""
    texts = info.get("infotexts")
    if isinstance(texts, list) and index < len(texts) and isinstance(texts[index], str) and texts[index]:
        return parse_infotext(texts[index])
    own = image.info.get("parameters")
    if isinstance(own, str) and own:
        return parse_infotext(own)
    if isinstance(texts, list) and texts and isinstance(texts[-1], str):
        return parse_infotext(texts[-1])
    return parse_infotext("")


def _fit(image: Image, expect: Expectation, evidence: str) -> Image:
    wanted = expect.size
    if any(abs(got - want) > expect.tolerance for got, want in zip(image.size, wanted, strict=True)):
        raise _wrong(
            f"size: {wanted[0]}x{wanted[1]} was asked for, the image has {image.width}x{image.height}", evidence
        )
    if expect.crop is not None:
        image = image.crop((0, 0, *expect.crop))
    # Its texts are read; what is written into the final file is for others to decide.
    image.info = {}
    return image


# --- comparing ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Difference:
    what: str
    asked: object
    used: object

    def __str__(self) -> str:
        return f"{self.what}: {self.asked} was asked for, {self.used} was used"


def compare(info: Mapping[str, Any], text: Infotext, expect: Expectation, evidence: str) -> None:
    """Raises StageFailure(BACKEND) with every setting that the server says it used otherwise, both values
    each."""
    said = dict(text.pairs)
    found = [*_files(info, said, expect), *_extras(said, expect)]
    if not expect.stand_in_values:
        found += _numbers(info, said, expect)
    elif expect.seed is not None:
        found += _seed(info, said, expect)
    if found:
        raise StageFailure(
            FailureKind.BACKEND, "the WebUI did not do what was asked: " + "; ".join(map(str, found)), evidence
        )


def _files(info: Mapping[str, Any], said: Mapping[str, str], expect: Expectation) -> list[_Difference]:
    found = []
    model = expect.model
    if model is not None:
        used_hash = str(info.get("sd_model_hash") or said.get("Model hash") or "").lower()
        used_name = str(info.get("sd_model_name") or said.get("Model") or "")
        hashes = [known for known in model.hashes if len(known) >= 8]
        if used_hash and hashes:
            same = any(known.startswith(used_hash) or used_hash.startswith(known) for known in hashes)
        elif used_name:
            same = any(_same_model(own, used_name) for own in model.all_names())
        else:
            same = True  # it does not say
        if not same:
            used = f"{used_name or 'another one'}{f' [{used_hash}]' if used_hash else ''}"
            found.append(_Difference("checkpoint", model.name, used))
    if expect.vae:
        vaes = [value for key, value in said.items() if key == "VAE" or key.startswith("Module ")]
        # Without a line of its own the server does not say; A1111 always does, unless it is told not to.
        if vaes and not any(same_file(expect.vae, one) for one in vaes):
            found.append(_Difference("VAE", expect.vae, ", ".join(vaes)))
        elif not vaes and info.get("sd_vae_name"):
            name = str(info["sd_vae_name"])
            if not same_file(expect.vae, name):
                found.append(_Difference("VAE", expect.vae, name))
    if expect.loras and "Lora hashes" in said:
        loaded = [part.rpartition(":")[0].strip() for part in said["Lora hashes"].split(",")]
        for lora in expect.loras:
            if not any(_same_model(lora, one) for one in loaded):
                found.append(_Difference("LoRA", lora, said["Lora hashes"] or "none"))
    if expect.refiner and not _same_model(expect.refiner, said.get("Refiner", "")):
        found.append(_Difference("refiner", expect.refiner, said.get("Refiner", "none")))
    if expect.hires_model and not _same_model(expect.hires_model, said.get("Hires checkpoint", "")):
        # A1111 leaves it out where it is the checkpoint of the first pass.
        used_name = said.get("Hires checkpoint") or str(
            info.get("sd_model_name") or said.get("Model") or "another one"
        )
        if not _same_model(expect.hires_model, used_name):
            found.append(_Difference("hires checkpoint", expect.hires_model, used_name))
    return found


def _same_model(one: str, other: str) -> bool:
    """SD.Next leaves commas and colons out of names."""
    return same_file(one, other) or plain(model_name(one)) == plain(model_name(other))


def _seed(info: Mapping[str, Any], said: Mapping[str, str], expect: Expectation) -> list[_Difference]:
    for used in (said.get("Seed"), info.get("seed")):
        if used is not None and str(used).strip():
            return [] if str(used).strip() == str(expect.seed) else [_Difference("seed", expect.seed, used)]
    return []


def _subseed(info: Mapping[str, Any], said: Mapping[str, str], expect: Expectation) -> list[_Difference]:
    used = said.get("Variation seed", info.get("subseed"))  # SD.Next leaves it out of some infotexts
    if expect.subseed is None or used is None or str(used) == str(expect.subseed):
        return []
    return [_Difference("variation seed", expect.subseed, used)]


def _numbers(info: Mapping[str, Any], said: Mapping[str, str], expect: Expectation) -> list[_Difference]:
    found = _seed(info, said, expect) if expect.seed is not None else []
    found += _subseed(info, said, expect)
    if expect.sampler is not None:
        used = str(said.get("Sampler") or info.get("sampler_name") or "")
        names = [expect.sampler]
        if expect.scheduler is not None:
            scheduled = tuple(
                f"{own} {label}" for own in _all(expect.sampler) for label in _all(expect.scheduler)
            )
            names.append(Named(expect.sampler.name, scheduled))
        if used and not find(used, names, files=False):
            found.append(_Difference("sampler", expect.sampler.name, used))
    if expect.scheduler is not None:
        used = said.get("Schedule type", "")
        sampler = plain(str(said.get("Sampler") or ""))
        inside = any(sampler.endswith(plain(label)) for label in _all(expect.scheduler))
        if not find(used, [expect.scheduler], files=False) and not (not used and inside):
            found.append(_Difference("scheduler", expect.scheduler.name, used or "none"))
    for what, asked, used_value in (
        ("steps", expect.steps or None, said.get("Steps", info.get("steps"))),
        ("CFG scale", expect.cfg_scale, said.get("CFG scale", info.get("cfg_scale"))),
    ):
        number = _as_number(used_value)
        if asked is not None and number is not None and abs(number - asked) > CLOSE:
            found.append(_Difference(what, _number(asked), used_value))
    # Infotexts leave 1 out.
    skip = max(1.0, _as_number(said.get("Clip skip", info.get("clip_skip"))) or 1.0)
    if skip != expect.clip_skip:
        found.append(_Difference("clip skip", expect.clip_skip, _number(skip)))
    return found


def _all(thing: Named) -> tuple[str, ...]:
    return (thing.name, *thing.aliases)


def _extras(said: Mapping[str, str], expect: Expectation) -> list[_Difference]:
    found = []
    if expect.hires:
        used = said.get("Hires upscaler", "")
        if not any(key.startswith("Hires ") for key in said):
            found.append(_Difference("hires pass", "one", "none"))
        elif used and plain(used) != plain(expect.hires):
            found.append(_Difference("hires upscaler", expect.hires, used))
    if expect.face_restoration:
        used = said.get("Face restoration", "none")
        if used == "none" or expect.face_restoration not in ("default", used):
            found.append(_Difference("face restoration", expect.face_restoration, used))
    for number, model in enumerate(expect.detectors, 1):
        key = "ADetailer model" if number == 1 else f"ADetailer model {_ordinal(number)}"
        used = said.get(key, "")
        if not same_file(model, used):
            found.append(_Difference(key, model, used or "no ADetailer (the unit was dropped)"))
    return found


def _ordinal(number: int) -> str:
    """As ADetailer writes it: 2nd, 3rd, 4th."""
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


# --- what is passed on ----------------------------------------------------------------------------------------


def result_info(
    text: Infotext, info: Mapping[str, Any], expect: Expectation, size: Sequence[int]
) -> dict[str, JsonValue]:
    """The infotext of the image as keys and values, numbers as numbers, the size as it really is."""
    made: dict[str, JsonValue] = {}
    for key, value in text.pairs:
        if expect.stand_in_values and key in _SAMPLING_KEYS:
            continue
        made[key] = value if "hash" in key or key == "Version" else _typed(value)
    # Only where the infotext is switched off on the server.
    for key, own in (("Seed", "seed"), ("Model", "sd_model_name"), ("Model hash", "sd_model_hash")):
        known = info.get(own)
        if key not in made and isinstance(known, (str, int)) and known != "":
            made[key] = known
    # With a hires pass it is that of the first one.
    if not expect.stand_in_values and ("Size" not in made or not expect.hires):
        made["Size"] = f"{size[0]}x{size[1]}"
    if expect.seed is not None and expect.asked_seed != expect.seed:
        made[ASKED_SEED] = str(expect.asked_seed)
    return made


def _typed(value: str) -> JsonValue:
    """A text as a number where it is written as one: ``7.5``, never ``007`` or ``1e5``."""
    for kind in (int, float):
        try:
            number = kind(value)
        except ValueError:
            continue
        if str(number) == value and abs(number) < 2**63:
            return number
    return value


def _as_number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def _wrong(text: str, evidence: str) -> StageFailure:
    return StageFailure(FailureKind.BACKEND, text, evidence)
