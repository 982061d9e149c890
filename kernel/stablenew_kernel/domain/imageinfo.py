"""What an image tells about how it was made, for people; and in what two images differ.

Settings are those of the importers: sections and names as in a preset, whichever program made the image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from stablenew_api.importer import Imported
from stablenew_api.infotext import parse_infotext
from stablenew_api.jobs import JsonValue
from stablenew_api.models import model_name
from stablenew_api.samplers import sampler_name, scheduler_name

Flat = dict[str, JsonValue]
"""Settings by dotted name."""

_ORDER = (
    "model",
    "vae",
    "sampler_name",
    "scheduler",
    "steps",
    "cfg_scale",
    "width",
    "height",
    "seed",
    "subseed",
    "subseed_strength",
    "clip_skip",
    "denoising_strength",
    "enable_hr",
)
"""What people look at first."""
_ESSENTIAL = ("model", "sampler_name", "steps", "cfg_scale", "width", "seed")
_WORDS = {"sampler_name": "sampler", "cfg_scale": "CFG scale", "width": "size"}
_MODELS = frozenset(("model", "vae", "hr_checkpoint_name", "refiner_checkpoint"))
_SAMPLERS = frozenset(("sampler_name", "hr_sampler_name", "adetailer_sampler"))
_FIRST = "txt2img"

_UNASKED: tuple[JsonValue, ...] = (
    None,
    "",
    False,
    0,
    "None",
    "Automatic",
    "Use same sampler",
    "Use same checkpoint",
    [],
    {},
)
"""Values that ask for nothing: the same as a file that is silent."""
_SILENT: Mapping[str, JsonValue] = {
    "clip_skip": 1,
    "subseed": -1,
    "seed": -1,
    "batch_size": 1,
    "batch_count": 1,
}
"""Values of single settings that do so."""

_ONLY_WITH: Mapping[str, str] = {
    "denoising_strength": "enable_hr",
    "refiner_switch_at": "refiner_checkpoint",
    "face_restoration_model": "face_restoration_enabled",
    "hypernetwork_strength": "hypernetwork",
    "subseed": "subseed_strength",
}
"""Settings of txt2img, as every ``hr_...``, that mean nothing while the other one is off."""

MANY_WORDS = 4_000
"""Of a prompt: from there on only its beginning and end are compared word by word."""


@dataclass(frozen=True, slots=True)
class OwnStory:
    """What an image of StableNew tells besides."""

    job_id: str
    run_id: str
    node: str
    attempt: int
    backend: str
    """Name and version, and whether it is a stand-in."""
    stages: tuple[tuple[str, str, float], ...]
    """Name, version and seconds of each, in running order."""

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(seconds for _, _, seconds in self.stages)


def own_story(text: str) -> OwnStory | None:
    """The story in a ``stablenew`` text; what is missing or of another type is left out. None: no such text."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None

    def words(key: str, values: Mapping[str, JsonValue] = data) -> str:
        value = values.get(key)
        return value if isinstance(value, str) else ""

    backend = data.get("backend")
    said = ""
    if isinstance(backend, dict):
        said = f"{words('name', backend)} {words('version', backend)}".strip()
        said += " (stand-in, no AI model)" if said and backend.get("stand_in") is True else ""
    stages = data.get("stages")
    return OwnStory(
        words("job_id"),
        words("run_id"),
        words("node"),
        data["attempt"] if type(data.get("attempt")) is int else 0,
        said,
        tuple(
            (words("name", stage), words("version", stage), float(stage["seconds"]))
            for stage in (stages if isinstance(stages, list) else ())
            if isinstance(stage, dict) and type(stage.get("seconds")) in (int, float)
        ),
    )


@dataclass(frozen=True, slots=True)
class Story:
    """What one image tells."""

    program: str
    prompt: str
    negative_prompt: str
    settings: Mapping[str, JsonValue]
    """Sections, as a preset has them."""
    hashes: Mapping[str, str]
    notes: tuple[str, ...]
    """What the file has that is no setting here, and what is wrong with it."""
    own: OwnStory | None = None


