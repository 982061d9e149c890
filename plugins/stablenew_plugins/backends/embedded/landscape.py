"""Skies, mountains, woods, dunes, cities and water.

A picture is a list of layers, painted back to front on bands of rows. A layer is called with the band (three
planes), its first row and the whole picture, of which all rows above the band are done.
"""

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
from stablenew_plugins.backends.embedded.scene import Colour, Palette, Scene, mix

Layer = Callable[[Rgb, int, Rgb], None]
"""``layer(band, first_row, picture)``."""

WHITE: Colour = (1.0, 1.0, 1.0)


def rows_of(canvas: Canvas, band: Rgb, first: int) -> Plane:
    """v of the band's rows."""
    return canvas.v[first : first + band.shape[1]]


@dataclass(frozen=True, slots=True)
class Light:
    """Where the sun or moon stands, in u and v, and its radius."""

    u: float
    v: float
    radius: float


# --- sky ----------------------------------------------------------------------------------------------------


def sky(canvas: Canvas, palette: Palette, horizon: float) -> Layer:
    """A gradient of four colours from the top to the horizon."""
    stops = (palette.zenith, palette.upper, palette.lower, palette.horizon)
    where = (0.0, 0.36, 0.74, 1.0)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        t = rows_of(canvas, band, first) * F(1 / horizon)
        for channel in range(3):
            column = np.full(t.shape, F(stops[0][channel]))
            for index in range(3):
                step = ramp(t, where[index], where[index + 1])
                column += F(stops[index + 1][channel] - stops[index][channel]) * step
            band[channel] = column[:, None]

    return paint


def glow(canvas: Canvas, light: Light, colour: Colour, strength: float, reach: float) -> Layer:
    """Light that spreads from the sun and fades with the square of the distance."""
    du = (canvas.u - F(light.u)) * F(1 / reach)
    across = du * du

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        dv = (rows_of(canvas, band, first) - F(light.v)) * F(1 / reach)
        amount = F(strength) / (F(1) + across + (dv * dv)[:, None])
        add_light(band, amount, colour)

    return paint


def disc(canvas: Canvas, light: Light, colour: Colour, dice: Dice | None = None, phase: float = 0.0) -> Layer:
    """The sun; with ``dice`` the moon: grey seas, and a shadow that leaves a crescent (``phase`` 0 to 1)."""
    left, right = canvas.column(light.u - light.radius * 1.05), canvas.column(light.u + light.radius * 1.05)
    seas = canvas.noise(dice, 7 / light.radius / 6, 7 / light.radius / 6, 3) if dice else None
    fv = 7 / light.radius / 6

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        if (
            left == right
            or float(v[0]) > light.v + light.radius * 1.05
            or float(v[-1]) < light.v - light.radius * 1.05
        ):
            return
        du, dv = canvas.u[left:right] - F(light.u), v - F(light.v)
        distance = np.sqrt((du * du) + (dv * dv)[:, None])
        mask = canvas.edge(F(light.radius) - distance)
        inner = band[:, :, left:right]
        if seas is None:
            blend(inner, mask, paint_of(colour))
            return
        face = ramp(seas.rows(v * F(fv))[:, left:right], 0.38, 0.62)
        face = F(0.80) + F(0.20) * face
        if phase:
            away = light.radius * 2 * (1 - phase)
            du2, dv2 = du - F(away * 0.9), dv + F(away * 0.35)
            shadow = np.sqrt((du2 * du2) + (dv2 * dv2)[:, None])
            mask = mask * np.clip((shadow - F(light.radius * 0.98)) * F(canvas.density * 0.5), F(0), F(1))
        blend(inner, mask, [F(part) * face for part in colour])

    return paint


def dots(
    canvas: Canvas, u: Plane, v: Plane, radius: Plane, strength: Plane, colours: list[Colour], blur: float = 1.0
) -> Layer:
    """Small soft lights: stars, lamps, sparks. ``radius`` in units; never less than half a pixel."""
    least = 0.55 / canvas.density
    points = []
    for index in range(len(u)):
        r = max(least, float(radius[index]))
        thin = min(1.0, float(radius[index]) / least)  # a dot smaller than a pixel is a dim pixel
        points.append((float(u[index]), float(v[index]), r, float(strength[index]) * (0.35 + 0.65 * thin)))

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        last = first + band.shape[1]
        for index, (pu, pv, r, amount) in enumerate(points):
            reach = r * 3.2 * blur
            top, bottom = max(first, canvas.row(pv - reach)), min(last, canvas.row(pv + reach))
            if top >= bottom:
                continue
            left, right = canvas.column(pu - reach), canvas.column(pu + reach)
            if left >= right:
                continue
            du = (canvas.u[left:right] - F(pu)) * F(1 / r)
            dv = (canvas.v[top:bottom] - F(pv)) * F(1 / r)
            square = (du * du) + (dv * dv)[:, None]
            edge = (reach / r) * (reach / r)
            # Falls to exactly nothing at the edge of its patch.
            fall = np.maximum(F(0), F(1) - square * F(1 / edge))
            add_light(
                band[:, top - first : bottom - first, left:right],
                F(amount) * fall * fall / (F(1) + square),
                colours[index % len(colours)],
            )

    return paint


