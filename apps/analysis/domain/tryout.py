"""One strategy tried out on one series: its trades, and how each got its leverage."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.analysis.domain.backtest import SimulatedTrade, simulate
from apps.analysis.domain.bars import Bars, exact
from apps.analysis.domain.indicators import (
    Indicators,
    aligned_close,
    bar_returns,
    btc_correlation,
    compute,
    trend_name,
)
from apps.analysis.domain.leverage import (
    Breakdown,
    LeverageParameters,
    LeverageUndefined,
    Setup,
    Trend,
    break_down,
)
from apps.analysis.domain.strategies import StrategyParameters, entries, scores
from apps.shared.quant.digits import RATIO_PLACES

NO_BITCOIN: Final = "No candles of Bitcoin reach over these bars."


@dataclass(frozen=True, slots=True)
class Entry:
    """A trade, when it was entered and over (UTC), and the sum its leverage came from."""

    number: int
    entered_at: datetime
    over_at: datetime
    trade: SimulatedTrade
    breakdown: Breakdown


def try_out(
    bars: Bars,
    *,
    base_strategy: str,
    parameters: StrategyParameters,
    leverage: LeverageParameters,
    bitcoin: Bars | None = None,
) -> list[Entry]:
    """Return the trades of a strategy over ``bars``, oldest first, numbered from 1.

    Leverage is decided with what is known at the close of the bar before the entry; a signal
    from which none follows is not traded. ``bitcoin`` are bars of the same width; without them
    the constraint of its correlation is missing and says so.
    """
    known = compute(bars)
    confidence = scores(base_strategy, known)
    correlation = correlations(bars, bitcoin)
    breakdowns: dict[int, Breakdown] = {}

    def leverage_of(bar: int) -> Decimal | None:
        setup = setup_at(bar, known, confidence, correlation)
        try:
            found = break_down(
                setup,
                leverage,
                ceiling=parameters.max_leverage,
                risk_multiplier=parameters.risk_multiplier,
            )
        except LeverageUndefined:
            return None
        if bitcoin is None:
            found = replace(found, reasons={**found.reasons, "btc": NO_BITCOIN})
        breakdowns[bar] = found
        return found.final_leverage

    trades = simulate(
        bars,
        entries(base_strategy, known, parameters),
        parameters=parameters,
        leverage_of=leverage_of,
        scores=confidence,
    )
    return [
        Entry(
            number=number,
            entered_at=moment(bars, trade.entry_bar),
            over_at=moment(bars, trade.exit_bar, ended=True),
            trade=trade,
            breakdown=breakdowns[trade.entry_bar - 1],
        )
        for number, trade in enumerate(trades, start=1)
    ]


def moment(bars: Bars, bar: int, *, ended: bool = False) -> datetime:
    """Return when a bar starts, or ends."""
    return datetime.fromtimestamp(int(bars.start[bar]) + (bars.width if ended else 0), UTC)


def correlations(bars: Bars, bitcoin: Bars | None) -> NDArray[np.float64]:
    """Return the correlation with Bitcoin's returns per bar, NaN where it is not known."""
    if bitcoin is None:
        return np.full(bars.close.size, np.nan)
    other = aligned_close(bars, bitcoin)
    return btc_correlation(bar_returns(bars.close), bar_returns(other))


def setup_at(
    bar: int,
    known: Indicators,
    confidence: NDArray[np.float64],
    correlation: NDArray[np.float64],
) -> Setup:
    """Return what the leverage engine wants to know of a bar; NaN is *not known*."""
    return Setup(
        price=exact(known.close[bar]),
        support=price(known.support[bar]),
        next_support=price(known.next_support[bar]),
        resistance=price(known.resistance[bar]),
        next_resistance=price(known.next_resistance[bar]),
        support_strength=ratio(known.support_strength[bar]) or Decimal(0),
        resistance_strength=ratio(known.resistance_strength[bar]) or Decimal(0),
        confidence=ratio(confidence[bar]),
        btc_correlation=ratio(correlation[bar]),
        volatility_pct=ratio(known.volatility_pct[bar]),
        trend=Trend(trend_name(int(known.trend[bar])).lower()),
    )


def price(value: float) -> Decimal | None:
    return None if np.isnan(value) else exact(value)


def ratio(value: float) -> Decimal | None:
    """Return a statistic with the digits that its column keeps."""
    return None if np.isnan(value) else exact(round(float(value), RATIO_PLACES))
