"""One figure of a sample, and the conventions it was computed under."""

from dataclasses import dataclass
from enum import StrEnum
from math import expm1, isfinite, log1p
from typing import NamedTuple

# Wide enough for one return per second of a leap year and for any rate a state ever paid;
# narrow enough that a definition id stays short.
MOST_PERIODS = 366 * 24 * 3600
HIGHEST_RATE = 100
RATE_PLACES = 8

TOO_LARGE = "The value is too large for a number."


class Unit(StrEnum):
    """How a value reads: 0.1 as a fraction is 10 %, as a ratio it is 0.1."""

    FRACTION = "fraction"
    RATIO = "ratio"
    COUNT = "count"


class Metric(NamedTuple):
    """One figure of a sample.

    ``value`` is finite, or ``None`` where the figure is undefined; ``reason`` then says why.
    ``definition`` is the id under which ``define`` tells the formula. ``n`` counts the values
    the figure was computed from.
    """

    name: str
    value: float | None
    definition: str
    n: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Conventions:
    """What a figure of returns depends on beside the returns.

    ``periods_per_year``: how many returns make a year (365 for days of a market that never
    closes, 252 for days of an exchange, 52, 12, 8760 …). ``risk_free_rate``: per year, as a
    fraction, above −1. ``ddof``: what is taken from n in the divisor of a variance, 0 or 1.
    Raises ValueError for conventions under which nothing could be computed, and for a rate
    with more than 8 digits behind the point (ids carry it in full).
    """

    periods_per_year: int = 365
    risk_free_rate: float = 0.0
    ddof: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.periods_per_year <= MOST_PERIODS:
            raise ValueError(f"A year has 1 to {MOST_PERIODS} periods.")
        if self.periods_per_year != int(self.periods_per_year):
            raise ValueError("A year has a whole number of periods.")
        if not -1 < self.risk_free_rate <= HIGHEST_RATE:
            raise ValueError(f"A risk-free rate lies above −1 and not above {HIGHEST_RATE}.")
        if self.risk_free_rate != round(self.risk_free_rate, RATE_PLACES):
            raise ValueError(f"A risk-free rate has at most {RATE_PLACES} digits after the point.")
        if self.ddof not in (0, 1):
            raise ValueError("ddof is 0 or 1.")

    @property
    def rate_per_period(self) -> float:
        """The risk-free return of one period, ``(1 + rate)^(1/periods) − 1``."""
        return expm1(log1p(self.risk_free_rate) / self.periods_per_year)


def figure(definition: str, n: int, value: float) -> Metric:
    """Return a defined figure; one that no float can hold is undefined."""
    if not isfinite(value):
        return undefined(definition, n, TOO_LARGE)
    return Metric(name_of(definition), value + 0.0, definition, n)  # no minus zero


def undefined(definition: str, n: int, reason: str) -> Metric:
    """Return a figure without a value, and why it has none."""
    return Metric(name_of(definition), None, definition, n, reason)


def name_of(definition: str) -> str:
    """Return the name of the figure a definition id is about."""
    return definition.partition("/")[0]