def stars(canvas: Canvas, dice: Dice, amount: float, below: float) -> Layer:
    """Stars from the top down to ``below``, most of them faint."""
    count = int(210 * amount * canvas.a * canvas.b)
    u, v, size, glint = dice.many(count), dice.many(count), dice.many(count), dice.many(count)
    height = v * (F(0.35) + F(0.65) * v)  # more of them high up
    size = size * size * size * size
    return dots(
        canvas,
        u * F(canvas.a),
        height * F(below),
        F(0.0007) + size * F(0.0022),
        (F(0.35) + F(0.65) * glint) * (F(1) - F(0.75) * v),
        [(1.0, 1.0, 1.0), (0.82, 0.90, 1.0), (1.0, 0.92, 0.80)],
    )


def clouds(
    canvas: Canvas, dice: Dice, amount: float, horizon: float, lit: Colour, shade: Colour, light: Light | None
) -> Layer:
    """Cumulus and streaks, seen in perspective: flatter and closer towards the horizon, lit from the sun's
    side."""
    low = 0.66 - 0.16 * min(2.0, amount)
    fu, fv = 1.5, 3.4
    field = canvas.noise(dice, fu, fv, 6, 0.52, tall=fv * 4.0)
    lift = F(-0.16 if light is None or light.v < horizon * 0.5 else 0.16)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        if float(v[0]) > horizon:
            return
        t = np.clip(v * F(1 / horizon), F(0), F(1))
        y = F(3.2) * t / (F(1.75) - t) * F(fv * 0.28) + F(0.3)
        density = field.rows(y)
        above = field.rows(y + lift)
        height = (ramp(t, 1.02, 0.80) * (F(0.55) + F(0.45) * ramp(t, 0.0, 0.35)))[:, None]
        mask = ramp(density, low, low + 0.20) * height * F(0.94)
        bright = np.clip(F(0.52) + (density - above) * F(3.4), F(0), F(1))
        blend(band, mask, between(shade, lit, bright))

    return paint


def aurora(canvas: Canvas, dice: Dice, amount: float, horizon: float) -> Layer:
    """Curtains of green and violet light."""
    base, drift = [], []
    for index in range(3):
        own = dice.of(f"curtain {index}")
        line = profile(own, canvas.u * F(1.6), 3) * F(0.34) + F(0.22 + 0.14 * index)
        base.append(line * F(horizon))
        drift.append(profile(own.of("rays"), canvas.u * F(14), 3, 0.6))

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)[:, None]
        for line, rays in zip(base, drift, strict=True):
            up = line - v
            tall = F(0.16 * horizon) + rays * F(0.5 * horizon)
            body = np.where(
                up > 0, np.maximum(F(0), F(1) - up / tall), np.maximum(F(0), F(1) + up * F(28 / horizon))
            )
            body = body * body * (F(0.25) + F(0.75) * rays) * F(0.85 * amount)
            high = np.clip(up / tall, F(0), F(1))
            add_light(band, body * (F(1) - high), (0.24, 0.95, 0.62))
            add_light(band, body * high * F(1.3), (0.48, 0.36, 0.98))

    return paint


def birds(canvas: Canvas, dice: Dice, amount: float, horizon: float, colour: Colour) -> Layer:
    """A loose flock: two arcs a bird."""
    count = max(3, int(dice.whole(5, 9) * amount))
    cu, cv = dice.real(0.2, 0.8) * canvas.a, dice.real(0.22, 0.5) * horizon
    flock = []
    for _ in range(count):
        size = dice.real(0.011, 0.022)
        flock.append((cu + dice.real(-0.2, 0.2), cv + dice.real(-0.1, 0.1), size, dice.real(0.3, 0.8)))

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        last = first + band.shape[1]
        for pu, pv, size, lift in flock:
            top, bottom = max(first, canvas.row(pv - size)), min(last, canvas.row(pv + size))
            left, right = canvas.column(pu - size), canvas.column(pu + size)
            if top >= bottom or left >= right:
                continue
            x = np.abs(canvas.u[left:right] - F(pu)) * F(1 / size)
            wing = (x * F(1.7) - x * x * F(1.15)) * F(lift)
            y = (F(pv) - canvas.v[top:bottom]) * F(1 / size)
            thick = F(0.13) * (F(1.06) - x) + F(0.35 / canvas.density / size)
            inside = thick - np.abs(y[:, None] - wing + F(0.2))
            mask = np.clip(inside * F(canvas.density * size) + F(0.5), F(0), F(1)) * (x < F(0.98))
            blend(band[:, top - first : bottom - first, left:right], mask * F(0.85), paint_of(colour))

    return paint


