"""The backend's class: takes requests apart, runs passes, says what was used. Light to import."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from stablenew_api.backend import (
    Backend,
    BackendIdentity,
    Capabilities,
    Feature,
    GenerationResult,
    Hires,
    Img2ImgRequest,
    Txt2ImgRequest,
    UpscaleRequest,
)
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.jobs import FailureKind, JsonValue
from stablenew_plugins.backends.diffusion import folders, libs, tables
from stablenew_plugins.backends.diffusion.config import DiffusersConfig
from stablenew_plugins.backends.diffusion.memory import ran_out_of_memory
from stablenew_plugins.backends.diffusion.prompt import (
    Lora,
    PromptError,
    Schedule,
    clauses,
    take_loras,
    without_comments,
)

if TYPE_CHECKING:
    from PIL import Image

    from stablenew_api.backend import Progress
    from stablenew_api.cancel import CancelToken
    from stablenew_plugins.backends.diffusion.folders import Found
    from stablenew_plugins.backends.diffusion.pipelines import Loaded, Shelf
    from stablenew_plugins.backends.diffusion.sampling import GuideAt, Leg
    from stablenew_plugins.backends.diffusion.textcoder import Embeddings, Encoded

log = logging.getLogger(__name__)

VERSION = "1.0"

SMALLEST, LARGEST = 64, 8192
"""Sides of a picture, in pixels."""
UNTILED = 1536 * 1536
"""Pixels of a picture beyond which the VAE works in tiles: in one piece it would take more than the UNet."""
_IGNORED = frozenset({"fault"})
"""Extra settings that are meant for another backend alone and change no picture here."""


@dataclass(frozen=True, slots=True)
class _Names:
    """What is in the folders."""

    models: Mapping[str, Found]
    vaes: Mapping[str, Found]
    loras: Mapping[str, Found]
    embeddings: Mapping[str, Found]


@dataclass(slots=True)
class _Job:
    """One call, while it runs."""

    request: Txt2ImgRequest | Img2ImgRequest
    prompt: str
    loras: tuple[tuple[Lora, Found], ...]
    choice: tables.Choice
    progress: Progress
    cancel: CancelToken
    steps: int = 0
    """Of all passes together."""
    done: int = 0
    """Steps of the passes that are over."""

    def reporter(self) -> Callable[[int, Callable[[], Image.Image]], None]:
        """What a pass calls after each step."""
        before = self.done

        def report(done: int, preview: Callable[[], Image.Image]) -> None:
            self.done = before + done
            self.cancel.raise_if_cancelled()
            self.progress(self.done, self.steps, preview() if self.progress.wants_preview() else None)

        return report


class DiffusersBackend(Backend):
    """Stable Diffusion in process, by Hugging Face's diffusers."""

    name: ClassVar[str] = "diffusers"
    version: ClassVar[str] = VERSION
    title: ClassVar[str] = "diffusers (in process)"
    Config: ClassVar[type[BaseModel]] = DiffusersConfig
    offers: ClassVar[frozenset[str]] = frozenset(
        {
            Feature.TXT2IMG,
            Feature.IMG2IMG,
            Feature.INPAINT,
            Feature.UPSCALE,
            Feature.MODEL,
            Feature.VAE,
            Feature.LORA,
            Feature.EMBEDDING,
            Feature.CLIP_SKIP,
            Feature.SUBSEED,
            Feature.HIRES,
            Feature.HIRES_MODEL,
            Feature.REFINER,
        }
    )

    def __init__(self, config: BaseModel) -> None:
        super().__init__(config)
        assert isinstance(config, DiffusersConfig)
        self.options = config
        self._hashes = folders.Hashes()
        self._shelf_made: Shelf | None = None
        self._names: _Names | None = None

    # --- who and what -----------------------------------------------------------------------------------------

    def identify(self) -> BackendIdentity:
        """diffusers' version, torch's, and the device. Raises StageFailure(BACKEND) that says what to
        install."""
        torch = libs.load_torch()
        device = libs.pick_device(torch, self.options.device)
        where = f"CUDA, {torch.cuda.get_device_name()}" if device == "cuda" else device
        return BackendIdentity(
            self.name, libs.version_of("diffusers"), note=f"torch {torch.__version__} on {where}"
        )

    def capabilities(self) -> Capabilities:
        """What is in the folders now, and the samplers whose libraries are there."""
        libs.require()
        names = self._names = self._look()
        features = self.offers if libs.installed("peft") else self.offers - {Feature.LORA}
        return Capabilities(
            features=features,
            models=tuple(names.models),
            vaes=tuple(names.vaes),
            samplers=self._samplers(),
            schedulers=("Automatic", *tables.SCHEDULES),
            upscalers=tuple(tables.UPSCALERS),
            hires_upscalers=(*tables.LATENT_MODES, *tables.UPSCALERS),
            loras=tuple(names.loras) if Feature.LORA in features else (),
            embeddings=tuple(item.name.rpartition("/")[2] for item in names.embeddings.values()),
        )

    def _samplers(self) -> tuple[str, ...]:
        return tuple(
            name for name, kind in tables.SAMPLERS.items() if not kind.needs or libs.installed(kind.needs)
        )

    def _look(self) -> _Names:
        options = self.options
        return _Names(
            folders.find_models(options.models),
            folders.find_vaes(options.vaes),
            folders.find_files(options.loras, folders.CHECKPOINTS),
            folders.find_files(options.embeddings, folders.EMBEDDINGS),
        )

    # --- calls ------------------------------------------------------------------------------------------------

    def txt2img(self, request: Txt2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A picture of the prompt, with a hires pass if one is asked for."""
        with self._translated():
            job = self._job(request, progress, cancel)
            _check_size(request.width, request.height)
            return self._txt2img(job, request)

    def img2img(self, request: Img2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """The image drawn over, under the mask if there is one; strength 0 returns its pixels, as RGB."""
        with self._translated():
            job = self._job(request, progress, cancel)
            return self._img2img(job, request)

    def upscale(self, request: UpscaleRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A larger (or smaller) copy by one of Pillow's filters; no network."""
        from PIL import Image as Images

        cancel.raise_if_cancelled()
        self.refuse_unknown(request, self.offers)
        _refuse_extra(request.extra)
        upscaler = tables.look_up("upscaler", request.upscaler, tables.UPSCALERS)
        image = request.image.convert("RGB")
        size = tuple(max(1, round(side * request.scale)) for side in image.size)
        if request.scale <= 0 or max(size) > 2 * LARGEST:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"{image.width} x {image.height} cannot be enlarged by {request.scale:g}: the result's "
                f"sides may have 1 to {2 * LARGEST} pixels",
            )
        made = image.resize((size[0], size[1]), Images.Resampling[tables.UPSCALERS[upscaler]])
        cancel.raise_if_cancelled()
        progress(1, 1)
        info: dict[str, JsonValue] = {
            "Size": f"{made.width}x{made.height}",
            "Postprocess upscale by": _plain(request.scale),
            "Postprocess upscaler": upscaler,
        }
        return GenerationResult(made, info)

    def free_memory(self) -> None:
        """Let go of every loaded checkpoint."""
        if self._shelf_made is not None:
            self._shelf_made.clear()

    def close(self) -> None:
        """Let go of everything."""
        self.free_memory()
        self._hashes.close()

    # --- before a call ----------------------------------------------------------------------------------------

    @property
    def _shelf(self) -> Shelf:
        """Where the checkpoints are. Imports torch and diffusers at the first call."""
        if self._shelf_made is None:
            from stablenew_plugins.backends.diffusion.pipelines import Shelf

            loaded = libs.load(self.options.allow_download)
            device = libs.pick_device(loaded.torch, self.options.device)
            dtype = libs.pick_dtype(loaded.torch, self.options.dtype, device)
            self._shelf_made = Shelf(loaded, self.options, device, dtype, self._hashes)
        return self._shelf_made

    @property
    def _known(self) -> _Names:
        if self._names is None:
            self._names = self._look()
        return self._names

    def _find(self, kind: str, name: str, where: str) -> Found:
        """A file by its name; the folders are looked through again before it is refused."""
        try:
            return folders.choose(kind, name, getattr(self._known, where))
        except StageFailure:
            self._names = self._look()
            return folders.choose(kind, name, getattr(self._names, where))

    def _model(self, name: str) -> Found:
        if not name:
            name = self.options.default_model or next(iter(self._known.models), "")
        if not name:
            raise StageFailure(
                FailureKind.BACKEND,
                "the diffusers backend has no model; give the agent a folder that has one: "
                "--backend-option models=FOLDER",
            )
        if self.options.allow_download and name not in self._known.models:
            from stablenew_plugins.backends.diffusion.pipelines import hub_name

            if (remote := hub_name(name)) is not None:
                return remote
        return self._find("model", name, "models")

    def _job(self, request: Txt2ImgRequest | Img2ImgRequest, progress: Progress, cancel: CancelToken) -> _Job:
        """Everything that can be refused without a model is refused here."""
        cancel.raise_if_cancelled()
        libs.require()
        self.refuse_unknown(request, self.offers)
        _refuse_extra(request.extra)
        if request.steps < 1:
            raise StageFailure(FailureKind.BAD_INPUT, f"{request.steps} steps: at least 1 is needed")
        if request.subseed_strength > 0 and request.subseed < 0:
            raise StageFailure(
                FailureKind.BAD_INPUT, "a variation strength without a variation seed; give both or none"
            )
        choice = tables.choose(request.sampler, request.scheduler, self._samplers())
        prompt, tags = take_loras(without_comments(request.prompt))
        if tags and not libs.installed("peft"):
            raise StageFailure(FailureKind.BACKEND, f"LoRAs need the library peft; {libs.HOW}")
        loras = tuple((tag, self._find("LoRA", tag.name, "loras")) for tag in tags)
        return _Job(request, prompt, loras, choice, progress, cancel)

    # --- txt2img and hires ------------------------------------------------------------------------------------

    def _txt2img(self, job: _Job, request: Txt2ImgRequest) -> GenerationResult:
        from stablenew_plugins.backends.diffusion import sampling

        hires = request.hires
        width, height = request.width, request.height
        final = hires.size(width, height) if hires else (width, height)
        if hires:
            _check_size(*final)
            second = self._hires_choice(job, hires)
            hires_steps = hires.steps or request.steps
            skipped = sampling.skipped_steps(hires_steps, hires.denoising_strength)
            if hires.upscaler not in tables.LATENT_MODES:
                tables.look_up("upscaler", hires.upscaler, (*tables.LATENT_MODES, *tables.UPSCALERS))
        draws_again = hires is not None and hires.denoising_strength > 0
        job.steps = request.steps + (hires_steps - skipped if draws_again else 0)

        run = _Run(self, job)
        loaded = run.load(request.model, width * height)
        noise, source = run.noise(loaded, width, height)
        legs = run.legs(loaded, request.steps, refine=hires is None)
        blank = run.blank(loaded, width, height)
        latents = run.sample(
            sampling.Pass(
                legs,
                job.choice,
                request.steps,
                request.cfg_scale,
                width,
                height,
                request.seed,
                noise,
                mask=blank[0],
                masked_image=blank[1],
            ),
            source,
        )
        info = self._info(job, loaded, (width, height), run.embeddings)  # as A1111: of the first pass
        if hires:
            last = run.load(hires.model, final[0] * final[1], pinned=(loaded,)) if hires.model else loaded
            latents = run.enlarge(latents, loaded, last, hires, final)
            if draws_again:
                noise, source = run.noise(last, *final)
                legs = run.legs(last, hires_steps, refine=True, base=request.steps)
                blank = run.blank(last, *final)
                latents = run.sample(
                    sampling.Pass(
                        legs,
                        second,
                        hires_steps,
                        request.cfg_scale,
                        *final,
                        request.seed,
                        noise,
                        skipped=skipped,
                        image=latents,
                        mask=blank[0],
                        masked_image=blank[1],
                    ),
                    source,
                )
            loaded = last
            info |= _hires_info(job, hires, second, last)
        return run.finish(loaded, latents, info)

    def _hires_choice(self, job: _Job, hires: Hires) -> tables.Choice:
        if not hires.sampler and not hires.scheduler:
            return job.choice
        return tables.choose(
            hires.sampler or job.choice.sampler,
            hires.scheduler or ("Automatic" if hires.sampler else job.request.scheduler),
            self._samplers(),
        )

    # --- img2img and inpainting -------------------------------------------------------------------------------

    def _img2img(self, job: _Job, request: Img2ImgRequest) -> GenerationResult:
        from PIL import Image as Images

        from stablenew_plugins.backends.diffusion import sampling

        original = request.image.convert("RGB")
        mask = request.mask.convert("L") if request.mask is not None else None
        if mask is not None and mask.size != original.size:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"the mask has {mask.width} x {mask.height} pixels and the image {original.width} x "
                f"{original.height}; they must be of one size",
            )
        if min(original.size) < 8 or max(original.size) > LARGEST:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"an image of {original.width} x {original.height} cannot be drawn over; sides go from 8 to "
                f"{LARGEST}",
            )
        skipped = sampling.skipped_steps(request.steps, request.denoising_strength)
        drawn = request.denoising_strength > 0 and (mask is None or mask.getbbox() is not None)
        job.steps = request.steps - skipped

        run = _Run(self, job)
        loaded = run.load(request.model, original.width * original.height)
        wide, high = (-(-side // loaded.scale) * loaded.scale for side in original.size)
        image = _padded(original, wide, high)
        cover = _padded(mask, wide, high) if mask is not None else None
        info = self._info(job, loaded, original.size, run.embeddings)
        info["Denoising strength"] = _plain(request.denoising_strength)
        if not drawn:
            job.progress(job.steps, job.steps)
            job.progress.received()
            return GenerationResult(original, run.with_hashes(info), 0)
        latents = run.encode(loaded, image)
        noise, source = run.noise(loaded, wide, high)
        blank = run.blank(loaded, wide, high) if cover is None else run.covered(loaded, image, cover)
        work = sampling.Pass(
            run.legs(loaded, request.steps, refine=True),
            job.choice,
            request.steps,
            request.cfg_scale,
            wide,
            high,
            request.seed,
            noise,
            skipped=skipped,
            image=latents,
            mask=blank[0],
            masked_image=blank[1],
        )
        made = run.finish(loaded, run.sample(work, source), info)
        picture = made.image.crop((0, 0, *original.size))
        if mask is not None:
            picture = Images.composite(picture, original, mask)
        return GenerationResult(picture, made.info, made.peak_vram_bytes)

    # --- after a call -----------------------------------------------------------------------------------------

    def _info(
        self, job: _Job, loaded: Loaded, size: tuple[int, int], embeddings: Embeddings
    ) -> dict[str, JsonValue]:
        """Infotext keys in the WebUI's order; hashes are put in at the end."""
        from stablenew_plugins.backends.diffusion.sampling import SEEDS

        request = job.request
        info: dict[str, JsonValue] = {
            "Steps": request.steps,
            "Sampler": job.choice.sampler,
            "Schedule type": job.choice.schedule,
            "CFG scale": _plain(request.cfg_scale),
            "Seed": request.seed % SEEDS,
            "Size": f"{size[0]}x{size[1]}",
            "Model hash": "",
            "Model": loaded.name,
        }
        if loaded.vae:
            info |= {"VAE hash": "", "VAE": loaded.vae}
        if request.subseed_strength > 0:
            info["Variation seed"] = request.subseed % SEEDS
            info["Variation seed strength"] = _plain(request.subseed_strength)
        if request.clip_skip > 1:
            info["Clip skip"] = request.clip_skip
        info["RNG"] = "CPU"
        if request.refiner is not None:
            info["Refiner"] = request.refiner.model
            info["Refiner switch at"] = _plain(request.refiner.switch_at)
        return info

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Whatever goes wrong inside leaves as Cancelled or as a StageFailure; memory that ran out is freed."""
        try:
            yield
            return
        except (Cancelled, StageFailure):
            raise
        except PromptError as error:
            raise StageFailure(FailureKind.BAD_INPUT, f"prompt: {error}") from error
        except Exception as error:
            detail = "".join(traceback.format_exception(error))
            ran_out, kind, text = ran_out_of_memory(error), type(error).__name__, _short(error)
            traceback.clear_frames(error.__traceback__)  # they hold tensors
        if ran_out:
            self.free_memory()
            raise StageFailure(
                FailureKind.OUT_OF_MEMORY,
                f"out of memory: {text}; make the picture smaller, or set the option offload to model or "
                "sequential",
                detail,
            )
        raise StageFailure(FailureKind.BACKEND, f"diffusers: {kind}: {text}", detail)


class _Run:
    """What the passes of one call share. Made inside ``_translated``."""

    def __init__(self, backend: DiffusersBackend, job: _Job) -> None:
        from stablenew_plugins.backends.diffusion.textcoder import Embeddings

        self._backend, self._job = backend, job
        self._shelf = backend._shelf
        self._libs = libs.load(backend.options.allow_download)
        self._torch = self._libs.torch
        self._encoded: dict[tuple[int, str], Encoded] = {}
        self._hashes: dict[str, list[tuple[str, Future[str]]]] = {}
        self.embeddings = Embeddings(self._torch, backend._known.embeddings)
        if self._torch.cuda.is_available():
            self._torch.cuda.reset_peak_memory_stats()

    def load(self, name: str, pixels: int, pinned: Sequence[Loaded] = (), plain: bool = False) -> Loaded:
        """The checkpoint called so, with the VAE and the LoRAs of the request; ``plain``: without LoRAs."""
        backend, request = self._backend, self._job.request
        loaded = self._shelf.get(backend._model(name), pixels, self._job.cancel, pinned)
        vae = request.vae if request.vae not in ("", "Automatic", "None") else ""
        found = backend._find("VAE", vae, "vaes") if vae else None
        self._shelf.use_vae(loaded, found)
        self._shelf.use_loras(loaded, () if plain else self._job.loras)
        if loaded.hash is not None:
            self._hashes.setdefault("Model hash", [("", loaded.hash)])
        if found is not None and not found.folder:
            self._hashes["VAE hash"] = [("", backend._hashes.model(found.path))]
        return loaded

    def legs(self, loaded: Loaded, steps: int, refine: bool, base: int = 0) -> list[Leg]:
        """Who samples from which step on. ``base``: steps of the pass before."""
        from stablenew_plugins.backends.diffusion.sampling import Leg

        legs = [Leg(loaded, self._guides(loaded, steps, base))]
        refiner = self._job.request.refiner
        if refine and refiner is not None:
            other = self.load(refiner.model, 0, pinned=(loaded,), plain=True)
            if other.family != loaded.family:
                raise StageFailure(
                    FailureKind.BAD_INPUT,
                    f"{other.name} cannot refine {loaded.name}: the two are of different families",
                )
            begins = math.ceil(round(refiner.switch_at * steps, 6))
            legs.append(Leg(other, self._guides(other, steps, base), begins))
        return legs

    def _guides(self, loaded: Loaded, steps: int, base: int) -> GuideAt:
        """The texts of each step, encoded; all of them before the first step, so that the text encoder has to
        be on the device only once."""
        from stablenew_plugins.backends.diffusion.sampling import Guide

        request = self._job.request
        wanted = [(Schedule(clause.text), clause.weight) for clause in clauses(self._job.prompt)]
        unwanted = Schedule(without_comments(request.negative_prompt))
        changes = unwanted.changes or any(schedule.changes for schedule, _ in wanted)

        def guide(step: int) -> Guide:
            texts = tuple(
                (self._encode(loaded, schedule.at(step, steps, base)), weight) for schedule, weight in wanted
            )
            negative = unwanted.at(step, steps, base)
            if not negative.strip() and loaded.pipe.config.get("force_zeros_for_empty_prompt", False):
                first = texts[0][0]
                return Guide(texts, _zeros(self._torch, first))
            return Guide(texts, self._encode(loaded, negative))

        made = [guide(step) for step in range(1, (steps if changes else 1) + 1)]
        return lambda step: made[step - 1] if changes else made[0]

    def _encode(self, loaded: Loaded, text: str) -> Encoded:
        from stablenew_plugins.backends.diffusion.textcoder import joined

        key = (id(loaded), text)
        if key not in self._encoded:
            self._job.cancel.raise_if_cancelled()
            with self._torch.no_grad():
                parts = [
                    coder.encode(text, self._job.request.clip_skip, self.embeddings, loaded.device)
                    for coder in loaded.coders
                ]
                self._encoded[key] = joined(self._torch, parts, loaded.pipe.unet.dtype)
        return self._encoded[key]

    def noise(self, loaded: Loaded, width: int, height: int) -> tuple[Any, Any]:
        """The first noise of a pass, and the generator for the rest of it."""
        from stablenew_plugins.backends.diffusion.sampling import first_noise

        request = self._job.request
        channels = int(loaded.pipe.vae.config.latent_channels)
        shape = (channels, height // loaded.scale, width // loaded.scale)
        return first_noise(self._torch, shape, request.seed, request.subseed, request.subseed_strength)

    def sample(self, work: Any, source: Any) -> Any:
        """Latents of a pass."""
        from stablenew_plugins.backends.diffusion.sampling import sample

        with self._torch.no_grad():
            return sample(
                self._torch, self._libs.diffusers, work, source, self._job.reporter(), self._job.cancel
            )

    def encode(self, loaded: Loaded, image: Image.Image) -> Any:
        """Latents of an image."""
        from stablenew_plugins.backends.diffusion.sampling import encode

        self._job.cancel.raise_if_cancelled()
        _tile(loaded, image.width * image.height)
        with self._torch.no_grad():
            return encode(self._torch, loaded, image)

    def decode(self, loaded: Loaded, latents: Any) -> Any:
        """Pixels of latents, in main memory."""
        from stablenew_plugins.backends.diffusion.sampling import decode

        self._job.cancel.raise_if_cancelled()
        _tile(loaded, latents.shape[-1] * latents.shape[-2] * loaded.scale**2)
        with self._torch.no_grad():
            return decode(self._torch, loaded, latents)

    def blank(self, loaded: Loaded, width: int, height: int) -> tuple[Any, Any]:
        """Mask and masked image for a model made for inpainting, when everything is drawn."""
        from PIL import Image as Images

        if not loaded.inpaints:
            return None, None
        grey = Images.new("RGB", (width, height), (128, 128, 128))
        latents = self.encode(loaded, grey)
        return self._torch.ones_like(latents[:, :1]), latents

    def covered(self, loaded: Loaded, image: Image.Image, mask: Image.Image) -> tuple[Any, Any]:
        """The mask in latents, and for a model made for inpainting the image without what it covers."""
        from PIL import Image as Images

        from stablenew_plugins.backends.diffusion.sampling import latent_mask

        cover = latent_mask(self._torch, mask, loaded.scale)
        if not loaded.inpaints:
            return cover, None
        hard = mask.point(lambda value: 255 if value else 0)
        grey = Images.new("RGB", image.size, (128, 128, 128))
        return cover, self.encode(loaded, Images.composite(grey, image, hard))

    def enlarge(self, latents: Any, first: Loaded, last: Loaded, hires: Hires, size: tuple[int, int]) -> Any:
        """Latents of the first pass at the hires pass's ``size``; sides that do not fit are cut at the
        middle."""
        from PIL import Image as Images
        from PIL import ImageOps

        width, height = size
        if hires.upscaler in tables.LATENT_MODES and first.family == last.family:
            mode, smooth = tables.LATENT_MODES[hires.upscaler]
            high, wide = latents.shape[-2] * first.scale, latents.shape[-1] * first.scale
            factor = max(width / wide, height / high)
            cover = (
                max(height, round(high * factor)) // first.scale,
                max(width, round(wide * factor)) // first.scale,
            )
            options = {"antialias": smooth} if mode in ("bilinear", "bicubic") else {}
            larger = self._torch.nn.functional.interpolate(latents.float(), size=cover, mode=mode, **options)
            top, left = (cover[0] - height // first.scale) // 2, (cover[1] - width // first.scale) // 2
            return larger[:, :, top : top + height // first.scale, left : left + width // first.scale]
        if hires.upscaler in tables.LATENT_MODES:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"hires: {hires.upscaler} cannot go from {first.name} to {last.name}, which are of "
                "different families; use an upscaler of images, such as Lanczos",
            )
        name = tables.look_up("upscaler", hires.upscaler, tables.UPSCALERS)
        image = Images.fromarray(self.decode(first, latents))
        return self.encode(last, ImageOps.fit(image, size, Images.Resampling[tables.UPSCALERS[name]]))

    def finish(self, loaded: Loaded, latents: Any, info: dict[str, JsonValue]) -> GenerationResult:
        """The picture. The device is done when its pixels are in main memory."""
        from PIL import Image as Images

        pixels = self.decode(loaded, latents)
        flagged = self._flagged(loaded, pixels)
        loaded.pipe.maybe_free_model_hooks()
        peak = self._torch.cuda.max_memory_allocated() if self._torch.cuda.is_available() else 0
        self._job.progress.received()
        if flagged:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"the safety checker that came with {loaded.name} refuses this picture; change the prompt "
                "or the seed, or take safety_checker out of its model_index.json",
            )
        return GenerationResult(Images.fromarray(pixels), self.with_hashes(info), int(peak))

    def _flagged(self, loaded: Loaded, pixels: Any) -> bool:
        from PIL import Image as Images

        checker = getattr(loaded.pipe, "safety_checker", None)
        if checker is None:
            return False
        with self._torch.no_grad():
            seen = loaded.pipe.feature_extractor(Images.fromarray(pixels), return_tensors="pt").to(
                loaded.device
            )
            _, flags = checker(
                images=[pixels.astype("float32") / 255], clip_input=seen.pixel_values.to(checker.dtype)
            )
        return any(flags)

    def with_hashes(self, info: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """``info`` with what was hashed meanwhile, and who made it. Waits for the hashes; needs no device."""
        for key, parts in self._hashes.items():
            if key in info:
                info[key] = parts[0][1].result()
        hashes = self._backend._hashes
        if self._job.loras:
            info["Lora hashes"] = _listed(
                (lora.name, hashes.lora(found.path)) for lora, found in self._job.loras
            )
        if self.embeddings.used:
            info["TI hashes"] = _listed(
                (name.rpartition("/")[2], hashes.embedding(path)) for name, path in self.embeddings.used.items()
            )
        info["Version"] = f"diffusers {libs.version_of('diffusers')}"
        return {key: value for key, value in info.items() if value != ""}


def _tile(loaded: Loaded, pixels: int) -> None:
    vae = loaded.pipe.vae
    if pixels > UNTILED:
        vae.enable_tiling()
    else:
        vae.disable_tiling()


def _listed(hashes: Iterator[tuple[str, Future[str]]]) -> str:
    return ", ".join(f"{name}: {later.result()}" for name, later in list(hashes))


def _zeros(torch: Any, like: Encoded) -> Encoded:
    """What SDXL is told for an empty negative prompt."""
    from stablenew_plugins.backends.diffusion.textcoder import Encoded

    pooled = None if like.pooled is None else torch.zeros_like(like.pooled)
    return Encoded(torch.zeros_like(like.hidden), pooled)


def _hires_info(job: _Job, hires: Hires, choice: tables.Choice, last: Loaded) -> dict[str, JsonValue]:
    info: dict[str, JsonValue] = {"Denoising strength": _plain(hires.denoising_strength)}
    if hires.width or hires.height:
        info["Hires resize"] = f"{hires.width}x{hires.height}"
    else:
        info["Hires upscale"] = _plain(hires.scale)
    if hires.steps:
        info["Hires steps"] = hires.steps
    info["Hires upscaler"] = hires.upscaler
    if hires.sampler:
        info["Hires sampler"] = choice.sampler
    if hires.scheduler:
        info["Hires schedule type"] = choice.schedule
    if hires.model:
        info["Hires checkpoint"] = last.name
    return info


def _check_size(width: int, height: int) -> None:
    if width % 8 or height % 8 or min(width, height) < SMALLEST or max(width, height) > LARGEST:
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"{width} x {height}: sides must be multiples of 8 from {SMALLEST} to {LARGEST} pixels",
        )


def _refuse_extra(extra: Mapping[str, JsonValue]) -> None:
    """Settings that this backend does not know; those that are off anyway are none."""
    unknown = [
        name for name, value in extra.items() if name not in _IGNORED and value not in (None, False, "", 0)
    ]
    if unknown:
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"the diffusers backend has no setting {', '.join(sorted(unknown))}; leave it out",
        )


def _padded(image: Image.Image, width: int, height: int) -> Image.Image:
    """``image`` with its last row and column repeated to the right and below."""
    from PIL import Image as Images

    if image.size == (width, height):
        return image
    wide, high = image.size
    grown = Images.new(image.mode, (width, height))
    grown.paste(image, (0, 0))
    if width > wide:
        grown.paste(image.crop((wide - 1, 0, wide, high)).resize((width - wide, high)), (wide, 0))
    if height > high:
        grown.paste(grown.crop((0, high - 1, width, high)).resize((width, height - high)), (0, high))
    return grown


def _plain(number: float) -> float | int:
    """7.0 as 7, as the WebUI writes it."""
    return int(number) if float(number).is_integer() else number


def _short(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")[:500]
