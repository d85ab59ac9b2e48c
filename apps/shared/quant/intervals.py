"""How sure a rate is."""

from decimal import Decimal, localcontext
from typing import NamedTuple

# The 97.5 % point of the normal distribution: two-sided 95 %.
Z95 = Decimal("1.959963984540054")


class Interval(NamedTuple):
    low: Decimal
    high: Decimal


def wilson(hits: int, n: int, *, z: Decimal = Z95) -> Interval | None:
    """Return the Wilson score interval of ``hits`` out of ``n``, each bound within 0..1.

    With p = hits/n: ``(p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)`` (Wilson 1927). Unlike
    the textbook interval it stays inside 0..1 and holds for few trials. Undefined (``None``)
    without trials. Raises ValueError for hits outside 0..n.
    """
    if n < 0 or not 0 <= hits <= max(n, 0):
        raise ValueError(f"{hits} hits of {n} trials cannot be.")
    if n == 0:
        return None
    with localcontext(prec=28):
        p, square = Decimal(hits) / n, z * z
        center = p + square / (2 * n)
        spread = z * (p * (1 - p) / n + square / (4 * n * n)).sqrt()
        scale = 1 + square / n
        # The bounds at no hits and at hits only are exactly 0 and 1; rounding must not cross.
        low = Decimal(0) if hits == 0 else (center - spread) / scale
        high = Decimal(1) if hits == n else (center + spread) / scale
    return Interval(low, high)
