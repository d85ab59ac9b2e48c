"""Figures of a sample: each exact, each undefined (``None``) without values."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from math import ceil

PLACES = Decimal("0.00000001")


def rounded(value: Decimal) -> Decimal:
    """Return the value to 8 places, half to even, the way ratios and percentages are shown."""
    with localcontext(prec=60):
        return value.quantize(PLACES, rounding=ROUND_HALF_EVEN)


def ratio(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """Return ``part / whole`` to 8 places; undefined when the whole is zero."""
    if not whole:
        return None
    with localcontext(prec=60):
        return rounded(Decimal(part) / Decimal(whole))


def mean(values: Sequence[Decimal]) -> Decimal | None:
    """Return the arithmetic mean to 8 places."""
    return ratio(sum(values, Decimal(0)), len(values))


def median(values: Iterable[Decimal]) -> Decimal | None:
    """Return the middle value, or the mean of the two middle ones, to 8 places."""
    ordered = sorted(values)
    if not ordered:
        return None
    half = len(ordered) // 2
    return ratio(ordered[half] + ordered[-half - 1], 2)


def nearest_rank(values: Iterable[Decimal], share: Decimal) -> Decimal | None:
    """Return the smallest value that at least ``share`` (0..1) of the sample does not exceed.

    Always a value that occurred, never one between two: PostgreSQL's ``percentile_disc``.
    """
    if not 0 <= share <= 1:
        raise ValueError("A share lies between 0 and 1.")
    ordered = sorted(values)
    return ordered[max(ceil(share * len(ordered)), 1) - 1] if ordered else None