# --- land ---------------------------------------------------------------------------------------------------


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


# --- water --------------------------------------------------------------------------------------------------


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


# --- weather ------------------------------------------------------------------------------------------------


def falling_snow(canvas: Canvas, dice: Dice, amount: float) -> Layer:
    """Flakes, the near ones large and soft."""
    count = int(170 * amount * canvas.a * canvas.b)
    size = dice.many(count)
    size = size * size * size
    return dots(
        canvas,
        dice.many(count) * F(canvas.a),
        dice.many(count) * F(canvas.b),
        F(0.0014) + size * F(0.0065),
        F(0.85) - size * F(0.35),
        [WHITE],
        blur=0.75,
    )


def rain(canvas: Canvas, dice: Dice, amount: float, colour: Colour) -> Layer:
    """Slanted streaks."""
    streaks = canvas.noise(dice, 150, 2.2, 1)
    gusts = canvas.noise(dice.of("gusts"), 2, 2, 2)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        field = streaks.rows(v * F(2.2))
        line = np.empty_like(field)
        for index in range(len(v)):
            line[index] = np.roll(field[index], -int(float(v[index]) * canvas.density * 0.22))
        mask = ramp(line, 0.74, 1.0) * (F(0.10) + F(0.34) * gusts.rows(v * F(2))) * F(min(1.5, amount))
        blend(band, np.clip(mask, F(0), F(1)), paint_of(colour))

    return paint


def balloons(canvas: Canvas, dice: Dice, amount: float, horizon: float, palette: Palette) -> Layer:
    """Hot-air balloons with stripes, lit from the left."""
    fleet = []
    for index in range(max(1, int(3 * amount))):
        size = dice.real(0.03, 0.05) * (1.9 if index == 0 else 1.0)
        place = (index + dice.real(0.25, 0.75)) / max(1, int(3 * amount))
        fleet.append((canvas.a * (0.1 + 0.8 * place), horizon * dice.real(0.24, 0.58), size, dice.real()))

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        last = first + band.shape[1]
        for pu, pv, size, hue in fleet:
            top, bottom = max(first, canvas.row(pv - size * 1.1)), min(last, canvas.row(pv + size * 1.9))
            left, right = canvas.column(pu - size * 1.1), canvas.column(pu + size * 1.1)
            if top >= bottom or left >= right:
                continue
            inner = band[:, top - first : bottom - first, left:right]
            x = (canvas.u[left:right] - F(pu)) * F(1 / size)
            y = ((canvas.v[top:bottom] - F(pv)) * F(1 / size))[:, None]
            scale = F(canvas.density * size)
            # Below its middle the envelope tapers towards the basket.
            taper = np.where(y > 0, F(1) + y * F(0.32), F(1))
            distance = np.sqrt(x * x * taper * taper + y * y * F(0.82))
            mask = np.clip((F(1) - distance) * scale + F(0.5), F(0), F(1)) * (y < F(1.12))
            round_ = np.sqrt(np.maximum(F(0.02), F(1) - np.minimum(F(0.98), y * y * F(0.8))))
            gore = sine(np.asarray((x * taper / round_) * F(0.95) + F(hue), F))
            stripe = np.clip(gore * scale * F(0.06) + F(0.5), F(0), F(1))
            light = np.clip(F(1.02) - (x * F(0.34) + y * F(0.14)), F(0.5), F(1.2))
            cloth = between(palette.accent, mix(palette.horizon, WHITE, 0.4), stripe)
            blend(inner, mask, [np.minimum(F(1), part * light) for part in cloth])
            basket = np.minimum(F(0.13) - np.abs(x), F(0.12) - np.abs(y - F(1.62)))
            ropes = np.minimum(
                F(0.012) + F(0.3) / scale - np.abs(np.abs(x) - (F(0.12) + (F(1.5) - y) * F(0.25))),
                F(0.28) - np.abs(y - F(1.28)),
            )
            mask = np.clip(np.maximum(basket, ropes) * scale + F(0.5), F(0), F(1))
            blend(inner, mask, paint_of(mix(palette.near, (0.35, 0.22, 0.14), 0.5)))

    return paint


# --- compositions -------------------------------------------------------------------------------------------


