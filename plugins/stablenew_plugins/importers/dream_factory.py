"""``.prompts`` files of Dream Factory: ``[config]`` with directives, then sections of prompts to combine.

Source: ``scripts/utils.py`` (PromptManager), ``prompts/example-*.prompts``. ``#`` begins a comment anywhere in
a line; ``!STEPS = 30`` is a directive, among prompts too, where it holds for what follows; the prompts of all
``[prompts]`` sections are combined, the last section fastest; a fragment that begins with ``,`` or ``;`` gets
no delimiter before it, and ``.`` stands for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported, Importer, safe_stem
from stablenew_api.jobs import JsonValue
from stablenew_api.packtext import PackRow, as_template, pack_files
from stablenew_plugins.importers.common import (
    Notes,
    common_settings,
    decode,
    is_text,
    nested,
    peek,
    real,
    short,
    whole,
)
from stablenew_plugins.importers.dialects import as_option
from stablenew_plugins.importers.names import sampler_name

_INTEGERS = {
    "width": "txt2img.width",
    "height": "txt2img.height",
    "steps": "txt2img.steps",
    "seed": "txt2img.seed",
    "samples": "pipeline.images_per_prompt",
    "batch_size": "txt2img.batch_size",
    "clip_skip": "txt2img.clip_skip",
    "highres_steps": "txt2img.hr_second_pass_steps",
    "adetailer_steps": "adetailer.adetailer_steps",
}
_NUMBERS = {
    "scale": "txt2img.cfg_scale",
    "strength": "txt2img.denoising_strength",
    "highres_scale_factor": "txt2img.hr_scale",
    "refiner_switch": "txt2img.refiner_switch_at",
    "upscale_amount": "upscale.upscaling_resize",
    "upscale_codeformer_amount": "upscale.codeformer_visibility",
    "upscale_gfpgan_amount": "upscale.gfpgan_visibility",
    "adetailer_strength": "adetailer.adetailer_denoise",
    "adetailer_scale": "adetailer.adetailer_cfg",
}
_TEXTS = {
    "ckpt_file": "txt2img.model",
    "vae": "txt2img.vae",
    "sampler": "txt2img.sampler_name",
    "highres_upscaler": "txt2img.hr_upscaler",
    "highres_ckpt_file": "txt2img.hr_checkpoint_name",
    "highres_sampler": "txt2img.hr_sampler_name",
    "refiner_ckpt_file": "txt2img.refiner_checkpoint",
    "upscale_model": "upscale.upscaler",
    "adetailer_model": "adetailer.adetailer_model",
    "adetailer_prompt": "adetailer.adetailer_prompt",
    "adetailer_neg_prompt": "adetailer.adetailer_negative_prompt",
    "adetailer_sampler": "adetailer.adetailer_sampler",
}
_SWITCHES = {
    "highres_fix": "txt2img.enable_hr",
    "use_upscale": "pipeline.upscale_enabled",
}
_MODELS = ("ckpt_file", "highres_ckpt_file", "refiner_ckpt_file")
_HEADER = re.compile(r"\[(config|prompts)\b(.*)\]", re.IGNORECASE)
_DIRECTIVE = re.compile(r"!\s*(\w+)\s*=(.*)")
_PICKS = re.compile(r'\s*+(?:(\d{1,4})(?:\s*+-\s*+(\d{1,4}))?)?\s*+(?:"([^"]*)")?\s*+')
_OFF = {"use_upscale": "no", "highres_fix": "no", "adetailer_use": "no"}
_NO_EFFECT = frozenset({"mode", "repeat", "delim", "neg_prompt"})
_Found = dict[str, tuple[str, JsonValue]]


@dataclass(slots=True)
class _Section:
    line: int
    low: int = 1
    high: int = 1
    delimiter: str = " "
    prompts: list[tuple[int, str]] = field(default_factory=list)


class DreamFactory(Importer):
    """One section: a row a prompt. Several: one row; a section of several prompts is a matrix slot."""

    name, title, endings = "dream_factory", "Prompts of Dream Factory (.prompts)", (".prompts",)

    def sniff(self, name: str, data: bytes) -> bool:
        """It has a ``[prompts]`` section."""
        if not is_text(data):
            return False
        lines = (line.partition("#")[0].strip().lower() for line in peek(data).split("\n"))
        return any(line.startswith("[prompts") and line.endswith("]") for line in lines)

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError for a file without a prompt, and for picks that cannot be."""
        notes = Notes()
        file = _File(name, notes)
        for number, line in enumerate(decode(name, data).split("\n"), start=1):
            file.line(number, line.partition("#")[0].strip())
        sections = [section for section in file.sections if section.prompts]
        if not sections:
            raise UserError(f"{name}: no prompt in a [prompts] section")
        if file.config.get("mode") == "process":
            raise UserError(
                f"{name}: !MODE = process works on pictures that exist; there are no prompts to take"
            )
        if len(sections) == 1 and (sections[0].low, sections[0].high) == (1, 1):
            rows = [
                PackRow(as_template(text), as_template(negative))
                for text, negative, _, _ in file.prompts
                if text != "."
            ]
            shared = common_settings(((number, found) for _, _, number, found in file.prompts), notes)
            settings = nested(shared)
            if file.config.get("mode") == "random":
                notes.add("random mode: here each prompt is a row, and all of them are made")
        else:
            for number in file.directives:
                notes.add("a directive among the prompts of several sections is not taken over", number)
            random = file.config.get("mode") == "random"
            prompt, slots = _combined(sections, random, file.config.get("delim", " "))
            negative = file.config.get("neg_prompt", "")
            rows = [PackRow(prompt, as_template(negative))]
            settings = nested({key: value for key, (_, value) in file.first.items()})
            if slots:
                matrix: dict[str, JsonValue] = {"mode": "random" if random else "fanout", "slots": slots}
                settings["randomization"] = {"enabled": True, "matrix": matrix}
            if random:
                notes.add(
                    "random mode went on until it was stopped; here --count says how many images are drawn"
                )
        if not rows:
            raise UserError(f"{name}: no prompt in a [prompts] section")
        return Imported(pack_files(safe_stem(name), rows, settings), notes.all())


