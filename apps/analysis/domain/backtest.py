"""Trades that signals would have made: entered at an open, ended by the first level touched."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.analysis.domain.bars import Bars, exact
from apps.analysis.domain.strategies import StrategyParameters
from apps.shared.quant.digits import PRICE_PLACES, RATIO_PLACES

_PRICE: Final = Decimal(1).scaleb(-PRICE_PLACES)
_PERCENT: Final = Decimal(1).scaleb(-RATIO_PLACES)
_PRECISION: Final = 76
# Bars looked through at once in search of an exit: at first, and at most.
_FIRST_SLICE, _LARGEST_SLICE = 128, 8192


class ExitReason(StrEnum):
    STOP = "stop"
    TARGET = "target"
    LIQUIDATION = "liquidation"
    TIMEOUT = "timeout"
    END = "end"


class SimulatedTrade(NamedTuple):
    """One trade; bars are indices, prices are rounded to 18 places, percents to 8.

    Entered at the open of ``entry_bar``, over by the end of ``exit_bar``; the decision fell at
    the close of the bar before the entry. Percents are of the margin, so leveraged:
    ``gross_pct`` = direction × (exit − entry) / entry × leverage × 100 and never below −100;
    ``fees_pct`` = fee rate × leverage × (1 + exit / entry) × 100; ``net_pct`` = gross − fees.
    ``confidence`` is the score at the decision, to 8 places.
    """

    entry_bar: int
    exit_bar: int
    direction: int
    entry_price: Decimal
    exit_price: Decimal
    stop_price: Decimal
    target_price: Decimal
    leverage: Decimal
    exit_reason: ExitReason
    confidence: Decimal
    gross_pct: Decimal
    fees_pct: Decimal
    net_pct: Decimal


class _Plan(NamedTuple):
    """A trade as it is entered: everything but its end."""

    entry_bar: int
    last_bar: int
    direction: int
    entry: Decimal
    stop: Decimal
    target: Decimal
    liquidation: Decimal
    leverage: Decimal


def simulate(
    bars: Bars,
    signals: NDArray[np.int8],
    *,
    parameters: StrategyParameters,
    leverage_of: Callable[[int], Decimal | None],
    scores: NDArray[np.float64],
) -> list[SimulatedTrade]:
    """Return the trades, oldest first.

    A signal (+1 long, −1 short, 0 none) is known at the close of its bar and entered at the
    open of the next; at the last bar it is entered nowhere. One position at a time: signals are
    not heard before the bar in which the position ends. That bar's own signal is, for it
    is known at that bar's close: the next trade may begin one bar later.

    ``leverage_of`` is called with the bar of the signal, once for every trade; None is a
    signal that is not followed, and the next one counts. ``scores`` are the confidences.

    Stop and target lie ``stop_loss`` and ``take_profit`` away from the entry; the liquidation
    price is entry × (1 − direction / leverage), and of it and the stop the nearer one counts.
    From the bar of the entry on, each bar is asked in this order: does the low (of a short, the
    high) touch stop or liquidation; does the high (low) touch the target. Who opens beyond a
    level leaves at that open, else at the level. Whoever is liquidated, or leaves beyond the
    liquidation price, has lost the margin and not more. Otherwise the trade ends at the
    close of its ``max_bars``-th bar, or at the last close there is.

    Raises ValueError for columns of different length or a leverage that is not above zero.
    """
    if not signals.shape == scores.shape == bars.close.shape:
        raise ValueError("Signals and scores must have one value per bar.")
    trades: list[SimulatedTrade] = []
    decisions = np.flatnonzero(signals[:-1])
    at = 0
    while at < decisions.size:
        decided = int(decisions[at])
        leverage = leverage_of(decided)
        if leverage is None:
            at += 1
            continue
        plan = _planned(bars, decided, int(signals[decided]), parameters, leverage)
        exit_bar, price, reason = _exit(bars, plan, parameters.max_bars)
        confidence = exact(round(float(scores[decided]), RATIO_PLACES))
        trades.append(_settled(plan, exit_bar, price, reason, confidence, parameters.fee_rate))
        at = int(decisions.searchsorted(exit_bar))
    return trades


def _planned(
    bars: Bars, decided: int, direction: int, parameters: StrategyParameters, leverage: Decimal
) -> _Plan:
    if not leverage > 0:
        raise ValueError("A leverage must be above zero.")
    entry_bar, last_bar = decided + 1, bars.close.size - 1
    if parameters.max_bars is not None:
        last_bar = min(last_bar, entry_bar + parameters.max_bars - 1)
    with localcontext(prec=_PRECISION, rounding=ROUND_HALF_EVEN):
        entry = exact(bars.open[entry_bar])
        return _Plan(
            entry_bar=entry_bar,
            last_bar=last_bar,
            direction=direction,
            entry=entry,
            stop=(entry * (1 - direction * parameters.stop_loss)).quantize(_PRICE),
            target=(entry * (1 + direction * parameters.take_profit)).quantize(_PRICE),
            liquidation=(entry * (1 - direction / leverage)).quantize(_PRICE),
            leverage=leverage,
        )


def _exit(bars: Bars, plan: _Plan, max_bars: int | None) -> tuple[int, Decimal, ExitReason]:
    """Return the bar in which a trade ends, the price it gets, and why."""
    long = plan.direction > 0
    guard = (max if long else min)(plan.stop, plan.liquidation)
    lower, upper = (guard, plan.target) if long else (plan.target, guard)
    # Bars are floats, each the nearest to what was stored: so are the levels they are held against.
    found = _first_outside(bars, plan.entry_bar, plan.last_bar, float(lower), float(upper))
    if found is None:
        timeout = max_bars is not None and plan.last_bar == plan.entry_bar + max_bars - 1
        reason = ExitReason.TIMEOUT if timeout else ExitReason.END
        return plan.last_bar, exact(bars.close[plan.last_bar]), reason
    # Both in one bar: nobody knows the order inside it, so the worse is taken.
    guarded = bars.low[found] <= float(lower) if long else bars.high[found] >= float(upper)
    opened = exact(bars.open[found])
    # An open beyond the level is the price; one that is not leaves the level itself.
    if not guarded:
        price = (max if long else min)(opened, plan.target)
        return found, price, ExitReason.TARGET
    price = (min if long else max)(opened, guard)
    liquidated = plan.direction * (price - plan.liquidation) <= 0
    return found, price, ExitReason.LIQUIDATION if liquidated else ExitReason.STOP


def _first_outside(bars: Bars, first: int, last: int, lower: float, upper: float) -> int | None:
    """Return the first bar from ``first`` to ``last`` whose range touches one of two prices."""
    begin, length = first, _FIRST_SLICE
    while begin <= last:
        end = min(begin + length, last + 1)
        touched = (bars.low[begin:end] <= lower) | (bars.high[begin:end] >= upper)
        at = int(touched.argmax())
        if touched[at]:
            return begin + at
        begin, length = end, min(2 * length, _LARGEST_SLICE)
    return None


def _settled(
    plan: _Plan,
    exit_bar: int,
    price: Decimal,
    reason: ExitReason,
    confidence: Decimal,
    fee_rate: Decimal,
) -> SimulatedTrade:
    with localcontext(prec=_PRECISION, rounding=ROUND_HALF_EVEN):
        part = price / plan.entry
        gross = plan.direction * (price - plan.entry) * plan.leverage * 100 / plan.entry
        gross = Decimal(-100) if reason == ExitReason.LIQUIDATION else max(gross, Decimal(-100))
        gross = gross.quantize(_PERCENT) + 0  # no minus zero
        fees = (fee_rate * plan.leverage * (1 + part) * 100).quantize(_PERCENT)
        return SimulatedTrade(
            entry_bar=plan.entry_bar,
            exit_bar=exit_bar,
            direction=plan.direction,
            entry_price=plan.entry,
            exit_price=price,
            stop_price=plan.stop,
            target_price=plan.target,
            leverage=plan.leverage,
            exit_reason=reason,
            confidence=confidence,
            gross_pct=gross,
            fees_pct=fees,
            net_pct=gross - fees,
        )
