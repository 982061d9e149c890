"""Space, flowers, portraits and abstract pictures."""

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
    sine_of,
    smooth,
)
from stablenew_plugins.backends.embedded.layers import WHITE, Layer, Light, rows_of
from stablenew_plugins.backends.embedded.scene import Colour, Palette, Scene, luminance, mix
from stablenew_plugins.backends.embedded.sky import dots, glow, stars

BLACK: Colour = (0.0, 0.0, 0.0)


def _window(
    canvas: Canvas, band: Rgb, first: int, box: tuple[float, float, float, float]
) -> tuple[Rgb, Plane, Plane] | None:
    """The part of the band inside ``box`` (left, top, right, bottom in u and v), with its u and v (a
    column)."""
    top, bottom = max(first, canvas.row(box[1])), min(first + band.shape[1], canvas.row(box[3]))
    left, right = canvas.column(box[0]), canvas.column(box[2])
    if top >= bottom or left >= right:
        return None
    return (
        band[:, top - first : bottom - first, left:right],
        canvas.u[left:right],
        canvas.v[top:bottom][:, None],
    )


# --- space --------------------------------------------------------------------------------------------------


def nebula(canvas: Canvas, dice: Dice, palette: Palette, strength: float) -> Layer:
    """Glowing gas with dark lanes, folded by a second noise (computed small: gas has no sharp edges)."""
    fu = 2.1
    small = Canvas(max(8, round(96 * canvas.a)), max(8, round(96 * canvas.b)), like=canvas)
    drift_u = small.noise(dice.of("drift u"), fu, fu, 3).rows(small.v * F(fu))
    drift_v = small.noise(dice.of("drift v"), fu, fu, 3).rows(small.v * F(fu))
    body = small.noise(dice.of("body"), fu * 1.3, fu * 1.3, 5, 0.55).rows(small.v * F(fu * 1.3))
    dust = small.noise(dice.of("dust"), fu * 1.9, fu * 1.9, 5, 0.6).rows(small.v * F(fu * 1.9))
    # The gas gathers along a slanted river across the picture.
    lean = dice.real(-0.9, 0.9)
    middle = 0.5 * canvas.b + dice.real(-0.1, 0.1)
    across = small.v[:, None] - F(middle) - (small.u - F(canvas.a / 2)) * F(lean)
    across = across + (drift_v - F(0.5)) * F(0.7)
    river = F(1) / (F(1) + across * across * F(9))
    rows = np.arange(small.height, dtype=F)[:, None] + (drift_v - F(0.5)) * F(46)
    columns = np.arange(small.width, dtype=F) + (drift_u - F(0.5)) * F(46)
    index_v = np.clip(rows, F(0), F(small.height - 1)).astype(np.intp)
    index_u = np.clip(columns, F(0), F(small.width - 1)).astype(np.intp)
    gas = ramp(body[index_v, index_u], 0.30, 0.78) * river
    lanes = ramp(dust[index_v, index_u], 0.50, 0.68) * river
    hue = ramp(drift_u, 0.32, 0.68)
    grain = canvas.noise(dice.of("grain"), 24, 24, 4, 0.6)
    cold, warm = mix(palette.lower, palette.horizon, 0.3), mix(palette.accent, palette.sun, 0.15)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        fine = F(0.72) + F(0.56) * grain.rows(v * F(24))
        g = enlarge(gas, canvas, first, len(v)) * fine
        h = enlarge(hue, canvas, first, len(v))
        d = enlarge(lanes, canvas, first, len(v))
        light = g * F(1.05 * strength)
        colours = between(cold, warm, h)
        for channel in range(3):
            plane = band[channel]
            plane += (F(1) - plane) * np.clip(light * colours[channel], F(0), F(1))
        core = np.maximum(F(0), g - F(0.62)) * F(1.4 * strength)
        add_light(band, core, mix(palette.sun, WHITE, 0.4))
        blend(band, np.clip(d * F(0.62), F(0), F(1)), paint_of(mix(palette.zenith, BLACK, 0.35)))

    return paint


