"""Makes pages of the docs from the code: ``python -m stablenew_plugins.reference FOLDER``.

``capabilities.md`` says which backend does which setting, ``stages-reference.md`` what each setting is. Both
are made from the stages and backends that come with StableNew; a test says when they have to be made again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from stablenew_api.backend import FEATURE_TEXTS, Backend, Feature
from stablenew_api.discovery import from_entry_point, installed
from stablenew_api.host import PluginHost
from stablenew_api.stage import Phase, Stage

COMMAND = "python3 dev.py docs"

NO_BACKEND = ("fault",)
"""Settings that are for tests."""
DRAWN_BY_THE_KERNEL = ("seed", "batch_size", "batch_count", "negative_prompt")
"""Settings that the plan uses up: no backend needs to know of them."""


def built_in() -> tuple[Sequence[type[Stage]], Sequence[type[Backend]]]:
    """The stages, in the order of their phases, and the backends, by name, that come with StableNew."""
    host = PluginHost("kernel", [one for one in map(from_entry_point, installed()) if one.builtin])
    stages = sorted(host.stages.values(), key=lambda stage: stage.phase)
    backends = sorted(host.backends.values(), key=lambda backend: backend.name)
    return [stage for stage in stages if not stage.internal], backends


# --- which features a setting needs --------------------------------------------------------------------------


def _values(info: FieldInfo) -> Iterator[Any]:
    """Values that ask for something, whatever the setting is."""
    kind = info.annotation
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    elif get_origin(kind) is tuple:
        yield from (["x"], [{}])
    else:
        yield from (True, "x", 1, 1.0, 2, 0.5, 64, "#123456")


def _valid(config: type[BaseModel], values: Mapping[str, Any]) -> BaseModel | None:
    try:
        return config.model_validate(values)
    except ValidationError:
        return None


def _masters(config: type[BaseModel], name: str) -> dict[str, Any]:
    """Settings without which ``name`` has no effect, switched on."""
    marks = config.model_fields[name].json_schema_extra
    master, _, wanted = str(marks.get("only_with", "") if isinstance(marks, dict) else "").partition("=")
    if not master:
        return {}
    for value in [wanted] if wanted else _values(config.model_fields[master]):
        if _valid(config, {master: value}) is not None:
            return {master: value, **_masters(config, master)}
    return {}


def features_of(stage: type[Stage], name: str, values: Iterable[Any]) -> frozenset[str]:
    """What a node must be able to do for ``name`` to have its effect: the most that one of ``values`` asks for,
    with the settings on that it depends on."""
    config = stage.Config
    masters = _masters(config, name)
    found = stage.needs(config.model_validate({})).features
    for value in values:
        made = _valid(config, {**masters, name: value})
        if made is not None:
            found |= stage.needs(made).features
    return frozenset(found)


def cell(stage: type[Stage], name: str, backend: type[Backend]) -> str:
    """Whether ``backend`` can do what the setting ``name`` asks for; of a choice, which of it."""
    if name in DRAWN_BY_THE_KERNEL:
        return "yes"
    info = stage.Config.model_fields[name]
    if get_origin(info.annotation) is not Literal:
        return answer(features_of(stage, name, _values(info)), backend)
    masters = _masters(stage.Config, name)
    answers = {}
    for value in _values(info):
        made = stage.Config.model_validate({**masters, name: value})
        answers[value] = answer(stage.needs(made).features, backend)
    able = [value for value, text in answers.items() if text != "no"]
    if 0 < len(able) < len(answers):
        return ", ".join(f"`{value}`{answers[value].removeprefix('yes')}" for value in able)
    return next(iter(answers.values()))


def answer(features: frozenset[str], backend: type[Backend]) -> str:
    """Whether ``backend`` can do what needs ``features``, in a word or two."""
    rest = set(features - backend.offers)
    notes = []
    if Feature.DETAILING in rest:
        rest.discard(Feature.DETAILING)
        if Feature.DETAIL not in backend.offers:
            if Feature.INPAINT not in backend.offers:
                return "no"
            notes.append("[1]")
    if Feature.DETECTOR in rest:
        rest.discard(Feature.DETECTOR)
        notes.append("[1]")
    if rest == {Feature.UPSCALE}:
        rest.clear()
        notes.append("[2]")
    return "no" if rest else " ".join(["yes", *notes])


# --- pages ---------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---' for _ in head)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _is_special(stage: type[Stage], backends: Sequence[type[Backend]]) -> bool:
    """Whether only one backend can run it: such stages come last on the page."""
    features = stage.needs(stage.Config()).features
    return sum(answer(features, backend) != "no" for backend in backends) == 1


def capabilities_page(stages: Sequence[type[Stage]], backends: Sequence[type[Backend]]) -> str:
    """The page ``capabilities.md``."""
    lines = [
        "# Which backend does what",
        "",
        f"Made from the code by `{COMMAND}`; do not edit. Each row is a setting, each column a backend. *yes*",
        "is the most that a backend of the kind can do: a WebUI may lack the ADetailer extension.",
        "What a node can do now is in `stablenew nodes show NODE`; a job waits for a node that can do all that",
        "it asks for, and a setting at its default asks for nothing.",
        "",
        "[1] By StableNew itself: needs a face detector on the node, `pip install 'stablenew[detect]'`, and",
        "finds faces only. [2] By the node: `Lanczos`, `Nearest`, and with the extra `realesrgan` the networks",
        "of Real-ESRGAN.",
        "",
    ]
    names = [f"`{backend.name}`" for backend in backends]
    lines += ["## In short", ""]
    lines += _table(
        ["", *names],
        [
            [FEATURE_TEXTS[one], *(answer(frozenset({one}), backend) for backend in backends)]
            for one in Feature
            if one in FEATURE_TEXTS and one is not Feature.DETECTOR
        ],
    )
    plain = []
    for stage in sorted(stages, key=lambda stage: _is_special(stage, backends)):
        if not stage.needs(stage.Config()).features:
            plain.append(f"`{stage.name}`")
            continue
        lines += [f"## {stage.name}", ""]
        rows = []
        for name, info in stage.Config.model_fields.items():
            if name in NO_BACKEND:
                continue
            cells = [cell(stage, name, backend) for backend in backends]
            rows.append([f"`{name}`", info.title or name, *cells])
        lines += _table(["setting", "is", *names], rows)
    lines += [
        "## Post-processors",
        "",
        f"{', '.join(plain)} need no backend: any node does all of their settings.",
        "",
    ]
    return "\n".join(lines)


def _range(info: FieldInfo) -> str:
    kind = info.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if kind is bool:
        return "true or false"
    found = {type(mark): mark for mark in info.metadata}
    low, high = found.get(Ge), found.get(Le)
    lowest = f"{low.ge:g}" if low else f"above {found[Gt].gt:g}" if Gt in found else ""
    highest = f"{high.le:g}" if high and high.le < 2**53 else f"below {found[Lt].lt:g}" if Lt in found else ""
    if high and not highest:
        highest = str(high.le)
    text = f"{lowest} to {highest}" if lowest and highest else lowest or highest
    return f"{text}, in steps of {found[MultipleOf].multiple_of}" if MultipleOf in found else text


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return ""
    shown = to_jsonable_python(value)
    if isinstance(shown, bool):
        return "`true`" if shown else "`false`"
    return "empty" if shown in ("", []) else f"`{shown}`"


def _older(info: FieldInfo) -> str:
    alias = info.validation_alias
    choices = alias.choices[1:] if isinstance(alias, AliasChoices) else []
    return "".join(f", `{choice}`" for choice in choices)


def stages_page(stages: Sequence[type[Stage]]) -> str:
    """The page ``stages-reference.md``."""
    lines = [
        "# Every setting of every stage",
        "",
        f"Made from the code by `{COMMAND}`; do not edit. What the stages do is in [Stages](stages.md). Names",
        "behind the first one are older ones that are read, too. *advanced*: most people leave it alone.",
        "",
    ]
    for stage in stages:
        kind = " A post-processor." if stage.phase is Phase.POST else ""
        lines += [f"## {stage.name}", "", f"{stage.title}.{kind}", ""]
        rows = []
        for name, info in stage.Config.model_fields.items():
            marks = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            notes = [str(info.description or "").replace("|", "\\|")]
            if "only_with" in marks:
                notes.append(f"Only with `{marks['only_with']}`.")
            if marks.get("advanced"):
                notes.append("*advanced*")
            rows.append([f"`{name}`{_older(info)}", _default(info), _range(info), " ".join(notes)])
        lines += _table(["setting", "default", "values", "meaning"], rows)
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Every page that is made from the code, by file name."""
    stages, backends = built_in()
    return {
        "capabilities.md": capabilities_page(stages, backends),
        "stages-reference.md": stages_page(stages),
    }


def main(arguments: Sequence[str]) -> int:
    """Write the pages into the folder that ``arguments`` name; return the exit code."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: python -m stablenew_plugins.reference FOLDER (one that exists)\n")
        return 2
    for name, text in pages().items():
        (Path(arguments[0]) / name).write_text(text, encoding="utf-8", newline="\n")
        sys.stdout.write(f"{Path(arguments[0]) / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