def _sun(canvas: Canvas, scene: Scene, dice: Dice, horizon: float) -> Light:
    low = {"sunset": (0.74, 0.95), "dawn": (0.68, 0.92), "golden": (0.45, 0.80)}.get(scene.light, (0.22, 0.5))
    motif = "moon" if scene.palette.dark else "sun"
    size = 0.052 * (0.7 + 0.3 * scene.amount(motif, 1.0) * scene.amount(motif, 1.0))
    place = dice.pick((0.24, 0.31, 0.38, 0.5, 0.62, 0.69, 0.76)) + dice.real(-0.03, 0.03)
    return Light(canvas.a * place, horizon * dice.real(*low), size * dice.real(0.9, 1.2))


def _moonlit(scene: Scene) -> bool:
    return scene.palette.dark or scene.amount("moon") > scene.amount("sun")


def _shines(scene: Scene) -> bool:
    """Whether the sun or moon is to be seen: not through rain clouds or fog unless it was asked for."""
    if ("moon" if _moonlit(scene) else "sun") in scene.banned:
        return False
    return scene.light not in ("storm", "fog") or "sun" in scene.motifs or "moon" in scene.motifs


def _heavens(canvas: Canvas, scene: Scene, dice: Dice, horizon: float, light: Light) -> list[Layer]:
    """The sky and what is in it."""
    palette = scene.palette
    layers = [sky(canvas, palette, horizon)]
    moonlit = _moonlit(scene)
    if palette.dark or "stars" in scene.motifs:
        many = scene.amount("stars", 0.8 if palette.dark else 0.0)
        if many:
            layers.append(stars(canvas, dice.of("stars"), many * (1.0 if palette.dark else 0.4), horizon))
    if scene.amount("aurora"):
        layers.append(aurora(canvas, dice.of("aurora"), scene.amount("aurora"), horizon))
    if _shines(scene):
        warm = mix(palette.horizon, palette.sun, 0.5)
        if moonlit:
            layers.append(glow(canvas, light, mix(palette.upper, palette.sun, 0.6), 0.34, light.radius * 3.2))
            phase = dice.of("phase").pick((0.0, 0.0, 0.55, 0.7))
            layers.append(disc(canvas, light, palette.sun, dice.of("moon"), phase))
        else:
            layers.append(glow(canvas, light, warm, 0.36, 0.42))
            layers.append(glow(canvas, light, palette.sun, 0.50, light.radius * 2.0))
            layers.append(disc(canvas, light, palette.sun))
    usual = dice.of("sky").pick((0.55, 0.8, 1.1)) if not palette.dark else 0.5
    if scene.light == "storm":
        usual = 1.9
    if scene.light == "fog":
        usual = 0.0
    cover = scene.amount("clouds", usual) * (1.5 if "clouds" in scene.motifs else 1.0)
    if cover:
        lit = mix(palette.horizon, palette.sun, 0.35 if not palette.dark else 0.05)
        shade = mix(palette.upper, palette.lower, 0.35)
        if scene.light in ("day", "tropical", "winter"):
            lit, shade = mix(palette.horizon, WHITE, 0.75), mix(palette.lower, palette.upper, 0.35)
        layers.append(clouds(canvas, dice.of("clouds"), cover, horizon, lit, shade, light))
    if scene.amount("balloon"):
        layers.append(balloons(canvas, dice.of("balloons"), scene.amount("balloon"), horizon, palette))
    flock = scene.amount("birds", 1.0 if dice.of("flock").real() < 0.3 and not palette.dark else 0.0)
    if flock:
        layers.append(birds(canvas, dice.of("birds"), flock, horizon, mix(palette.near, palette.upper, 0.15)))
    return layers


def _weather(canvas: Canvas, scene: Scene, dice: Dice) -> list[Layer]:
    layers: list[Layer] = []
    if scene.amount("snow") and scene.light in ("winter", "night", "fog", "storm"):
        layers.append(falling_snow(canvas, dice.of("snowfall"), min(2.0, scene.amount("snow"))))
    if scene.amount("rain"):
        layers.append(
            rain(canvas, dice.of("rain"), scene.amount("rain"), mix(scene.palette.horizon, WHITE, 0.3))
        )
    return layers


