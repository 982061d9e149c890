"""From a request to the body of a call, with every name checked, and what the reply must then say."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from stablenew_api.backend import (
    DetailRequest,
    DetailUnit,
    Img2ImgRequest,
    Txt2ImgRequest,
    UpscaleRequest,
)
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_api.models import model_name, nearest
from stablenew_api.samplers import AUTOMATIC
from stablenew_plugins.backends.webui.inventory import ADETAILER, Inventory, is_text_encoder
from stablenew_plugins.backends.webui.names import Named, find, look_up
from stablenew_plugins.backends.webui.prompts import translate

if TYPE_CHECKING:
    from PIL.Image import Image

SampledRequest: TypeAlias = "Txt2ImgRequest | Img2ImgRequest | DetailRequest"

SEED_RANGE = 2**32
"""Seeds of a WebUI go from 0 to one less; -1 means a random one."""

GRID = 8
"""Sides are multiples of it: A1111 rounds others down without a word."""

CLIP_SKIP = "CLIP_stop_at_last_layers"
"""A1111's setting; SD.Next has a field ``clip_skip``."""

UNIT_FIELDS = frozenset({
    "ad_model", "ad_model_classes", "ad_prompt", "ad_negative_prompt", "ad_confidence",
    "ad_mask_filter_method", "ad_mask_k", "ad_mask_min_ratio", "ad_mask_max_ratio", "ad_dilate_erode",
    "ad_x_offset", "ad_y_offset", "ad_mask_merge_invert", "ad_mask_blur", "ad_denoising_strength",
    "ad_inpaint_only_masked", "ad_inpaint_only_masked_padding", "ad_use_inpaint_width_height",
    "ad_inpaint_width", "ad_inpaint_height", "ad_use_steps", "ad_steps", "ad_use_cfg_scale", "ad_cfg_scale",
    "ad_use_checkpoint", "ad_checkpoint", "ad_use_vae", "ad_vae", "ad_use_sampler", "ad_sampler",
    "ad_scheduler", "ad_use_noise_multiplier", "ad_noise_multiplier", "ad_use_clip_skip", "ad_clip_skip",
    "ad_restore_face",
})  # fmt: skip
"""Keys of a unit of ADetailer 24.11, for servers that do not say (``adetailer/args.py``). One key that it does
not know makes it drop the unit."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a reply must say. Empty and None: anything will do."""

    size: tuple[int, int]
    """Of the picture that comes back."""
    tolerance: int = 0
    """Pixels by which a side may differ."""
    crop: tuple[int, int] | None = None
    """What is then cut out of it, from the top left corner."""
    seed: int | None = None
    asked_seed: int = 0
    """As the request had it."""
    subseed: int | None = None
    model: Named | None = None
    sampler: Named | None = None
    scheduler: Named | None = None
    steps: int = 0
    cfg_scale: float | None = None
    vae: str = ""
    clip_skip: int = 1
    loras: tuple[str, ...] = ()
    hires: str = ""
    """The upscaler of the hires pass."""
    hires_model: str = ""
    refiner: str = ""
    face_restoration: str = ""
    detectors: tuple[str, ...] = ()
    """ADetailer's models, unit by unit."""
    stand_in_values: bool = False
    """ADetailer in img2img, with ``skip_img2img``, puts 1 step of Euler at 128 x 128 in the place of the
    sampling that it skips, and the infotext says that."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call to make."""

    path: str
    body: dict[str, Any]
    expect: Expectation
    steps: int
    """In all, for the progress."""
    task_id: str = ""
    """Empty: the server gives no progress for it."""


