"""The lines of A1111's script "Prompts from file or textbox": a prompt a line, plain or as options.

``--prompt "a cat" --negative_prompt "fog" --steps 30``. Source: ``scripts/prompts_from_file.py``.
"""

from __future__ import annotations

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
    split_words,
    whole,
)
from stablenew_plugins.importers.names import sampler_name

_INTEGERS = {
    "seed": "seed",
    "subseed": "subseed",
    "batch_size": "batch_size",
    "n_iter": "batch_count",
    "steps": "steps",
    "width": "width",
    "height": "height",
}
_NUMBERS = {"cfg_scale": "cfg_scale", "subseed_strength": "subseed_strength"}
_KNOWN = {
    *_INTEGERS,
    *_NUMBERS,
    "prompt",
    "negative_prompt",
    "sampler_name",
    "sd_model",
    "restore_faces",
    "styles",
    "outpath_samples",
    "outpath_grids",
    "prompt_for_display",
    "seed_resize_from_h",
    "seed_resize_from_w",
    "sampler_index",
    "tiling",
    "do_not_save_samples",
    "do_not_save_grid",
}
_Found = dict[str, tuple[str, JsonValue]]


class PromptsFile(Importer):
    """A row a line. What all lines set alike goes into the sidecar."""

    name, title, endings = "prompts_file", "Prompts from file of A1111", (".txt",)

    def sniff(self, name: str, data: bytes) -> bool:
        """A line begins with an option of A1111's script. Lines without options could be anything."""
        if not is_text(data) or b"--" not in data:
            return False
        for line in peek(data).split("\n"):
            words = line.split(None, 2)
            if len(words) > 1 and words[0].startswith("--") and words[0][2:] in _KNOWN:
                return True
        return False

    def read(self, name: str, data: bytes) -> Imported:
        """Raises UserError if there is no prompt in it."""
        notes = Notes()
        rows: list[PackRow] = []
        settings: list[tuple[int, _Found]] = []
        comment: list[str] = []
        for number, line in enumerate(decode(name, data).split("\n"), start=1):
            line = line.strip()
            if line.startswith("#"):
                comment.append(line.lstrip("# "))
                continue
            if not line:
                continue
            prompt, negative, found = _line(line, number, notes)
            if not prompt and not negative:
                notes.add("no --prompt in it; left out", number)
                continue
            rows.append(PackRow(as_template(prompt), as_template(negative), "\n".join(comment)))
            settings.append((number, found))
            comment = []
        if not rows:
            raise UserError(f"{name}: no prompt in it; write one a line")
        shared = common_settings(settings, notes)
        return Imported(pack_files(safe_stem(name), rows, nested(shared)), notes.all())


def _line(line: str, number: int, notes: Notes) -> tuple[str, str, _Found]:
    """Prompt, negative prompt and settings of a line."""
    if not line.startswith("--"):
        return line, "", {}
    try:
        words = split_words(line)
    except ValueError as error:
        notes.add(f"taken for a prompt as a whole, as A1111 does: {error}", number)
        return line, "", {}
    texts = {"prompt": "", "negative_prompt": ""}
    found: _Found = {}
    place = 0
    while place < len(words):
        option = words[place]
        place += 1
        values: list[str] = []
        while place < len(words) and (not values or not words[place].startswith("--")):
            values.append(words[place])
            place += 1
        flag, value = option.removeprefix("--"), " ".join(values)
        if not values:
            notes.add(f"{short(option)} has no value; left out", number)
        elif flag in texts:
            texts[flag] = value
        else:
            _setting(flag, value, number, found, notes)
    return texts["prompt"], texts["negative_prompt"], found


def _setting(flag: str, value: str, number: int, found: _Found, notes: Notes) -> None:
    written = f"--{flag} {short(value)}"
    result: JsonValue
    if flag in _INTEGERS:
        key, result = _INTEGERS[flag], whole(value)
    elif flag in _NUMBERS:
        key, result = _NUMBERS[flag], real(value)
    elif flag == "restore_faces":
        key, result = "face_restoration_enabled", value == "true"
    elif flag == "sd_model":
        key, result = "model", value
    elif flag == "sampler_name":
        names = sampler_name(value)
        if names is None:
            notes.add(f"{written}: no sampler of A1111; kept as it is", number)
        key, scheduler = "sampler_name", names[1] if names else ""
        result = names[0] if names else value
        if scheduler:
            found["txt2img.scheduler"] = written, scheduler
    else:
        known = "is not taken over" if flag in _KNOWN else "is no option of A1111's script; left out"
        notes.add(f"{written} {known}", number)
        return
    if result is None:
        notes.add(f"{written}: no number; left out", number)
    else:
        found[f"txt2img.{key}"] = written, result