def _range(
    canvas: Canvas,
    scene: Scene,
    dice: Dice,
    light: Light,
    horizon: float,
    count: int,
    tall: float,
    nearest: float = 1.0,
) -> list[Layer]:
    """``count`` ridges from far and pale to near and dark. ``nearest`` below 1 stops short of the darkest."""
    palette = scene.palette
    layers: list[Layer] = []
    from_right = light.u > canvas.a * 0.5
    snowy = scene.light == "winter" or scene.amount("snow") > 0
    peak_at = canvas.a * dice.of("peak").real(0.25, 0.75)
    for index in range(count):
        share = index / max(1, count - 1) * nearest
        own = dice.of(f"ridge {index}")
        frequency = 2.0 + 1.3 * index
        line = profile(own, canvas.u * F(frequency) + F(own.real(0, 40)), 8, 0.47, 0.95 - 0.5 * share)
        height = tall * (1.0 - 0.72 * (index / max(1, count)))
        if index == 0:  # the far range has one massif that leads the eye
            away = np.minimum(F(1), np.abs(canvas.u - F(peak_at)) * F(1 / (0.62 * canvas.a)))
            line = line * (F(1.62) - F(0.80) * away)
        base = horizon + 0.012 + 0.05 * share * tall
        crest = F(base) - (line - F(0.12)) * F(height)
        top = mix(mix(palette.far, palette.lower, 0.18 * (1 - share)), palette.near, share)
        foot = mix(top, palette.horizon, 0.62 * (1 - share))
        lit = mix(mix(palette.horizon, WHITE, 0.55), palette.sun, 0.4)
        snow_shade = mix(mix(palette.far, palette.upper, 0.3), WHITE, 0.28)
        if palette.dark:
            lit, snow_shade = mix(palette.horizon, WHITE, 0.35), mix(palette.far, palette.upper, 0.4)
        snow = (0.52 if snowy else 0.34) * height if index == 0 and (tall > 0.24 or snowy) else 0.0
        if snowy and index == 1:
            snow = 0.30 * height
        relief = Relief(
            top,
            foot,
            0.10 + 0.5 * height,
            (0.60 - 0.34 * share) * min(1.0, height / 0.2),
            4.5 + 2 * index,
            snow,
            lit,
            snow_shade,
        )
        layers.append(ridge(canvas, own.of("face"), crest, relief, from_right))
        if index < count - 1:
            bank = mix(palette.horizon, palette.lower, 0.35)
            amount = (0.5 if scene.light != "fog" else 0.95) * scene.amount("fog", 0.75) * (1 - 0.5 * share)
            if amount:
                layers.append(mist(canvas, own.of("mist"), base + 0.01, 0.10 + 0.08 * share, bank, amount))
    return layers


def mountains(canvas: Canvas, scene: Scene, dice: Dice) -> tuple[list[Layer], int]:
    """Ranges behind each other, with a wooded foreground, or a lake in front."""
    palette = scene.palette
    lake = (
        scene.subject == "lake"
        or scene.amount("water") > 0
        or ("water" not in scene.banned and dice.of("lake").real() < 0.35)
    )
    horizon = canvas.b * dice.of("horizon").real(0.56, 0.64)
    light = _sun(canvas, scene, dice.of("light"), horizon * 0.92)
    layers = _heavens(canvas, scene, dice, horizon, light)
    tall = min(0.88 * horizon, 0.42 * scene.emphasis * dice.of("tall").real(0.85, 1.2))
    woods = scene.amount("trees", 1.0)
    if not lake:
        layers += _range(canvas, scene, dice, light, horizon + 0.05, 4, tall, 0.72)
        hill = canvas.b * 0.88 - profile(dice.of("hill"), canvas.u * F(1.3), 4) * F(0.13)
        if woods:
            behind = mix(palette.near, palette.far, 0.36)
            layers.append(
                wood(
                    canvas,
                    dice.of("wood 1"),
                    hill - F(0.03),
                    0.085,
                    0.022,
                    behind,
                    mix(behind, palette.lower, 0.3),
                )
            )
            bank = mix(palette.horizon, palette.far, 0.4)
            layers.append(
                mist(canvas, dice.of("ground mist"), canvas.b * 0.86, 0.13, bank, 0.55 * scene.amount("fog", 1))
            )
            front = canvas.b * 1.01 - profile(dice.of("front"), canvas.u * F(1.1), 3) * F(0.10)
            layers.append(
                wood(canvas, dice.of("wood 2"), front, 0.20 * woods, 0.055, palette.near, palette.near)
            )
        else:
            layers.append(
                ridge(
                    canvas,
                    dice.of("hill face"),
                    hill,
                    Relief(mix(palette.near, palette.far, 0.2), palette.near, 0.2, 0.3),
                )
            )
        return layers + _weather(canvas, scene, dice), 0
    layers += _range(canvas, scene, dice, light, horizon, 4, tall, 0.8)
    if woods:
        shore = np.full(canvas.u.shape, F(horizon + 0.006)) - profile(
            dice.of("shore"), canvas.u * F(1.7), 3
        ) * F(0.02)
        dark = mix(palette.near, palette.far, 0.12)
        layers.append(wood(canvas, dice.of("shore wood"), shore, 0.055 * woods, 0.013, dark, dark))
    split = canvas.row(horizon)
    deep = mix(palette.near, palette.upper, 0.42)
    layers.append(
        water(canvas, dice.of("water"), horizon, palette, light if _shines(scene) else None, 0.9, deep)
    )
    if scene.amount("boat"):
        layers.append(boat(canvas, dice.of("boat"), horizon, palette.near, mix(palette.accent, WHITE, 0.35)))
    if woods and dice.of("frame").real() < 0.75:
        # Dark trees at one side close the picture.
        left = dice.of("frame side").real() < 0.5
        away = canvas.u if left else F(canvas.a) - canvas.u
        slope = F(canvas.b * 0.93) + np.maximum(F(0), away - F(0.10)) * F(0.42)
        layers.append(wood(canvas, dice.of("frame wood"), slope, 0.40, 0.06, palette.near, palette.near))
    return layers + _weather(canvas, scene, dice), split