class _File:
    """The lines of a file, gathered."""

    def __init__(self, name: str, notes: Notes) -> None:
        self._name, self._notes = name, notes
        self._in_config = self._in_prompts = False
        self.config: dict[str, str] = {}
        """Directives of [config] that are no settings, as written."""
        self.first: _Found = {}
        """Settings of [config]."""
        self._now: _Found = {}
        self._negative = ""
        self.sections: list[_Section] = []
        self.prompts: list[tuple[str, str, int, _Found]] = []
        """Prompt, negative prompt, line and settings, in the order of the file."""
        self.directives: list[int] = []

    def line(self, number: int, line: str) -> None:
        """Take the next line, its comment gone."""
        if header := _HEADER.fullmatch(line):
            self._in_config = header[1].lower() == "config"
            self._in_prompts = not self._in_config
            if self._in_prompts:
                self.sections.append(self._section(number, header[2]))
        elif not line:
            return
        elif directive := _DIRECTIVE.fullmatch(line):
            self._directive(directive[1].lower(), directive[2].strip(), number)
        elif self._in_prompts:
            self.sections[-1].prompts.append((number, line))
            self.prompts.append((line, self._negative, number, dict(self._now)))
        elif self._in_config:
            self._notes.add(f"{short(line)!r} is no directive; left out", number)

    def _section(self, number: int, arguments: str) -> _Section:
        match = _PICKS.fullmatch(arguments)
        if match is None:
            raise UserError(
                f'{self._name}, line {number}: [prompts{arguments}] is not understood; write [prompts 1-2 ", "]'
            )
        low = int(match[1]) if match[1] else 1
        high = int(match[2]) if match[2] else low
        if high < low or high == 0:
            raise UserError(f"{self._name}, line {number}: picks of {low}-{high} cannot be")
        between = match[3] if match[3] is not None else self.config.get("delim", " ")
        return _Section(number, low, high, between)

    def _directive(self, key: str, value: str, number: int) -> None:
        if self._in_prompts:
            self.directives.append(number)
        if key == "neg_prompt":
            self._negative = value
            if not self._in_prompts:
                self.config[key] = value
            return
        if key == "delim":
            if len(value) >= 2 and value[0] == value[-1] == '"':
                self.config[key] = value[1:-1]
            return
        if key in _NO_EFFECT:
            self.config[key] = value.lower()
            return
        if not value or _OFF.get(key) == value.lower():
            for name in (_INTEGERS, _NUMBERS, _TEXTS, _SWITCHES):
                self._now.pop(name.get(key, ""), None)
        else:
            self._set(key, value, number)
        if not self._in_prompts:
            self.first = dict(self._now)

    def _set(self, key: str, value: str, number: int) -> None:
        written = f"!{key.upper()} = {short(value)}"
        result: JsonValue = None
        if key in _INTEGERS:
            name, result = _INTEGERS[key], whole(value)
        elif key in _NUMBERS:
            name, result = _NUMBERS[key], real(value)
        elif key in _SWITCHES:
            name, result = _SWITCHES[key], value.lower() == "yes"
        elif key in _MODELS and ("," in value or value == "all"):
            self._notes.add(f"{written}: several models; a pack is made with one, choose it with --set", number)
            return
        elif key in _TEXTS:
            name, result = _TEXTS[key], value
            if key.endswith("sampler") and (names := sampler_name(value)):
                result = names[0]
                if names[1] and key == "sampler":
                    self._now["txt2img.scheduler"] = written, names[1]
        else:
            self._notes.add(f"{written} is not taken over", number)
            return
        if result is None:
            self._notes.add(f"{written}: no single number; left out", number)
        else:
            self._now[name] = written, result


def _combined(sections: Sequence[_Section], random: bool, delimiter: str) -> tuple[str, list[JsonValue]]:
    """The one row of several sections, and the matrix slots that it names."""
    parts: list[str] = []
    slots: list[JsonValue] = []
    for number, section in enumerate(sections, start=1):
        texts = ["" if text == "." else as_template(text) for _, text in section.prompts]
        before = delimiter if parts else ""
        if random and (section.low, section.high) != (1, 1):
            options = "|".join(as_option(text) for text in texts)
            picks = f"{section.low}-{section.high}" if section.low != section.high else str(section.low)
            parts.append(f"{before}{{~{picks}$${section.delimiter}$${options}}}")
        elif len(texts) == 1:
            parts.append(_joined(before, texts[0]))
        elif any(_joined(before, text) != before + text for text in texts):
            slots.append({"name": f"part {number}", "values": [_joined(before, text) for text in texts]})
            parts.append(f"[[part {number}]]")
        else:
            slots.append({"name": f"part {number}", "values": texts})
            parts.append(f"{before}[[part {number}]]")
    return "".join(parts), slots


def _joined(before: str, text: str) -> str:
    return before + text if text and not text.startswith((",", ";")) else text
