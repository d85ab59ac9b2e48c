"""Columns of the price itself: the candle's own shape, its averages and bands."""

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import ROW
from apps.market.domain.features.history import CLOSES, ROWS, Block
from apps.market.domain.features.windows import joined, joined_maximum, of_two, united

Column = NDArray[np.float64]

SHORT, MEDIUM, LONG = 24, 120, 480
BAND = 20
RANGE = 14
_COUNTS = np.arange(1.0, LONG + 1)


def fill_prices(block: Block, out: Column) -> None:
    """Fill the columns of prices of a block."""
    high, low, opens = block.high[ROWS:], block.low[ROWS:], block.open[ROWS:]
    close = block.close[CLOSES:]
    for name, column in (("open", opens), ("high", high), ("low", low), ("close", close)):
        out[ROW[name]] = column
    span = out[ROW["high_low_pct"]]
    np.subtract(high, low, out=span)
    span /= close
    body = out[ROW["open_close_pct"]]
    np.subtract(close, opens, out=body)
    body /= opens
    _fill_averages(block, close, out)
    _fill_bands(block, close, out)
    _fill_ranges(block, close, out)


def _fill_averages(block: Block, close: Column, out: Column) -> None:
    closes = block.close
    missing = block.first(CLOSES)
    if missing:
        closes = closes.copy()
        closes[:missing] = 0.0
    two = joined(closes, closes, 1)
    four = joined(two, two, 2)
    eight = joined(four, four, 4)
    short = joined(eight, joined(eight, eight, 8), 8)
    two_days = joined(short, short, 24)
    four_days = joined(two_days, two_days, 48)
    medium = joined(short, four_days, 24)
    ten_days = joined(medium, medium, 120)
    long = joined(ten_days, ten_days, 240)
    averages = [out[ROW[f"price_ma_{name}"]] for name in ("short", "med", "long")]
    for total, window, average in zip(
        (short, medium, long), (SHORT, MEDIUM, LONG), averages, strict=True
    ):
        mean_of_known(total[-block.size :], window, block.rows, average)
    # Both groups of rows lie side by side, in this order.
    first, ratio = ROW["price_ma_short"], ROW["ma_short_to_med"]
    np.divide(close, out[first : first + 3], out=out[first + 3 : first + 6])
    np.divide(out[first : first + 2], out[first + 1 : first + 3], out=out[ratio : ratio + 2])


def mean_of_known(total: Column, window: int, rows: int, out: Column) -> None:
    """Divide sums by the rows in the window: fewer in the first rows of a series."""
    np.multiply(total, 1 / window, out=out)
    short = min(out.size, max(0, window - 1 - rows))
    if short:
        np.divide(total[:short], _COUNTS[rows : rows + short], out=out[:short])


def _fill_bands(block: Block, close: Column, out: Column) -> None:
    size = block.size
    closes = block.close[CLOSES - ROWS :]
    two = of_two(closes)
    four = united(closes, two, two)
    eight = united(closes, four, four)
    sixteen = united(closes, eight, eight)
    twenty = united(closes, four, sixteen)
    apart, spread = twenty.mean[-size:], twenty.second[-size:]
    spread *= 4 / (BAND - 1)
    short = min(size, max(0, BAND - 1 - block.rows))
    if short:
        _first_bands(block, short, apart, spread)
    # From here the distance from the middle to either band: two standard deviations.
    np.sqrt(spread, out=spread)
    upper, lower = out[ROW["bb_upper"]], out[ROW["bb_lower"]]
    middle = close + apart
    np.add(middle, spread, out=upper)
    np.subtract(middle, spread, out=lower)
    position = out[ROW["bb_position"]]
    np.subtract(spread, apart, out=position)
    spread *= 2
    position /= spread
    np.divide(spread, middle, out=out[ROW["bb_squeeze"]])


def _first_bands(block: Block, short: int, apart: Column, spread: Column) -> None:
    """Put right the rows that have fewer than 20 closes; of a single one nothing spreads."""
    known = block.close[CLOSES - block.rows : CLOSES + short]
    # All these windows begin with the first close. Counted from there one distance is 0, so
    # that the squares' sum is at most 19 times what is left of it: no digits are lost.
    distance = known - known[0]
    total, square = distance.cumsum(), (distance * distance).cumsum()
    count = _COUNTS[: known.size]
    mean = total / count
    square -= mean * total
    square *= 4
    apart[:short] = (mean - distance)[block.rows :]
    spread[:short] = (square / (count - 1))[block.rows :]


def _fill_ranges(block: Block, close: Column, out: Column) -> None:
    size = block.size
    before = block.close[CLOSES - ROWS : -1]
    high, low = block.high, block.low
    true_range = np.maximum(high[1:], before)
    true_range -= np.minimum(low[1:], before)
    first = block.first(ROWS)
    extremes = np.empty((2, size + ROWS))
    extremes[0] = high
    np.negative(low, out=extremes[1])
    if first:
        extremes[:, :first] = -np.inf
        true_range[: first - 1] = 0.0
        true_range[first - 1] = high[first] - low[first]
    two = joined(true_range, true_range, 1)
    four = joined(two, two, 2)
    eight = joined(four, four, 4)
    total = joined(joined(two, four, 2), eight, 6)[-size:]
    average = out[ROW["atr"]]
    mean_of_known(total, RANGE, block.rows, average)
    np.divide(average, close, out=out[ROW["atr_normalized"]])

    pairs = joined_maximum(extremes, extremes, 1)
    fours = joined_maximum(pairs, pairs, 2)
    eights = joined_maximum(fours, fours, 4)
    highest, lowest = joined_maximum(eights, eights, 6)[:, -size:]
    williams = out[ROW["williams_r"]]
    np.subtract(close, highest, out=williams)
    highest += lowest
    williams /= highest
    williams *= 100