def enlarge(field: Plane, canvas: Canvas, first: int, rows: int) -> Plane:
    """Rows ``first`` ... of ``field`` stretched over the canvas, with soft edges between its cells."""
    height, width = field.shape
    y = np.clip(
        (np.arange(first, first + rows, dtype=F) + F(0.5)) * F(height / canvas.height) - F(0.5),
        F(0),
        F(height - 1),
    )
    x = np.clip(
        (np.arange(canvas.width, dtype=F) + F(0.5)) * F(width / canvas.width) - F(0.5), F(0), F(width - 1)
    )
    y0 = np.minimum(y.astype(np.intp), max(0, height - 2))
    x0 = np.minimum(x.astype(np.intp), max(0, width - 2))
    ty, tx = (y - y0.astype(F))[:, None], x - x0.astype(F)
    y1, x1 = np.minimum(y0 + 1, height - 1), np.minimum(x0 + 1, width - 1)
    low = int(y0[0])
    part = field[low : int(y1[-1]) + 1]
    wide = part[:, x0] + (part[:, x1] - part[:, x0]) * tx
    upper = wide[y0 - low]
    return np.asarray(upper + (wide[y1 - low] - upper) * ty, F)


def planet(
    canvas: Canvas,
    dice: Dice,
    centre: tuple[float, float],
    radius: float,
    body: Colour,
    second: Colour,
    air: Colour,
    ring: bool,
) -> Layer:
    """A lit ball with bands of weather, a rim of air, and perhaps a ring."""
    cu, cv = centre
    lean = dice.real(-0.5, 0.5)
    light_u, light_v = dice.pick((-0.62, 0.62)), -0.42
    belts = profile(dice.of("belts"), (np.arange(1024, dtype=F) * F(9 / 1024)), 4, 0.55)
    swirl = canvas.noise(dice.of("swirl"), 5 / radius / 4, 14 / radius / 4, 4, 0.55)
    fv = 14 / radius / 4

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        reach = radius * (2.3 if ring else 1.25)
        found = _window(canvas, band, first, (cu - reach, cv - reach, cu + reach, cv + reach))
        if found is None:
            return
        inner, u, v = found
        x, y = (u - F(cu)) * F(1 / radius), (v - F(cv)) * F(1 / radius)
        square = x * x + y * y
        distance = np.sqrt(square)
        scale = F(canvas.density * radius)
        along, up = x + y * F(lean), y - x * F(lean)
        ring_at = np.sqrt(along * along * F(0.9) + up * up * F(14.0)) if ring else None

        def rings(front: bool) -> None:
            if ring_at is None:
                return
            lines = belts[np.clip(ring_at * F(430), F(0), F(1023)).astype(np.intp)]
            cover = (
                ramp(ring_at, 1.28, 1.36)
                * ramp(ring_at, 2.1, 1.98)
                * (F(0.25) + F(0.75) * ramp(lines, 0.3, 0.6))
            )
            here = (up > 0) if front else ((up <= 0) & (distance > F(0.995)))
            blend(inner, cover * here * F(0.85), paint_of(mix(second, WHITE, 0.35)))

        rings(False)
        halo = np.maximum(F(0), F(1.22) - distance) * F(1 / 0.22)
        facing = np.clip(F(0.5) + (x * F(light_u) + y * F(light_v)) * F(0.7), F(0), F(1))
        add_light(
            inner, np.where(distance > F(0.99), np.minimum(halo, F(1)) * halo * facing * F(0.55), F(0)), air
        )
        ball = np.clip((F(1) - distance) * scale + F(0.5), F(0), F(1))
        depth = np.sqrt(np.maximum(F(0), F(1) - square))
        rows = (v[:, 0] * F(fv), canvas.column(cu - reach), canvas.column(cu + reach))
        shake = swirl.rows(rows[0])[:, rows[1] : rows[2]] - F(0.5)
        place = np.clip((up * F(0.5) + F(0.5) + shake * F(0.10)) * F(1000), F(0), F(1023)).astype(np.intp)
        share = np.clip(ramp(belts[place], 0.25, 0.75) + shake * F(0.7), F(0), F(1))
        lit = x * F(light_u) + y * F(light_v) + depth * F(0.62)
        shade = ramp(lit, -0.12, 0.92)
        colours = between(body, second, share)
        rim = (F(1) - depth) * (F(1) - depth) * shade
        painted = [part * (F(0.03) + F(1.02) * shade) for part in colours]
        painted = [
            np.minimum(F(1), part + F(tone) * rim * F(0.75)) for part, tone in zip(painted, air, strict=True)
        ]
        blend(inner, ball, painted)
        rings(True)

    return paint


