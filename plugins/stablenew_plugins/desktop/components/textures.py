"""Images on the screen: decoded elsewhere, uploaded a few a frame, forgotten when nobody looks any more.

Only static textures: others are uploaded again in each frame, and leak when they are deleted."""

from __future__ import annotations

import io
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.models.core.background import Background

log = logging.getLogger(__name__)

PIXELS_A_FRAME = 48_000
"""That are uploaded in one frame, at most, if they are not those of one image: 1 ms for each thumbnail."""
AT_ONCE = 4
"""Images that are being decoded, or wait for their upload, at most: what is scrolled past is never decoded."""
PATIENCE = 3
"""Frames behind which nobody waits any more for an image that was not asked for again."""
KEPT_PIXELS = 8 << 20
"""Pixels of all textures together, 4 bytes each: about 34 MB, or 200 thumbnails, ten screens of them."""
FAILED_KEPT = 2_000
LOOK_EVERY = 60
"""Frames between two looks at whether the files of what is on the screen have changed: a second while somebody
does something, some more while nobody does."""

Key = tuple[str, Path, Hashable]
"""Of a picture: its kind, its file, and how it is shown."""
Stamp = tuple[int, int] | None
"""When a file was changed, in nanoseconds, and its bytes; None: there is none."""


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


@dataclass(slots=True)
class _Reading:
    """One file that is being read."""

    path: Path
    decode: Callable[[], Decoded]
    stamp: Stamp = None
    """Of the file before it was read: if it is written meanwhile, it has another one."""

    def __call__(self) -> Decoded:
        self.stamp = stamp_of(self.path)
        return self.decode()


@dataclass(slots=True)
class _Live:
    """A picture that is replaced again and again."""

    asked: tuple[int, int, int] = (-1, 0, 0)
    decoding: bool = False
    ready: Decoded | None = None
    picture: Picture | None = None