def story_of(imported: Imported, own: OwnStory | None = None, infotext: str = "") -> Story:
    """The story that an importer read. ``own`` and ``infotext`` are of an image of StableNew: where its job
    left the model to the backend, the infotext has the one that was used."""
    settings = dict(imported.settings or {})
    if own is not None and infotext:
        used = dict(parse_infotext(infotext).pairs)
        section = next((name for name, values in settings.items() if "steps" in (values or {})), _FIRST)
        values = dict(settings.get(section) or {})
        values |= {
            name: used[key]
            for key, name in (("Model", "model"), ("VAE", "vae"))
            if key in used and values.get(name) in _UNASKED
        }
        settings[section] = values
    return Story(
        imported.program,
        imported.prompt,
        imported.negative_prompt,
        settings,
        imported.hashes,
        imported.notes,
        own,
    )


def in_order(settings: Mapping[str, JsonValue]) -> list[tuple[str, list[tuple[str, JsonValue]]]]:
    """Sections and their settings for people: what matters most first, the size as one, the rest as it came.

    Switches of the pipeline are left out: the sections say what ran.
    """
    shown = []
    for section, values in settings.items():
        if not isinstance(values, Mapping):
            continue
        known = [key for key in _ORDER if key in values]
        rows: list[tuple[str, JsonValue]] = []
        for key in [*known, *(key for key in values if key not in known)]:
            if section == "pipeline" and key.endswith("_enabled"):
                continue
            if key == "height" and "width" in values:
                continue
            if key == "width" and "height" in values:
                rows.append(("size", f"{values['width']}x{values['height']}"))
            else:
                rows.append((key, values[key]))
        if rows:
            shown.append((section, rows))
    return shown


def missing(story: Story) -> list[str]:
    """What every image is made with and this one does not tell."""
    sections = [values for values in story.settings.values() if isinstance(values, Mapping)]
    left = [
        _WORDS.get(key, key)
        for key in _ESSENTIAL
        if not any(values.get(key) not in (None, "") for values in sections)
    ]
    return left if story.prompt else ["prompt", *left]


# --- two images -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a prompt, when two are compared."""

    change: str
    """``same``, ``removed`` (in the first one alone) or ``added``."""
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """In what two images differ."""

    settings: Mapping[str, tuple[JsonValue, JsonValue]]
    """By dotted name, where both tell."""
    only_first: Flat
    only_second: Flat
    sections: tuple[tuple[str, ...], tuple[str, ...]]
    """Stages that only the first, and only the second, went through."""
    hashes: Mapping[str, tuple[str, str]]
    prompt: tuple[Word, ...]
    """Empty: the same."""
    negative_prompt: tuple[Word, ...]
    equal: int
    """Settings and hashes that both tell, alike."""

    @property
    def same(self) -> bool:
        """Whether nothing that both tell differs."""
        return not (self.settings or self.hashes or self.prompt or self.negative_prompt or any(self.sections))


def difference(first: Story, second: Story) -> Difference:
    """Compare two images, of whatever programs: names of samplers, schedulers and models are brought into one
    form, and a setting that asks for nothing is the same as one that is not told."""
    sections = [_sections(story) for story in (first, second)]
    # Every image has gone through a first stage, told or not.
    only = tuple(
        tuple(name for name in mine if name not in other and name != _FIRST)
        for mine, other in (sections, reversed(sections))
    )
    flats = [
        normalised(story.settings, leave_out=names) for story, names in zip((first, second), only, strict=True)
    ]
    a, b = flats
    differ = {key: (a[key], b[key]) for key in a if key in b and a[key] != b[key]}
    equal = sum(1 for key in a if key in b and a[key] == b[key])
    hashes = {}
    for name, value in first.hashes.items():
        other = second.hashes.get(name, "")
        if other and _same_hash(value, other):
            equal += 1
        elif other:
            hashes[name] = (value, other)
    return Difference(
        differ,
        {key: value for key, value in a.items() if key not in b and _asks(key, value)},
        {key: value for key, value in b.items() if key not in a and _asks(key, value)},
        (only[0], only[1]),
        hashes,
        compare_words(first.prompt, second.prompt),
        compare_words(first.negative_prompt, second.negative_prompt),
        equal,
    )


