"""What the settings do to a painted scene: strokes, noise of too few steps, the checkpoint's style, contrast,
tints, and the mix with img2img's input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stablenew_plugins.backends.embedded import tables
from stablenew_plugins.backends.embedded.field import Canvas, F, Plane, Rgb, blend, paint_of, ramp, smooth
from stablenew_plugins.backends.embedded.scene import Scene, letter_colour, mix
from stablenew_plugins.backends.embedded.studio import enlarge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stablenew_plugins.backends.embedded.engine import Settings

_TILE = 251
"""Side of the tile that fine grain is laid with; a prime, so that it does not line up with anything."""


def residual(steps: int, pace: float, strength: float = 1.0) -> float:
    """What is left of the noise after ``steps`` steps, 0 to 1. img2img at ``strength`` takes that share of the
    steps but starts from that share of the noise."""
    done = steps * pace
    left = 1.0 / (1.0 + (done / 5.0) * (done / 5.0)) - 0.035
    return max(0.0, left) * strength


class Finish:
    """Applied to the whole painted ``picture``, band by band."""

    def __init__(self, canvas: Canvas, settings: Settings, scene: Scene, picture: Rgb) -> None:
        self._canvas, self._settings, self._scene, self._picture = canvas, settings, scene, picture
        sampler = tables.SAMPLERS[settings.sampler]
        pace, grain = tables.SCHEDULERS[settings.scheduler]
        dice = settings.dice(f"finish {settings.sampler}")
        rough = max(0.0, -scene.finish)
        self._left = min(1.0, residual(settings.steps, sampler.pace * pace) + 0.30 * rough)
        self._grain = (0.012 + 0.055 * sampler.grain * grain) * (
            1.0 - 0.5 * max(0.0, scene.finish)
        ) + 0.05 * rough
        self._flat = min(0.9, sampler.flat + 0.12 * (settings.clip_skip - 1))

        # Strokes: every pixel is taken from a place nearby, the places in streaks along the stroke.
        length = sampler.stroke * 1.6 + (2.0 if settings.model == "embedded-painter" else 0.0)
        self._reach = (0.0 if settings.part else length) * 0.001 * (1.0 - 0.4 * scene.finish) * canvas.density
        along, over = 150 - 95 * sampler.slant, 55 + 95 * sampler.slant
        scale = 3.2 / (2.0 + length * 0.4)
        self._across, self._over = along * scale, over * scale
        self._strokes = canvas.noise(dice.of("strokes"), over * scale, along * scale, 2, 0.6)
        self._lift = canvas.noise(dice.of("lift"), over * scale * 0.8, along * scale * 0.8, 2, 0.6)
        self._tile = dice.of("grain").many(_TILE, _TILE) - F(0.5)
        self._weave = dice.of("weave").many(_TILE) - F(0.5)

        self._pool = canvas.noise(dice.of("pool"), 7, 7, 4, 0.55) if settings.model == "embedded-ink" else None

        self._noise = (
            [canvas.noise(dice.of(f"latent {c}"), 30, 30, 3, 0.8) for c in range(3)]
            if self._left > 0.004
            else []
        )
        self._soft = _small(picture) if self._left > 0.004 or settings.model == "embedded-neon" else None

        # 7 is neutral; a rational curve, steep below and slow above.
        scale_ = max(0.1, settings.cfg_scale)
        self._contrast = 0.62 + 0.76 * scale_ / (scale_ + 7.0)
        self._saturation = (0.30 + 1.40 * scale_ / (scale_ + 7.0)) * tables.VAES[settings.vae]
        self._tints = [
            (tables.LORAS.get(name) or letter_colour(name), max(-0.6, min(0.6, 0.16 * weight)))
            for name, weight in settings.prompt.loras
        ]
        self._dissolve = canvas.noise(dice.of("dissolve"), 5, 5, 4) if 0 < settings.strength < 1 else None

    def band(self, top: int, bottom: int, original: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        """Rows ``top`` to ``bottom`` as 8-bit RGB (rows, columns, 3); ``original`` is img2img's input there."""
        halo = max(1, round(self._canvas.density / 420))
        first, last = max(0, top - halo), min(self._canvas.height, bottom + halo)
        work = self._stroked(first, last)
        if self._left > 0.004:
            self._unfinish(work, first, last)
        if self._settings.model == "embedded-ink":
            work = self._ink(work, first, halo)
        elif self._settings.model == "embedded-neon":
            work = self._neon(work, first, halo)
        work = work[:, top - first : top - first + bottom - top]
        self._tone(work)
        self._texture(work, top)
        if original is not None:
            self._mix(work, top, original)
        np.clip(work, F(0), F(1), out=work)
        work *= F(255)
        work += F(0.5)
        return np.ascontiguousarray(work.astype(np.uint8).transpose(1, 2, 0))

    def _rows(self, first: int, last: int) -> Plane:
        return self._canvas.v[first:last]

    def _stroked(self, first: int, last: int) -> Rgb:
        v = self._rows(first, last)
        if self._reach < 0.3:
            return self._picture[:, first:last].copy()
        width, height = self._canvas.width, self._canvas.height
        move_u = (self._strokes.rows(v * F(self._across)) - F(0.5)) * F(1.05 * self._reach)
        move_v = (self._lift.rows(v * F(self._across * 0.8)) - F(0.5)) * F(1.05 * self._reach)
        columns = np.arange(width, dtype=F) + move_u
        rows = np.arange(first, last, dtype=F)[:, None] + move_v
        u = np.clip(columns + F(0.5), F(0), F(width - 1)).astype(np.intp)
        v_ = np.clip(rows + F(0.5), F(0), F(height - 1)).astype(np.intp)
        v_ *= width
        v_ += u
        flat = self._picture.reshape(3, -1)
        work = np.empty((3, last - first, width), F)
        for channel in range(3):
            np.take(flat[channel], v_, out=work[channel], mode="clip")
        return work

    def _unfinish(self, work: Rgb, first: int, last: int) -> None:
        """Too few steps: soft, and with the noise still in it."""
        assert self._soft is not None
        blur = F(min(0.92, self._left * 1.5))
        v = self._rows(first, last)
        for channel in range(3):
            plane = work[channel]
            soft = enlarge(self._soft[channel], self._canvas, first, last - first)
            plane += (soft - plane) * blur
            noise = self._noise[channel].rows(v * F(30)) - F(0.5)
            plane += noise * F(1.5 * self._left * (0.45 + 0.55 * self._left))

    def _edges(self, light: Plane, halo: int, strength: float) -> Plane:
        """Lines where the brightness jumps, 0 to 1; the outermost rows and columns repeat their neighbours."""
        down = np.zeros_like(light)
        down[halo:] = np.abs(light[halo:] - light[:-halo])
        across = np.zeros_like(light)
        across[:, halo:] = np.abs(light[:, halo:] - light[:, :-halo])
        edges = np.maximum(down, across)
        edges[:-halo] = np.maximum(edges[:-halo], down[halo:])
        return np.clip(edges * F(strength), F(0), F(1))

    def _ink(self, work: Rgb, first: int, halo: int) -> Rgb:
        """Wash in a few tones on paper, lines at the edges, one colour kept."""
        v = self._rows(first, first + work.shape[1])
        light = _light(work)
        assert self._pool is not None
        pool = (self._pool.rows(v * F(7)) - F(0.5)) * F(0.10)
        tone = np.clip(ramp(light + pool, 0.02, 0.90), F(0), F(1))
        steps = tone * F(6)
        low = np.floor(steps)
        tone = (low + ramp(steps - low, 0.30, 0.72)) * F(1 / 6)
        line = self._edges(light, halo, 3.4)
        colourful = np.maximum(np.maximum(work[0], work[1]), work[2]) - np.minimum(
            np.minimum(work[0], work[1]), work[2]
        )
        keep = ramp(colourful, 0.18, 0.62) * F(0.66) + F(0.20)
        paper, ink = (0.955, 0.932, 0.882), (0.085, 0.095, 0.135)
        result = np.empty_like(work)
        for channel in range(3):
            wash = F(ink[channel]) + F(paper[channel] - ink[channel]) * tone
            coloured = wash + (work[channel] - light) * F(0.95)
            result[channel] = wash + (coloured - wash) * keep
        blend(result, line * line * F(0.85), paint_of(ink))
        return result

    def _neon(self, work: Rgb, first: int, halo: int) -> Rgb:
        """Dark and saturated, with light along the edges and in the bright parts."""
        assert self._soft is not None
        light = _light(work)
        line = self._edges(light, halo, 5.0)
        rows = work.shape[1]
        v = self._rows(first, first + rows) * F(1 / self._canvas.b)
        share = np.clip((v[:, None] + self._canvas.u * F(1 / self._canvas.a)) * F(0.5), F(0), F(1))
        one = mix((0.10, 0.86, 0.98), self._scene.palette.lower, 0.25)
        two = mix((1.00, 0.22, 0.72), self._scene.palette.accent, 0.30)
        result = np.empty_like(work)
        for channel in range(3):
            soft = enlarge(self._soft[channel], self._canvas, first, rows)
            rich = np.clip(light + (work[channel] - light) * F(1.9), F(0), F(1))
            bloom = soft * soft * F(0.22)
            glow_ = F(one[channel]) + F(two[channel] - one[channel]) * share
            dyed = rich + (light * (F(0.35) + F(0.65) * glow_) - rich) * F(0.5)
            dark = dyed * (F(0.14) + F(0.66) * light * light)
            base = dark + (F(1) - dark) * bloom * glow_
            result[channel] = base + (F(1) - base) * line * glow_ * F(0.88)
        return result

    def _tone(self, work: Rgb) -> None:
        """CFG scale, VAE, LoRAs, flat colours."""
        if self._flat:
            # By brightness, not by channel: steps in the channels at different places would be rainbows.
            light = _light(work)
            step = light * F(22 - 14 * self._flat)
            low = np.floor(step)
            sharp = 0.5 * self._flat
            even = (low + ramp(step - low, sharp, 1.02 - sharp)) * F(1 / (22 - 14 * self._flat))
            work += even - light
        light = _light(work)
        centred = (light - F(0.5)) * F(self._contrast) + F(0.5)
        for channel in range(3):
            work[channel] = centred + (work[channel] - light) * F(self._saturation)
        for colour, amount in self._tints:
            for channel in range(3):
                plane = work[channel]
                # Soft light by the colour: mid-tones take most of it, black and white none.
                plane += (
                    (F(colour[channel]) - F(0.45)) * F(amount * 4) * plane * (F(1) - np.clip(plane, F(0), F(1)))
                )

    def _texture(self, work: Rgb, top: int) -> None:
        """Grain, the same for the three channels; canvas or paper below the paint."""
        rows, width = work.shape[1], work.shape[2]
        tile_rows = np.arange(top, top + rows) % _TILE
        tile_columns = np.arange(width) % _TILE
        shift = np.arange(top, top + rows) // _TILE * 97
        grain = self._tile[tile_rows[:, None], (tile_columns + shift[:, None]) % _TILE] * F(self._grain)
        if self._settings.model != "embedded-neon":
            amount = 0.016 if self._settings.model == "embedded-painter" else 0.022
            grain += (self._weave[tile_rows][:, None] + self._weave[::-1][tile_columns]) * F(amount * 0.5)
        work += grain

    def _mix(self, work: Rgb, top: int, original: NDArray[np.uint8]) -> None:
        """img2img: the drawing over the input, by the denoising strength. It takes hold in patches, as a real
        model changes some things before others."""
        strength = self._settings.strength
        if self._dissolve is None:
            return
        patch = self._dissolve.rows(self._rows(top, top + work.shape[1]) * F(5))
        lean = 4.0 * strength * (1.0 - strength)
        weight = np.clip(F(strength) + (ramp(patch, 0.25, 0.75) - F(0.5)) * F(0.8 * lean), F(0), F(1))
        weight = smooth(weight)
        for channel in range(3):
            before = original[:, :, channel].astype(F) * F(1 / 255)
            work[channel] = before + (work[channel] - before) * weight


def _light(work: Rgb) -> Plane:
    """Brightness (Rec. 709 weights)."""
    light: Any = work[0] * F(0.2126)
    light += work[1] * F(0.7152)
    light += work[2] * F(0.0722)
    return np.asarray(light, F)


def _small(picture: Rgb) -> Rgb:
    """The picture at about 48 cells a shorter side, each cell the mean of a few samples, then smoothed."""
    _, height, width = picture.shape
    cell = max(1, min(height, width) // 48)
    rows, columns = max(1, height // cell), max(1, width // cell)
    total = np.zeros((3, rows, columns), F)
    places = sorted({cell // 6, cell // 2, cell - 1 - cell // 6})
    for dy in places:
        for dx in places:
            total += picture[
                :, dy : dy + (rows - 1) * cell + 1 : cell, dx : dx + (columns - 1) * cell + 1 : cell
            ]
    total *= F(1 / (len(places) * len(places)))
    padded = np.pad(total, ((0, 0), (1, 1), (1, 1)), mode="edge")
    mean = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
    mean += padded[:, 1:-1, :-2]
    mean += padded[:, 1:-1, 2:]
    return np.asarray((mean + total * F(4)) * F(1 / 8), F)