class Builder:
    """Makes calls for one server, as its inventory says."""

    def __init__(self, inventory: Inventory, where: str) -> None:
        self._has = inventory
        self._where = where

    # --- the four calls -----------------------------------------------------------------------------------

    def txt2img(self, request: Txt2ImgRequest, task_id: str) -> Call:
        """A picture from a prompt."""
        for side, pixels in (("width", request.width), ("height", request.height)):
            if pixels < GRID or pixels % GRID:
                raise _bad(f"{side} {pixels}: a WebUI makes sides that are multiples of {GRID} pixels")
        body, expect = self._sampling(request, (request.width, request.height), task_id, "txt2img")
        body.update(width=request.width, height=request.height)
        steps = request.steps
        if (hires := request.hires) is not None:
            upscaler = self._hires_upscaler(hires.upscaler)
            size = hires.size(request.width, request.height)
            body.update(
                enable_hr=True,
                hr_upscaler=upscaler,
                hr_second_pass_steps=hires.steps,
                denoising_strength=hires.denoising_strength,
            )
            if hires.width or hires.height:
                body.update(hr_resize_x=size[0], hr_resize_y=size[1])
            else:
                body.update(hr_resize_x=0, hr_resize_y=0, hr_scale=hires.scale)
            if hires.sampler:
                sampler, _ = self._sampler(hires.sampler, AUTOMATIC)
                body["hr_sampler_name"] = sampler.name
            if hires.scheduler and hires.scheduler != AUTOMATIC:
                body["hr_scheduler"] = self._field(
                    "txt2img", "hr_scheduler", self._scheduler(hires.scheduler).name
                )
            model = self._model(hires.model).name if hires.model else ""
            if model:
                body["hr_checkpoint_name"] = model
            if self._has.sd_next:
                # Without "force" it only enlarges where the upscaler is no latent one.
                body.update(hr_force=True, hr_resize_mode=1, hr_denoising_strength=hires.denoising_strength)
            steps += hires.steps or request.steps
            expect = replace(expect, size=size, hires=upscaler, hires_model=model)
        return Call("txt2img", body, expect, steps, task_id)

    def img2img(self, request: Img2ImgRequest, task_id: str) -> Call:
        """A picture from another one, under a mask if there is one. Cropping around a mask is the stage's."""
        padded = pad(request.image)
        body, expect = self._sampling(request, padded.size, task_id, "img2img")
        body.update(
            init_images=[encode(padded)],
            denoising_strength=request.denoising_strength,
            width=padded.width,
            height=padded.height,
            resize_mode=0,
            include_init_images=False,
        )
        if request.mask is not None:
            mask = request.mask.convert("L")
            if mask.size != request.image.size:
                raise _bad(f"the mask has {mask.size} pixels, the image {request.image.size}")
            body.update(
                mask=encode(pad(mask, black=True)),
                mask_blur=0,
                mask_round=False,  # grey mixes
                inpainting_fill=1,  # begins with what is there
                inpaint_full_res=False,
                inpainting_mask_invert=0,
            )
        if padded.size != request.image.size:
            expect = replace(expect, crop=request.image.size)
        # A1111 makes steps x strength of them.
        return Call("img2img", body, expect, request.steps, task_id)

    def detail(self, request: DetailRequest, task_id: str) -> Call:
        """ADetailer alone, over a picture that exists: img2img whose own sampling is skipped."""
        if not request.units:
            raise _bad("ADetailer has nothing to look for: give at least one unit")
        image = request.image.convert("RGB")
        body, expect = self._sampling(request, image.size, task_id, "img2img")
        units = [self._unit(unit, number) for number, unit in enumerate(request.units, 1)]
        scripts = dict(body.get("alwayson_scripts", {}))
        scripts[self._script_name(ADETAILER) or "ADetailer"] = {"args": [True, True, *units]}
        body.update(
            init_images=[encode(image)],
            denoising_strength=0.4,  # of what is skipped
            width=image.width,
            height=image.height,
            resize_mode=0,
            include_init_images=False,
            alwayson_scripts=scripts,
        )
        models = tuple(str(unit["ad_model"]) for unit in units)
        expect = replace(expect, detectors=models, stand_in_values=True)
        return Call("img2img", body, expect, request.steps * len(units), task_id)

    def upscale(self, request: UpscaleRequest) -> Call:
        """The Extras tab. It takes no task id and tells no progress."""
        image = request.image.convert("RGB")
        if request.scale <= 0:
            raise _bad(f"an image cannot be enlarged by {request.scale:g}")
        for what, value in (
            ("gfpgan_visibility", request.gfpgan_visibility),
            ("codeformer_visibility", request.codeformer_visibility),
            ("codeformer_weight", request.codeformer_weight),
        ):
            if not 0 <= value <= 1:
                raise _bad(f"{what} {value:g}: must be 0 to 1")
        restorers = [restorer.name.casefold() for restorer in self._has.face_restorers or ()]
        for visibility, name in (
            (request.gfpgan_visibility, "GFPGAN"),
            (request.codeformer_visibility, "CodeFormer"),
        ):
            if visibility and self._has.face_restorers is not None and name.casefold() not in restorers:
                raise _bad(f"{self._where} has no face restorer {name}")
        body: dict[str, Any] = {
            "image": encode(image),
            "resize_mode": 0,
            "upscaling_resize": request.scale,
            "upscaler_1": self._name("upscaler", request.upscaler or "None", self._has.upscalers),
            "upscaler_2": "None",
            "extras_upscaler_2_visibility": 0,
            "gfpgan_visibility": request.gfpgan_visibility,
            "codeformer_visibility": request.codeformer_visibility,
            "codeformer_weight": request.codeformer_weight,
            "upscale_first": False,
            "show_extras_results": False,
        }
        if request.tile_size:
            raise _bad(
                "tile_size: a WebUI takes the tile size of its own settings (ESRGAN_tile); leave it at 0, or "
                "let another backend enlarge"
            )
        self._extra("extra-single-image", request.extra, body)
        size = (int(image.width * request.scale), int(image.height * request.scale))
        # A1111 takes the multiple of 8 below it (modules/upscaler.py), others round.
        return Call("extra-single-image", body, Expectation(size, tolerance=GRID), 1)

    # --- what all that sample have ------------------------------------------------------------------------

    def _sampling(
        self, request: SampledRequest, size: tuple[int, int], task_id: str, path: str
    ) -> tuple[dict[str, Any], Expectation]:
        if request.steps < 1:
            raise _bad(f"steps {request.steps}: must be 1 or more")
        prompt = self._prompt(request.prompt)
        negative = self._prompt(request.negative_prompt)
        sampler, scheduler = self._sampler(request.sampler, request.scheduler)
        seed = request.seed % SEED_RANGE
        overrides: dict[str, Any] = {}
        text = prompt.text
        model = None
        if request.model:
            model = self._model(request.model)
            overrides["sd_model_checkpoint"] = model.name
        vae = self._vae(request.vae, overrides)
        # Always, where there is such a setting: the server's own may be another one, and 1 means 1.
        if not self._has.options or CLIP_SKIP in self._has.options:
            overrides[CLIP_SKIP] = request.clip_skip
        body: dict[str, Any] = {
            "negative_prompt": negative.text,
            "seed": seed,
            "steps": request.steps,
            "cfg_scale": request.cfg_scale,
            "sampler_name": sampler.name,
            "batch_size": 1,
            "n_iter": 1,
            "override_settings": overrides,
            # The server goes back to its user's own settings. A checkpoint stays loaded all the same, so
            # nothing is loaded twice by it; a VAE is, which is why one that is in use anyway is not asked for.
            "override_settings_restore_afterwards": True,
            "send_images": True,
            "save_images": False,
            "do_not_save_samples": True,
            "do_not_save_grid": True,
            "force_task_id": task_id,
        }
        if scheduler is not None:
            body["scheduler"] = scheduler.name
        elif self._has.schedulers is not None:
            body["scheduler"] = AUTOMATIC
        if self._has.sd_next:
            body["clip_skip"] = request.clip_skip
        subseed = None
        if request.subseed_strength > 0:
            if request.subseed < 0:
                raise _bad(
                    "subseed: a variation strength needs a variation seed; -1 would draw another each time"
                )
            subseed = request.subseed % SEED_RANGE
            body.update(subseed=subseed, subseed_strength=request.subseed_strength)
        if request.styles:
            styles = self._has.styles
            body["styles"] = [self._name("style", style, styles, files=False) for style in request.styles]
        if request.hypernetwork:
            name = self._name("hypernetwork", request.hypernetwork, self._has.hypernetworks)
            text += f" <hypernet:{name}:{request.hypernetwork_strength:g}>"
        restorer = self._face_restoration(request.face_restoration, body, overrides)
        refiner = ""
        if request.refiner is not None:
            refiner = self._model(request.refiner.model).name
            body["refiner_checkpoint"] = refiner
            body["refiner_switch_at"] = request.refiner.switch_at
        body["prompt"] = text
        self._extra(path, request.extra, body)
        expect = Expectation(
            size=size,
            seed=seed,
            asked_seed=request.seed,
            subseed=subseed,
            model=model,
            sampler=sampler,
            scheduler=scheduler,
            steps=request.steps,
            cfg_scale=request.cfg_scale,
            vae=vae,
            clip_skip=request.clip_skip,
            loras=prompt.loras,
            refiner=refiner,
            face_restoration=restorer,
        )
        return body, expect

    def _prompt(self, text: str) -> Any:
        has = self._has
        return translate(text, has.loras, has.hypernetworks, has.embeddings, self._where)

    def _name(self, what: str, name: str, known: tuple[Named, ...] | None, files: bool = True) -> str:
        return name if known is None else look_up(what, name, known, self._where, files).name

    def _hires_upscaler(self, name: str) -> str:
        modes, upscalers = self._has.latent_modes, self._has.upscalers
        if upscalers is None or (modes is None and name.casefold().startswith("latent")):
            return name  # a list is not known: the reply says what was used
        return self._name("hires upscaler", name, (*(modes or ()), *upscalers))

    def _model(self, name: str) -> Named:
        return (
            Named(name)
            if self._has.models is None
            else look_up("checkpoint", name, self._has.models, self._where)
        )

    def _scheduler(self, name: str) -> Named:
        known = self._has.schedulers
        return Named(name) if known is None else look_up("scheduler", name, known, self._where, files=False)

    def _sampler(self, name: str, scheduler: str) -> tuple[Named, Named | None]:
        """Sampler and scheduler; None: automatic. ``DPM++ 2M Karras``, as one before A1111 1.9, is taken apart
        where the server knows the parts, and put together where it has no schedulers."""
        samplers, schedulers = self._has.samplers, self._has.schedulers
        wants = scheduler if scheduler and scheduler != AUTOMATIC else ""
        if samplers is None:
            return Named(name), Named(wants) if wants else None
        if schedulers is None:
            if wants:
                joined = find(f"{name} {wants}", samplers, files=False)
                if joined:
                    return joined[0], None
                raise _bad(
                    f"scheduler {wants!r}: {self._where} has no schedulers beside its samplers (A1111 has them "
                    "from 1.9 on); set it to Automatic"
                )
            return look_up("sampler", name, samplers, self._where, files=False), None
        if not find(name, samplers, files=False):
            for known in schedulers:
                for label in (known.name, *known.aliases):
                    if not name.casefold().endswith(f" {label.casefold()}"):
                        continue
                    first = find(name[: -len(label) - 1], samplers, files=False)
                    if first and (not wants or self._scheduler(wants) == known):
                        return first[0], known
        sampler = look_up("sampler", name, samplers, self._where, files=False)
        return sampler, self._scheduler(wants) if wants else None

    def _vae(self, name: str, overrides: dict[str, Any]) -> str:
        """Puts the VAE into the overrides; returns what the infotext must name."""
        if not name:
            return ""
        has = self._has
        if name in (AUTOMATIC, "None"):
            if has.modules:
                return ""  # Forge: the checkpoint's own, unless modules are set
            if has.options.get("sd_vae", None) != name:
                overrides["sd_vae"] = name
            return ""
        vae = self._name("VAE", name, has.vaes)
        if has.modules:
            # Text encoders are modules too: those that are in use stay.
            encoders = {thing.name for thing in has.vaes or () if is_text_encoder(thing)}
            in_use = has.options.get("forge_additional_modules")
            names = [model_file(str(one)) for one in in_use] if isinstance(in_use, list) else []
            overrides["forge_additional_modules"] = [*(one for one in names if one in encoders), vae]
        elif has.options.get("sd_vae") != vae:
            overrides["sd_vae"] = vae
        return vae

    def _face_restoration(self, name: str, body: dict[str, Any], overrides: dict[str, Any]) -> str:
        if not name:
            return ""
        body["restore_faces"] = True
        if name == "default":
            return "default"
        restorer = self._name("face restorer", name, self._has.face_restorers, files=False)
        overrides["face_restoration_model"] = restorer
        return restorer

    def _field(self, path: str, name: str, value: Any) -> Any:
        if not self._has.takes(path, name):
            raise _bad(f"{self._where} does not know {name}: its version is too old for it")
        return value

    def _script_name(self, name: str) -> str:
        found = [thing.name for thing in self._has.scripts or () if thing.name.casefold() == name.casefold()]
        return found[0] if found else ""

    # --- ADetailer ----------------------------------------------------------------------------------------

    def _unit(self, unit: DetailUnit, number: int) -> dict[str, Any]:
        """One unit, checked: what ADetailer does not take it drops with a line on its own console."""
        where = f"ADetailer unit {number}"
        ranges = (
            ("confidence", unit.confidence, 0, 1),
            ("denoising_strength", unit.denoising_strength, 0, 1),
            ("mask_blur", unit.mask_blur, 0, 1024),
            ("padding", unit.padding, 0, 4096),
            ("steps", unit.steps, 0, 10_000),
            ("cfg_scale", unit.cfg_scale, 0, 1000),
            ("max_finds", unit.max_finds, 0, 10_000),
            ("min_ratio", unit.min_ratio, 0, 1),
            ("max_ratio", unit.max_ratio, unit.min_ratio, 1),
        )
        for key, value, least, most in ranges:
            if not least <= value <= most:  # also NaN
                raise _bad(f"{where}: {key} is {value:g}; it must be {least:g} to {most:g}")
        if not unit.model or unit.model == "None":
            raise _bad(f"{where}: no detection model is named")
        made: dict[str, Any] = {
            "ad_model": self._name("ADetailer model", unit.model, self._has.detectors),
            "ad_prompt": self._prompt(unit.prompt).text,
            "ad_negative_prompt": self._prompt(unit.negative_prompt).text,
            "ad_confidence": unit.confidence,
            "ad_dilate_erode": unit.dilate_erode,
            "ad_mask_blur": unit.mask_blur,
            "ad_denoising_strength": unit.denoising_strength,
            "ad_inpaint_only_masked": unit.only_masked,
            "ad_inpaint_only_masked_padding": unit.padding,
            "ad_mask_min_ratio": unit.min_ratio,
            "ad_mask_max_ratio": unit.max_ratio,
        }
        known = self._has.detailer_fields or UNIT_FIELDS
        if unit.max_finds:
            # Its name before ADetailer 24.8.
            old = "ad_mask_k" not in known and "ad_mask_k_largest" in known
            made["ad_mask_k_largest" if old else "ad_mask_k"] = unit.max_finds
            if not old and "ad_mask_filter_method" in known:
                made["ad_mask_filter_method"] = "Area"
        if unit.steps:
            made.update(ad_use_steps=True, ad_steps=unit.steps)
        if unit.cfg_scale:
            made.update(ad_use_cfg_scale=True, ad_cfg_scale=unit.cfg_scale)
        if unit.sampler:
            sampler, scheduler = self._sampler(unit.sampler, unit.scheduler)
            made.update(ad_use_sampler=True, ad_sampler=sampler.name)
            if scheduler is not None:
                made["ad_scheduler"] = scheduler.name
        elif unit.scheduler and unit.scheduler != AUTOMATIC:
            raise _bad(f"{where}: ADetailer takes a scheduler only together with a sampler; name one")
        for key in made:
            if key not in known:
                raise _bad(
                    f"{where}: the ADetailer of {self._where} does not know {key} and would drop the unit "
                    "without a word; update the extension, or leave the setting at its default"
                )
        return made

    # --- settings by their own names ------------------------------------------------------------------------

    def _extra(self, path: str, extra: Mapping[str, Any], body: dict[str, Any]) -> None:
        """Adds fields of the API by name. Raises for one that the server would ignore."""
        for key, value in extra.items():
            if key == "fault":  # of the embedded engine alone, as its docs say
                continue
            if key == "override_settings" and isinstance(value, Mapping):
                options = self._has.options
                for name in value:
                    if options and name not in options:
                        raise _bad(f"{self._where} has no setting {name!r}{nearest(name, options)}")
                body["override_settings"] = {**dict(value), **body.get("override_settings", {})}
            elif key == "alwayson_scripts" and isinstance(value, Mapping):
                body["alwayson_scripts"] = {self._script(name): script for name, script in value.items()}
            elif key in body:
                raise _bad(f"extra {key!r}: this is a setting of the stage; set it there")
            elif key == "script_name":
                body[key] = self._script(str(value))
            elif key in ("script_args", *_PASSED) or key in self._has.fields.get(path, ()):
                body[key] = self._field(path, key, value)
            else:
                known = self._has.fields.get(path, frozenset()) | _PASSED
                raise _bad(f"extra {key!r}: {self._where} has no such field{nearest(key, sorted(known))}")

    def _script(self, name: str) -> str:
        return self._name("script", name, self._has.scripts, files=False)


