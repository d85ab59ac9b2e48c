"""What kind of market a day closed in. Pure rules over the daily closes of one symbol."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from apps.market.choices import DominantTrend, RegimeType, VolatilityRegime

Floats = NDArray[np.float64]

NO_CONFIDENCE: Final = "The rule names a regime and does not measure how sure that is."

# Days are closes that exist: a market that rests on Sundays has five or six of them in a week.
RECENT_DAYS: Final = 30
LONGER_DAYS: Final = 90
MEAN_DAYS: Final = (20, 50, 100, 200)
# So many closes, its own included, say everything about a day.
LONGEST: Final = max(LONGER_DAYS + 1, *MEAN_DAYS)
# The source counts the trading days of shares for everything. Crypto trades on 365 days, so its
# volatility is stated too low by a factor of 1.2; kept, as the threshold is meant with it.
DAYS_IN_YEAR: Final = 252

HIGH_VOLATILITY: Final = 1.0
TREND: Final = 0.1
EXPANDING: Final = 1.5
CONTRACTING: Final = 0.7

# No market rests longer. What lies before a longer silence says nothing of what came after.
LONGEST_SILENCE: Final = 7
# Returns that differ by less are all the same: what is left is how floats round.
STILL: Final = 1e-12
# Digits of an indicator that is kept. Regimes follow from the digits that are.
DIGITS: Final = 12

TYPES: Final = {
    (True, 1): RegimeType.HIGH_BULL,
    (True, -1): RegimeType.HIGH_BEAR,
    (True, 0): RegimeType.HIGH_RANGING,
    (False, 1): RegimeType.LOW_BULL,
    (False, -1): RegimeType.LOW_BEAR,
    (False, 0): RegimeType.LOW_RANGING,
}


class Held(NamedTuple):
    """The days of which one source has candles: the first and the last."""

    source: str
    first: date
    last: date


class Regime(NamedTuple):
    """What is said of one day. There is no confidence: see ``NO_CONFIDENCE``.

    ``indicators`` are finite: ``close``; ``vol_30d`` and ``vol_90d``, a year's volatility as a
    fraction; ``vol_ratio``, the one by the other; ``trend_30d``, a change as a fraction; ``ma_20``,
    ``ma_50``, ``ma_100`` and ``ma_200``, prices. What is not known of a day is left out.
    """

    day: date
    regime_type: RegimeType
    volatility_regime: VolatilityRegime
    dominant_trend: DominantTrend
    indicators: dict[str, float]


def choose_source(held: Sequence[Held], primary_source: str = "") -> Held | None:
    """Return the source whose closes are classified, one for the whole history of a symbol.

    The primary one where there is one, whether or not it has candles; else, of those that are
    about as fresh as the freshest, the one that reaches back farthest; of equals the first by
    name. None when it has none.
    """
    if primary_source:
        return next((each for each in held if each.source == primary_source), None)
    freshest = max((each.last for each in held), default=date.min)
    fresh = [each for each in held if (freshest - each.last).days <= LONGEST_SILENCE]
    return min(fresh, key=lambda each: (each.first, each.source), default=None)


def classify(days: Sequence[date], closes: Sequence[float]) -> list[Regime]:
    """Return the regime of each day from its close and the closes before it, never later ones.

    ``days`` in order of time, each once; ``closes`` above zero, each known at the end of its day.
    ValueError for anything else. "n days" are n closes that exist, and none of a window lies
    before a silence of more than ``LONGEST_SILENCE`` days: there the history begins anew.

    - *Volatility* over n days: the standard deviation (n − 1) of the n simple returns between
      n + 1 closes, × √252 for every market.
    - *Regime*: High Volatility when that of 30 days is above 1.0, else Low; Bull when the close is
      more than 10 % above the close 30 days before, Bear when as much below, else Ranging.
      Unknown with fewer than 31 closes.
    - *Volatility regime*: by the volatility of 30 days (recent) over that of 90 days, which holds
      them (longer): above 1.5 Expanding, below 0.7 Contracting, else Normal. Unknown with fewer
      than 91 closes, or where the price moved evenly for 90 days, so that there is no ratio.
    - *Dominant trend*: by the means of the last 20, 50, 100 and 200 closes: Bullish when the close
      lies above all four, Bearish when below all, else Mixed. Insufficient data with fewer than
      200 closes, Unknown with fewer than 20: then there is no mean at all.

    Source: the regime rule of the Bitcoin system; what it leaves open (which returns, recent and
    longer, how the means speak) is decided here.
    """
    values = checked(days, closes)
    found: list[Regime] = []
    for first, end in stretches(days):
        found += classify_stretch(days[first:end], values[first:end])
    return found


def checked(days: Sequence[date], closes: Sequence[float]) -> Floats:
    """Return the closes as an array; ValueError when they or their days are not as they must be."""
    values = np.asarray(closes, dtype=np.float64)
    if values.shape != (len(days),):
        raise ValueError("Each day needs one close.")
    if any(after <= before for before, after in pairwise(days)):
        raise ValueError("Days must stand in order of time, each once.")
    if not np.all(np.isfinite(values) & (values > 0)):
        raise ValueError("A close must be a finite number above zero.")
    return values


def stretches(days: Sequence[date]) -> list[tuple[int, int]]:
    """Return where days begin and end (exclusive) between which nobody was silent for too long."""
    starts = [
        place
        for place in range(len(days))
        if place == 0 or (days[place] - days[place - 1]).days > LONGEST_SILENCE
    ]
    return list(pairwise([*starts, len(days)]))


def classify_stretch(days: Sequence[date], closes: Floats) -> list[Regime]:
    """Return the regimes of days without a long silence."""
    # What does not fit a float is not known, as what has too few closes is not.
    with np.errstate(over="ignore", invalid="ignore"):
        returns = closes[1:] / closes[:-1] - 1
        recent, longer = (volatility(returns, length) for length in (RECENT_DAYS, LONGER_DAYS))
        columns = {
            "close": closes,
            f"vol_{RECENT_DAYS}d": recent,
            f"vol_{LONGER_DAYS}d": longer,
            "vol_ratio": quotients(recent, longer),
            f"trend_{RECENT_DAYS}d": changes(closes, RECENT_DAYS),
            **{f"ma_{length}": means(closes, length) for length in MEAN_DAYS},
        }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [
        judged(day, indicators_of(dict(zip(columns, row, strict=True))))
        for day, row in zip(days, rows, strict=True)
    ]


def indicators_of(row: dict[str, float]) -> dict[str, float]:
    """Return what is known of a day; the close as it is, the others to so many digits."""
    return {
        name: value if name == "close" else float(f"{value:.{DIGITS}g}")
        for name, value in row.items()
        if np.isfinite(value)
    }


def judged(day: date, indicators: dict[str, float]) -> Regime:
    """Return what the indicators of a day say."""
    return Regime(
        day,
        regime_type(indicators),
        volatility_regime(indicators.get("vol_ratio")),
        dominant_trend(indicators),
        indicators,
    )


def regime_type(indicators: dict[str, float]) -> RegimeType:
    """Return how much a market moves and where to; see ``classify``."""
    vol, trend = indicators.get(f"vol_{RECENT_DAYS}d"), indicators.get(f"trend_{RECENT_DAYS}d")
    if vol is None or trend is None:
        return RegimeType.UNKNOWN
    return TYPES[vol > HIGH_VOLATILITY, (trend > TREND) - (trend < -TREND)]


def volatility_regime(ratio: float | None) -> VolatilityRegime:
    """Return whether a market moves more than it used to; see ``classify``."""
    if ratio is None:
        return VolatilityRegime.UNKNOWN
    if ratio > EXPANDING:
        return VolatilityRegime.EXPANDING
    return VolatilityRegime.CONTRACTING if ratio < CONTRACTING else VolatilityRegime.NORMAL


def dominant_trend(indicators: dict[str, float]) -> DominantTrend:
    """Return what the four means say together; see ``classify``."""
    levels = [indicators[name] for each in MEAN_DAYS if (name := f"ma_{each}") in indicators]
    if not levels:
        return DominantTrend.UNKNOWN
    if len(levels) < len(MEAN_DAYS):
        return DominantTrend.INSUFFICIENT
    # With the digits that the means have, or a price that stands still would lie above itself.
    close = float(f"{indicators['close']:.{DIGITS}g}")
    if close > max(levels):
        return DominantTrend.BULLISH
    return DominantTrend.BEARISH if close < min(levels) else DominantTrend.MIXED


# --- Columns: one value for each close, NaN where it is not known ---------------------------


def volatility(returns: Floats, length: int) -> Floats:
    """Return a year's volatility over the last ``length`` returns, one value for each close."""
    known = filled(len(returns) + 1)
    if len(returns) >= length:
        spread = sliding_window_view(returns, length).std(axis=1, ddof=1)
        known[length:] = np.where(spread < STILL, 0.0, spread * np.sqrt(DAYS_IN_YEAR))
    return known


def quotients(part: Floats, whole: Floats) -> Floats:
    """Return one by the other, NaN where there is nothing to divide by."""
    return np.divide(part, whole, out=filled(len(part)), where=whole > 0)


def changes(closes: Floats, length: int) -> Floats:
    """Return the change over so many closes as a fraction."""
    known = filled(len(closes))
    if len(closes) > length:
        known[length:] = closes[length:] / closes[:-length] - 1
    return known


def means(closes: Floats, length: int) -> Floats:
    """Return the mean of the last ``length`` closes."""
    known = filled(len(closes))
    if len(closes) >= length:
        known[length - 1 :] = sliding_window_view(closes, length).mean(axis=1)
    return known


def filled(length: int) -> Floats:
    return np.full(length, np.nan)
