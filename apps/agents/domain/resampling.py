"""How far the sum of an agent's trades could be chance: the bootstrap, and ranks under it.

The trades that were closed are taken for a sample of those that could have been: as many are drawn
from them, with replacement, and added up; 2,000 times (Efron 1979). Two things are not repeated
from the textbook:

- *Time and memory do not grow with the number of trades.* Up to ``ONE_BY_ONE`` amounts every one
  is drawn. Of more, only the ``EXTREMES`` farthest from the mean are: how many of n draws fall on
  them is binomial, and what the others add, given their number m, is normal with mean m × μ and
  variance m × σ² of those others. They are many, and none of them stands out, so that the central
  limit theorem holds for them; a single trade that outweighs all others keeps its full say.
- *The same trades give the same answer*, in whatever order they are read: they are sorted, and
  chance starts from the seed that is given.

Trades are drawn as if none depended on another. Where they come in streaks, intervals are too
narrow.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

REPLICATES: Final = 2_000
ONE_BY_ONE: Final = 128
EXTREMES: Final = 32
# What two-sided 95 % leaves out below and above.
TAILS: Final = (2.5, 97.5)

Amounts = NDArray[np.float64]
Counts = NDArray[np.int64]


class Range(NamedTuple):
    low: float
    high: float


def resampled_sums(amounts: Amounts, *, seed: Sequence[int], times: int = REPLICATES) -> Amounts:
    """Return the sums of so many resamplings: each of n amounts drawn from the n, put back.

    ``seed`` are whole numbers of any size, zero or more. Without amounts the sums are zero.
    """
    size = len(amounts)
    if not size:
        return np.zeros(times)
    chance = np.random.default_rng(list(seed))
    values = np.sort(amounts)
    if size <= ONE_BY_ONE:
        found: Amounts = values[chance.integers(0, size, (times, size))].sum(axis=1)
        return found
    order = np.argsort(np.abs(values - values.mean()), kind="stable")
    others, extremes = values[order[:-EXTREMES]], values[order[-EXTREMES:]]
    drawn = chance.binomial(size, EXTREMES / size, times)
    replicate = np.repeat(np.arange(times), drawn)
    picked = extremes[chance.integers(0, EXTREMES, len(replicate))]
    rest = size - drawn
    body = rest * others.mean() + np.sqrt(rest) * others.std() * chance.standard_normal(times)
    sums: Amounts = np.bincount(replicate, weights=picked, minlength=times) + body
    return sums


def interval_of(replicates: Amounts) -> Range:
    """Return the 95 % percentile interval: the 2.5th and 97.5th percentile, linear between two."""
    low, high = np.percentile(replicates, TAILS)
    return Range(float(low), float(high))


def rank_ranges(replicates: Sequence[Amounts]) -> list[tuple[int, int]]:
    """Return between which ranks each competitor's return lies in 95 % of the replicates.

    One row of returns per competitor, all of one length. In each replicate the rank is one more
    than the number of competitors who returned more; the bounds are ranks that occurred.
    """
    if not replicates:
        return []
    falling = -np.stack(replicates)
    ranks = np.empty(falling.shape, np.int64)
    for place, column in enumerate(falling.T):
        ranks[:, place] = np.searchsorted(np.sort(column), column) + 1
    low, high = np.percentile(ranks, TAILS, axis=1, method="inverted_cdf")
    return [(int(best), int(worst)) for best, worst in zip(low, high, strict=True)]


def ranks_of(values: Sequence[float]) -> list[int]:
    """Return the rank of each value: one more than the number of values above it."""
    falling = -np.asarray(values, dtype=np.float64)
    return [int(place) + 1 for place in np.searchsorted(np.sort(falling), falling)]