_PASSED = frozenset({
    "tiling", "eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond", "seed_resize_from_w",
    "seed_resize_from_h", "hr_prompt", "hr_negative_prompt", "image_cfg_scale", "initial_noise_multiplier",
    "distilled_cfg_scale", "hr_distilled_cfg", "hr_cfg",
})  # fmt: skip
"""Fields of sampling calls that servers have had for long, where a server does not list its fields. Those that
it lists and that are not here go through too."""


def model_file(path: str) -> str:
    """The last part of a path of any platform."""
    return path.replace("\\", "/").rpartition("/")[2]


def same_file(one: str, other: str) -> bool:
    """Whether two names mean one model file: without folder, ending, hash and case."""
    return model_name(one).casefold() == model_name(other).casefold()


def pad(image: Image, black: bool = False) -> Image:
    """``image`` with sides that are multiples of :data:`GRID`: its last row and column are repeated, or black
    added, at the right and at the bottom. RGB, or L for a mask."""
    from PIL import Image as images

    image = image.convert("L" if black else "RGB")
    width, height = (-(-side // GRID) * GRID for side in image.size)
    if (width, height) == image.size:
        return image
    wide = images.new(image.mode, (width, height))
    wide.paste(image, (0, 0))
    if not black:
        edge = image.crop((image.width - 1, 0, image.width, image.height))
        if width > image.width:
            wide.paste(edge.resize((width - image.width, image.height)), (image.width, 0))
        if height > image.height:
            row = wide.crop((0, image.height - 1, width, image.height))
            wide.paste(row.resize((width, height - image.height)), (0, image.height))
    return wide


def encode(image: Image) -> str:
    """Base64 of a PNG, quickly made: it only travels."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getbuffer()).decode("ascii")


def _bad(text: str) -> StageFailure:
    return StageFailure(FailureKind.BAD_INPUT, text)
