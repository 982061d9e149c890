"""What a prompt means to the embedded engine: subject, light, palette, motifs. Pure; no numpy.

Words choose what is drawn and in which colours; the seed chooses where everything stands. So a changed word
keeps the composition, and a changed seed keeps the mood, as people know it from real models.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from stablenew_plugins.backends.embedded.prompt import Prompt

Colour = tuple[float, float, float]
"""Red, green, blue, 0 to 1, sRGB."""


def rgb(code: str) -> Colour:
    """``2b2d5b`` as a colour."""
    return int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """``share`` 0 gives the first, 1 the second."""
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
        first[2] + (second[2] - first[2]) * share,
    )


def luminance(colour: Colour) -> float:
    """Rec. 709 weights, on sRGB values: good enough to compare by."""
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of a light."""

    zenith: Colour
    upper: Colour
    lower: Colour
    horizon: Colour
    sun: Colour
    far: Colour
    near: Colour
    accent: Colour
    """What catches the eye: petals, sails, a scarf, lit windows."""
    dark: bool = False
    """Night: stars, a moon in place of the sun."""

    def every(self, change: object) -> Palette:
        """A palette with ``change(colour)`` for each colour."""
        assert callable(change)
        return Palette(
            change(self.zenith),
            change(self.upper),
            change(self.lower),
            change(self.horizon),
            change(self.sun),
            change(self.far),
            change(self.near),
            change(self.accent),
            self.dark,
        )


def _palette(codes: str, dark: bool = False) -> Palette:
    zenith, upper, lower, horizon, sun, far, near, accent = (rgb(code) for code in codes.split())
    return Palette(zenith, upper, lower, horizon, sun, far, near, accent, dark)


PALETTES: Final[dict[str, tuple[Palette, ...]]] = {
    "sunset": (
        _palette("2b2d5b 7a4a86 e0705a ffc46b fff1c9 93607f 1c1630 ff7a59"),
        _palette("33406f 94679f ef9794 ffdcae fff6e0 9d7698 281f3d f26d85"),
        _palette("1f3b57 5d6e86 e39b6a ffd98a fff3cf 8f7a7c 1b2530 f4845f"),
    ),
    "dawn": (
        _palette("5c83b8 a3b5d6 f2cab6 fdeaca fff8e6 93a5c2 2c3a55 e58a7b"),
        _palette("6f7fb5 b9aed0 f3c3c0 fbe6d0 fffaec a49fc0 332f52 e77f92"),
    ),
    "day": (
        _palette("2a6fb8 62a8e0 add8f2 e6f4f7 ffffff 8fb3cc 1f4350 f2b441"),
        _palette("3484b0 78bcd6 bfe2e2 f4f2dc fffdf0 94b7b8 1f4a46 ee7d52"),
    ),
    "golden": (
        _palette("5b7f9c b9b197 f0cb80 fff0bd fffbe6 b49a78 382a20 e2843c"),
        _palette("4f6f7a a9a787 e8bd6d ffe6a0 fff7da a78d68 2f2a1c d9683a"),
    ),
    "night": (
        _palette("060a1c 0e1a3c 1f3566 42639a f4f1de 2b4170 050813 ffcf70", dark=True),
        _palette("0b0a22 1a1747 39316f 6d5a9c f7efe2 403a74 08071a ff9e7a", dark=True),
        _palette("04141c 0a2b36 14505a 3f8a88 eef6e6 1d4f57 030c10 ffd27a", dark=True),
    ),
    "storm": (
        _palette("262c35 47515c 7c878d c2c5b8 eeeede 5f6c74 13171c c9a44f"),
        _palette("23303a 3f5660 6f8a8d b9c7bb edf0e0 587078 101a20 d08b4c"),
    ),
    "fog": (
        _palette("9fb0b6 bcc8ca d9dfdc efeee7 fffdf5 b0bec0 2b3a3f c9795a"),
        _palette("a8acb8 c2c4cc dcdcdc f1ede6 fffaf2 b7b8c2 35364a b8687a"),
    ),
    "winter": (_palette("5f86b0 a0bddb d6e4f0 f8f2ee fffaf4 b0c4d8 2f4864 d8604f"),),
    "tropical": (
        _palette("0b6a8c 31a3b4 9fdaca fdf1d0 fffdf0 5fa9a6 07323d ff7f6b"),
        _palette("125a9c 2fa0cf 96dfe0 fff3cf fffef2 58a3bd 063047 ff9a3c"),
    ),
    "autumn": (_palette("71859c bfb3a8 edc48c fce5b8 fff7e0 b58a6c 43210f d2552a"),),
    "alien": (
        _palette("2a1530 7a2f4a d0683f f6c684 fff0cf 8f4a52 1c0d18 5fd0c0"),
        _palette("0f2b3a 1f6a6a 6fb58a e6e8a8 fbffe0 3f7a78 081a20 ff5f8f"),
    ),
}
"""Lights and the palettes that each is picked from."""