def ocean(canvas: Canvas, scene: Scene, dice: Dice) -> tuple[list[Layer], int]:
    """The open sea, an island or a headland, a boat."""
    palette = scene.palette
    horizon = canvas.b * dice.of("horizon").real(0.50, 0.60)
    light = _sun(canvas, scene, dice.of("light"), horizon)
    layers = _heavens(canvas, scene, dice, horizon, light)
    land = dice.of("land").pick(("none", "islands", "headland", "headland"))
    if land == "islands":
        line = profile(dice.of("islands"), canvas.u * F(2.4), 7, 0.5, 0.6)
        crest = F(horizon + 0.004) - np.maximum(F(0), line - F(0.52)) * F(0.42 * scene.emphasis)
        top = mix(palette.far, palette.near, 0.25)
        layers.append(
            ridge(
                canvas, dice.of("island face"), crest, Relief(top, mix(top, palette.horizon, 0.4), 0.1, 0.3, 9)
            )
        )
    if land == "headland":
        left = dice.of("side").real() < 0.5
        for index in range(2):
            own = dice.of(f"cliff {index}")
            away = canvas.u if left else F(canvas.a) - canvas.u
            reach = canvas.a * (0.60 - 0.25 * index) * own.real(0.9, 1.1)
            fall = np.clip(F(1) - away * F(1 / reach), F(0), F(1))
            rise = (F(0.25) + F(0.9) * profile(own, canvas.u * F(4.2), 7, 0.5, 0.8)) * ramp(fall, 0.0, 0.95)
            crest = F(horizon + 0.004) - rise * F((0.20 + 0.10 * index) * scene.emphasis)
            top = mix(palette.far, palette.near, 0.35 + 0.45 * index)
            foot = mix(top, palette.horizon, 0.45 - 0.25 * index)
            layers.append(ridge(canvas, own.of("face"), crest, Relief(top, foot, 0.22, 0.46, 11), not left))
    split = canvas.row(horizon)
    deep = mix(palette.zenith, palette.near, 0.30 if not palette.dark else 0.5)
    calm = 0.2 if scene.light == "storm" else dice.of("calm").real(0.35, 0.65)
    layers.append(
        water(
            canvas,
            dice.of("water"),
            horizon,
            palette,
            light if _shines(scene) or scene.light == "storm" else None,
            calm,
            deep,
        )
    )
    sails = scene.amount("boat", 1.0 if dice.of("sails").real() < 0.45 else 0.0)
    if sails:
        layers.append(boat(canvas, dice.of("boat"), horizon, palette.near, mix(palette.accent, WHITE, 0.45)))
    return layers + _weather(canvas, scene, dice), split


def forest(canvas: Canvas, scene: Scene, dice: Dice) -> tuple[list[Layer], int]:
    """Rows of spruces in the mist, each darker and larger than the one behind."""
    palette = scene.palette
    horizon = canvas.b * 0.78
    light = _sun(canvas, scene, dice.of("light"), canvas.b * 0.52)
    layers = _heavens(canvas, scene, dice, horizon, light)
    count = 6
    for index in range(count):
        share = index / (count - 1)
        own = dice.of(f"row {index}")
        level = canvas.b * (0.50 + 0.54 * share * (0.45 + 0.55 * share)) + 0.02
        base = F(level) - profile(own, canvas.u * F(1.2 + 0.3 * index), 4) * F(0.16 * (1 - 0.4 * share))
        height = (0.10 + 0.36 * share * share) * (0.7 + 0.3 * scene.emphasis)
        colour = mix(mix(palette.far, palette.horizon, 0.30), palette.near, share * (0.35 + 0.65 * share))
        foot = mix(colour, mix(palette.horizon, palette.lower, 0.4), 0.72 * (1 - share))
        layers.append(wood(canvas, own.of("trees"), base, height, height * 0.19, colour, foot))
        if index < count - 1:
            bank = mix(palette.horizon, palette.far, 0.22)
            amount = scene.amount("fog", 0.9) * (0.78 - 0.5 * share)
            if amount:
                layers.append(mist(canvas, own.of("mist"), level + 0.02, 0.14, bank, amount))
        if index == 2 and not palette.dark and scene.light != "storm":
            layers.append(glow(canvas, light, mix(palette.sun, palette.horizon, 0.4), 0.30, 0.30))
    if palette.dark:
        own = dice.of("fireflies")
        n = int(26 * canvas.a)
        layers.append(
            dots(canvas, own.many(n) * F(canvas.a), F(canvas.b) * (F(0.62) + F(0.36) * own.many(n)),
                 F(0.0014) + own.many(n) * F(0.0022), F(0.5) + F(0.5) * own.many(n), [palette.accent], 1.6)
        )  # fmt: skip
    return layers + _weather(canvas, scene, dice), 0