def space(canvas: Canvas, scene: Scene, dice: Dice) -> tuple[list[Layer], int]:
    """A nebula, stars, and often a planet."""
    palette = scene.palette
    deep = mix(
        mix(palette.zenith, BLACK, 0.55), (0.02, 0.02, 0.06), 0.5 if luminance(palette.zenith) > 0.12 else 0.2
    )

    def backdrop(band: Rgb, first: int, picture: Rgb) -> None:
        for channel in range(3):
            band[channel] = F(deep[channel])

    layers: list[Layer] = [backdrop]
    layers.append(nebula(canvas, dice.of("nebula"), palette, 1.1 * scene.emphasis))
    many = scene.amount("stars", 1.0)
    if many:
        layers.append(_starfield(canvas, dice.of("stars"), many))
    wanted = scene.amount("planet", 1.0 if dice.of("planet").real() < 0.6 else 0.0)
    if wanted:
        own = dice.of("world")
        radius = own.real(0.13, 0.24) * (0.7 + 0.3 * wanted)
        centre = (canvas.a * own.pick((0.3, 0.36, 0.64, 0.7)), canvas.b * own.real(0.36, 0.62))
        body, second = mix(palette.accent, palette.far, 0.45), mix(palette.horizon, palette.accent, 0.25)
        ringed = scene.amount("ring", 1.0 if own.of("ring").real() < 0.5 else 0.0) > 0
        layers.append(
            planet(canvas, own, centre, radius, body, second, mix(palette.lower, WHITE, 0.45), ringed)
        )
        moon = own.of("moon")
        if moon.real() < 0.6:
            at = (canvas.a - centre[0] + moon.real(-0.1, 0.1), centre[1] + moon.real(-0.28, 0.1) * canvas.b)
            layers.append(
                planet(
                    canvas,
                    own,
                    at,
                    radius * moon.real(0.16, 0.3),
                    palette.far,
                    mix(palette.far, WHITE, 0.4),
                    palette.lower,
                    False,
                )
            )
    return layers, 0


def _starfield(canvas: Canvas, dice: Dice, amount: float) -> Layer:
    count = int(420 * min(2.0, amount) * canvas.a * canvas.b)
    size = dice.many(count)
    size = size * size * size
    size = size * size * size
    return dots(
        canvas,
        dice.many(count) * F(canvas.a),
        dice.many(count) * F(canvas.b),
        F(0.0006) + size * F(0.0042),
        F(0.30) + F(0.70) * dice.many(count),
        [WHITE, (0.80, 0.88, 1.0), (1.0, 0.90, 0.78), WHITE],
    )


# --- flowers ------------------------------------------------------------------------------------------------


def _petals(
    canvas: Canvas,
    dice: Dice,
    centre: tuple[float, float],
    radius: float,
    colours: tuple[Colour, Colour, Colour],
    tilt: float,
    dim: float,
) -> Layer:
    """One bloom: whorls of petals, the outer ones first, and a heart."""
    cu, cv = centre
    count = dice.pick((5, 6, 8, 8, 12))
    whorls = dice.pick((1, 2, 2, 3)) if count < 12 else 2
    wide = {5: 0.50, 6: 0.44, 8: 0.34, 12: 0.21}[count] * dice.real(0.9, 1.12)
    turn = dice.real()
    outer, inner_colour, heart = colours
    shade_under = paint_of(mix(outer, BLACK, 0.75))
    petals = []
    for whorl in range(whorls):
        size = 1.0 - 0.27 * whorl
        for index in range(count):
            angle = turn + (index + 0.5 * (whorl % 2)) / count
            length = size * dice.real(0.90, 1.06)
            petals.append(
                (sine_of(angle + 0.25), sine_of(angle), length, wide * size, dice.real(-0.07, 0.07), whorl)
            )

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        last = first + band.shape[1]
        if canvas.row(cv - radius * 1.12) >= last or canvas.row(cv + radius * 1.12) <= first:
            return
        scale = F(canvas.density * radius)
        for cos, sin, length, width, tone, whorl in petals:
            # The petal's own box: its axis, widened by its half width and shadow on every side.
            end_u, end_v, side = cos * length, sin * length, width * 1.12 + 0.05
            box = (
                cu + radius * (min(0.0, end_u) - side), cv + radius * tilt * (min(0.0, end_v) - side),
                cu + radius * (max(0.0, end_u) + side), cv + radius * tilt * (max(0.0, end_v) + side),
            )  # fmt: skip
            found = _window(canvas, band, first, box)
            if found is None:
                continue
            inside, u, v = found
            x, y = (u - F(cu)) * F(1 / radius), (v - F(cv)) * F(1 / radius / tilt)
            along = (x * F(cos) + y * F(sin)) * F(1 / length)
            off = y * F(cos) - x * F(sin)
            # A petal: narrow at the heart, widest past the middle, with a soft point.
            t = np.clip(along, F(0), F(1))
            body = F(width) * np.sqrt(np.maximum(F(0), t * (F(1) - t * t * t))) * (F(0.72) + F(0.75) * t)
            edge = body - np.abs(off)
            mask = np.clip(edge * scale + F(0.5), F(0), F(1)) * ((along > 0) & (along < 1))
            if whorl < 2:
                shadow = np.clip(edge * F(9) + F(0.62), F(0), F(1)) * ((along > F(-0.02)) & (along < F(1.1)))
                blend(inside, shadow * (F(1) - mask) * F(0.22), shade_under)
            turned = np.clip(F(0.5) + off * F(1.3 / width), F(0), F(1))
            vein = np.abs(sine(off * F(5.5 / width) / (F(0.5) + t))) * F(0.05)
            light = F(0.80 + tone + 0.06 * whorl) + F(0.24) * smooth(t) + F(0.10) * turned - vein
            light = light - np.clip(F(0.10) - edge, F(0), F(0.10)) * F(0.9)
            colour = between(inner_colour, outer, smooth(np.clip(t * F(1.25), F(0), F(1))))
            blend(inside, mask, [np.clip(part * light * F(dim), F(0), F(1)) for part in colour])
        found = _window(
            canvas, band, first, (cu - radius * 0.2, cv - radius * 0.2, cu + radius * 0.2, cv + radius * 0.2)
        )
        if found is None:
            return
        inside, u, v = found
        x, y = (u - F(cu)) * F(1 / radius), (v - F(cv)) * F(1 / radius / tilt)
        distance = np.sqrt(x * x + y * y)
        core = np.clip((F(0.17) - distance) * scale + F(0.5), F(0), F(1))
        shade = F(1.12) - distance * F(3.2) - y * F(0.9)
        speckle = sine(x * F(9.3) + y * F(3.1)) * sine(y * F(10.7) - x * F(2.3)) * F(0.16)
        blend(inside, core, [np.clip(F(part * dim) * (shade + speckle), F(0), F(1)) for part in heart])

    return paint


