"""Columns of what was traded: averages of volume, price trend, money flow."""

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.columns import LAGS, ROW
from apps.market.domain.features.history import CLOSES, ROWS, VOLUMES, Block
from apps.market.domain.features.windows import joined

Column = NDArray[np.float64]

WINDOW = 120
FLOW = 14
LEAST = 1e-10


def fill_volumes(block: Block, returns: Column, trends: Column, out: Column) -> Column:
    """Fill the columns of volume; give back the volume price trend with 24 rows before."""
    size = block.size
    volume = block.volume[VOLUMES:]
    out[ROW["volume"]] = volume
    np.log1p(volume, out=out[ROW["log_volume"]])

    two = joined(block.volume, block.volume, 1)
    four = joined(two, two, 2)
    eight = joined(four, four, 4)
    day = joined(eight, joined(eight, eight, 8), 8)
    two_days = joined(day, day, 24)
    total = joined(day, joined(two_days, two_days, 48), 24)[-size - ROWS :]
    total *= 1 / WINDOW
    out[ROW["volume_ma"]] = total[ROWS:]
    # No volume at all is 0/0: no ratio is known.
    ratio = block.volume[VOLUMES - ROWS :] / total
    out[ROW["volume_ratio"]] = ratio[ROWS:]
    for lag in LAGS:
        out[ROW[f"volume_ratio_lag_{lag}"]] = ratio[ROWS - lag : ratio.size - lag]

    trend = _fill_trend(block, volume * returns[VOLUMES:], trends, out)
    _fill_flow(block, out)
    return trend


def _fill_trend(block: Block, added: Column, trends: Column, out: Column) -> Column:
    trend = np.empty(block.size + ROWS)
    trend[:ROWS] = trends
    if not block.rows:
        added[0] = 0.0
    elif block.rows > 1:
        added[0] += trends[-1]
    np.cumsum(added, out=trend[ROWS:])
    if not block.rows:
        # The first candle has no return, so nothing has been added up yet.
        trend[ROWS] = np.nan
    out[ROW["vpt"]] = trend[ROWS:]
    two = joined(trend, trend, 1)
    four = joined(two, two, 2)
    eight = joined(four, four, 4)
    total = joined(eight, joined(eight, eight, 8), 8)[-block.size :]
    average = out[ROW["vpt_ma"]]
    np.multiply(total, 1 / 24, out=average)
    normalized = out[ROW["vpt_normalized"]]
    np.divide(trend[ROWS:], average, out=normalized)
    if not average.all():
        normalized[average == 0] = np.nan
    return trend


def _fill_flow(block: Block, out: Column) -> None:
    typical = block.high + block.low
    typical += block.close[CLOSES - ROWS :]
    typical /= 3
    # [0]: money of rows whose typical price rose, [1]: of all rows whose price moved. NaN
    # before the series' first row, which itself has not moved.
    flow = np.empty((2, typical.size - 1))
    money = typical[1:] * block.volume[VOLUMES - ROWS + 1 :]
    np.multiply(money, typical[1:] > typical[:-1], out=flow[0])
    np.multiply(money, typical[1:] != typical[:-1], out=flow[1])
    first = block.first(ROWS)
    if first:
        flow[:, first - 1] = 0.0
    two = joined(flow, flow, 1)
    four = joined(two, two, 2)
    eight = joined(four, four, 4)
    positive, both = joined(joined(two, four, 2), eight, 6)[:, -block.size :]
    both += LEAST
    positive *= 100
    np.divide(positive, both, out=out[ROW["mfi"]])
