"""Figures of a row of returns.

Returns are simple (not logarithmic), per period, as fractions: 0.01 is 1 %. The conventions are
those of empyrical-reloaded 0.7: compounded growth, drawdowns from a peak that includes the
start, downside deviation over all returns, percentiles with linear interpolation, a yearly rate
turned into one per period by compounding. We part from it where it has no number or none that
means something:

- undefined is ``None`` with a reason, never NaN or infinity (there: Sharpe and Sortino over a
  zero deviation are infinite, Calmar without a drawdown is NaN);
- a deviation is zero where all values agree to twelve digits, not only where they are equal;
- growth is summed as logarithms, so a long sample whose value leaves the range of a float still
  has an annual return and drawdowns;
- NaN is an error, not a value to be skipped, and a return below −1 is not compounded: a value
  below zero would turn the next loss into a gain.
"""

from functools import cached_property
from math import expm1, inf, sqrt

import numpy as np
from numpy.typing import ArrayLike

from apps.shared.quant.performance.definitions import identify
from apps.shared.quant.performance.floats import (
    SAME,
    Floats,
    checked,
    deviation,
    gains_over_losses,
    mean,
    mean_over_deviation,
    quotient,
    root_mean_square,
    times_power,
    varies,
)
from apps.shared.quant.performance.metric import Conventions, Metric, figure, undefined

EMPTY = "There are no returns."
TOO_FEW = "At least two returns are needed."
BEYOND_LOSS = "A loss beyond −100 % cannot be compounded."
NO_VARIATION = "The returns do not vary."
NO_SHORTFALL = "No return is below the risk-free rate."
NO_DRAWDOWN = "There was no drawdown."

# 5 % is one in twenty: whole numbers find the place in the sorted returns without rounding.
TAIL = 20


class Sample:
    """Returns that were checked, and what several figures need of them, worked out once.

    Every function below takes a row of returns or a sample. Raises ValueError unless all
    returns are finite numbers in one row.
    """

    def __init__(self, returns: ArrayLike) -> None:
        self.values = checked(returns)
        self.n = len(self.values)

    @classmethod
    def of(cls, returns: "ArrayLike | Sample") -> "Sample":
        return returns if isinstance(returns, Sample) else cls(returns)

    @cached_property
    def compounds(self) -> bool:
        return not self.n or float(self.values.min()) >= -1

    @cached_property
    def logarithms(self) -> Floats:
        """ln(1 + r): minus infinity for a total loss."""
        with np.errstate(divide="ignore"):
            return np.log1p(self.values)

    @cached_property
    def growth(self) -> float:
        return float(self.logarithms.sum())

    @cached_property
    def drawdowns(self) -> Floats:
        value = np.cumsum(self.logarithms)
        peak = np.maximum(np.maximum.accumulate(value), 0)
        # A fall is never smaller than the last loss; one too small beside the growth before it
        # would else be rounded away, and with it the difference between little and nothing.
        return np.minimum(np.expm1(value - peak), np.minimum(self.values, 0))

    @cached_property
    def tail(self) -> Floats:
        """The lowest ⌊0.05 × (n − 1)⌋ + 1 returns, and behind them the next one if there is."""
        last = (self.n - 1) // TAIL
        kept = [last, min(last + 1, self.n - 1)]
        return np.partition(self.values, kept)[: last + 2]

    def excess(self, rate: float) -> Floats:
        """What returns were above the rate; equal to twelve digits is equal."""
        if not rate:
            return self.values
        above = self.values - rate
        above[np.abs(above) <= SAME * abs(rate)] = 0
        return above


Returns = ArrayLike | Sample


def returns_metrics(returns: Returns, conventions: Conventions) -> list[Metric]:
    """Return every figure of the returns, in the order in which they are shown.

    Raises ValueError for NaN, infinity, and anything that is not one row of numbers.
    """
    sample = Sample.of(returns)
    return [
        total_return(sample),
        annual_return(sample, conventions),
        annual_volatility(sample, conventions),
        sharpe_ratio(sample, conventions),
        sortino_ratio(sample, conventions),
        calmar_ratio(sample, conventions),
        max_drawdown(sample),
        omega_ratio(sample, conventions),
        value_at_risk_95(sample),
        conditional_value_at_risk_95(sample),
    ]


def simple_returns(values: ArrayLike) -> Floats:
    """Return the n − 1 simple returns between n values of an account: ``next / value − 1``.

    Values are zero or more; a return from zero is undefined, so only the last may be zero.
    Raises ValueError otherwise, and for a return too large for a float.
    """
    row = checked(values)
    if len(row) and (row[:-1].min(initial=1) <= 0 or row[-1] < 0):
        raise ValueError("There is no return from a value of zero or less.")
    with np.errstate(over="ignore"):
        # The difference first: that of neighbors is exact.
        found: Floats = np.diff(row) / row[:-1]
    return checked(found)


def drawdowns(returns: Returns) -> Floats:
    """Return, for each return, how far the compounded value then lies below its peak so far.

    Fractions from −1 to 0, as many as returns; the peak starts at the value before the first
    return. Raises ValueError for a return below −1.
    """
    sample = Sample.of(returns)
    if not sample.compounds:
        raise ValueError(BEYOND_LOSS)
    return sample.drawdowns


def total_return(returns: Returns) -> Metric:
    """Return ``Π(1 + r) − 1``; undefined without returns or with one below −1."""
    sample, definition = Sample.of(returns), identify("total_return")
    if reason := _not_compounded(sample):
        return undefined(definition, sample.n, reason)
    return figure(definition, sample.n, _grown(sample.growth))


