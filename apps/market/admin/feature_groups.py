"""The hundred columns of a feature vector in groups that people read, and what charts show."""

from typing import Final, NamedTuple

# Title, and its columns in the order in which they are read.
GROUPS: Final[list[tuple[str, list[str]]]] = [
    ("Price", [
        "open", "high", "low", "close", "returns", "log_returns", "returns_sign",
        "returns_squared", "price_acceleration", "high_low_pct", "open_close_pct",
    ]),
    ("Trend", [
        "price_ma_short", "price_ma_med", "price_ma_long", "price_to_ma_short", "price_to_ma_med",
        "price_to_ma_long", "ma_short_to_med", "ma_med_to_long", "macd", "macd_signal",
        "macd_histogram", "macd_normalized",
    ]),
    ("Volatility", [
        "realized_vol_short", "realized_vol_med", "realized_vol_long", "gk_volatility",
        "vol_of_vol", "bb_upper", "bb_lower", "bb_position", "bb_squeeze", "atr", "atr_normalized",
    ]),
    ("Momentum", [
        "rsi_1d", "rsi_3d", "rsi_1w", "rsi_2w", "rsi_ema", "williams_r", "price_momentum_6h",
        "price_momentum_12h", "price_momentum_24h",
    ]),
    ("Volume", [
        "volume", "volume_ma", "volume_ratio", "log_volume", "vpt", "vpt_ma", "vpt_normalized",
        "mfi",
    ]),
    ("Within the day", [
        "returns_from_daily_open", "intraday_high", "intraday_low", "intraday_range_pct",
        "position_in_range", "overnight_gap", "dist_from_intraday_high", "dist_from_intraday_low",
    ]),
    ("Time", [
        "timestamp", "date", "hour", "day_of_week", "hour_sin", "hour_cos", "dow_sin", "dow_cos",
        "is_market_open", "is_morning", "is_afternoon", "hours_since_open", "hours_to_close",
    ]),
    ("Statistics", [
        f"returns_{name}_{span}h"
        for span in (6, 12, 24)
        for name in ("mean", "std", "skew", "kurt")
    ]),
    ("Lags", [
        f"{name}_lag_{steps}"
        for name in ("returns", "vol", "volume_ratio")
        for steps in (1, 2, 4, 8, 24)
    ]),
]  # fmt: skip
# Every one is a column of the table; `symbol`, the hundredth, says of what they are.
GROUPED: Final = [name for _, names in GROUPS for name in names]


class Plot(NamedTuple):
    """What one switch of the chart shows: over the price, or in a pane of its own.

    A name that begins with "|" is drawn as bars. ``levels`` are lines across the pane.
    """

    title: str
    columns: tuple[str, ...]
    over_price: bool = False
    levels: tuple[float, ...] = ()


PLOTS: Final[dict[str, Plot]] = {
    "averages": Plot("Averages", ("price_ma_short", "price_ma_med", "price_ma_long"), True),
    "bands": Plot("Bands", ("bb_upper", "bb_lower"), True),
    "rsi": Plot("RSI", ("rsi_1d", "rsi_3d", "rsi_1w", "rsi_2w", "rsi_ema"), levels=(30, 70)),
    "macd": Plot("MACD", ("|macd_histogram", "macd", "macd_signal"), levels=(0,)),
    "volatility": Plot(
        "Volatility",
        ("realized_vol_short", "realized_vol_med", "realized_vol_long", "gk_volatility"),
    ),
    "volume": Plot("Volume ratio", ("|volume_ratio",), levels=(1,)),
    "flow": Plot("Money flow", ("mfi",), levels=(20, 80)),
    "range": Plot("Average true range", ("atr",)),
    "momentum": Plot(
        "Momentum", ("price_momentum_6h", "price_momentum_12h", "price_momentum_24h"), levels=(0,)
    ),
}
# Shown where nobody chose.
USUAL: Final = ("averages", "bands", "rsi", "macd")
# A chart on a phone holds no more.
MOST_PANES: Final = 4
