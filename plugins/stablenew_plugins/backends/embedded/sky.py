"""Layers of the air: sky, sun, moon, stars, clouds, birds, balloons, rain and snow."""

from __future__ import annotations

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
