"""The arithmetic of the embedded engine: random numbers, noise, masks, blending.

Bit for bit the same on every platform, by these rules, which hold for all modules that paint:

- Random numbers are raw Philox words keyed by SHA-256: numpy promises these streams for ever, and promises
  nothing about the distributions built on them.
- Elements are computed in float32 with ``+ - * /``, ``sqrt``, ``floor``, comparisons and integer gathers alone:
  IEEE 754 fixes each of them. No ``sin``, ``exp``, ``power`` (vector libraries differ in the last bit), no
  ``interp``, ``dot`` or float ``sum`` (fused or re-ordered operations differ). Sines come from a table of
  rounded integers.
- Scalars are Python floats, never ``numpy.float64``: what a scalar of the latter does to a float32 array
  changed between numpy 1 and 2.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stablenew_plugins.backends.embedded.scene import Colour

Plane = NDArray[np.float32]
"""Two-dimensional unless said otherwise; rows, columns."""
Rgb = NDArray[np.float32]
"""Three planes: shape (3, rows, columns), values 0 to 1."""
Paint = Sequence[Any]
"""Red, green, blue: numbers, or planes of a mask's shape (or one that broadcasts to it)."""

F = np.float32
T = TypeVar("T")

_SINE_STEPS = 4096
_SINE: Plane = np.array(
    [round(math.sin(2 * math.pi * i / _SINE_STEPS) * 2**20) for i in range(_SINE_STEPS)], dtype=np.int32
).astype(F) / F(2**20)


def sine(turns: Plane) -> Plane:
    """Sine of ``turns`` (1.0 is a full turn; any size up to a million)."""
    index = np.floor(turns * F(_SINE_STEPS)).astype(np.int64) & (_SINE_STEPS - 1)
    return np.asarray(_SINE[index], F)


def sine_of(turns: float) -> float:
    """Sine of one number, from the same table."""
    return float(_SINE[math.floor(turns * _SINE_STEPS) & (_SINE_STEPS - 1)])


