"""Layers of the ground: ridges, mist, woods, water and what floats on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stablenew_plugins.backends.embedded.field import (
    Canvas,
    Dice,
    F,
    Plane,
    Rgb,
    add_light,
    between,
    blend,
    paint_of,
    profile,
    ramp,
    sine,
)
from stablenew_plugins.backends.embedded.layers import WHITE, Layer, Light, rows_of
from stablenew_plugins.backends.embedded.scene import Colour, Palette, mix


@dataclass(frozen=True, slots=True)
class Relief:
    """How the body of a ridge is painted."""

    top: Colour
    base: Colour
    fade: float
    """Depth below the crest, in units, at which ``base`` is reached."""
    contrast: float = 0.0
    """Of light and shadow on its face."""
    grain: float = 6.0
    """Cells a unit of that light and shadow."""
    snow: float = 0.0
    """Depth of the snow below the highest crest, in units."""
    snow_lit: Colour = WHITE
    snow_shade: Colour = WHITE


def ridge(canvas: Canvas, dice: Dice, crest: Plane, relief: Relief, from_right: bool = False) -> Layer:
    """A body of land below ``crest`` (v of its upper edge, by column)."""
    highest = float(crest.min())
    facets = _facets(canvas, dice, relief.grain, from_right) if relief.contrast else None
    wobble = canvas.noise(dice.of("wobble"), 9, 9, 3, 0.6) if relief.contrast else None
    ragged = canvas.noise(dice.of("snow"), 7, 16, 3) if relief.snow else None

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        if float(v[-1]) + 1 / canvas.density < highest:
            return
        depth = v[:, None] - crest
        mask = canvas.edge(depth)
        share = np.clip(depth * F(1 / relief.fade), F(0), F(1))
        paint = between(relief.top, relief.base, share)
        if facets is not None and wobble is not None:
            shake = wobble.rows(v * F(9)) - F(0.5)
            light = facets(depth, shake) * F(relief.contrast) * (F(1) - F(0.8) * share)
            if ragged is not None:
                line = F(highest + relief.snow) + (ragged.rows(v * F(16)) - F(0.5)) * F(relief.snow * 1.5)
                cover = np.clip((line - v[:, None]) * F(26) + F(0.5) + light * F(2.0), F(0), F(1))
                bright = np.clip(F(0.5) + light * F(1.9), F(0), F(1))
                snow = between(relief.snow_shade, relief.snow_lit, bright)
                paint = [a + (b - a) * cover for a, b in zip(paint, snow, strict=True)]
            paint = [np.clip(part * (F(1) + light * F(0.9)), F(0), F(1)) for part in paint]
        blend(band, mask, paint)

    return paint


def _facets(canvas: Canvas, dice: Dice, grain: float, from_right: bool) -> Callable[[Plane, Plane], Plane]:
    """Light (above 0) and shadow (below) on a mountain's face, by depth below the crest and a shake of the
    lines.

    Spurs and gullies run down from the crest to both sides: two sets of them, sheared against each other.
    """
    spare = 1.2  # u that the shear may reach past each edge
    count = int(canvas.width * (canvas.a + 2 * spare) / canvas.a)
    u = (np.arange(count, dtype=F) + F(0.5)) * F((canvas.a + 2 * spare) / count)
    sets = []
    for index, (frequency, shear, share) in enumerate(
        ((1.0, 0.55, 0.62), (1.7, -0.75, 0.5), (4.3, 0.25, 0.30))
    ):
        own = dice.of(f"facets {index}")
        line = profile(own, u * F(grain * frequency), 3, 0.45, 0.9)
        slope = np.empty_like(line)
        slope[1:] = (line[1:] - line[:-1]) * F(count / (canvas.a + 2 * spare) / (grain * frequency))
        slope[0] = slope[1] if count > 1 else F(0)
        lit = np.clip(slope * F(-1.5 if from_right else 1.5), F(-1), F(1)) * F(share)
        sets.append((lit, shear))
    pixels = F(canvas.density)
    start = np.arange(canvas.width, dtype=F) + F(spare * canvas.density)

    def light(depth: Plane, shake: Plane) -> Plane:
        total: Plane | None = None
        for lit, shear in sets:
            place = start + (depth * F(shear) + shake * F(0.07)) * pixels
            index = np.clip(place, F(0), F(count - 1)).astype(np.intp)
            part = lit[index]
            total = part if total is None else np.add(total, part, out=total)
        assert total is not None
        return total

    return light


def mist(canvas: Canvas, dice: Dice, level: float, depth: float, colour: Colour, amount: float) -> Layer:
    """A bank of mist, densest at ``level``."""
    field = canvas.noise(dice, 1.4, 9, 4, 0.5)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        near = F(1) - np.abs(v - F(level)) * F(1 / depth)
        if float(near.max()) <= 0:
            return
        body = np.clip(near, F(0), F(1))
        mask = (body * body)[:, None] * (F(0.35) + F(0.95) * field.rows(v * F(9))) * F(amount)
        blend(band, np.clip(mask, F(0), F(0.94)), paint_of(colour))

    return paint


def wood(
    canvas: Canvas, dice: Dice, base: Plane, height: float, spacing: float, colour: Colour, foot: Colour
) -> Layer:
    """Spruces of about ``height`` on the ground line ``base``, some ``spacing`` apart; ``colour`` at the tips
    fades to ``foot``."""
    trees = []
    u, highest = -0.08, float(base.min())
    while u < canvas.a + 0.08:
        tall = height * dice.real(0.5, 1.2)
        half = tall * dice.real(0.15, 0.22)
        column = min(canvas.width - 1, canvas.column(u))
        ground = float(base[column]) + 0.012 + 0.03 * tall
        left, right = canvas.column(u - half), canvas.column(u + half)
        trees.append((u, ground - tall, tall, half, dice.whole(8, 13), dice.real(), left, right))
        highest = min(highest, ground - tall)
        u += spacing * dice.real(0.4, 1.5)
    level = float(base.min()) - height
    fade = 1 / (height * 1.9)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        rows = band.shape[1]
        v = rows_of(canvas, band, first)
        if float(v[-1]) + 1 / canvas.density < highest:
            return
        mask = canvas.edge(v[:, None] - base)
        for at, tip, tall, half, tiers, turn, left, right in trees:
            top, bottom = max(first, canvas.row(tip)), min(first + rows, canvas.row(tip + tall))
            if top >= bottom or left >= right:
                continue
            x = canvas.u[left:right] - F(at)
            away = np.abs(x)
            # Branches hang: a tier reaches further down the further out it is; the two sides differ.
            y = (canvas.v[top:bottom] - F(tip))[:, None] * F(1 / tall) - away * F(0.30 / tall)
            step = y * F(tiers) + np.where(x < 0, F(turn), F(0))
            tier = step - np.floor(step)
            reach = F(half) * y * (F(1.12) - F(0.12) * y) * (F(0.42) + F(0.58) * tier)
            inside = (reach - away) * F(canvas.density) + F(0.5)
            part = mask[top - first : bottom - first, left:right]
            np.maximum(part, np.clip(inside, F(0), F(1)), out=part)
        share = np.clip((v - F(level)) * F(fade), F(0), F(1))[:, None]
        blend(band, mask, between(colour, foot, share))

    return paint


def water(
    canvas: Canvas, dice: Dice, level: float, palette: Palette, light: Light | None, calm: float, deep: Colour
) -> Layer:
    """Everything below ``level``: the mirrored picture, broken by waves that grow towards us, darker near us,
    with a path of light below the sun. ``calm`` 1 is a mirror, 0 is the open sea."""
    start = canvas.row(level)
    span = max(0.05, canvas.b - level)
    swell = canvas.noise(dice, 3.2 + 3 * (1 - calm), 1.0, 4, 0.55, tall=48.0)
    sparkle = canvas.noise(dice.of("sparkle"), 26, 1.0, 2, 0.5, tall=170.0)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        rows = band.shape[1]
        if first + rows <= start or start == 0:
            return
        skip = max(0, start - first)
        v = rows_of(canvas, band, first)[skip:]
        depth = v - F(level)
        t = depth * F(1 / span)
        # Perspective: rows of waves crowd together towards the horizon.
        y = F(44) * t / (t + F(0.30)) * F(1.25)
        wave = swell.rows(y) - F(0.5)
        strength = (F(0.010 + 0.10 * (1 - calm)) + F(0.05) * t)[:, None]
        source = (depth[:, None] * F(1 - 0.3 * (1 - calm)) + F(0.004) + np.abs(wave) * strength) * F(
            canvas.density
        )
        row = np.clip(F(start) - source, F(0), F(start - 1)).astype(np.intp)
        sway = wave * (F(0.006) + F(0.05) * t)[:, None] * F(canvas.density)
        columns = np.clip(np.arange(canvas.width, dtype=F) + sway, F(0), F(canvas.width - 1)).astype(np.intp)
        flat = row * canvas.width + columns
        tone = (F(0.16 + 0.14 * (1 - calm)) + F(0.50 + 0.12 * (1 - calm)) * t)[:, None]
        tone = np.clip(tone + wave * F(0.42 + 0.5 * (1 - calm)), F(0), F(1))
        for channel in range(3):
            mirrored = picture[channel, :start].reshape(-1)[flat]
            band[channel, skip:] = mirrored + (F(deep[channel]) - mirrored) * tone
        lower = band[:, skip:]
        crest = ramp(wave, 0.16, 0.34) * (F(0.10 + 0.30 * (1 - calm)) * (F(0.25) + F(0.75) * t))[:, None]
        blend(lower, crest, paint_of(mix(palette.horizon, WHITE, 0.25)))
        if light is not None:
            du = np.abs(canvas.u - F(light.u))
            width = (F(light.radius * 0.9) + t * F(0.24))[:, None]
            path = np.maximum(F(0), F(1) - du / width)
            glitter = ramp(sparkle.rows(y * F(3.4)) + wave * F(0.9), 0.52, 0.72)
            amount = path * path * glitter * (F(1.0) - F(0.45) * t)[:, None]
            add_light(lower, amount * F(0.95), palette.sun)
        # A thin bright line where water and land meet.
        line = np.maximum(F(0), F(1) - depth * F(90))[:, None]
        blend(lower, np.broadcast_to(line * F(0.35), lower.shape[1:]), paint_of(palette.horizon))

    return paint


def boat(canvas: Canvas, dice: Dice, level: float, hull: Colour, sail: Colour) -> Layer:
    """A small sailing boat with its reflection."""
    size = dice.real(0.075, 0.11)
    pu = canvas.a * dice.pick((0.27, 0.33, 0.66, 0.73)) + dice.real(-0.03, 0.03)
    pv = level + dice.real(0.06, 0.12) * (canvas.b - level) + 0.015
    side = dice.pick((-1.0, 1.0))

    def shape(du: Plane, dv: Plane) -> tuple[Plane, Plane]:
        """Distance into sail and hull; dv upwards from the water line, both in boat lengths."""
        x, y = du * F(side), dv
        leech = F(0.52) - y * F(0.46)  # the big sail's outer edge comes in with height
        main = np.minimum(np.minimum(x - F(0.02), (leech - x) * F(0.8)), np.minimum(y - F(0.16), F(1.25) - y))
        jib = np.minimum(np.minimum(F(-0.04) - x, (x + F(0.44) - y * F(0.36)) * F(0.8)), y - F(0.20))
        bow = F(0.52) + y * F(0.5) - np.abs(x - F(0.02))
        body = np.minimum(np.minimum(y + F(0.02), F(0.13) - y), bow)
        mast = np.minimum(F(0.014) - np.abs(x + F(0.01)), np.minimum(y, F(1.32) - y))
        return np.maximum(main, jib), np.maximum(body, mast)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        last = first + band.shape[1]
        top, bottom = max(first, canvas.row(pv - size * 1.4)), min(last, canvas.row(pv + size * 1.1))
        left, right = canvas.column(pu - size), canvas.column(pu + size)
        if top >= bottom or left >= right:
            return
        inner = band[:, top - first : bottom - first, left:right]
        du = (canvas.u[left:right] - F(pu)) * F(1 / size)
        dv = ((F(pv) - canvas.v[top:bottom]) * F(1 / size))[:, None]
        scale = F(canvas.density * size)
        mirrored = np.where(dv < 0, dv * F(-1.2), F(-9))
        ripple = sine(np.asarray(dv * F(7.3), F)) * F(0.05)
        for height, drift, amount in ((mirrored, ripple, 0.42), (dv, F(0), 1.0)):
            cloth, wood = shape(du + drift, np.broadcast_to(height, (bottom - top, right - left)))
            for inside, colour in ((cloth, sail), (wood, hull)):
                mask = np.clip(inside * scale + F(0.5), F(0), F(1)) * F(amount)
                blend(inner, mask, paint_of(colour))

    return paint
