"""Shapes of pictures: which one a size has, and which sizes have another. Pure."""

from __future__ import annotations

SHAPES = ((1, 1), (5, 4), (4, 3), (3, 2), (16, 9), (21, 9))


def shape_of(width: int, height: int) -> str:
    """``3:2`` for 768 × 512; empty if it is none that has a name. Sides may be off by a multiple of 8."""
    long, small = max(width, height), min(width, height)
    for a, b in SHAPES:
        if small > 0 and abs(long / small - a / b) < 0.02 * a / b:
            return f"{a}:{b}" if width >= height else f"{b}:{a}"
    return ""


def sizes_like(width: int, height: int, step: int = 8) -> list[tuple[str, int, int]]:
    """Sizes of about as many pixels as this one, in all shapes: ``(shape, width, height)``; wide ones first."""
    step = max(1, step)
    pixels = max(width * height, step * step)
    made = []
    for a, b in SHAPES:
        wide = max(step, round((pixels * a / b) ** 0.5 / step) * step)
        high = max(step, round((pixels * b / a) ** 0.5 / step) * step)
        made.append((f"{a}:{b}", wide, high))
    made += [
        (f"{b}:{a}", high, wide) for (a, b), (_shape, wide, high) in zip(SHAPES, made, strict=True) if a != b
    ]
    return made
