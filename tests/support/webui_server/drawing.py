"""The picture of a txt2img or img2img request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageDraw, ImageOps
from tests.support.webui_server.detailer import UNIT_DEFAULTS, unit_problem
from tests.support.webui_server.errors import ApiError
from tests.support.webui_server.images import decode, encode
from tests.support.webui_server.lists import LORAS, SAMPLERS, SCHEDULERS, STYLES
from tests.support.webui_server.server_state import ServerState


class Drawing:
    """A picture of a txt2img or img2img request."""

    def __init__(self, server: ServerState, kind: str, body: Mapping[str, Any]) -> None:
        self.server, self.kind, self.body = server, kind, body
        self.done = 1.0
        overrides = dict(body.get("override_settings") or {})
        self.options = {**server.options, **overrides}
        self.model = self._load(overrides.get("sd_model_checkpoint"))
        seed = int(body.get("seed", -1))
        self.seed = (seed if seed >= 0 else 4242) + ("wrong_seed" in server.traps)
        self.steps = int(body.get("steps", 20)) + ("wrong_steps" in server.traps)
        self.cfg = float(body.get("cfg_scale", 7))
        self.sampler, self.scheduler = self._sampler()
        self.clip_skip = int(
            body.get("clip_skip", 1)
            if server.settings.flavour == "sdnext"
            else self.options.get("CLIP_stop_at_last_layers", 1)
        )
        # A1111 rounds down, and its infotext does not.
        self.asked = (int(body.get("width") or 512), int(body.get("height") or 512))
        self.size = (max(8, self.asked[0] // 8 * 8), max(8, self.asked[1] // 8 * 8))
        self.prompt, self.negative = self._styled()
        self.units = self._units()

    def _load(self, name: object) -> str:
        server = self.server
        if name is None or "stuck_model" in server.traps:
            return server.loaded
        found = server.find_model(name)
        if found is None:
            if "silent_model" not in server.traps:
                raise ApiError(500, "RuntimeError", errors=f"model {name!r} not found")
            return server.loaded
        server.loaded = found
        return found

    def _sampler(self) -> tuple[str, str]:
        name = str(self.body.get("sampler_name") or "Euler")
        scheduler = str(self.body.get("scheduler") or "Automatic")
        if "stuck_sampler" in self.server.traps:
            return "Euler a", "Automatic"
        labels = {**{key.lower(): label for key, label in SCHEDULERS.items()}}
        labels.update({label.lower(): label for label in SCHEDULERS.values()})
        for label in SCHEDULERS.values():
            if name.endswith(f" {label}") and name not in SAMPLERS:
                name, scheduler = name.removesuffix(f" {label}"), label
        for known, aliases in SAMPLERS.items():
            if name == known or name in aliases:
                return known, labels.get(scheduler.lower(), "Automatic")
        # get_sampler_and_scheduler of modules/sd_samplers.py
        return "DPM++ 2M", "Karras"

    def _styled(self) -> tuple[str, str]:
        prompt, negative = str(self.body.get("prompt") or ""), str(self.body.get("negative_prompt") or "")
        for style in self.body.get("styles") or ():
            if style in STYLES:
                text, against = STYLES[style]
                prompt = text.replace("{prompt}", prompt)
                negative = ", ".join(part for part in (negative, against) if part)
        return prompt, negative

    def _units(self) -> list[dict[str, Any]]:
        scripts = {name.lower(): value for name, value in (self.body.get("alwayson_scripts") or {}).items()}
        args = (scripts.get("adetailer") or {}).get("args") or []
        if not self.server.settings.detailer or not args or args[0] is not True:
            return []
        found = []
        for unit in (one for one in args if isinstance(one, dict)):
            if problem := unit_problem(unit):
                self.server.console.append(f"[-] ADetailer: ValidationError: {problem}")
                if "drop_unit" not in self.server.traps:
                    raise ApiError(422, "ValidationError", problem)
            elif unit.get("ad_model", "None") != "None":
                found.append({**UNIT_DEFAULTS, **unit})
        if "detailer_crash" in self.server.traps:
            self.server.console.append("*** Error running postprocess_image: adetailer")
            return []
        return found

    @property
    def skips_sampling(self) -> bool:
        """ADetailer's ``skip_img2img``."""
        scripts = {name.lower(): value for name, value in (self.body.get("alwayson_scripts") or {}).items()}
        args = (scripts.get("adetailer") or {}).get("args") or [False, False]
        return bool(self.kind == "img2img" and len(args) > 1 and args[0] is True and args[1] is True)

    def final_size(self) -> tuple[int, int]:
        """After the hires pass."""
        if not self.body.get("enable_hr"):
            return self.size
        x, y = int(self.body.get("hr_resize_x") or 0), int(self.body.get("hr_resize_y") or 0)
        if not x and not y:
            scale = float(self.body.get("hr_scale") or 2)
            x, y = int(self.size[0] * scale), int(self.size[1] * scale)
        x, y = x or y * self.size[0] // self.size[1], y or x * self.size[1] // self.size[0]
        return x // 8 * 8, y // 8 * 8

    def loras(self) -> list[str]:
        """Those that are loaded."""
        if "lora_fails" in self.server.traps:
            return []
        return [name for name in re.findall(r"<lora:([^:>]+)", self.prompt) if name in LORAS]

    def _facts(self) -> str:
        keys = ("subseed", "subseed_strength", "denoising_strength", "hr_upscaler", "hr_second_pass_steps",
                "hr_sampler_name", "hr_scheduler", "hr_checkpoint_name", "refiner_checkpoint", 
                "refiner_switch_at",
                "restore_faces", "tiling")  # fmt: skip
        extra = {key: self.body[key] for key in keys if key in self.body}
        vae = self.options.get("sd_vae"), self.options.get("forge_additional_modules")
        return repr((self.prompt, self.negative, self.model, self.sampler, self.scheduler, self.steps, self.cfg,
                     self.clip_skip, self.loras(), vae, sorted(extra.items(), key=str)))  # fmt: skip

    def _paint(self, size: tuple[int, int], facts: str, seed: int) -> Image.Image:
        digest = hashlib.sha256(facts.encode("utf-8")).digest()
        dark, light = (
            (digest[0] // 3, digest[1] // 3, digest[2] // 3),
            tuple(128 + value // 2 for value in digest[3:6]),
        )
        gradient = Image.linear_gradient("L").rotate(digest[6] / 255 * 360, Image.Resampling.BILINEAR)
        image = ImageOps.colorize(gradient.resize(size), dark, light)
        draw = ImageDraw.Draw(image)
        spot = hashlib.sha256(f"{seed} {facts}".encode()).digest()
        for index in range(0, 24, 6):
            x, y = spot[index] / 255 * size[0], spot[index + 1] / 255 * size[1]
            radius = (4 + spot[index + 2] / 255 * 28) / 128 * min(size)
            box = (x - radius, y - radius, x + radius, y + radius)
            draw.ellipse(box, fill=(spot[index + 3], spot[index + 4], spot[index + 5]))
        return image

    def draw(self) -> Image.Image:
        """The picture."""
        facts, size = self._facts(), self.final_size()
        if self.kind == "img2img":
            source = decode(self.body["init_images"][0])
            if self.skips_sampling:
                image = source
            else:
                source = source.resize(self.size)
                strength = float(self.body.get("denoising_strength", 0.75))
                image = Image.blend(source, self._paint(self.size, facts, self.seed), min(1.0, strength))
                if self.body.get("mask"):
                    mask = decode(self.body["mask"]).convert("L").resize(self.size)
                    image = Image.composite(image, source, mask)
        else:
            image = self._paint(size, facts, self.seed)
        for number, unit in enumerate(self.units):
            strength = float(unit["ad_denoising_strength"])
            prompt = unit["ad_prompt"] or self.prompt
            patch = self._paint(
                (max(1, image.width // 4), max(1, image.height // 4)), f"{prompt}{unit}", self.seed
            )
            spot = (image.width * (1 + number) // 4, image.height * 3 // 8)
            before = image.crop((*spot, spot[0] + patch.width, spot[1] + patch.height))
            image.paste(Image.blend(before, patch, strength), spot)
        if self.done < 1.0:  # interrupted: noise is left
            noise = Image.effect_noise(image.size, 80).convert("RGB")
            image = Image.blend(image, noise, 1 - self.done)
        return image

    def preview(self, done: float) -> str:
        """A small picture of what there is after a part of the steps."""
        image = self._paint((64, 64), self._facts(), self.seed)
        return encode(Image.blend(Image.new("RGB", (64, 64), (90, 90, 90)), image, done), "")
