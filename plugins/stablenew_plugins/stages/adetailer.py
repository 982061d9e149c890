"""adetailer: faces (with the extension also hands and persons) found and drawn anew.

Where the backend has the ADetailer extension, that does it. Elsewhere the stage does: a detector on the node
finds, the backend draws each find anew under a mask (inpainting), and the stage puts it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AliasChoices, Field, field_validator

from stablenew_api.backend import (
    Capabilities,
    DetailRequest,
    DetailUnit,
    Feature,
    Img2ImgRequest,
    Request,
)
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, JsonValue, Needs
from stablenew_api.samplers import AUTOMATIC
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage, marks
from stablenew_plugins import detectors
from stablenew_plugins.stages.common import (
    CFG_HELP,
    DENOISE_HELP,
    MODEL_HELP,
    NO_IMAGE,
    NO_TEXTS,
    SAMPLER_HELP,
    SCHEDULER_HELP,
    STEPS_HELP,
    PartReport,
    PlainTexts,
    Texts,
    chosen,
    needs_of,
    only_image,
)
from stablenew_plugins.stages.finds import USUAL, cut, grown, ordered, patch, put_back
from stablenew_plugins.stages.unittexts import joined, of_find, parted
from stablenew_plugins.vram import sampling_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

_MORE = marks(advanced=True)


class UnitConfig(StageConfig):
    """One unit: what is looked for, and how it is drawn anew. Names are those that presets have; the ones of
    the extension (``ad_...``) are read too."""

    adetailer_model: str = Field(
        "face_yolov8n.pt",
        min_length=1,
        title="Detection model",
        description="What is looked for, by the name of ADetailer's model. Without the extension: faces only.",
        validation_alias=AliasChoices("adetailer_model", "ad_model", "model"),
        json_schema_extra=marks(choices="detectors"),
    )
    adetailer_prompt: str = Field(
        "",
        title="Prompt",
        description="Of what is drawn. Empty: the row's. [PROMPT] stands for the row's, [SEP] separates the "
        "texts of several finds (left to right), [SKIP] leaves one out.",
        validation_alias=AliasChoices("adetailer_prompt", "ad_prompt"),
    )
    adetailer_negative_prompt: str = Field(
        "",
        title="Negative prompt",
        description="Empty: the row's. [PROMPT] and [SEP] as in the prompt.",
        validation_alias=AliasChoices("adetailer_negative_prompt", "ad_negative_prompt"),
    )
    adetailer_confidence: float = Field(
        0.3,
        ge=0,
        le=1,
        title="Confidence",
        description="Less certain finds do not count.",
        validation_alias=AliasChoices("adetailer_confidence", "ad_confidence", "conf"),
    )
    adetailer_denoise: float = Field(
        0.4,
        ge=0,
        le=1,
        title="Denoising strength",
        description=DENOISE_HELP,
        validation_alias=AliasChoices("adetailer_denoise", "ad_denoising_strength", "strength"),
    )
    adetailer_steps: int = Field(
        20,
        ge=1,
        le=150,
        title="Steps",
        description=STEPS_HELP,
        validation_alias=AliasChoices("adetailer_steps", "ad_steps"),
    )
    adetailer_cfg: float = Field(
        7.0,
        ge=1,
        le=30,
        title="CFG scale",
        description=CFG_HELP,
        validation_alias=AliasChoices("adetailer_cfg", "ad_cfg_scale"),
    )
    adetailer_sampler: str = Field(
        "DPM++ 2M",
        min_length=1,
        title="Sampler",
        description=SAMPLER_HELP,
        validation_alias=AliasChoices("adetailer_sampler", "ad_sampler"),
        json_schema_extra=marks(choices="samplers"),
    )
    adetailer_scheduler: str = Field(
        AUTOMATIC,
        min_length=1,
        title="Scheduler",
        description=SCHEDULER_HELP,
        validation_alias=AliasChoices("adetailer_scheduler", "ad_scheduler"),
        json_schema_extra=marks(choices="schedulers"),
    )
    adetailer_mask_feather: int = Field(
        4,
        ge=0,
        le=64,
        title="Mask blur",
        description="How soft the edge of the mask is, in pixels.",
        validation_alias=AliasChoices("adetailer_mask_feather", "ad_mask_blur"),
        json_schema_extra=marks(advanced=True, unit="px"),
    )
    ad_dilate_erode: int = Field(
        4,
        ge=-128,
        le=128,
        title="Dilate or erode",
        description="Pixels by which the mask grows; below 0 it shrinks.",
        validation_alias=AliasChoices("ad_dilate_erode", "dilation"),
        json_schema_extra=marks(advanced=True, unit="px"),
    )
    ad_inpaint_only_masked: bool = Field(
        True,
        title="Only what is masked",
        description="Each find is drawn alone and large; off: the whole picture is, under the mask.",
        json_schema_extra=_MORE,
    )
    ad_inpaint_only_masked_padding: int = Field(
        32,
        ge=0,
        le=256,
        title="Padding",
        description="Pixels around a find that are seen when it is drawn.",
        json_schema_extra=marks(advanced=True, only_with="ad_inpaint_only_masked", unit="px"),
    )
    ad_mask_k_largest: int = Field(
        0,
        ge=0,
        le=100,
        title="Largest only",
        description="Only so many finds, the largest; 0: all.",
        json_schema_extra=_MORE,
    )
    max_detections: int = Field(
        0,
        ge=0,
        le=100,
        title="Most finds",
        description="The same under an older name; the smaller of the two counts, 0 means all.",
        json_schema_extra=_MORE,
    )
    ad_mask_min_ratio: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Least area",
        description="Of a find, as a part of the picture.",
        json_schema_extra=_MORE,
    )
    ad_mask_max_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        title="Greatest area",
        description="Of a find, as a part of the picture.",
        json_schema_extra=_MORE,
    )

    def unit(self, prompt: str, negative_prompt: str) -> DetailUnit:
        """The unit with its final prompts."""
        limits = [count for count in (self.ad_mask_k_largest, self.max_detections) if count]
        return DetailUnit(
            model=self.adetailer_model,
            prompt=prompt,
            negative_prompt=negative_prompt,
            confidence=self.adetailer_confidence,
            denoising_strength=self.adetailer_denoise,
            mask_blur=self.adetailer_mask_feather,
            dilate_erode=self.ad_dilate_erode,
            only_masked=self.ad_inpaint_only_masked,
            padding=self.ad_inpaint_only_masked_padding,
            steps=self.adetailer_steps,
            cfg_scale=self.adetailer_cfg,
            sampler=self.adetailer_sampler,
            scheduler=self.adetailer_scheduler,
            max_finds=min(limits, default=0),
            min_ratio=self.ad_mask_min_ratio,
            max_ratio=self.ad_mask_max_ratio,
        )


class ADetailerConfig(UnitConfig):
    """Settings of adetailer: those of the first unit, the further ones, and what all share."""

    units: tuple[UnitConfig, ...] = Field(
        (),
        max_length=9,
        title="Further units",
        description="Each an object with the settings of a unit; they run in their order, after the first.",
        json_schema_extra=_MORE,
    )
    detector: Literal["auto", "extension", "own"] = Field(
        "auto",
        title="Done by",
        description="extension: ADetailer in the WebUI. own: StableNew, with the node's face detector and "
        "inpainting. auto: the extension where it is, else StableNew.",
        json_schema_extra=_MORE,
    )
    checkpoint: str = Field(
        "",
        title="Checkpoint",
        description=MODEL_HELP,
        validation_alias=AliasChoices("checkpoint", "ad_checkpoint"),
        json_schema_extra=marks(advanced=True, choices="models"),
    )
    vae: str = Field(
        "",
        title="VAE",
        description="By name. Empty: the one that belongs to the checkpoint.",
        validation_alias=AliasChoices("vae", "vae_name", "ad_vae"),
        json_schema_extra=marks(advanced=True, choices="vaes"),
    )
    clip_skip: int = Field(
        1,
        ge=1,
        le=12,
        title="Clip skip",
        description="Layers of the text encoder that are left out at its end; 1: none.",
        validation_alias=AliasChoices("clip_skip", "ad_clip_skip"),
        json_schema_extra=_MORE,
    )
    working_size: int = Field(
        0,
        ge=0,
        le=2048,
        multiple_of=8,
        title="Size of a find",
        description="Pixels of its longer side when it is drawn; the extension decides for itself. 0: as the "
        "picture's shorter side, from 512 to 1024.",
        json_schema_extra=marks(advanced=True, unit="px"),
    )

    @field_validator("checkpoint", "vae")
    @classmethod
    def _as_in_the_picture(cls, value: str) -> str:
        """How the extension writes that it takes what the picture has."""
        return "" if value in ("Use same checkpoint", "Use same VAE") else value

    def all_units(self, texts: Texts) -> tuple[DetailUnit, ...]:
        """Every unit with its final prompts. Raises StageFailure(BAD_INPUT) for prompts of other units."""
        configs = (self, *self.units)
        try:
            prompts = parted(texts.prompt, len(configs))
            negatives = parted(texts.negative_prompt, len(configs))
        except ValueError as error:
            raise StageFailure(
                FailureKind.BAD_INPUT, f"adetailer: {error}; do not write [UNIT] in a prompt"
            ) from error
        return tuple(
            config.unit(prompt, negative)
            for config, prompt, negative in zip(configs, prompts, negatives, strict=True)
        )

    def common(self, texts: Texts, unit: DetailUnit) -> dict[str, Any]:
        """The fields of a Sampling, by name, for ``unit``."""
        return {
            "prompt": texts.prompt,
            "negative_prompt": texts.negative_prompt,
            "seed": texts.seed,
            "steps": unit.steps,
            "cfg_scale": unit.cfg_scale,
            "sampler": unit.sampler,
            "scheduler": unit.scheduler,
            "model": chosen(self.checkpoint),
            "vae": self.vae,
            "clip_skip": self.clip_skip,
        }

    def by_extension(self, texts: Texts, image: Image) -> DetailRequest:
        """The call to a backend that has ADetailer."""
        units = self.all_units(texts)
        main = PlainTexts(units[0].prompt, units[0].negative_prompt, texts.seed)
        return DetailRequest(**self.common(main, units[0]), image=image, units=units)

    def by_ourselves(self, texts: Texts, unit: DetailUnit, image: Image, mask: Image) -> Img2ImgRequest:
        """The call that draws one find of ``unit`` anew."""
        return Img2ImgRequest(
            **self.common(texts, unit), image=image, mask=mask, denoising_strength=unit.denoising_strength
        )


class ADetailer(Stage):
    """Faces found and drawn anew."""

    name, version, title = "adetailer", "1.0", "ADetailer"
    description = "Finds faces (hands and persons, too, with the extension) and draws each anew at full size."
    Config = ADetailerConfig
    phase = Phase.DETAIL

    @classmethod
    def needs(cls, config: ADetailerConfig) -> Needs:
        """``detail`` with the extension, a detector and inpainting without it, and for ``auto`` the feature
        ``detailing``, which :meth:`provides` gives a node that has either. VRAM: of drawing a find; the size of
        the picture is that of the stage before."""
        side = config.working_size or USUAL
        vram = sampling_bytes(side, side)
        requests: list[Request] = [config.by_extension(NO_TEXTS, NO_IMAGE)]
        own = [config.by_ourselves(NO_TEXTS, unit, NO_IMAGE, NO_IMAGE) for unit in config.all_units(NO_TEXTS)]
        extension, ourselves = needs_of(requests, vram), needs_of(own, vram)
        names = extension.names | ourselves.names
        if config.detector == "extension":
            return replace(extension, names=names)
        if config.detector == "own":
            return replace(ourselves, names=names, features=ourselves.features | {str(Feature.DETECTOR)})
        shared = extension.features & ourselves.features
        return replace(extension, names=names, features=shared | {str(Feature.DETAILING)})

    @classmethod
    def provides(cls, backend: Capabilities) -> Capabilities:
        """The detector, where its package is installed; and ``detailing``, where one way or the other is
        open."""
        own = detectors.names()
        found = {str(Feature.DETECTOR)} if own else set()
        if Feature.DETAIL in backend.features or (own and Feature.INPAINT in backend.features):
            found.add(str(Feature.DETAILING))
        return Capabilities(features=frozenset(found), detectors=own)

    @classmethod
    def resolve_prompts(cls, config: ADetailerConfig, prompt: str, negative_prompt: str) -> tuple[str, str]:
        """The prompts of all units in one text each, see :mod:`~stablenew_plugins.stages.unittexts`."""
        units = (config, *config.units)
        return (
            joined(prompt, [unit.adetailer_prompt for unit in units]),
            joined(negative_prompt, [unit.adetailer_negative_prompt for unit in units]),
        )

    def run(
        self, ctx: StageContext, config: ADetailerConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """Each image with what was found in it drawn anew."""
        made = []
        count = len(only_image(self.name, images))
        units = config.all_units(ctx)
        extension = _extension_does_it(ctx, config, units)
        for index, image in enumerate(images):
            ctx.cancel.raise_if_cancelled()
            report = PartReport(ctx, index / count, (index + 1) / count, whole=extension)
            if extension:
                result = ctx.backend.detail(config.by_extension(ctx, image.image), report, ctx.cancel)
                told = {key: value for key, value in result.info.items() if key.startswith("ADetailer")}
                made.append(StageImage(result.image, {**result.info, **image.info, **told}))
            else:
                picture, info = _detailed(ctx, config, units, image.image.convert("RGB"), report)
                made.append(StageImage(picture, {**image.info, **info}))
        return made


def _extension_does_it(ctx: StageContext, config: ADetailerConfig, units: Sequence[DetailUnit]) -> bool:
    if config.detector != "auto":
        return config.detector == "extension"
    if Feature.DETAIL not in ctx.backend.offers:
        return False
    can = ctx.backend.capabilities()
    if Feature.DETAIL not in can.features:
        return False
    ours = detectors.names()
    # A model that the extension has not, and our detector answers to: then it is ours.
    lacking = [unit.model for unit in units if can.detectors and unit.model not in can.detectors]
    return not lacking or not all(unit.model in ours for unit in units)


def _detailed(
    ctx: StageContext,
    config: ADetailerConfig,
    units: Sequence[DetailUnit],
    picture: Image,
    report: PartReport,
) -> tuple[Image, dict[str, JsonValue]]:
    """``picture`` with the finds of all units drawn anew, by ourselves, and what to say of it."""
    info: dict[str, JsonValue] = {}
    for number, unit in enumerate(units):
        detector = detectors.detector(unit.model)
        ctx.cancel.raise_if_cancelled()
        finds = ordered(detector.find(picture, unit.confidence), unit, picture.size)
        ctx.cancel.raise_if_cancelled()
        drawn = 0
        part = report.within(number / len(units), (number + 1) / len(units))
        for index, find in enumerate(finds):
            prompt = of_find(unit.prompt, index)
            negative = of_find(unit.negative_prompt, index)
            box = grown(find, unit.dilate_erode, picture.size)
            if prompt is None or box is None:
                continue
            where = patch(box, unit, picture.size, config.working_size)
            image, mask = cut(picture, where)
            texts = PlainTexts(prompt, negative or "", ctx.seed + index)
            request = config.by_ourselves(texts, unit, image, mask)
            progress = part.within(index / len(finds), (index + 1) / len(finds))
            result = ctx.backend.img2img(request, progress, ctx.cancel)
            if result.image.size != where.size:
                raise StageFailure(
                    FailureKind.BACKEND,
                    f"adetailer: asked for {where.size[0]} x {where.size[1]} pixels, and the backend made "
                    f"{result.image.width} x {result.image.height}",
                )
            picture = put_back(picture, result.image, where)
            drawn += 1
        part(1, 1)
        info |= _told(unit, number, drawn, (config, *config.units)[number])
    return picture, info


_ORDINALS = ("", " 2nd", " 3rd")


def _told(unit: DetailUnit, number: int, drawn: int, config: UnitConfig) -> Mapping[str, JsonValue]:
    """Keys of ADetailer (its ``adetailer/args.py``), so that its readers understand them, and how much was
    drawn: zero finds leave the picture as it was."""
    suffix = _ORDINALS[number] if number < len(_ORDINALS) else f" {number + 1}th"
    facts: dict[str, JsonValue] = {
        "ADetailer model": unit.model,
        "ADetailer confidence": unit.confidence,
        "ADetailer dilate erode": unit.dilate_erode,
        "ADetailer mask blur": unit.mask_blur,
        "ADetailer denoising strength": unit.denoising_strength,
        "ADetailer inpaint only masked": unit.only_masked,
        "ADetailer inpaint padding": unit.padding,
        "ADetailer use separate steps": True,
        "ADetailer steps": unit.steps,
        "ADetailer use separate CFG scale": True,
        "ADetailer CFG scale": unit.cfg_scale,
        "ADetailer use separate sampler": True,
        "ADetailer sampler": unit.sampler,
        "ADetailer scheduler": unit.scheduler,
    }
    if unit.max_finds:
        facts["ADetailer mask k"] = unit.max_finds
    if unit.min_ratio > 0:
        facts["ADetailer mask min ratio"] = unit.min_ratio
    if unit.max_ratio < 1:
        facts["ADetailer mask max ratio"] = unit.max_ratio
    if config.adetailer_prompt:
        facts["ADetailer prompt"] = unit.prompt
    if config.adetailer_negative_prompt:
        facts["ADetailer negative prompt"] = unit.negative_prompt
    told = {f"{key}{suffix}": value for key, value in facts.items()}
    told[f"StableNew detailer{suffix}"] = "own"
    told[f"StableNew finds drawn{suffix}"] = drawn
    return told