def annual_return(returns: Returns, conventions: Conventions) -> Metric:
    """Return ``(Π(1 + r))^(periods/n) − 1``; undefined where the total return is.

    The total may be too large for a float while the annual return is not.
    """
    sample, definition = Sample.of(returns), identify("annual_return", conventions)
    if reason := _not_compounded(sample):
        return undefined(definition, sample.n, reason)
    return figure(definition, sample.n, _annual(sample, conventions))


def annual_volatility(returns: Returns, conventions: Conventions) -> Metric:
    """Return ``standard deviation × √periods``; needs two returns."""
    sample, definition = Sample.of(returns), identify("annual_volatility", conventions)
    if reason := _too_few(sample):
        return undefined(definition, sample.n, reason)
    size, power = deviation(sample.values, conventions.ddof)
    value = times_power(size * sqrt(conventions.periods_per_year), power)
    return figure(definition, sample.n, value)


def sharpe_ratio(returns: Returns, conventions: Conventions) -> Metric:
    """Return ``mean(r − f) / standard deviation × √periods`` (Sharpe 1994).

    Needs two returns that vary: by more than 1e-12 of the largest of them and of the risk-free
    rate per period.
    """
    sample, definition = Sample.of(returns), identify("sharpe_ratio", conventions)
    rate = conventions.rate_per_period
    if reason := _too_few(sample):
        return undefined(definition, sample.n, reason)
    if not varies(sample.values, beside=rate):
        return undefined(definition, sample.n, NO_VARIATION)
    value = mean_over_deviation(sample.values, conventions.ddof, less=rate)
    return figure(definition, sample.n, value * sqrt(conventions.periods_per_year))


def sortino_ratio(returns: Returns, conventions: Conventions) -> Metric:
    """Return ``mean(r − f) / √(Σ min(r − f, 0)² / n) × √periods`` (Sortino 1994).

    Needs two returns, and one below the risk-free rate f per period.
    """
    sample, definition = Sample.of(returns), identify("sortino_ratio", conventions)
    if reason := _too_few(sample):
        return undefined(definition, sample.n, reason)
    excess = sample.excess(conventions.rate_per_period)
    if not float(excess.min()) < 0:
        return undefined(definition, sample.n, NO_SHORTFALL)
    downside = root_mean_square(np.minimum(excess, 0))
    value = quotient(mean(excess), downside) * sqrt(conventions.periods_per_year)
    return figure(definition, sample.n, value)


def calmar_ratio(returns: Returns, conventions: Conventions) -> Metric:
    """Return ``annual return / |maximum drawdown|`` over the whole sample (Young 1991).

    Undefined without a drawdown, and where the annual return is.
    """
    sample, definition = Sample.of(returns), identify("calmar_ratio", conventions)
    if reason := _not_compounded(sample):
        return undefined(definition, sample.n, reason)
    deepest = float(sample.drawdowns.min())
    if not deepest:
        return undefined(definition, sample.n, NO_DRAWDOWN)
    annual = _annual(sample, conventions)
    return figure(definition, sample.n, quotient(annual, -deepest))


def max_drawdown(returns: Returns) -> Metric:
    """Return the lowest of ``drawdowns``: 0 for a value that never fell, −1 for a total loss.

    Undefined where the total return is.
    """
    sample, definition = Sample.of(returns), identify("max_drawdown")
    if reason := _not_compounded(sample):
        return undefined(definition, sample.n, reason)
    return figure(definition, sample.n, float(sample.drawdowns.min()))


def omega_ratio(returns: Returns, conventions: Conventions) -> Metric:
    """Return ``Σ max(r − f, 0) / Σ max(f − r, 0)`` (Keating and Shadwick 2002).

    Needs two returns, and one below the risk-free rate f per period, the threshold.
    """
    sample, definition = Sample.of(returns), identify("omega_ratio", conventions)
    if reason := _too_few(sample):
        return undefined(definition, sample.n, reason)
    excess = sample.excess(conventions.rate_per_period)
    if not float(excess.min()) < 0:
        return undefined(definition, sample.n, NO_SHORTFALL)
    return figure(definition, sample.n, gains_over_losses(excess))


def value_at_risk_95(returns: Returns) -> Metric:
    """Return the 5th percentile of the returns, linear between neighbors; a loss is negative."""
    sample, definition = Sample.of(returns), identify("value_at_risk_95")
    if not sample.n:
        return undefined(definition, 0, EMPTY)
    whole, rest = divmod(sample.n - 1, TAIL)
    low, share = float(sample.tail[whole]), rest / TAIL
    high = float(sample.tail[-1])
    # Between two shares, not from one to the other: their difference may be too large.
    value = low if low == high else low * (1 - share) + high * share
    return figure(definition, sample.n, value)


def conditional_value_at_risk_95(returns: Returns) -> Metric:
    """Return the mean of the lowest ``⌊0.05 × (n − 1)⌋ + 1`` returns; a loss is negative."""
    sample, definition = Sample.of(returns), identify("conditional_value_at_risk_95")
    if not sample.n:
        return undefined(definition, 0, EMPTY)
    return figure(definition, sample.n, mean(sample.tail[: (sample.n - 1) // TAIL + 1]))


def _not_compounded(sample: Sample) -> str:
    if not sample.n:
        return EMPTY
    return "" if sample.compounds else BEYOND_LOSS


def _too_few(sample: Sample) -> str:
    if not sample.n:
        return EMPTY
    return TOO_FEW if sample.n < 2 else ""


def _annual(sample: Sample, conventions: Conventions) -> float:
    return _grown(sample.growth * (conventions.periods_per_year / sample.n))


def _grown(logarithm: float) -> float:
    """Return ``e^x − 1``; infinity where that is too large."""
    try:
        return expm1(logarithm)
    except OverflowError:
        return inf
