"""The charts of analyses and claims: equity of an account, candles around a claim."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation

from apps.analysis.domain.equity import Closing, EquityCurve, equity_curve
from apps.analysis.domain.trades import TradeRecord, closed, period_of
from apps.analysis.models import Analysis

# Where nobody told: what strategies here put up unless told otherwise.
USUAL_STAKE = Decimal("0.1")
START = 100
# More points than a screen has columns say no more.
MOST_POINTS = 2_000
LEAST_PERIOD = timedelta(days=1)


def stake_of(analysis: Analysis) -> Decimal:
    """Return the share of the equity that each trade puts up, the usual where none is told."""
    told = analysis.parameters
    for name in ("strategy", ""):
        inner = told.get(name) if name and isinstance(told, dict) else told
        if isinstance(inner, dict) and "stake" in inner:
            try:
                stake = Decimal(str(inner["stake"]))
            except InvalidOperation:
                continue
            if stake.is_finite() and 0 < stake <= 1:
                return stake
    return USUAL_STAKE


def equity_of(analysis: Analysis, trades: Sequence[TradeRecord]) -> EquityCurve | None:
    """Return the equity of an account that made these trades; None where there is no time."""
    period = period_of(trades)
    start = analysis.period_start or (period[0] if period else None)
    end = analysis.period_end or (period[1] if period else None)
    if start is None or end is None:
        return None
    over = [Closing(int(each.moment.timestamp()), each.net_pct) for each in closed(trades)]
    end = max(end, start + LEAST_PERIOD)
    return equity_curve(
        over,
        stake=stake_of(analysis),
        start=int(start.timestamp()),
        end=int(end.timestamp()),
    )


def equity_points(curve: EquityCurve) -> list[tuple[int, float]]:
    """Return the curve as points of a chart that begins with 100; of a long one every n-th."""
    step = -(-curve.day.size // MOST_POINTS) or 1
    days, equity = curve.day[::step], curve.equity[::step]
    points = [(int(day), float(value) * START) for day, value in zip(days, equity, strict=True)]
    last = (int(curve.day[-1]), float(curve.equity[-1]) * START)
    return points if points[-1] == last else [*points, last]
