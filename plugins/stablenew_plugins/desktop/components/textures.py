"""Images on the screen: decoded elsewhere, uploaded a few a frame, forgotten when nobody looks any more.

Only static textures: others are uploaded again in each frame, and leak when they are deleted."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.models.background import Background

UPLOADS_A_FRAME = 3
KEPT_PIXELS = 24 << 20
"""Pixels of all textures together, 4 bytes each: about 100 MB, or 370 thumbnails and some large images."""
FAILED_KEPT = 2_000


@dataclass(slots=True)
class Picture:
    """A texture that can be shown."""

    texture: int | str
    width: int
    height: int
    """Pixels."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels that wait for their upload."""

    width: int
    height: int
    pixels: Any
    """A numpy array of float32, red, green, blue, alpha, 0 to 1, flat."""


class Textures:
    """A cache. All calls on the thread that draws."""

    def __init__(self, background: Background) -> None:
        self._background = background
        with dpg.texture_registry() as self.registry:
            self._empty = dpg.add_static_texture(1, 1, [0.0, 0.0, 0.0, 0.0])
        self._shown: OrderedDict[Hashable, Picture] = OrderedDict()
        self._loading: set[Hashable] = set()
        self._failed: OrderedDict[Hashable, str] = OrderedDict()
        self._ready: OrderedDict[Hashable, Decoded] = OrderedDict()
        self._pixels = 0
        self._frame = 0
        self._used: dict[Hashable, int] = {}
        self._trims: list[tuple[int, int | str]] = []
        self.revision = 0
        """Grows when a picture has come or gone: who shows some looks again."""

    @property
    def empty(self) -> int | str:
        """A texture of nothing, for a place whose picture is not there yet."""
        return self._empty

    def thumbnail(self, path: Path, size: int, radius: int = 0) -> Picture | None:
        """The image at ``path``, cut to a square of ``size`` pixels with round corners; None: it comes."""
        key = ("thumbnail", path, size, radius)
        return self._get(key, partial(decode_file, path, size, size, radius, True))

    def fitted(self, path: Path, width: int, height: int, radius: int = 0) -> Picture | None:
        """The image at ``path``, as large as fits ``width`` x ``height`` pixels; None: not yet, it comes."""
        key = ("fitted", path, width, height, radius)
        return self._get(key, partial(decode_file, path, width, height, radius, False))

    def preview(self, key: Hashable, data: bytes, width: int, height: int, radius: int = 0) -> Picture | None:
        """The image file ``data``, as large as fits, under ``key``: a new one for each new content."""
        return self._get(
            ("preview", key, width, height), partial(decode_bytes, data, width, height, radius, False)
        )

    def failure(self, path: Path) -> str:
        """Why the image at ``path`` can't be shown; empty: it can, as far as known."""
        return self._failed.get(path, "")

    def forget(self, path: Path) -> None:
        """The file at ``path`` has changed or came: try again."""
        self._failed.pop(path, None)

    def _get(self, key: Hashable, decode: Callable[[], Decoded]) -> Picture | None:
        self._used[key] = self._frame
        picture = self._shown.get(key)
        if picture is not None:
            self._shown.move_to_end(key)
            return picture
        path = key[1] if isinstance(key, tuple) else None
        if key in self._loading or key in self._ready or path in self._failed:
            return None
        self._loading.add(key)

        def done(decoded: Decoded) -> None:
            self._loading.discard(key)
            self._ready[key] = decoded

        def failed(error: Exception) -> None:
            self._loading.discard(key)
            self._failed[path] = str(error)
            while len(self._failed) > FAILED_KEPT:
                self._failed.popitem(last=False)
            self.revision += 1

        self._background.run(decode, done, failed)
        return None

    def tick(self) -> None:
        """Upload a few of what is decoded, and let go what is too much. Called each frame."""
        self._frame += 1
        for _number in range(min(UPLOADS_A_FRAME, len(self._ready))):
            key, decoded = self._ready.popitem()  # the newest first: that is what is looked at
            texture = dpg.add_static_texture(
                decoded.width, decoded.height, decoded.pixels, parent=self.registry
            )
            self._shown[key] = Picture(texture, decoded.width, decoded.height)
            self._pixels += decoded.width * decoded.height
            self.revision += 1
            # The copy that Dear PyGui keeps in memory is of no use once the frame has uploaded it.
            self._trims.append((self._frame + 2, texture))
        while self._trims and self._trims[0][0] <= self._frame:
            _when, texture = self._trims.pop(0)
            if dpg.does_item_exist(texture):
                dpg.set_value(texture, [])
        self._let_go()

    def _let_go(self) -> None:
        for key in list(self._shown):
            if self._pixels <= KEPT_PIXELS:
                return
            if self._frame - self._used.get(key, 0) < 3:
                continue  # on the screen
            picture = self._shown.pop(key)
            self._used.pop(key, None)
            self._pixels -= picture.width * picture.height
            dpg.delete_item(picture.texture)
            self.revision += 1

    def close(self) -> None:
        """Let go of all. Nothing may show them any more."""
        dpg.delete_item(self.registry)
        self._shown.clear()
        self._ready.clear()


def decode_file(path: Path, width: int, height: int, radius: int, cut: bool) -> Decoded:
    """Read the image at ``path``; see :func:`decode_bytes`. A JPEG is read no larger than needed."""
    with path.open("rb") as file:
        return _decode(file, width, height, radius, cut)


def decode_bytes(data: bytes, width: int, height: int, radius: int, cut: bool) -> Decoded:
    """The image file ``data`` for a texture: within ``width`` x ``height`` pixels, corners rounded by
    ``radius``; ``cut``: exactly so large, what is too much at the sides is cut off.

    Raises OSError, ValueError."""
    return _decode(io.BytesIO(data), width, height, radius, cut)


def _decode(file: Any, width: int, height: int, radius: int, cut: bool) -> Decoded:
    import numpy as np
    from PIL import Image, ImageChops, ImageDraw, ImageOps

    with Image.open(file) as opened:
        opened.draft("RGB", (width * 2, height * 2))
        image = opened.convert("RGBA")
    if cut:
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    else:
        factor = min(width / image.width, height / image.height)
        if factor < 1:
            size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if radius:
        mask = Image.new("L", (image.width * 2, image.height * 2), 0)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), radius * 2, fill=255)
        mask = mask.resize(image.size, Image.Resampling.BOX)
        image.putalpha(ImageChops.multiply(image.getchannel("A"), mask))
    pixels = np.asarray(image, dtype=np.float32).reshape(-1) / np.float32(255)
    return Decoded(image.width, image.height, pixels)
