"""Columns with exponential memory, and relative strength."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import talib
from numpy.typing import NDArray

from apps.market.domain.features.columns import ROW
from apps.market.domain.features.history import CLOSES, VOLUMES, Block, Carried
from apps.market.domain.features.windows import joined

Column = NDArray[np.float64]

FAST, SLOW, SIGNAL = 12, 26, 9
# The smoothing of rsi_ema, 2/15, is that of a span of 14.
SMOOTH: Final = 14
LEAST: Final = 1e-10
RSI_WINDOWS: Final = {"rsi_1d": 7, "rsi_3d": 21, "rsi_1w": 35, "rsi_2w": 70}
# Behind this row the weights of the widest average sum to 1 in all digits.
SETTLED: Final = 1024


@dataclass(frozen=True, slots=True)
class Averages:
    """The exponential averages' numerators after the last row."""

    reference: float
    fast: float
    slow: float
    signal: float
    gain: float
    move: float


def weights(span: int, rows: NDArray[np.int64]) -> Column:
    """Return 1−(1−α)^rows, the sum of the weights of so many rows; α = 2/(span+1)."""
    total: Column = -np.expm1(rows * np.log1p(-2 / (span + 1)))
    return total


_WEIGHTS: Final = {span: weights(span, np.arange(1, SETTLED + 1)) for span in (FAST, SLOW, SIGNAL)}


def smoothed(values: Column, span: int, before: float) -> Column:
    """Return y = y₋₁ + α·(x − y₋₁) with y = ``before`` ahead of the first value."""
    # TA-Lib begins with the mean of the first ``span`` values.
    seeded = np.empty(values.size + span)
    seeded[:span] = before
    seeded[span:] = values
    result: Column = talib.EMA(seeded, span)[span:]
    return result


def fill_momentum(block: Block, carried: Carried, out: Column) -> Averages:
    """Fill MACD and the five relative strengths; give back the averages for later rows."""
    close = block.close[CLOSES:]
    reference = carried.reference if block.rows else float(close[0])
    distance = close - reference
    fast = smoothed(distance, FAST, carried.fast)
    slow = smoothed(distance, SLOW, carried.slow)
    last_fast, last_slow = float(fast[-1]), float(slow[-1])
    macd = out[ROW["macd"]]
    short = min(block.size, max(0, SETTLED - block.rows))
    if short:
        rows = slice(block.rows, block.rows + short)
        fast[:short] /= _WEIGHTS[FAST][rows]
        slow[:short] /= _WEIGHTS[SLOW][rows]
    np.subtract(fast, slow, out=macd)
    signal = smoothed(macd, SIGNAL, carried.signal)
    last_signal = float(signal[-1])
    if short:
        signal[:short] /= _WEIGHTS[SIGNAL][rows]
    out[ROW["macd_signal"]] = signal
    np.subtract(macd, signal, out=out[ROW["macd_histogram"]])
    np.divide(macd, close, out=out[ROW["macd_normalized"]])
    gain, move = _fill_strength(block, carried, out)
    return Averages(reference, last_fast, last_slow, last_signal, gain, move)


def _fill_strength(block: Block, carried: Carried, out: Column) -> tuple[float, float]:
    """Fill the relative strengths: 100·gain/(gain + loss + 1e-10), means or averages.

    The first row neither rose nor fell.
    """
    size = block.size
    closes = block.close[CLOSES - VOLUMES - 1 :]
    moves = np.empty((2, closes.size - 1))
    np.subtract(closes[1:], closes[:-1], out=moves[1])
    np.maximum(moves[1], 0.0, out=moves[0])
    np.abs(moves[1], out=moves[1])
    first = block.first(VOLUMES)
    if first:
        moves[:, first] = 0.0
    two = joined(moves, moves, 1)
    four = joined(two, two, 2)
    seven = joined(moves, joined(two, four, 2), 1)
    fourteen = joined(seven, seven, 7)
    rows_21 = joined(seven, fourteen, 7)
    rows_35 = joined(fourteen, rows_21, 14)
    rows_70 = joined(rows_35, rows_35, 35)
    for (name, window), total in zip(
        RSI_WINDOWS.items(), (seven, rows_21, rows_35, rows_70), strict=True
    ):
        strength = out[ROW[name]]
        np.add(total[1, -size:], LEAST * window, out=strength)
        np.divide(total[0, -size:], strength, out=strength)
        strength *= 100
    gain = smoothed(moves[0, -size:], SMOOTH, carried.gain)
    move = smoothed(moves[1, -size:], SMOOTH, carried.move)
    strength = out[ROW["rsi_ema"]]
    np.add(move, LEAST, out=strength)
    np.divide(gain, strength, out=strength)
    strength *= 100
    return float(gain[-1]), float(move[-1])
