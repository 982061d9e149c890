"""The kind of file that images are saved as. What is kept in the artifact store is the PNG that was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stablenew_api.imagetext import JPEG, PNG, WEBP
from stablenew_api.jobs import JsonValue

KINDS = (PNG, JPEG, WEBP)

DEFAULT_QUALITY = 90
LOSSLESS = 100
"""The quality at which WebP keeps every pixel."""

LARGEST_SIDE: Mapping[str, int] = {JPEG: 65_535, WEBP: 16_383}
"""Pixels that the format has room for; a larger image stays PNG."""


@dataclass(frozen=True, slots=True)
class SavedAs:
    """Kind and quality, as ``pipeline.image_format`` and ``pipeline.image_quality`` say."""

    kind: str = PNG
    quality: int = DEFAULT_QUALITY
    """1 to 100; PNG has none."""

    def to_request(self) -> dict[str, JsonValue]:
        """For the record of a run; nothing for PNG, so that a run of an older version reads the same."""
        return {} if self.kind == PNG else {"image_format": self.kind, "image_quality": self.quality}

    @staticmethod
    def of_request(request: Mapping[str, JsonValue]) -> SavedAs:
        """What :meth:`to_request` wrote."""
        return SavedAs(request.get("image_format", PNG), request.get("image_quality", DEFAULT_QUALITY))


AS_MADE = SavedAs()
"""PNG."""


def kind_named(value: object) -> object:
    """``value`` with the other names of the kinds made plain: ``JPG``, ``.png``. Anything else as it is."""
    if not isinstance(value, str):
        return value
    name = value.strip().lower().removeprefix(".")
    return JPEG if name in ("jpg", "jpeg") else name
