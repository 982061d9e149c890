"""What a number of ratings tells: the average, and how sure it is. Arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

LEAST, MOST = 1, 5
"""Stars."""
Z = 1.96
"""Of the normal distribution: 95 of 100 are within so many standard deviations."""


def rated_of(counts: Sequence[int]) -> int:
    """How many are rated. ``counts``: images without a rating, with 1 star, with 2, up to 5."""
    return sum(counts[1:])


def mean_of(counts: Sequence[int]) -> float:
    """Stars on average of those that are rated; 0 if none is."""
    rated = rated_of(counts)
    return sum(stars * images for stars, images in enumerate(counts)) / rated if rated else 0.0


def interval_of(counts: Sequence[int]) -> tuple[float, float]:
    """Between which averages the true one is likely to be, if these ratings are a sample of many: about 95 %.

    Stars from 1 to 5 are taken as shares from 0 to 1 and put into the score interval of E. B. Wilson (Probable
    inference, the law of succession, and statistical inference; Journal of the American Statistical
    Association 22, 1927, pages 209 to 212). That is made for yes and no, whose variance is p (1 - p); values
    in between vary less (R. Bhatia and C. Davis, A better bound on the variance; American Mathematical
    Monthly 107, 2000, pages 353 to 357). So it is wider than it need be, which suits a list with dozens of
    lines, of which some would stand out by mere chance. It never leaves 1 to 5, and one rating is no certainty.
    """
    rated = rated_of(counts)
    if not rated:
        return float(LEAST), float(MOST)
    share = (mean_of(counts) - LEAST) / (MOST - LEAST)
    spread = Z * Z / rated
    middle = (share + spread / 2) / (1 + spread)
    half = sqrt(max(0.0, share * (1 - share) * spread + spread * spread / 4)) / (1 + spread)
    low, high = (LEAST + (MOST - LEAST) * end for end in (middle - half, middle + half))
    return max(low, float(LEAST)), min(high, float(MOST))


def without(counts: Sequence[int], some: Sequence[int]) -> Sequence[int]:
    """Those of ``counts`` that are not among ``some`` of them."""
    return [all_ - these for all_, these in zip(counts, some, strict=True)]


def together(counts: Sequence[Sequence[int]]) -> Sequence[int]:
    """All of them, added up."""
    return [sum(column) for column in zip(*counts, strict=True)] if counts else [0] * 6