class Textures:
    """A cache. All calls on the thread that draws."""

    def __init__(self, background: Background) -> None:
        self._background = background
        with dpg.texture_registry() as self.registry:
            self._empty = dpg.add_static_texture(1, 1, [0.0, 0.0, 0.0, 0.0])
        self._shown: OrderedDict[Key, Picture] = OrderedDict()
        self._wanted: OrderedDict[Key, _Reading] = OrderedDict()
        """Not begun; the latest asked for at the end."""
        self._loading: set[Key] = set()
        self._live: dict[Hashable, _Live] = {}
        self._failed: OrderedDict[Path, tuple[str, Stamp]] = OrderedDict()
        self._read: dict[Key, tuple[Path, Stamp]] = {}
        """What the pictures that are shown, or on their way, were read from."""
        self._stale: set[Key] = set()
        """Pictures whose file is another one by now: they stay until the new one is there."""
        self._look_at = LOOK_EVERY
        """The frame in which files are looked at."""
        self._is_looking = False
        self._ready: OrderedDict[Key, Decoded] = OrderedDict()
        self._pixels = 0
        self._frame = 0
        self._used: dict[Key, int] = {}
        self._trims: list[tuple[int, int | str]] = []
        self._old: list[tuple[int, int | str]] = []
        """Pictures of live ones that are shown no more, and the frame in which they go."""
        self.revision = 0
        """Grows when a picture has come or gone: who shows some looks again."""

    @property
    def is_busy(self) -> bool:
        """Whether a picture that somebody wants to show is not there yet."""
        return bool(self._wanted or self._loading or self._ready)

    @property
    def empty(self) -> int | str:
        """A texture of nothing, for a place whose picture is not there yet."""
        return self._empty

    def thumbnail(self, path: Path, size: int, radius: int = 0) -> Picture | None:
        """The image at ``path``, cut to a square of ``size`` pixels with round corners; None: it comes."""
        key = ("thumbnail", path, (size, radius))
        return self._get(key, partial(decode_file, path, size, size, radius, True))

    def fitted(self, path: Path, width: int, height: int, radius: int = 0) -> Picture | None:
        """The image at ``path``, as large as fits ``width`` x ``height`` pixels; None: not yet, it comes."""
        key = ("fitted", path, (width, height, radius))
        return self._get(key, partial(decode_file, path, width, height, radius, False))

    def region(
        self, path: Path, box: tuple[float, float, float, float], width: int, height: int
    ) -> Picture | None:
        """The part ``box`` (left, top, right, bottom, 0 to 1) of the image at ``path``, as large as fits; None:
        not yet, it comes."""
        key = ("region", path, (box, width, height))
        return self._get(key, partial(decode_region, path, box, width, height))

    def live(
        self, slot: Hashable, number: int, data: bytes, width: int, height: int, radius: int = 0
    ) -> Picture | None:
        """The image file ``data``, enlarged or reduced to fit ``width`` x ``height``, with a new ``number`` for
        each new content: the latest of ``slot`` that is ready, while the newest one comes. Those before are
        let go. None: none yet."""
        live = self._live.setdefault(slot, _Live())
        wanted = (number, width, height)
        if wanted != live.asked and not live.decoding:
            live.asked, live.decoding = wanted, True

            def done(decoded: Decoded) -> None:
                live.decoding = False
                live.ready = decoded

            def failed(error: Exception) -> None:
                live.decoding = False
                log.warning("a preview can't be shown, the next one comes soon: %s", error)

            self._background.run(partial(decode_bytes, data, width, height, radius), done, failed)
        return live.picture

    def live_picture(self, slot: Hashable) -> Picture | None:
        """The picture of ``slot`` that is ready; None: there is none."""
        live = self._live.get(slot)
        return None if live is None else live.picture

    def end_live(self, slot: Hashable) -> None:
        """Let the picture of ``slot`` go. Nothing may show it any more."""
        live = self._live.pop(slot, None)
        if live is not None and live.picture is not None:
            self._old.append((self._frame + 2, live.picture.texture))

    def failure(self, path: Path) -> str:
        """Why the image at ``path`` can't be shown; empty: it can, as far as known."""
        return self._failed.get(path, ("", None))[0]

    def forget(self, path: Path) -> None:
        """The file at ``path`` has changed, went or came: read it anew where it is shown."""
        if self._failed.pop(path, None) is not None:
            self.revision += 1
        self._stale.update(key for key, (read, _stamp) in self._read.items() if read == path)

    def _get(self, key: Key, decode: Callable[[], Decoded]) -> Picture | None:
        before = self._used.get(key, self._frame - PATIENCE - 1)
        self._used[key] = self._frame
        picture = self._shown.get(key)
        if picture is not None:
            self._shown.move_to_end(key)
        if (picture is not None and key not in self._stale) or key in self._loading or key in self._ready:
            return picture
        if key[1] in self._failed:
            if self._frame - before > PATIENCE:  # somebody comes back to it: is it there by now?
                self._look_at = self._frame
            return picture
        self._wanted[key] = _Reading(key[1], decode)
        self._wanted.move_to_end(key)
        return picture

    def _begin(self) -> None:
        """Decode what was asked for last; forget what nobody asks for any more."""
        for key in [key for key in self._wanted if self._frame - self._used.get(key, 0) > PATIENCE]:
            del self._wanted[key]
            self._used.pop(key, None)
            self.revision += 1  # who only looks when something changed, and still waits, asks again
        while self._wanted and len(self._loading) + len(self._ready) < AT_ONCE:
            key, reading = self._wanted.popitem()
            self._loading.add(key)
            self._stale.discard(key)
            self._background.run(
                reading, partial(self._decoded, key, reading), partial(self._undecoded, key, reading)
            )

    def _decoded(self, key: Key, reading: _Reading, decoded: Decoded) -> None:
        self._loading.discard(key)
        self._read[key] = (reading.path, reading.stamp)
        self._ready[key] = decoded

    def _undecoded(self, key: Key, reading: _Reading, error: Exception) -> None:
        self._loading.discard(key)
        for other in [one for one, (path, _stamp) in self._read.items() if path == reading.path]:
            self._drop(other)
        self._used.pop(key, None)
        self._failed[reading.path] = (str(error), reading.stamp)
        while len(self._failed) > FAILED_KEPT:
            self._failed.popitem(last=False)
        self.revision += 1

    def _drop(self, key: Key) -> None:
        """Let go of a picture that may be on the screen for one more frame."""
        self._read.pop(key, None)
        self._stale.discard(key)
        if (picture := self._shown.pop(key, None)) is not None:
            self._pixels -= picture.width * picture.height
            self._old.append((self._frame + 2, picture.texture))

    # --- files that change ----------------------------------------------------------------------------------

    def _look(self) -> None:
        """Look, elsewhere, whether the files of what is on the screen are still those that were read."""
        self._look_at = self._frame + LOOK_EVERY
        here = {key for key, frame in self._used.items() if self._frame - frame <= PATIENCE}
        for key in self._used.keys() - here - self._read.keys() - self._wanted.keys() - self._loading:
            del self._used[key]  # of a file that can't be read, and that nobody looks at any more
        paths = {key[1] for key in here if key in self._read or key[1] in self._failed}
        if not paths:
            return
        self._is_looking = True

        def failed(error: Exception) -> None:
            self._is_looking = False
            log.warning("whether images have changed is not known: %s", error)

        self._background.run(lambda: {path: stamp_of(path) for path in paths}, self._looked, failed)

    def _looked(self, stamps: Mapping[Path, Stamp]) -> None:
        self._is_looking = False
        known = [*self._read.values(), *((path, stamp) for path, (_why, stamp) in self._failed.items())]
        for path in {path for path, stamp in known if path in stamps and stamps[path] != stamp}:
            self.forget(path)

    def tick(self) -> None:
        """Upload a few of what is decoded, and let go what is too much. Called each frame."""
        self._frame += 1
        pixels = 0
        while self._ready and pixels < PIXELS_A_FRAME:
            key, decoded = self._ready.popitem(last=False)
            if (before := self._shown.get(key)) is not None:
                self._pixels -= before.width * before.height
                self._old.append((self._frame + 2, before.texture))
            self._shown[key] = self._upload(decoded)
            self._pixels += decoded.width * decoded.height
            pixels += decoded.width * decoded.height
        for live in self._live.values():
            if live.ready is not None:
                if live.picture is not None:
                    self._old.append((self._frame + 2, live.picture.texture))
                live.picture, live.ready = self._upload(live.ready), None
        while self._trims and self._trims[0][0] <= self._frame:
            _when, texture = self._trims.pop(0)
            if dpg.does_item_exist(texture):
                dpg.set_value(texture, [])
        while self._old and self._old[0][0] <= self._frame:
            dpg.delete_item(self._old.pop(0)[1])
        self._let_go()
        if self._frame >= self._look_at and not self._is_looking:
            self._look()
        self._begin()

    def _upload(self, decoded: Decoded) -> Picture:
        texture = dpg.add_static_texture(decoded.width, decoded.height, decoded.pixels, parent=self.registry)
        self.revision += 1
        # The copy that Dear PyGui keeps in memory is of no use once the frame has uploaded it.
        self._trims.append((self._frame + 2, texture))
        return Picture(texture, decoded.width, decoded.height)

    def _let_go(self) -> None:
        for key in list(self._shown):
            if self._pixels <= KEPT_PIXELS:
                return
            if self._frame - self._used.get(key, 0) < 3:
                continue  # on the screen
            picture = self._shown.pop(key)
            self._used.pop(key, None)
            self._read.pop(key, None)
            self._stale.discard(key)
            self._pixels -= picture.width * picture.height
            dpg.delete_item(picture.texture)
            self.revision += 1

    def close(self) -> None:
        """Let go of all. Nothing may show them any more."""
        dpg.delete_item(self.registry)
        for kept in (self._read, self._shown, self._ready, self._wanted, self._live, self._trims, self._old):
            kept.clear()