class Dice:
    """Random numbers for one purpose: the same for the same seed and label, on every platform."""

    def __init__(self, seed: int, label: str) -> None:
        self._seed, self._label = seed, label
        self._count = 0

    def of(self, label: str) -> Dice:
        """Dice for a part of the purpose, independent of these and of how often these were thrown."""
        return Dice(self._seed, f"{self._label}/{label}")

    def _digest(self, suffix: str) -> int:
        text = f"{self._seed}/{self._label}/{suffix}".encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:16], "little")

    def real(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number, ``low`` <= x < ``high``."""
        self._count += 1
        return low + (high - low) * ((self._digest(str(self._count)) >> 75) / 2**53)

    def whole(self, low: int, high: int) -> int:
        """One integer, ``low`` <= x <= ``high``."""
        self._count += 1
        return low + self._digest(str(self._count)) % (high - low + 1)

    def pick(self, choices: Sequence[T]) -> T:
        """One of ``choices``."""
        return choices[self.whole(0, len(choices) - 1)]

    def many(self, *shape: int) -> Plane:
        """An array of numbers, 0 <= x < 1."""
        self._count += 1
        raw = np.random.Philox(key=self._digest(f"array {self._count}")).random_raw(max(1, math.prod(shape)))
        # 24 bits: what a float32 holds exactly.
        return ((raw >> np.uint64(40)).astype(F) * F(2**-24)).reshape(shape)


class LeaningDice(Dice):
    """Dice of one seed that lean towards those of another: numbers lie between the two, choices are the one's
    or the other's. ``lean`` is how far, 0 to 1, neither of them included."""

    def __init__(self, seed: int, label: str, other: int, lean: float) -> None:
        super().__init__(seed, label)
        self._other, self._lean = Dice(other, label), lean
        self._which = Dice(seed, f"{label}/towards {other}")
        self._towards = other

    def of(self, label: str) -> Dice:
        """Dice for a part of the purpose, leaning as far."""
        return LeaningDice(self._seed, f"{self._label}/{label}", self._towards, self._lean)

    def real(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number between the two."""
        one, two = super().real(low, high), self._other.real(low, high)
        return one + (two - one) * self._lean

    def whole(self, low: int, high: int) -> int:
        """One of the two."""
        one, two = super().whole(low, high), self._other.whole(low, high)
        return two if self._which.real() < self._lean else one

    def many(self, *shape: int) -> Plane:
        """Numbers between the two."""
        one, two = super().many(*shape), self._other.many(*shape)
        return one + (two - one) * F(self._lean)


def smooth(t: Plane) -> Plane:
    """The cubic step of t, 0 to 1."""
    return t * t * (F(3) - F(2) * t)


def ramp(x: Plane, low: float, high: float) -> Plane:
    """0 below ``low``, 1 above ``high`` (or the other way round), smooth between."""
    return smooth(np.clip((x - F(low)) / F(high - low), F(0), F(1)))


def blend(target: Rgb, mask: Plane, paint: Paint) -> None:
    """Lay ``paint`` over ``target`` where ``mask`` is, in place."""
    for channel in range(3):
        plane = target[channel]
        plane += (paint[channel] - plane) * mask


def add_light(target: Rgb, amount: Plane, colour: Colour) -> None:
    """Brighten ``target`` by light of ``colour``, in place; it nears the colour's full brightness and never
    passes white ("screen")."""
    for channel in range(3):
        plane = target[channel]
        plane += (F(1) - plane) * np.clip(amount * F(colour[channel]), F(0), F(1))


def paint_of(colour: Colour) -> tuple[np.float32, np.float32, np.float32]:
    """A colour as float32 numbers."""
    return F(colour[0]), F(colour[1]), F(colour[2])


def between(first: Colour, second: Colour, share: Plane) -> Paint:
    """Planes that go from ``first`` (share 0) to ``second`` (share 1)."""
    return [F(a) + F(b - a) * share for a, b in zip(first, second, strict=True)]


class Noise:
    """Value noise in octaves, for a fixed set of columns and any rows.

    ``xs``, the ``ys`` given to :meth:`rows`, ``width`` and ``height`` (their upper bounds, which decide what is
    drawn from the dice and so must not depend on the resolution) are in cells of the first octave, 0 or more.
    Columns are interpolated once, when it is made; a row then costs two gathers an octave. ``shift`` gives the
    *difference* of the noise at x + shift and at x: light from the side, at the price of one noise.
    """

    def __init__(
        self,
        dice: Dice,
        xs: Plane,
        width: float,
        height: float,
        octaves: int,
        gain: float = 0.5,
        lacunarity: float = 2.0,
        shift: float = 0.0,
    ) -> None:
        self._levels: list[tuple[float, float, float, Plane]] = []
        frequency, amplitude, total = 1.0, 1.0, 0.0
        right = width + abs(shift)
        for octave in range(octaves):
            own = dice.of(f"octave {octave}")
            # Octaves are moved against each other, or their grid lines would coincide and show.
            move_x, move_y = own.real(), own.real()
            lattice = own.many(int(height * frequency + move_y) + 3, int(right * frequency + move_x) + 3)
            columns = _columns(lattice, xs * F(frequency) + F(move_x))
            if shift:
                columns = _columns(lattice, (xs + F(shift)) * F(frequency) + F(move_x)) - columns
            self._levels.append((frequency, move_y, amplitude, columns))
            total += amplitude
            frequency *= lacunarity
            amplitude *= gain
        self._scale = 1.0 / total

    def rows(self, ys: Plane) -> Plane:
        """The noise, 0 to 1 (or the difference, -1 to 1), for rows ``ys``."""
        result: Plane | None = None
        for frequency, move, amplitude, columns in self._levels:
            y = np.maximum(ys, F(0)) * F(frequency) + F(move)
            low = np.floor(y)
            index = np.minimum(low.astype(np.intp), columns.shape[0] - 2)
            t = smooth(np.minimum(y - low, F(1)))[:, None] * F(amplitude * self._scale)
            upper = columns[index]
            part = columns[index + 1]
            part -= upper
            part *= t
            upper *= F(amplitude * self._scale)
            part += upper
            result = part if result is None else np.add(result, part, out=result)
        assert result is not None
        return result


def _columns(lattice: Plane, x: Plane) -> Plane:
    low = np.floor(x)
    index = low.astype(np.intp)
    t = smooth(x - low)
    left = lattice[:, index]
    return left + (lattice[:, index + 1] - left) * t


def profile(dice: Dice, xs: Plane, octaves: int, gain: float = 0.5, sharp: float = 0.0) -> Plane:
    """One-dimensional noise, 0 to 1. ``sharp`` 0 is rolling, 1 is ridged, with crests."""
    result = np.zeros(xs.shape, F)
    frequency, amplitude, total = 1.0, 1.0, 0.0
    for octave in range(octaves):
        own = dice.of(f"octave {octave}")
        x = xs * F(frequency) + F(own.real())
        low = np.floor(x)
        index = low.astype(np.intp)
        values = own.many(int(index[-1]) + 2)
        fraction = x - low
        t = fraction * F(sharp) + smooth(fraction) * F(1 - sharp)
        part = values[index] + (values[index + 1] - values[index]) * t
        if sharp:
            crest = F(1) - np.abs(part * F(2) - F(1))
            part = part * F(1 - 0.5 * sharp) + crest * F(0.5 * sharp)
        result += part * F(amplitude)
        total += amplitude
        frequency *= 2.0
        amplitude *= gain
    return result / F(total)


class Canvas:
    """Pixels and the coordinates to draw in: ``u`` to the right, ``v`` down, both in units of the shorter side.

    Two canvases of the same shape show the same drawing at different sizes, so a preview is a small canvas.
    """

    def __init__(self, width: int, height: int, like: Canvas | None = None) -> None:
        unit = min(width, height)
        self.width, self.height = width, height
        self.a: float = like.a if like else width / unit
        """Right edge in u."""
        self.b: float = like.b if like else height / unit
        """Lower edge in v."""
        self.density = height / self.b
        """Pixels a unit."""
        self.u: Plane = (np.arange(width, dtype=F) + F(0.5)) * F(self.a / width)
        """Of each column (one-dimensional)."""
        self.v: Plane = (np.arange(height, dtype=F) + F(0.5)) * F(self.b / height)
        """Of each row (one-dimensional)."""

    def noise(
        self,
        dice: Dice,
        fu: float,
        fv: float,
        octaves: int,
        gain: float = 0.5,
        shift: float = 0.0,
        tall: float = 0.0,
    ) -> Noise:
        """Noise with ``fu`` cells a unit across and ``fv`` down; ``tall`` replaces the canvas's height, in
        cells."""
        return Noise(dice, self.u * F(fu), self.a * fu, tall or self.b * fv, octaves, gain, shift=shift)

    def edge(self, inside: Plane) -> Plane:
        """Coverage, 0 to 1, from a distance into the shape in units: a pixel wide ramp against jagged edges."""
        return np.asarray(np.clip(inside * F(self.density) + F(0.5), F(0), F(1)), F)

    def row(self, v: float) -> int:
        """The first row that lies below ``v``, 0 to height."""
        return min(self.height, max(0, math.ceil(v / self.b * self.height - 0.5)))

    def column(self, u: float) -> int:
        """The first column right of ``u``, 0 to width."""
        return min(self.width, max(0, math.ceil(u / self.a * self.width - 0.5)))