_SUBJECTS = {
    "mountains": "mountain mountains mountainous peak peaks alps alpine cliff cliffs valley hill hills canyon "
    "volcano landscape scenery highlands castle fortress ruins village himalaya",
    "lake": "lake lakes river rivers pond reflection reflections fjord stream waterfall bay lagoon",
    "ocean": "ocean sea seascape beach wave waves coast coastal shore island islands harbor harbour boat "
    "boats ship ships sail sailing sailboat lighthouse pier pirate surf",
    "forest": "forest forests tree trees wood woods woodland pine pines jungle grove path wolf deer fox "
    "redwood birch",
    "desert": "desert dune dunes sand sandy sahara oasis camel pyramid pyramids mars wasteland savanna",
    "city": "city cities cityscape skyline street streets cyberpunk tokyo york paris london building "
    "buildings tower skyscraper skyscrapers downtown urban rooftop metropolis futuristic robot "
    "car",
    "space": "space galaxy galaxies nebula planet planets cosmos cosmic astronaut spaceship spacecraft "
    "starfield universe saturn orbit interstellar asteroid celestial",
    "flower": "flower flowers floral rose roses bouquet garden tulip tulips blossom blossoms petals petal "
    "lotus daisy daisies peony sunflower sunflowers poppy poppies orchid botanical meadow lily "
    "bloom",
    "portrait": "portrait woman man girl boy face person lady warrior wizard knight queen king princess elf "
    "character 1girl 1boy hair eyes smile goddess vampire samurai witch model selfie headshot cat "
    "dog animal",
    "abstract": "abstract pattern ribbons ribbon fluid gradient swirl swirls swirling geometric fractal "
    "wallpaper shapes minimalist surreal psychedelic dream flow curves marble",
}
_LIGHTS = {
    "sunset": "sunset sundown dusk evening twilight romantic crimson",
    "dawn": "dawn sunrise morning pastel soft daybreak spring",
    "day": "day daylight noon midday sunny bright summer clear blue",
    "golden": "golden gold amber warm sepia vintage honey hazy",
    "night": "night midnight nighttime dark moonlit moonlight nocturnal starry noir neon cyberpunk aurora "
    "lights gothic",
    "storm": "storm stormy thunder lightning rain rainy overcast dramatic gloomy moody grey gray tempest",
    "fog": "fog foggy mist misty haze ethereal quiet pale dreamy",
    "winter": "winter snow snowy ice icy frozen arctic glacier cold frost",
    "tropical": "tropical turquoise teal caribbean paradise island hawaii lagoon palm",
    "autumn": "autumn fall october leaves harvest rust",
    "alien": "alien mars martian fantasy surreal psychedelic vaporwave synthwave otherworldly magic",
}
_MOTIFS = {
    "sun": "sun sunny sunset sunrise sunbeams rays sunlight",
    "moon": "moon moonlit moonlight lunar crescent",
    "stars": "star stars starry starfield constellation milky",
    "clouds": "cloud clouds cloudy overcast cumulus storm dramatic",
    "fog": "fog foggy mist misty haze hazy",
    "birds": "bird birds seagull seagulls geese crane cranes eagle flock",
    "boat": "boat boats ship ships sail sailing sailboat pirate yacht",
    "snow": "snow snowy snowfall snowflakes blizzard winter snowcapped glacier",
    "rain": "rain rainy raining downpour",
    "aurora": "aurora borealis northern",
    "balloon": "balloon balloons airship",
    "trees": "tree trees forest pine pines woods",
    "water": "water lake river sea ocean reflection reflections reflective wet fjord",
    "planet": "planet planets saturn jupiter ringed",
    "ring": "ringed rings saturn",
    "hair": "hair long curly flowing",
}
_COLOUR_CODES = (
    "red=c8323c crimson=a81e36 scarlet=d8342c pink=f08fb0 rose=e0607f magenta=c83c9c purple=7a4aa8 "
    "violet=7d5cc6 lavender=a894d8 indigo=3d3a8c blue=3a72c8 azure=3a96e0 navy=1c2c5c cyan=38b8d0 "
    "turquoise=34b8ac teal=1f8a8c green=4a9a50 emerald=1f9a68 olive=7c8040 mint=98d8b4 yellow=f0cc48 "
    "gold=d8a838 golden=e0ac44 amber=e09030 orange=f0843c brown=80583c copper=b8703c beige=d8c4a0 "
    "white=f4f2ec silver=b8c0c8 grey=84888c gray=84888c black=18181c monochrome=808080 "
)
_COLOURS = dict(pair.split("=") for pair in _COLOUR_CODES.split())
_ROUGH = [
    "blurry",
    "blur",
    "noise",
    "noisy",
    "grain",
    "grainy",
    "lowres",
    "artifacts",
    "jpeg",
    "worst",
    "low",
    "bad",
    "ugly",
    "deformed",
    "watermark",
]
_CRISP = [
    "detailed",
    "intricate",
    "sharp",
    "masterpiece",
    "quality",
    "best",
    "8k",
    "4k",
    "hdr",
    "photorealistic",
    "crisp",
]


