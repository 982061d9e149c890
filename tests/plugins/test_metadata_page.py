"""docs/metadata.md says what the code does: the order of keys, and what is read from which program."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from importer_kit import IMPORTERS, golden_inputs, hide, own_picture, picture

from stablenew_api.importer import recognise
from stablenew_api.png import read_text
from stablenew_kernel.app.saving import file_of
from stablenew_kernel.domain.infotext import HASH_KEYS, KEY_ORDER, LAST_KEYS, PASS_KEYS
from stablenew_kernel.domain.saving import SavedAs

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metadata.md").read_text(encoding="utf-8")
KINDS = {"PNG": "png", "JPEG": "jpg", "WebP": "webp", "AVIF": "avif"}


def keys_of(group: str) -> tuple[str, ...]:
    (row,) = re.findall(rf"^\| {group} \| (.+) \|$", PAGE, re.MULTILINE)
    return tuple(re.findall(r"`([^`]+)`", row))


def test_the_order_of_the_keys() -> None:
    assert keys_of("first") == KEY_ORDER
    assert keys_of("passes") == PASS_KEYS
    assert keys_of("hashes") == HASH_KEYS
    assert keys_of("last") == LAST_KEYS


ROWS: dict[str, set[str]] = {
    importer: set(files.split(", "))
    for importer, files in re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)
}


def recipe(importer: str) -> dict[str, str]:
    """The texts of an image that this importer reads."""
    if importer == "stablenew_image":
        return read_text(own_picture()[0])
    for path in golden_inputs():
        if path.name.endswith(".image.json"):
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["importer"] == importer:
                return dict(found["texts"])
    raise AssertionError(importer)


def image(importer: str, kind: str) -> tuple[str, bytes]:
    texts = recipe(importer)
    if kind == "pixels":
        hidden = json.dumps(texts) if "Comment" in texts else texts.get("parameters", "")
        return "x.png", hide(hidden, rgb=False, packed=True, size=(128, 256))
    if importer == "stablenew_image" and kind in ("JPEG", "WebP"):
        ending, data = file_of(own_picture()[0], texts, SavedAs(kind.lower()))
        assert isinstance(data, bytes)
        return f"x{ending}", data
    return f"x.{KINDS[kind]}", picture(f"x.{KINDS[kind]}", texts)


def test_every_importer_of_images_is_in_the_table() -> None:
    assert set(ROWS) == {name for name, kind in IMPORTERS.items() if ".png" in kind.endings}


@pytest.mark.parametrize("importer", ROWS)
def test_what_is_read_from_where(importer: str) -> None:
    read = {
        kind
        for kind in (*KINDS, "pixels")
        if [found.name for found in recognise(IMPORTERS, *image(importer, kind))] == [importer]
    }
    assert read == ROWS[importer]
