"""Whole landscapes: mountains and lakes, oceans, forests, deserts and cities, as lists of layers."""

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
)
from stablenew_plugins.backends.embedded.ground import Relief, boat, mist, ridge, water, wood
from stablenew_plugins.backends.embedded.layers import WHITE, Layer, Light, rows_of
from stablenew_plugins.backends.embedded.scene import Colour, Scene, mix
from stablenew_plugins.backends.embedded.sky import (
    aurora,
    balloons,
    birds,
    clouds,
    disc,
    dots,
    falling_snow,
    glow,
    rain,
    sky,
    stars,
)


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