def _by_word(table: dict[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, words in table.items():
        for word in words.split():
            found[word] = (*found.get(word, ()), name)
    return found


_SUBJECT_OF = _by_word(_SUBJECTS)
_LIGHT_OF = _by_word(_LIGHTS)
_MOTIF_OF = _by_word(_MOTIFS)

SUBJECTS: Final = tuple(_SUBJECTS)
"""What the engine can draw."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What to draw, but for where everything stands."""

    subject: str
    light: str
    palette: Palette
    motifs: dict[str, float]
    """How much of each motif: 0 none, 1 as usual, more is more. A motif that no word asks for is left out
    here."""
    banned: frozenset[str]
    """Motifs that the negative prompt names more strongly than the prompt."""
    emphasis: float
    """Attention weight of the subject's strongest word; 1 as usual."""
    finish: float
    """-1 (rough) to 1 (crisp), from words of quality in both prompts."""

    def amount(self, motif: str, otherwise: float = 0.0) -> float:
        """How much of ``motif``: as asked for, else ``otherwise``, and none if it is banned."""
        return 0.0 if motif in self.banned else self.motifs.get(motif, otherwise)


def letters(text: str) -> int:
    """A number from a text, the same everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def letter_colour(name: str) -> Colour:
    """A lively colour from the letters of a name."""
    number = letters(f"colour {name}")
    high, low = 0.55 + (number & 0xFF) / 640, 0.10 + (number >> 8 & 0xFF) / 1000
    middle = low + (high - low) * (number >> 16 & 0xFF) / 255
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    values = (high, middle, low)
    order = orders[(number >> 24) % 6]
    return values[order[0]], values[order[1]], values[order[2]]


def _best(votes: dict[str, float]) -> str:
    """The name with most votes; the one that came first among equals. Empty if none has any."""
    best, most = "", 0.0
    for name, count in votes.items():
        if count > most:
            best, most = name, count
    return best


def read_scene(prompt: Prompt, negative: Prompt) -> Scene:
    """What ``prompt`` asks for and ``negative`` rules out."""
    subjects: dict[str, float] = {}
    lights: dict[str, float] = {}
    motifs: dict[str, float] = {}
    emphasis: dict[str, float] = {}
    colours: dict[str, float] = {}
    finish = 0.0
    for position, (word, weight) in enumerate(prompt.words):
        early = 1.0 + 0.5 / (1 + position)  # the first words lead, as in a real prompt
        for name in _SUBJECT_OF.get(word, ()):
            subjects[name] = subjects.get(name, 0.0) + weight * early
            emphasis[name] = max(emphasis.get(name, 0.0), weight)
        for name in _LIGHT_OF.get(word, ()):
            lights[name] = lights.get(name, 0.0) + weight * early
        for name in _MOTIF_OF.get(word, ()):
            motifs[name] = max(motifs.get(name, 0.0), weight)
        if word in _COLOURS and weight > 0:
            colours[word] = colours.get(word, 0.0) + weight
        finish += 0.15 * weight * ((word in _CRISP) - (word in _ROUGH))
    banned: dict[str, float] = {}
    for word, weight in negative.words:
        for name in _SUBJECT_OF.get(word, ()):
            subjects[name] = subjects.get(name, 0.0) - weight
        for name in _LIGHT_OF.get(word, ()):
            lights[name] = lights.get(name, 0.0) - weight
        for name in _MOTIF_OF.get(word, ()):
            banned[name] = max(banned.get(name, 0.0), weight)
        finish += 0.08 * weight * (word in _ROUGH)

    number = letters(" ".join(word for word, _ in prompt.words))
    subject = _best(subjects)
    if not subject:
        allowed = [
            name for name in ("mountains", "lake", "abstract", "ocean", "forest") if subjects.get(name, 0) >= 0
        ]
        subject = allowed[number % len(allowed)] if allowed else "abstract"
    light = _best(lights)
    if not light:
        usual = {
            "city": ("night", "sunset", "golden"),
            "space": ("night", "alien"),
            "forest": ("fog", "dawn", "golden"),
            "desert": ("golden", "sunset", "dawn"),
            "portrait": ("golden", "dawn", "sunset", "tropical"),
            "flower": ("dawn", "golden", "tropical"),
        }.get(subject, ("day", "sunset", "dawn", "golden", "tropical"))
        allowed = [name for name in usual if lights.get(name, 0) >= 0] or ["day"]
        light = allowed[(number >> 8) % len(allowed)]
    choices = PALETTES[light]
    palette = choices[(number >> 16) % len(choices)]
    palette = _varied(palette, number >> 24)
    if colours:
        # The strongest colour tints the picture, the next one is its accent. A mean of both would be mud.
        leading = _best(colours)
        second = _best({name: weight for name, weight in colours.items() if name != leading}) or leading
        share = min(0.62, 0.34 + 0.14 * colours[leading])
        palette = _tinted(palette, rgb(_COLOURS[leading]), rgb(_COLOURS[second]), share)
    return Scene(
        subject,
        light,
        palette,
        {name: min(3.0, amount) for name, amount in motifs.items()},
        frozenset(name for name, weight in banned.items() if weight >= motifs.get(name, 0.0)),
        min(2.0, max(0.4, emphasis.get(subject, 1.0))),
        min(1.0, max(-1.0, finish)),
    )


def _varied(palette: Palette, number: int) -> Palette:
    """A touch warmer or cooler, so that two prompts with the same light are not the same sky."""
    warm = ((number & 0xFF) / 255 - 0.5) * 0.09
    green = ((number >> 8 & 0xFF) / 255 - 0.5) * 0.04

    def change(colour: Colour) -> Colour:
        # Scaled by how far a channel is from its ends: black stays black and white stays white.
        red, grn, blue = colour
        return (
            red + warm * 4 * red * (1 - red),
            grn + green * 4 * grn * (1 - grn),
            blue - warm * 4 * blue * (1 - blue),
        )

    return palette.every(change)


def _tinted(palette: Palette, colour: Colour, accent: Colour, share: float) -> Palette:
    """Lean every colour to ``colour``, keeping how bright it is; the accent becomes ``accent``."""
    base = max(0.04, luminance(colour))

    def change(old: Colour) -> Colour:
        bright = luminance(old)
        if bright < base:
            target = mix((0.0, 0.0, 0.0), colour, bright / base)
        else:
            target = mix(colour, (1.0, 1.0, 1.0), (bright - base) / max(0.04, 1 - base))
        return mix(old, target, share)

    changed = palette.every(change)
    return Palette(
        changed.zenith,
        changed.upper,
        changed.lower,
        changed.horizon,
        mix(palette.sun, changed.sun, 0.4),
        changed.far,
        changed.near,
        mix(palette.accent, accent, 0.85),
        palette.dark,
    )