def _leaf(canvas: Canvas, start: tuple[float, float], angle: float, length: float, colour: Colour) -> Layer:
    cos, sin = sine_of(angle + 0.25), sine_of(angle)
    cu, cv = start

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        found = _window(canvas, band, first, (cu - length, cv - length, cu + length, cv + length))
        if found is None:
            return
        inside, u, v = found
        x, y = (u - F(cu)) * F(1 / length), (v - F(cv)) * F(1 / length)
        along, off = x * F(cos) + y * F(sin), y * F(cos) - x * F(sin)
        t = np.clip(along, F(0), F(1))
        off = off + t * (F(1) - t) * F(0.22)  # leaves curve
        body = F(0.62) * t * (F(1) - t) * (F(1.25) - F(0.5) * t)
        edge = body - np.abs(off)
        mask = np.clip(edge * F(canvas.density * length) + F(0.5), F(0), F(1)) * ((along > 0) & (along < 1))
        rib = np.clip(F(1) - np.abs(off) * F(60), F(0), F(1)) * F(0.20)
        light = F(0.82) + F(0.32) * (off > 0) * F(0.7) + rib + F(0.10) * sine(along * F(7) - np.abs(off) * F(9))
        blend(inside, mask, [np.clip(F(part) * light, F(0), F(1)) for part in colour])

    return paint


