"""How well everything can be read in each theme, by the rule of WCAG 2.2."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_plugins.desktop.theme.tokens import PALETTES, WHITE, Colour, Palette, tint

TEXT, LARGE = 4.5, 3.0
"""Least contrast of texts, and of large ones, icons and the parts of controls."""


def over(front: Colour, back: Colour) -> Colour:
    """What is seen of ``front``, which may be seen through, on ``back``, which may not."""
    part = front[3] / 255
    red, green, blue = (round(a * part + b * (1 - part)) for a, b in zip(front[:3], back[:3], strict=True))
    return red, green, blue, 255


def luminance(colour: Colour) -> float:
    """0 for black to 1 for white."""
    parts = [part / 255 for part in colour[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    """1 (the same) to 21 (black and white)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def grounds(c: Palette) -> dict[str, Colour]:
    """All that texts stand on."""
    plain = {name: getattr(c, name) for name in ("bg", "rail", "foot", "card", "raised", "inset")}
    chosen = {f"chosen on {name}": over(c.accent_soft, plain[name]) for name in ("bg", "rail", "card")}
    return {**plain, **chosen}


def pairs(c: Palette) -> Iterator[tuple[str, Colour, str, Colour, float]]:
    """What stands on what, and the contrast that it needs."""
    for ground, back in grounds(c).items():
        for name in ("text", "muted"):
            yield name, getattr(c, name), ground, back, TEXT
        yield "faint", c.faint, ground, back, TEXT if ground in ("bg", "rail", "card", "inset") else LARGE
        for name in ("accent_high", "red", "green", "amber"):
            strict = ground in ("bg", "rail", "card", "inset", "chosen on card")
            yield name, getattr(c, name), ground, back, TEXT if strict else LARGE
        for name in ("cyan", "pink"):
            yield name, getattr(c, name), ground, back, LARGE
    yield "white", WHITE, "the button that runs", c.accent_low, TEXT
    yield "white", WHITE, "that button under the pointer", c.accent, LARGE
    yield "red", c.red, "the button that stops", over(tint(c.red, 26), c.card), TEXT
    for name in ("accent", "green", "amber", "red", "cyan", "pink"):
        tone = getattr(c, name)
        yield name, tone, "its tile", over(tint(tone, 34), c.card), LARGE
    for ground in ("card", "rail"):
        yield "star", c.star, ground, grounds(c)[ground], LARGE
        yield "star_off", c.star_off, ground, grounds(c)[ground], LARGE
    for ground in ("card", "inset"):
        yield "accent", c.accent, f"a slider on {ground}", grounds(c)[ground], LARGE


@pytest.mark.parametrize("name", sorted(PALETTES))
def test_all_can_be_read(name: str) -> None:
    low = [
        f"{what} on {where}: {contrast(front, back):.2f}, needs {least}"
        for what, front, where, back, least in pairs(PALETTES[name])
        if contrast(front, back) < least
    ]
    assert not low, "\n".join(low)


@pytest.mark.parametrize("name", sorted(PALETTES))
def test_edges_can_be_told_from_what_they_enclose(name: str) -> None:
    c = PALETTES[name]
    for ground in ("bg", "rail", "card"):
        assert contrast(c.line, getattr(c, ground)) >= 1.2, ground
    assert contrast(c.card, c.bg) >= 1.08


@given(st.tuples(*(st.integers(0, 255) for _ in range(3))), st.tuples(*(st.integers(0, 255) for _ in range(3))))
def test_the_measure_is_that_of_the_rule(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    first, second = (*one, 255), (*other, 255)
    assert contrast(first, second) == contrast(second, first)
    assert 1.0 <= contrast(first, second) <= 21.0
    assert contrast(first, first) == 1.0
    assert over(first, second) == first
    assert contrast((0, 0, 0, 255), WHITE) == pytest.approx(21.0)
    assert contrast((119, 119, 119, 255), WHITE) == pytest.approx(4.48, abs=0.01)
