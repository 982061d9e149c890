"""What was chosen in the randomizer, and how it goes into a run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from stablenew_plugins.desktop.models.prompt.axes import Axis
from stablenew_plugins.desktop.models.prompt.slots import as_values

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

Many = Literal["all", "per_prompt", "first", "sample"]
Seeds = Literal["as_set", "new", "counting", "fixed"]

LARGEST_SEED = 2**64 - 1
LARGEST_COUNT = 1_000_000
"""Images of one run at most."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """All of it. Replaced as a whole, so that other threads may read it."""

    enabled: bool = True
    modes: Mapping[str, str] = field(default_factory=dict)
    """By setting: ``randomization.modes.time``."""
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Lines, by setting: ``randomization.values.__hair__``."""
    axes: Sequence[Axis] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    """What the values of each axis are: integer, number, boolean, string."""
    many: Many = "all"
    number: int = 100
    """With ``many``: how many."""
    count: int = 0
    """Images of each combination; 0: as the pipeline says."""
    seeds: Seeds = "as_set"
    seed: int = 1
    rows: Mapping[str, str] = field(default_factory=dict)
    """``1-3,7`` by the path of the pack; of those that are not here all rows."""

    @property
    def is_default(self) -> bool:
        """Whether a run is as if there were no randomizer here."""
        return replace(self, axes=tuple(self.axes), number=100, seed=1, kinds={}) == Chosen()

    def apply(self, request: pb.RunRequest, known: Mapping[str, Collection[str]]) -> None:
        """Put it into ``request``. ``known``: settings of the slots of each pack, by its path: what concerns
        none of them is left out, since it would do nothing or, with a setting that varies in another pack,
        something else. Of a pack that is not in it nothing is left out but the latter."""
        settings = known.get(request.pack_path)
        request.rows = self.rows.get(request.pack_path, "")
        if not self.enabled:
            request.sets.append("randomization.enabled=false")
            # A mode that the prompt itself gives a choice stands above that switch.
            request.sets.extend(f"{name}=off" for name in sorted(settings or ()) if ".modes." in name)
        else:
            for name, mode in self.modes.items():
                if settings is None or name in settings:
                    request.sets.append(f"{name}={mode}")
            for name, lines in self.values.items():
                if name in settings if settings is not None else not _is_axis(name):
                    values = json.dumps(as_values(lines), ensure_ascii=False)
                    request.sets.append(f"{name}={values}")
            request.axes.extend(axis.text(self.kinds.get(axis.field, "string")) for axis in self.axes)
        if self.many == "per_prompt":
            request.sets.append(f"randomization.matrix.limit={self.number}")
        elif self.many == "first":
            request.limit = self.number
        elif self.many == "sample":
            request.sample = self.number
        if self.count:
            request.count = self.count
        if self.seeds != "as_set":
            mode = "fixed" if self.seeds == "fixed" else "per_image"
            request.sets.append(f"pipeline.seed_mode={mode}")
            request.seed = -1 if self.seeds == "new" else self.seed

    def to_json(self) -> dict[str, Any]:
        """To remember it."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        plain["axes"] = [
            {"field": axis.field, "values": list(axis.values), "mode": axis.mode} for axis in self.axes
        ]
        plain["values"] = {name: list(lines) for name, lines in self.values.items()}
        for name in ("modes", "kinds", "rows"):
            plain[name] = dict(plain[name])
        return plain


def from_json(plain: Mapping[str, Any]) -> Chosen:
    """What was remembered. What is not of its kind is as if nobody had chosen it."""
    many: Many = next((one for one in get_args(Many) if one == plain.get("many")), "all")
    seeds: Seeds = next((one for one in get_args(Seeds) if one == plain.get("seeds")), "as_set")
    return Chosen(
        enabled=plain.get("enabled") is not False,
        modes=_texts(plain.get("modes")),
        values={
            name: lines
            for name, given in _object(plain.get("values")).items()
            if (lines := _list(given)) and name.startswith("randomization.")
        },
        axes=tuple(
            Axis(str(one["field"]), _list(one.get("values")), str(one.get("mode") or "fanout"))
            for one in _objects(plain.get("axes"))
            if isinstance(one.get("field"), str) and _list(one.get("values"))
        ),
        kinds=_texts(plain.get("kinds")),
        many=many,
        number=_within(plain.get("number"), 1, LARGEST_COUNT, 100),
        count=_within(plain.get("count"), 0, LARGEST_COUNT, 0),
        seeds=seeds,
        seed=_within(plain.get("seed"), 0, LARGEST_SEED, 1),
        rows=_texts(plain.get("rows")),
    )


def _is_axis(setting: str) -> bool:
    """Whether a setting of values may make a setting of a stage vary where it did not."""
    name = setting.partition(".values.")[2]
    return "." in name and not name.startswith("__")


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> dict[str, str]:
    return {name: text for name, text in _object(value).items() if isinstance(text, str) and text}


def _list(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str) and one) if isinstance(value, list) else ()


def _within(value: Any, least: int, largest: int, default: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        return default
    return min(max(value, least), largest)