def desert(canvas: Canvas, scene: Scene, dice: Dice) -> tuple[list[Layer], int]:
    """Dunes with a lit and a shaded flank."""
    palette = scene.palette
    horizon = canvas.b * dice.of("horizon").real(0.46, 0.56)
    light = _sun(canvas, scene, dice.of("light"), horizon * 0.95)
    layers = _heavens(canvas, scene, dice, horizon, light)
    sand = (
        mix((0.86, 0.62, 0.38), palette.lower, 0.42)
        if not palette.dark
        else mix(palette.far, palette.lower, 0.4)
    )
    layers += _range(canvas, scene, dice, light, horizon + 0.01, 2, 0.11, 0.15)
    from_right = light.u > canvas.a * 0.5
    count = 6
    for index in range(count):
        share = index / (count - 1)
        own = dice.of(f"dune {index}")
        level = horizon + 0.02 + (canvas.b - horizon) * 0.86 * share * (0.45 + 0.55 * share)
        rise = profile(own, canvas.u * F(2.6 - 1.5 * share) + F(own.real(0, 9)), 3, 0.32)
        crest = F(level + 0.03) - rise * F((0.07 + 0.17 * share) * scene.emphasis)
        sunny = mix(mix(sand, palette.sun, 0.30 - 0.12 * share), palette.near, 0.10 * share)
        shady = mix(mix(sand, palette.near, 0.42 + 0.22 * share), palette.upper, 0.18)
        layers.append(
            _dune(
                canvas,
                own.of("sand"),
                crest,
                sunny,
                shady,
                mix(sand, palette.horizon, 0.5 * (1 - share)),
                from_right,
            )
        )
    return layers + _weather(canvas, scene, dice), 0


def _dune(
    canvas: Canvas, dice: Dice, crest: Plane, sunny: Colour, shady: Colour, foot: Colour, from_right: bool
) -> Layer:
    highest = float(crest.min())
    slope = np.empty_like(crest)
    slope[1:] = (crest[1:] - crest[:-1]) * F(canvas.density)
    slope[0] = slope[1] if len(slope) > 1 else F(0)
    if from_right:
        slope = -slope
    flank = ramp(slope, -0.03, 0.10)  # 0 faces the sun, 1 lies in shadow
    lean = F((1.9 if from_right else -1.9) * canvas.density)
    bend = canvas.noise(dice.of("bend"), 3, 5, 2)
    columns = np.arange(canvas.width, dtype=F)
    ripples = canvas.noise(dice, 5, 60, 2)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        if float(v[-1]) + 1 / canvas.density < highest:
            return
        depth = v[:, None] - crest
        mask = canvas.edge(depth)
        deep = np.clip(depth * F(1 / 0.22), F(0), F(1))
        place = columns + depth * lean * (F(0.6) + F(0.8) * bend.rows(v * F(5)))
        index = np.clip(place, F(0), F(canvas.width - 1)).astype(np.intp)
        shadow = flank[index] * (F(1) - deep) + F(0.26) * deep
        shadow = np.clip(shadow + (ripples.rows(v * F(60)) - F(0.5)) * F(0.26) * (F(0.3) + deep), F(0), F(1))
        body = between(sunny, shady, shadow)
        blend(
            band, mask, [part + (F(end) - part) * deep * F(0.35) for part, end in zip(body, foot, strict=True)]
        )

    return paint


