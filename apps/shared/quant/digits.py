"""How many digits a number needs, and how many a column gives."""

from decimal import Decimal

# numeric(38,18) and numeric(20,8), as in apps.shared.fields, for rules that know no Django.
PRICE_PLACES = 18
PRICE_LIMIT = Decimal(10) ** 20
RATIO_PLACES = 8


def digits_behind(value: Decimal) -> int:
    """Return how many digits behind the point the number needs; padding zeros do not count.

    >>> digits_behind(Decimal("0.1200"))
    2
    """
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