def flower(canvas: Canvas, scene: Scene, dice: Dice) -> tuple[list[Layer], int]:
    """A bouquet that fills the picture: leaves, small blooms behind, large ones in front."""
    palette = scene.palette
    dark = palette.dark or dice.of("ground").real() < 0.4
    top, bottom = (mix(palette.near, BLACK, 0.15), mix(palette.near, palette.far, 0.35))
    if not dark:
        top, bottom = mix(palette.horizon, WHITE, 0.30), mix(palette.lower, palette.horizon, 0.45)
    layers: list[Layer] = [_wash(canvas, dice.of("wash"), top, bottom)]
    layers.append(
        glow(canvas, Light(canvas.a * 0.35, canvas.b * 0.25, 0.1), palette.sun, 0.10 if dark else 0.25, 0.5)
    )
    green = mix((0.20, 0.40, 0.25), palette.near, 0.35 if not dark else 0.2)
    pale = mix((0.45, 0.60, 0.42), palette.lower, 0.35)
    base_hue = palette.accent
    others = (
        mix(palette.accent, palette.horizon, 0.55),
        mix(palette.lower, palette.accent, 0.35),
        mix(palette.accent, palette.upper, 0.4),
    )
    middle = (canvas.a * 0.5, canvas.b * 0.52)
    blooms: list[tuple[float, float, float, int]] = []
    for attempt in range(140):
        own = dice.of(f"place {attempt}")
        rank = len(blooms)
        size = (
            (0.25 if rank < 1 else 0.19 if rank < 4 else 0.115 if rank < 9 else 0.07)
            * own.real(0.85, 1.12)
            * (0.6 + 0.4 * scene.emphasis)
        )
        spread = 0.10 if rank < 1 else 0.34 if rank < 4 else 0.46
        # Two throws for each axis: places gather towards the middle.
        u = middle[0] + (own.real(-1, 1) + own.real(-1, 1)) * 0.6 * spread * canvas.a
        v = middle[1] + (own.real(-1, 1) + own.real(-1, 1)) * 0.6 * spread * canvas.b
        if all((u - a) * (u - a) + (v - b) * (v - b) > 0.42 * (size + c) * (size + c) for a, b, c, _ in blooms):
            blooms.append((u, v, size, attempt))
        if len(blooms) >= 13:
            break
    for u, v, size, number in reversed(blooms):
        own = dice.of(f"leaves {number}")
        for _ in range(3):
            angle, length = own.real(), size * own.real(1.5, 2.1)
            layers.append(_leaf(canvas, (u, v), angle, length, mix(green, pale, own.real(0, 0.8))))
    for rank, (u, v, size, number) in reversed(list(enumerate(blooms))):
        own = dice.of(f"bloom {number}")
        outer = mix(base_hue if own.real() < 0.5 else own.pick(others), WHITE, own.real(0.05, 0.45))
        inner = mix(outer, mix(palette.accent, palette.near, 0.35), own.real(0.35, 0.75))
        heart = mix((0.95, 0.74, 0.28), palette.near, 0.1 + 0.4 * (own.real() < 0.3))
        layers.append(
            _petals(
                canvas, own, (u, v), size, (outer, inner, heart), own.real(0.84, 1.0), 0.86 if rank > 8 else 1.0
            )
        )
    return layers, 0


def _wash(canvas: Canvas, dice: Dice, top: Colour, bottom: Colour) -> Layer:
    """A soft backdrop, as of watercolour."""
    field = canvas.noise(dice, 1.6, 1.6, 4)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        share = np.clip(
            (v * F(1 / canvas.b))[:, None] + (field.rows(v * F(1.6)) - F(0.5)) * F(0.75), F(0), F(1)
        )
        for channel, plane in enumerate(between(top, bottom, share)):
            band[channel] = plane

    return paint


# --- portrait -----------------------------------------------------------------------------------------------


def portrait(canvas: Canvas, scene: Scene, dice: Dice) -> tuple[list[Layer], int]:
    """A faceless half-length figure in poster style, before a disc."""
    palette = scene.palette
    top, bottom = mix(palette.upper, palette.lower, 0.35), mix(palette.horizon, palette.lower, 0.25)
    layers: list[Layer] = [_wash(canvas, dice.of("wash"), top, bottom)]
    cu = canvas.a * 0.5 + dice.real(-0.05, 0.05)
    size = 0.155 * (0.85 + 0.15 * scene.emphasis)
    cv = canvas.b * 0.5 - 0.09 + dice.real(-0.02, 0.02)
    if palette.dark:
        layers.append(stars(canvas, dice.of("stars"), scene.amount("stars", 0.7), canvas.b * 0.8))
    layers.append(
        _halo(
            canvas,
            (cu + dice.real(-0.08, 0.08), cv + 0.02),
            size * dice.real(2.3, 2.7),
            mix(palette.sun, palette.horizon, 0.35),
        )
    )
    plants = dice.of("plants")
    green = mix(mix(palette.near, palette.far, 0.5), (0.25, 0.42, 0.32), 0.35)
    for index in range(9):
        side = -1 if index % 2 else 1
        start = (cu + side * plants.real(0.16, 0.44), canvas.b * plants.real(0.72, 1.0))
        lean = -0.25 + side * plants.real(-0.04, 0.10)
        layers.append(
            _leaf(canvas, start, lean, plants.real(0.26, 0.46), mix(green, palette.near, plants.real(0, 0.6)))
        )
    layers.append(_figure(canvas, dice.of("figure"), (cu, cv), size, palette, scene.amount("hair", 0.9)))
    return layers, 0


