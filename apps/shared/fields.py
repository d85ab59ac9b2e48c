"""Field types shared by all tables: exact decimals for what is traded and paid."""

from decimal import Context, Decimal
from typing import Any

from django.db import models

PRICE_DIGITS, PRICE_PLACES = 38, 18
RATIO_DIGITS, RATIO_PLACES = 20, 8
PRICE_LIMIT = Decimal(10) ** (PRICE_DIGITS - PRICE_PLACES)
RATIO_LIMIT = Decimal(10) ** (RATIO_DIGITS - RATIO_PLACES)
# Python computes with 28 digits unless told otherwise, and would round a long price.
WIDE = Context(prec=2 * PRICE_DIGITS)


def plain(value: Decimal) -> Decimal:
    """Return the same number without padding zeros and without an exponent in its text.

    >>> str(plain(Decimal("0.000061230000000000")))
    '0.00006123'
    >>> str(plain(Decimal("100.00")))
    '100'
    """
    bare = value.normalize(WIDE)
    if bare.as_tuple().exponent > 0:  # type: ignore[operator]
        return bare.quantize(Decimal(1), context=WIDE)
    return bare


def plain_text(value: Decimal) -> str:
    """Return the number in plain notation, as the API and the pages show it."""
    return format(plain(value), "f")


class ExactDecimal(models.DecimalField):
    """A decimal column whose values come back without the column's padding zeros."""

    digits: int
    places: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", self.digits)
        kwargs.setdefault("decimal_places", self.places)
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: Decimal | None, expression: Any, connection: Any) -> Any:
        return None if value is None else plain(value)


class Price(ExactDecimal):
    """What one unit costs: numeric(38,18)."""

    digits, places = PRICE_DIGITS, PRICE_PLACES


class Size(Price):
    """An amount of the asset: numeric(38,18)."""


class Money(Price):
    """An amount of the quote currency, fees and P&L included: numeric(38,18)."""


class Ratio(ExactDecimal):
    """A percentage, ratio or probability: numeric(20,8)."""

    digits, places = RATIO_DIGITS, RATIO_PLACES
