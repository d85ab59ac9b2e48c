"""Do claims come true as often as they say they will?"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from apps.shared.quant.samples import ratio

BANDS = 10


class Band(NamedTuple):
    """One row of a reliability table: what was said, and how often it came true."""

    low: Decimal
    high: Decimal
    n: int
    hits: int
    mean_confidence: Decimal | None
    hit_rate: Decimal | None


def band_of(confidence: Decimal) -> int:
    """Return the band (0..9) of a probability; 1 belongs to the last.

    Raises ValueError outside 0..1.
    """
    if not 0 <= confidence <= 1:
        raise ValueError("A confidence lies between 0 and 1.")
    return min(int(confidence * BANDS), BANDS - 1)


def brier(claims: Iterable[tuple[Decimal, bool]]) -> Decimal | None:
    """Return the mean of ``(confidence − outcome)²``: 0 is perfect, 0.25 is a coin.

    Undefined without claims (Brier 1950).
    """
    squares = [(confidence - int(hit)) ** 2 for confidence, hit in claims]
    return ratio(sum(squares, Decimal(0)), len(squares))


def reliability(claims: Iterable[tuple[Decimal, bool]]) -> list[Band]:
    """Return the ten bands of confidence, each with its sample; empty bands have no rates."""
    sums = [(0, 0, Decimal(0))] * BANDS
    for confidence, hit in claims:
        n, hits, total = sums[band_of(confidence)]
        sums[band_of(confidence)] = (n + 1, hits + int(hit), total + confidence)
    return [band(index, *found) for index, found in enumerate(sums)]


def band(index: int, n: int, hits: int, total: Decimal) -> Band:
    """Return one band from its count, its hits and the sum of its confidences."""
    low = Decimal(index) / BANDS
    return Band(low, low + Decimal(1) / BANDS, n, hits, ratio(total, n), ratio(hits, n))