def _halo(canvas: Canvas, centre: tuple[float, float], radius: float, colour: Colour) -> Layer:
    cu, cv = centre

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        found = _window(
            canvas, band, first, (cu - radius * 1.1, cv - radius * 1.1, cu + radius * 1.1, cv + radius * 1.1)
        )
        if found is None:
            return
        inside, u, v = found
        distance = np.sqrt((u - F(cu)) * (u - F(cu)) + (v - F(cv)) * (v - F(cv)))
        mask = canvas.edge(F(radius) - distance) * (
            F(0.96) - np.clip((v - F(cv)) * F(0.45 / radius), F(0), F(0.5))
        )
        blend(inside, mask, paint_of(colour))
        ring = canvas.edge(F(0.0022) - np.abs(distance - F(radius * 1.06)))
        blend(inside, ring * F(0.7), paint_of(colour))

    return paint


def _ellipse(x: Plane, y: Plane, cx: float, cy: float, rx: float, ry: float) -> Plane:
    """Rough distance into an ellipse, in the units of x and y."""
    dx, dy = (x - F(cx)) * F(1 / rx), (y - F(cy)) * F(1 / ry)
    return np.asarray((F(1) - np.sqrt(dx * dx + dy * dy)) * F(min(rx, ry)), F)


def _figure(
    canvas: Canvas, dice: Dice, centre: tuple[float, float], size: float, palette: Palette, hair: float
) -> Layer:
    cu, cv = centre
    skin = mix(
        dice.pick(
            ((0.96, 0.80, 0.69), (0.86, 0.64, 0.49), (0.66, 0.45, 0.33), (0.44, 0.29, 0.22), (0.92, 0.72, 0.58))
        ),
        palette.sun,
        0.12,
    )
    if palette.dark:
        skin = mix(skin, palette.upper, 0.30)
    skin_shade = mix(skin, mix(palette.near, palette.accent, 0.45), 0.38)
    hair_colour = mix(
        dice.pick(
            ((0.13, 0.10, 0.11), (0.30, 0.17, 0.11), (0.52, 0.27, 0.13), (0.80, 0.60, 0.33), (0.09, 0.10, 0.16))
        ),
        palette.near,
        0.2,
    )
    hair_light = mix(hair_colour, palette.accent, 0.30)
    cloth = mix(palette.accent, palette.near, 0.12)
    cloth_shade = mix(cloth, palette.near, 0.45)
    face = dice.real(-0.10, 0.10)  # the head's turn
    long = dice.real() < 0.62 or hair > 0.95
    length = dice.real(1.5, 2.2) * (0.8 + 0.2 * hair)
    part = dice.pick((-0.34, 0.34))
    wave = dice.real(0.02, 0.06)
    band_on = dice.real() < 0.4

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        found = _window(
            canvas, band, first, (cu - size * 3.4, cv - size * 2.2, cu + size * 3.4, canvas.b + 0.01)
        )
        if found is None:
            return
        inside, u, v = found
        x, y = (u - F(cu)) * F(1 / size), (v - F(cv)) * F(1 / size)
        x, y = np.broadcast_arrays(x, y)
        scale = F(canvas.density * size)

        def lay(shape: Plane, colour: object) -> None:
            blend(inside, np.clip(shape * scale + F(0.5), F(0), F(1)), colour)  # type: ignore[arg-type]

        sway = sine(y * F(0.31) + F(0.1)) * F(wave)
        # hair behind
        back = _ellipse(x, y, 0.0, -0.18, 1.10, 1.22)
        if long:
            down = np.clip((y + F(0.25)) * F(1 / (length + 0.25)), F(0), F(1))
            taper = F(1) - F(0.30) * down * down * down * down
            fall = np.minimum(
                (F(1.14) + sine(y * F(0.42)) * F(0.06)) * taper - np.abs(x - sway),
                np.minimum(y + F(0.25), F(length) - y - x * x * F(0.34)),
            )
            back = np.maximum(back, fall)
        strands = sine(x * F(2.9) + sway * F(6) + y * F(0.22)) * F(0.5) + F(0.5)
        lay(back, between(hair_colour, mix(hair_colour, hair_light, 0.55), strands * strands * F(0.7)))
        # neck and shoulders
        neck = np.minimum(
            F(0.40) + np.maximum(F(0), y - F(1.02)) * F(0.9) - np.abs(x - F(0.02)),
            np.minimum(y - F(0.4), F(2.1) - y),
        )
        shaded = ramp(y, 0.75, 1.35)
        lay(neck, between(skin_shade, skin, shaded * F(0.8)))
        square = x * x
        slope = F(1.50) + np.abs(x) * F(0.14) + square * square * F(0.030) + square * F(0.04)
        shoulders = np.minimum(y - slope, F(2.16) + (y - F(2.2)) * F(0.10) - np.abs(x))
        collar = _ellipse(x, y, 0.0, 1.42, 0.62, 0.60)
        torso = np.minimum(shoulders, -collar)
        lay(np.minimum(shoulders, collar), paint_of(skin))
        folds = sine(x * F(0.55) + y * F(0.13)) * sine(x * F(0.31) - y * F(0.24)) * F(0.5) + F(0.5)
        side = np.clip(F(0.5) + x * F(0.24), F(0), F(1))
        lay(torso, between(cloth, cloth_shade, np.clip(side * F(0.7) + folds * F(0.35), F(0), F(1))))
        trim = F(0.035) - np.abs(collar + F(0.05))
        lay(np.minimum(trim, shoulders), paint_of(mix(palette.horizon, WHITE, 0.3)))
        # face
        jaw = np.where(y > F(0.1), F(1) + (y - F(0.1)) * (y - F(0.1)) * F(0.30), F(1))
        head = _ellipse(x * jaw, y, 0.0, 0.0, 0.80, 1.08)
        ears = np.maximum(_ellipse(x, y, -0.80, 0.12, 0.13, 0.24), _ellipse(x, y, 0.80, 0.12, 0.13, 0.24))
        lay(ears, paint_of(skin_shade))
        turn = np.clip(F(0.5) + (x - F(face) - y * F(0.10)) * F(2.6), F(0), F(1))
        lay(head, between(skin, mix(skin, skin_shade, 0.75), smooth(turn)))
        blush = F(0.24) / (
            F(1) + ((x * x - F(0.20)) * (x * x - F(0.20)) * F(60) + (y - F(0.34)) * (y - F(0.34)) * F(22))
        )
        blend(inside, blush * np.clip(head * scale, F(0), F(1)), paint_of(mix(skin, palette.accent, 0.55)))
        # closed eyes, brows, nose, mouth: a few lines are enough
        ink = mix(hair_colour, skin_shade, 0.15)
        away = np.abs(x - F(face * 0.8))
        lid = F(0.10) - (away - F(0.36)) * (away - F(0.36)) * F(1.9) + F(0.09)
        lay(np.minimum(F(0.026) - np.abs(y - lid), F(0.20) - np.abs(away - F(0.36))), paint_of(ink))
        brow = F(-0.16) + (away - F(0.36)) * (away - F(0.36)) * F(0.9) - (away - F(0.36)) * F(0.06)
        lay(
            np.minimum(F(0.024) - np.abs(y - brow), F(0.23) - np.abs(away - F(0.37))),
            paint_of(mix(ink, skin, 0.25)),
        )
        nose_x = F(face * 0.8 + 0.05) + (y - F(0.1)) * F(0.16)
        lay(
            np.minimum(F(0.015) - np.abs(x - nose_x), F(0.20) - np.abs(y - F(0.27))),
            paint_of(mix(skin_shade, ink, 0.18)),
        )
        mouth_x = np.abs(x - F(face * 0.9))
        lips = np.minimum(
            F(0.052) * (F(1.1) - mouth_x * F(4.2)) - np.abs(y - F(0.635) + mouth_x * mouth_x * F(0.5)),
            F(0.21) - mouth_x,
        )
        lay(lips, paint_of(mix(mix(skin, palette.accent, 0.5), (0.72, 0.25, 0.27), 0.4)))
        # hair in front: a parting, and locks down both sides
        line = (
            F(-0.52)
            + (x - F(part)) * (x - F(part)) * F(0.62)
            - np.maximum(F(0), F(0.06) - np.abs(x - F(part))) * F(2.2)
        )
        fringe = np.minimum(_ellipse(x, y, 0.0, -0.12, 0.98, 1.16), line - y)
        sheen = np.clip(F(1) - np.abs(y + F(0.82) - x * x * F(0.30)) * F(4.5), F(0), F(1)) * (
            F(0.62) + F(0.18) * strands
        )
        lay(fringe, between(hair_colour, hair_light, np.clip(sheen, F(0), F(1))))
        if long:
            down = np.clip((y + F(0.62)) * F(1 / (length * 0.92 + 0.62)), F(0), F(1))
            width = F(0.22) * (F(1) - down * down * down * down)
            locks = np.minimum(width - np.abs(np.abs(x) - F(0.89) - sine(y * F(0.35)) * F(0.06)), y + F(0.62))
            lay(locks, between(hair_colour, hair_light, strands * F(0.55)))
        if band_on:
            arc = F(0.055) - np.abs(y + F(0.80) - x * x * F(0.42))
            lay(
                np.minimum(arc, _ellipse(x, y, 0.0, -0.12, 1.0, 1.18)),
                paint_of(mix(palette.accent, WHITE, 0.25)),
            )

    return paint