def stamp_of(path: Path) -> Stamp:
    """What changes when the file at ``path`` is written."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def decode_file(path: Path, width: int, height: int, radius: int, cut: bool) -> Decoded:
    """Read the image at ``path`` for a texture: within ``width`` x ``height`` pixels, never enlarged, corners
    rounded by ``radius``; ``cut``: exactly so large, what is too much at the sides is cut off. A JPEG is read
    no larger than needed.

    Raises OSError, ValueError."""
    from PIL import Image

    with path.open("rb") as file, Image.open(file) as opened:
        opened.draft("RGB", (width * 2, height * 2))
        return _for_texture(_shaped(_plain(opened), width, height, cut=cut), radius)


def decode_bytes(data: bytes, width: int, height: int, radius: int) -> Decoded:
    """The image file ``data`` for a texture, enlarged or reduced to fit ``width`` x ``height`` pixels. Raises
    as :func:`decode_file`."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        image = _plain(opened)
    factor = min(width / image.width, height / image.height)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return _for_texture(image.resize(size, Image.Resampling.BILINEAR), radius)


def decode_region(path: Path, box: tuple[float, float, float, float], width: int, height: int) -> Decoded:
    """The part ``box`` (0 to 1) of the image at ``path``, not enlarged. Raises as :func:`decode_file`."""
    from PIL import Image

    with path.open("rb") as file, Image.open(file) as opened:
        w, h = opened.size
        left, top = int(box[0] * w), int(box[1] * h)
        right, bottom = max(left + 1, round(box[2] * w)), max(top + 1, round(box[3] * h))
        part = _plain(opened.crop((left, top, min(right, w), min(bottom, h))))
    return _for_texture(_shaped(part, width, height, cut=False), 0)


def _plain(image: Any) -> Any:
    """Without palettes and the like; transparent only where it was."""
    see_through = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return image.convert("RGBA" if see_through else "RGB")


def _shaped(image: Any, width: int, height: int, *, cut: bool) -> Any:
    from PIL import Image

    if cut:
        factor = max(width / image.width, height / image.height)
        x, y = max(0.0, (image.width - width / factor) / 2), max(0.0, (image.height - height / factor) / 2)
        box = (x, y, image.width - x, image.height - y)
        return image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    factor = min(width / image.width, height / image.height)
    if factor >= 1:
        return image
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _for_texture(image: Any, radius: int) -> Decoded:
    import numpy as np
    from PIL import Image, ImageChops, ImageDraw

    image = image.convert("RGBA")
    if radius:
        mask = Image.new("L", (image.width * 2, image.height * 2), 0)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), radius * 2, fill=255)
        mask = mask.resize(image.size, Image.Resampling.BOX)
        image.putalpha(ImageChops.multiply(image.getchannel("A"), mask))
    pixels = np.asarray(image, dtype=np.float32).reshape(-1) / np.float32(255)
    return Decoded(image.width, image.height, pixels)
