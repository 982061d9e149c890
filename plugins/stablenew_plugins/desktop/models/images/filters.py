"""Which images are to be seen: the filter of the tab Learning, in its own words and in those of the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from stablenew_plugins.desktop.models.images.ratings import MOST_STARS
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_proto.v1 import gallery_pb2 as pb

Order = Literal["newest", "best"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which images are to be seen. Empty: all."""

    pack: str = ""
    model: str = ""
    preset: str = ""
    tag: str = ""
    min_stars: int = 0
    unrated: bool = False
    words: str = ""
    order: Order = "newest"

    @property
    def is_empty(self) -> bool:
        """Whether it lets all images through."""
        return replace(self, order="newest") == Wanted()

    def message(self) -> pb.ImageFilter:
        """The same for the kernel."""
        from stablenew_proto.v1 import gallery_pb2 as pb

        return pb.ImageFilter(
            packs=[self.pack] if self.pack else [],
            models=[self.model] if self.model else [],
            presets=[self.preset] if self.preset else [],
            tags=[self.tag] if self.tag else [],
            min_stars=0 if self.unrated else self.min_stars,
            unrated=self.unrated,
            words=self.words.strip(),
        )

    def conditions(self) -> Sequence[Condition]:
        """What it asks for, one by one."""
        found = []
        if self.words.strip():
            found.append(Condition(f'"{self.words.strip()}"', replace(self, words="")))
        if self.unrated:
            found.append(Condition(_("not rated"), replace(self, unrated=False)))
        elif self.min_stars:
            stars = many("{n} star", "{n} stars", self.min_stars)
            told = stars if self.min_stars == MOST_STARS else _("{stars} or more").format(stars=stars)
            found.append(Condition(told, replace(self, min_stars=0)))
        if self.pack:
            found.append(Condition(_("pack {name}").format(name=self.pack), replace(self, pack="")))
        if self.model:
            found.append(Condition(_("model {name}").format(name=self.model), replace(self, model="")))
        if self.preset:
            name = self.preset.removesuffix(".json")
            found.append(Condition(_("preset {name}").format(name=name), replace(self, preset="")))
        if self.tag:
            found.append(Condition(_("tag {name}").format(name=self.tag), replace(self, tag="")))
        return found

    @property
    def told(self) -> str:
        """In words: "model dreamshaper_8, 4 stars or more"; empty: all."""
        return ", ".join(condition.told for condition in self.conditions())

    def kept(self) -> dict[str, Any]:
        """For the file that remembers it."""
        return asdict(self)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Wanted:
        """What :meth:`kept` gave. What is no value of its kind counts as not set."""
        plain = cls()
        told = {
            field.name: kept[field.name]
            for field in fields(cls)
            if type(kept.get(field.name)) is type(getattr(plain, field.name))
        }
        found = cls(**told)
        if not 0 <= found.min_stars <= MOST_STARS:
            found = replace(found, min_stars=0)
        return found if found.order in ("newest", "best") else replace(found, order="newest")


@dataclass(frozen=True, slots=True)
class Condition:
    """One of those of a filter."""

    told: str
    """"model dreamshaper_8"."""
    without: Wanted
    """The filter without it."""


@dataclass(frozen=True, slots=True)
class Loosening:
    """A condition without which there would be images."""

    told: str
    wanted: Wanted
    images: int
    """That there would be."""