# --- abstract -----------------------------------------------------------------------------------------------


def abstract(canvas: Canvas, scene: Scene, dice: Dice) -> tuple[list[Layer], int]:
    """Sheets of colour that flow across the picture, each with a shadow on the one behind."""
    palette = scene.palette
    layers: list[Layer] = [
        _wash(
            canvas,
            dice.of("wash"),
            mix(palette.horizon, WHITE, 0.2 if not palette.dark else 0.0),
            palette.lower,
        )
    ]
    wheel = [palette.horizon, palette.accent, palette.lower, palette.upper, palette.zenith, palette.near]
    if dice.of("order").real() < 0.5:
        wheel = [
            palette.lower,
            palette.horizon,
            palette.accent,
            mix(palette.accent, palette.upper, 0.5),
            palette.upper,
            palette.zenith,
        ]
    if dice.of("orb").real() < 0.75:
        own = dice.of("orb place")
        layers.append(
            _halo(
                canvas,
                (canvas.a * own.real(0.25, 0.75), canvas.b * own.real(0.2, 0.42)),
                own.real(0.11, 0.2),
                palette.sun,
            )
        )
    count = dice.of("count").whole(7, 10)
    slope = dice.of("slope").real(-0.45, 0.45)
    for index in range(count):
        share = index / (count - 1)
        own = dice.of(f"sheet {index}")
        line = np.zeros(canvas.u.shape, F)
        for frequency, height in ((0.45, 0.13), (0.9, 0.07), (1.9, 0.022)):
            line += sine(canvas.u * F(frequency * own.real(0.8, 1.25)) + F(own.real())) * F(
                height * own.real(0.5, 1.2) * scene.emphasis
            )
        crest = (
            F(canvas.b * (0.30 + 0.70 * share) - 0.02)
            + line
            + (canvas.u - F(canvas.a / 2)) * F(slope * (1 - 0.6 * share))
        )
        place = share * (len(wheel) - 1)
        low = min(len(wheel) - 2, int(place))
        colour = mix(wheel[low], wheel[low + 1], place - low)
        following = mix(colour, wheel[min(len(wheel) - 1, low + 1)], 0.55)
        layers.append(
            _sheet(
                canvas,
                own,
                crest,
                mix(colour, WHITE, 0.16),
                following,
                mix(palette.near, BLACK, 0.3),
                wheel[(index * 2 + 1) % len(wheel)],
            )
        )
    return layers, 0