def _sections(story: Story) -> list[str]:
    """Stages that a story's settings tell of."""
    return [
        name
        for name, values in story.settings.items()
        if name != "pipeline" and isinstance(values, Mapping) and values
    ]


def normalised(settings: Mapping[str, JsonValue], leave_out: Iterable[str] = ()) -> Flat:
    """Settings by dotted name, in one form, without those of passes that are off and those of ``leave_out``."""
    passed = {"pipeline", *leave_out}
    flat: Flat = {}
    for section, values in settings.items():
        if not isinstance(values, Mapping) or section in passed:
            continue
        own = dict(values)
        for key in ("sampler_name", "scheduler"):
            if isinstance(own.get(key), str):
                own[key] = own[key].strip()
        names = sampler_name(str(own.get("sampler_name") or ""))
        if names and names[1] and own.get("scheduler") in _UNASKED:
            own["scheduler"] = names[1]
        for key, value in own.items():
            if key == "negative_prompt":  # of a preset: it is in the negative prompt of the image
                continue
            switch = "enable_hr" if key.startswith("hr_") else _ONLY_WITH.get(key)
            if section == _FIRST and switch and own.get(switch) in _UNASKED:
                continue
            flat[f"{section}.{key}"] = _in_one_form(key, value)
    return flat


def _asks(name: str, value: JsonValue) -> bool:
    """Whether a setting that only one of two images tells is worth telling."""
    key = name.rpartition(".")[2]
    return value not in _UNASKED and value != _SILENT.get(key)


def _in_one_form(key: str, value: JsonValue) -> JsonValue:
    if not isinstance(value, str):
        return value
    if key in _MODELS:
        return model_name(value)
    if key in _SAMPLERS:
        names = sampler_name(value)
        return names[0] if names else value
    if key == "scheduler":
        return scheduler_name(value) or value
    return value


def _same_hash(one: str, other: str) -> bool:
    """One may be the beginning of the other: A1111 tells ten digits of a sha256."""
    one, other = sorted((one.casefold().removeprefix("0x"), other.casefold().removeprefix("0x")), key=len)
    return other.startswith(one)


_TOKEN = re.compile(r"<[^<>]*>|[^\s,]+|,")


def compare_words(first: str, second: str) -> tuple[Word, ...]:
    """Word by word; a tag such as ``<lora:ink:0.5>`` is one word, white space decides nothing. Empty if they
    are the same."""
    a, b = _TOKEN.findall(first), _TOKEN.findall(second)
    if a == b:
        return ()
    begin = 0
    while begin < min(len(a), len(b)) and a[begin] == b[begin]:
        begin += 1
    end = 0
    while end < min(len(a), len(b)) - begin and a[-1 - end] == b[-1 - end]:
        end += 1
    inner_a, inner_b = a[begin : len(a) - end], b[begin : len(b) - end]
    words = [Word("same", _joined(a[:begin]))]
    if max(len(inner_a), len(inner_b)) > MANY_WORDS:
        words += [Word("removed", _joined(inner_a)), Word("added", _joined(inner_b))]
    else:
        matcher = SequenceMatcher(None, inner_a, inner_b, autojunk=False)
        for change, a_from, a_to, b_from, b_to in matcher.get_opcodes():
            if change == "equal":
                words.append(Word("same", _joined(inner_a[a_from:a_to])))
            else:
                words += [
                    Word("removed", _joined(inner_a[a_from:a_to])),
                    Word("added", _joined(inner_b[b_from:b_to])),
                ]
    words.append(Word("same", _joined(a[len(a) - end :])))
    return tuple(word for word in words if word.text)


def _joined(tokens: Sequence[str]) -> str:
    text = ""
    for piece in tokens:
        text += piece if piece == "," or not text else f" {piece}"
    return text


def show_words(words: Iterable[Word]) -> str:
    """``a castle [-on a hill-] {+by the sea+}, fog``, as git marks words."""
    marks = {"removed": "[-{}-]", "added": "{{+{}+}}", "same": "{}"}
    text = ""
    for word in words:
        shown = marks[word.change].format(word.text)
        text += shown if not text or (word.change == "same" and word.text.startswith(",")) else f" {shown}"
    return text
