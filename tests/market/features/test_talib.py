"""Where a column's definition is TA-Lib's, it has TA-Lib's values."""

import numpy as np
import pytest
import talib

from apps.market.domain.features.columns import ROW
from apps.market.domain.features.compute import compute
from tests.market.features import series


@pytest.fixture(scope="module")
def candles():
    return series.walk(5, 1500)


@pytest.fixture(scope="module")
def columns(candles):
    found = compute(candles, version="3.1", zone="UTC")
    return {name: found[row] for name, row in ROW.items()}


def same(found, wanted, first, *, scale=0.0):
    np.testing.assert_allclose(found[first:], wanted[first:], rtol=1e-9, atol=1e-9 * scale)


class TestTaLib:
    @pytest.mark.parametrize(("name", "window"), [("short", 24), ("med", 120), ("long", 480)])
    def test_simple_averages(self, candles, columns, name, window):
        wanted = talib.SMA(candles.close, window)
        same(columns[f"price_ma_{name}"], wanted, window - 1)

    def test_volume_average(self, candles, columns):
        same(columns["volume_ma"], talib.SMA(candles.volume, 120), 119)

    def test_williams_r(self, candles, columns):
        wanted = talib.WILLR(candles.high, candles.low, candles.close, 14)
        same(columns["williams_r"], wanted, 13, scale=1e-3)

    def test_true_range(self, candles, columns):
        ranges = talib.TRANGE(candles.high, candles.low, candles.close)
        # Its first range is NaN, having no close before it.
        wanted = np.concatenate(([np.nan], talib.SMA(ranges[1:], 14)))
        same(columns["atr"], wanted, 14)

    def test_money_flow(self, candles, columns):
        wanted = talib.MFI(candles.high, candles.low, candles.close, candles.volume, 14)
        same(columns["mfi"], wanted, 14)

    def test_bands_with_the_deviation_of_a_sample(self, candles, columns):
        # TA-Lib divides the squares by 20, the definition by 19.
        wanted = talib.BBANDS(candles.close, 20, 2 * (20 / 19) ** 0.5, 2 * (20 / 19) ** 0.5)
        same(columns["bb_upper"], wanted[0], 19)
        same(columns["bb_lower"], wanted[2], 19)

    @pytest.mark.parametrize("window", [6, 12, 24])
    def test_rate_of_change(self, candles, columns, window):
        # TA-Lib's ratio near 1 loses digits: 1e-16 of 1.
        wanted = talib.ROCP(candles.close, window)
        same(columns[f"price_momentum_{window}h"], wanted, window, scale=1e-6)

    @pytest.mark.parametrize(("name", "window"), [("short", 12), ("med", 24), ("long", 120)])
    def test_deviation_of_returns(self, columns, name, window):
        returns = columns["returns"][1:]
        wanted = talib.STDDEV(returns, window) * (24 * window / (window - 1)) ** 0.5
        same(columns[f"realized_vol_{name}"][1:], wanted, window - 1)

    def test_exponential_averages_once_the_beginning_is_forgotten(self, candles, columns):
        # TA-Lib begins with a simple mean: 600 rows later that weighs less than 1e-18.
        macd = talib.EMA(candles.close, 12) - talib.EMA(candles.close, 26)
        same(columns["macd"], macd, 700, scale=1.0)
        signal = np.concatenate((np.full(25, np.nan), talib.EMA(macd[25:], 9)))
        same(columns["macd_signal"], signal, 700, scale=1.0)

    @pytest.mark.parametrize(
        ("name", "window"), [("rsi_1d", 7), ("rsi_3d", 21), ("rsi_1w", 35), ("rsi_2w", 70)]
    )
    def test_sums_of_rises_and_falls(self, candles, columns, name, window):
        # TA-Lib's own CMO and RSI are smoothed after Wilder; the definition takes plain sums.
        moves = np.diff(candles.close)
        gain = talib.SUM(np.maximum(moves, 0), window)
        loss = talib.SUM(np.maximum(-moves, 0), window)
        wanted = 100 * gain / (gain + loss + 1e-10 * window)
        # TA-Lib's running sums keep the rounding of what has left the window: 1e-12 here.
        same(columns[name][1:], wanted, window - 1, scale=1e-2)