def _sheet(
    canvas: Canvas, dice: Dice, crest: Plane, edge: Colour, body: Colour, shadow: Colour, gleam: Colour
) -> Layer:
    highest = float(crest.min()) - 0.06
    steep = np.empty_like(crest)
    steep[1:] = (crest[1:] - crest[:-1]) * F(canvas.density)
    steep[0] = steep[1] if len(steep) > 1 else F(0)
    # Depth across the sheet, not straight down, or steep parts would look thicker.
    across = F(1) / np.sqrt(F(1) + steep * steep)
    lines = dice.real() < 0.55
    pitch = dice.real(0.012, 0.02)
    where = dice.real(0.15, 0.85)
    bright = np.maximum(F(0), F(1) - np.abs(canvas.u - F(where * canvas.a)) * F(1 / (0.45 * canvas.a)))
    bright = smooth(bright)

    def paint(band: Rgb, first: int, picture: Rgb) -> None:
        v = rows_of(canvas, band, first)
        if float(v[-1]) < highest:
            return
        depth = (v[:, None] - crest) * across
        cast = np.clip(F(1) + depth * F(1 / 0.05), F(0), F(1)) * (depth < 0)
        blend(band, cast * cast * F(0.34), paint_of(shadow))
        mask = canvas.edge(depth)
        share = smooth(np.clip(depth * F(1 / 0.30), F(0), F(1)))
        colour = between(edge, body, share)
        if lines:
            step = depth * F(1 / pitch)
            fine = np.abs(step - np.floor(step) - F(0.5))
            fade = np.clip(F(1) - depth * F(1 / 0.16), F(0), F(1))
            stripe = np.clip((fine - F(0.36)) * F(8), F(0), F(1)) * fade * F(0.16)
            colour = [part + (F(1) - part) * stripe for part in colour]
        warm = bright * (F(1) - share) * F(0.55)
        colour = [part + (F(tone) - part) * warm for part, tone in zip(colour, gleam, strict=True)]
        blend(band, mask, colour)
        rim = np.clip(F(1) - np.abs(depth - F(0.0016)) * F(520), F(0), F(1)) * F(0.45)
        blend(band, rim * mask, paint_of(mix(edge, WHITE, 0.55)))

    return paint