def city(canvas: Canvas, scene: Scene, dice: Dice) -> tuple[list[Layer], int]:
    """A skyline in three depths, windows lit, over water."""
    palette = scene.palette
    horizon = canvas.b * dice.of("horizon").real(0.70, 0.76)
    light = _sun(canvas, scene, dice.of("light"), horizon * 0.80)
    layers = _heavens(canvas, scene, dice, horizon, light)
    layers.append(glow(canvas, Light(canvas.a / 2, horizon, 0.3), palette.horizon, 0.30, 0.45))
    evening = palette.dark or scene.light in ("sunset", "dawn", "storm", "fog", "alien")
    for index in range(3):
        share = index / 2
        own = dice.of(f"blocks {index}")
        colour = mix(mix(palette.far, palette.horizon, 0.34), mix(palette.near, palette.far, 0.10), share)
        foot = mix(colour, palette.horizon, 0.55 * (1 - 0.75 * share))
        layers.append(
            _skyline(canvas, own, horizon, (0.40 - 0.05 * index) * scene.emphasis, 0.05 + 0.022 * index,
                     colour, foot, palette.accent, (0.10 + 0.30 * share) if evening else 0.06 * share, evening)
        )  # fmt: skip
        if index < 2:
            bank = mix(palette.horizon, palette.lower, 0.3)
            layers.append(
                mist(canvas, own.of("mist"), horizon - 0.02, 0.20, bank, 0.62 * scene.amount("fog", 1.0))
            )
    split = canvas.row(horizon)
    deep = mix(palette.near, palette.upper, 0.35)
    layers.append(
        water(canvas, dice.of("water"), horizon, palette, light if _shines(scene) else None, 0.72, deep)
    )
    if scene.amount("boat"):
        layers.append(boat(canvas, dice.of("boat"), horizon, palette.near, mix(palette.accent, WHITE, 0.4)))
    return layers + _weather(canvas, scene, dice), split


def _skyline(
    canvas: Canvas,
    dice: Dice,
    level: float,
    tall: float,
    wide: float,
    colour: Colour,
    foot: Colour,
    lamp: Colour,
    lit: float,
    evening: bool,
) -> Layer:
    """Buildings on ``level``; ``lit`` is the share of windows with a light."""
    crest = np.full(canvas.u.shape, F(level))
    window = np.full(canvas.u.shape, -1, np.intp)  # column of windows, -1: wall
    hue = np.zeros(canvas.u.shape, F)
    pitch = wide * 0.15
    focus = dice.real(0.3, 0.7) * canvas.a
    u, number = -0.02, 0
    while u < canvas.a + 0.02:
        own = dice.of(f"building {number}")
        number += 1
        width = wide * own.real(0.6, 1.5)
        centre = max(0.0, 1.0 - abs(u - focus) / (0.55 * canvas.a))
        high = tall * (0.16 + 0.42 * own.real() + 0.55 * centre * own.real(0.3, 1.0))
        left, right = canvas.column(u), canvas.column(u + width)
        if left < right:
            roof = np.full(right - left, F(level - high))
            x = (canvas.u[left:right] - F(u)) * F(1 / width)
            kind = own.whole(0, 6)
            if kind == 1:  # stepped top
                roof += F(high * 0.10) * ((x < F(0.2)) | (x > F(0.8)))
            elif kind == 2:  # mono-pitch roof
                roof += F(width * 0.5) * x
            elif kind == 3:  # spire
                roof -= F(high * 0.26) * np.maximum(F(0), F(1) - np.abs(x - F(0.5)) * F(1 / 0.05))
            elif kind == 4:  # crown
                roof += F(width * 0.55) * np.abs(x - F(0.5))
            crest[left:right] = np.minimum(crest[left:right], roof)
            place = (canvas.u[left:right] - F(u)) * F(1 / pitch)
            inside = place - np.floor(place)
            pane = (inside > F(0.28)) & (inside < F(0.80)) & (x > F(0.10)) & (x < F(0.90))
            window[left:right] = np.where(pane, place.astype(np.intp) + number * 12, -1)
            hue[left:right] = F(own.real(-0.10, 0.10))
        u += width * own.real(0.85, 1.12)
    storeys = int(canvas.b / (pitch * 1.35)) + 2
    table = dice.of("lights").many(number * 12 + 64, storeys)
    highest = float(crest.min())
    on_wall = window >= 0
    safe = np.where(on_wall, window, 0)
    cool = mix(lamp, (0.75, 0.9, 1.0), 0.6)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        if float(v[-1]) + 1 / canvas.density < highest or float(v[0]) > level + 0.01:
            return
        depth = v[:, None] - crest
        mask = canvas.edge(depth) * (v < F(level + 0.002))[:, None]
        share = np.clip((v - F(highest)) * F(1 / (level - highest)), F(0), F(1))[:, None]
        wall = between(colour, foot, share * share)
        blend(band, mask, [np.clip(part + hue * F(0.5), F(0), F(1)) for part in wall])
        place = v * F(1 / (pitch * 1.35))
        storey = place.astype(np.intp)
        inside = place - storey
        pane = ((inside > F(0.25)) & (inside < F(0.78)))[:, None] & on_wall & (depth > F(pitch * 0.9))
        value = table[safe[None, :], storey[:, None]]
        shine = np.where(pane & (value < F(lit)), F(0.45) + value * F(0.5 / max(0.02, lit)), F(0))
        if evening:
            warm = value < F(lit * 0.78)
            add_light(band, shine * warm, lamp)
            add_light(band, shine * ~warm, cool)
        else:
            glass = np.where(pane, F(0.16), F(0))
            blend(band, glass, paint_of(mix(colour, WHITE, 0.5)))

    return paint
