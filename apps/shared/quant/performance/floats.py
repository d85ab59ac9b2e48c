"""Means and deviations of floats that do not overflow, vanish or vary by rounding alone.

Squares of 1e200 are too large for a float and squares of 1e-200 are zero, so every sum is taken
of values divided by a power of two (which is exact) and multiplied by it afterwards.
"""

from math import frexp, inf, ldexp, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Values that agree to twelve digits are the same value. A float has almost sixteen; what makes
# 1.01 ** k / 1.01 ** (k − 1) − 1 differ from 0.01 stands behind the fourteenth, and a ratio over
# a deviation of that size would be a large number that means nothing.
SAME = 1e-12


def checked(values: ArrayLike) -> Floats:
    """Return the values as one row of finite floats; raises ValueError for anything else."""
    row = np.asarray(values, dtype=np.float64)
    if row.ndim != 1:
        raise ValueError("A sample is one row of numbers.")
    if not np.isfinite(row).all():
        position = int(np.flatnonzero(~np.isfinite(row))[0])
        raise ValueError(f"Value {position} is not a finite number.")
    return row


def magnitude(values: Floats) -> float:
    """Return the largest absolute value; 0 without values."""
    return max(-float(values.min()), float(values.max())) if len(values) else 0.0


def exponent(values: Floats) -> int:
    """Return the e for which all ``values / 2^e`` lie within −1 and 1."""
    return frexp(magnitude(values))[1]


def mean(values: Floats) -> float:
    """Return the arithmetic mean, never outside the range of the values; needs one value."""
    scale = exponent(values)
    scaled = np.ldexp(values, -scale)
    # Rounding may carry a mean past the largest value: that of 0.1, 0.1, 0.1 must be 0.1.
    center = min(max(float(scaled.mean()), float(scaled.min())), float(scaled.max()))
    return ldexp(center, scale)


def root_mean_square(values: Floats) -> float:
    """Return ``√(Σ x² / n)``; needs one value."""
    scale = exponent(values)
    scaled = np.ldexp(values, -scale)
    return ldexp(min(sqrt(float(np.square(scaled).mean())), 1.0), scale)


def varies(values: Floats, *, beside: float = 0.0) -> bool:
    """Say whether the values differ by more than rounding.

    They do when ``max − min`` exceeds 1e-12 of the largest among the absolute values and
    ``beside``, the number they are going to be compared with. Exact equality would not do: the
    computed deviation of 0.1, 0.1, 0.1 is 1.7e-17, and returns worked out of a curve that grows
    by 1 % a day differ in their last digits.
    """
    if not len(values):
        return False
    spread = float(values.max()) - float(values.min())
    return spread > SAME * max(magnitude(values), abs(beside))


def deviation(values: Floats, ddof: int) -> tuple[float, int]:
    """Return the standard deviation as ``(s, e)``, meaning ``s × 2^e``.

    ``√(Σ (x − mean)² / (n − ddof))``; exactly 0 where the values do not vary. Needs more than
    ``ddof`` values. The deviation of finite values may itself be too large for a float, hence
    the two parts.
    """
    scale = exponent(values)
    if not varies(values):
        return 0.0, scale
    # Measured from the lowest value, values that agree to eleven digits keep what they differ by
    # to the last digit; their mean would be rounded where the difference begins.
    scaled = np.ldexp(values, -scale)
    scaled -= scaled.min()
    scaled -= scaled.mean()
    return sqrt(float(np.square(scaled, out=scaled).sum()) / (len(values) - ddof)), scale


def mean_over_deviation(values: Floats, ddof: int, *, less: float = 0.0) -> float:
    """Return ``(mean − less) / standard deviation`` of values that vary beside ``less``."""
    divisor, scale = deviation(values, ddof)
    return (ldexp(mean(values), -scale) - ldexp(less, -scale)) / divisor


def gains_over_losses(values: Floats) -> float:
    """Return ``Σ gains / |Σ losses|``; needs one value below zero.

    Worked out of means and counts, for the sums of large values may be too large.
    """
    gains, losses = values[values > 0], values[values < 0]
    if not len(gains):
        return 0.0
    return quotient(mean(gains), -mean(losses)) * (len(gains) / len(losses))


def quotient(part: float, whole: float) -> float:
    """Return ``part / whole`` for a whole above zero; infinity where that is too large.

    A whole so small that it became zero on its way makes the quotient too large as well.
    """
    return part / whole if whole else inf


def times_power(value: float, power: int) -> float:
    """Return ``value × 2^power`` for a value of 0 or more; infinity where that is too large."""
    try:
        return ldexp(value, power)
    except OverflowError:
        return inf
