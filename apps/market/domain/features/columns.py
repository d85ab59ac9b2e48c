"""The names of the hundred feature columns, in the order in which they are kept."""

from typing import Final

LAGS: Final = (1, 2, 4, 8, 24)
WINDOWS: Final = (6, 12, 24)

CANDLE: Final = ("open", "high", "low", "close", "volume")

_PRICE = (
    "returns",
    "log_returns",
    "high_low_pct",
    "open_close_pct",
    "price_acceleration",
    "returns_sign",
    "returns_squared",
)
_VOLATILITY = (
    "realized_vol_short",
    "realized_vol_med",
    "realized_vol_long",
    "gk_volatility",
    "vol_of_vol",
)
_AVERAGES = (
    "price_ma_short",
    "price_ma_med",
    "price_ma_long",
    "price_to_ma_short",
    "price_to_ma_med",
    "price_to_ma_long",
    "ma_short_to_med",
    "ma_med_to_long",
)
_VOLUME = ("volume_ma", "volume_ratio", "log_volume", "vpt", "vpt_ma", "vpt_normalized", "mfi")
_STRENGTH = ("rsi_1d", "rsi_3d", "rsi_1w", "rsi_2w", "rsi_ema")
# One block of rows, so that a table of hours fills all of them at once.
CALENDAR: Final = (
    "hour",
    "day_of_week",
    "hour_sin",
    "hour_cos",
    "dow_sin",
    "dow_cos",
    "is_market_open",
    "is_morning",
    "is_afternoon",
    "hours_since_open",
    "hours_to_close",
)
INTRADAY: Final = (
    "returns_from_daily_open",
    "intraday_high",
    "intraday_low",
    "intraday_range_pct",
    "position_in_range",
    "overnight_gap",
    "dist_from_intraday_high",
    "dist_from_intraday_low",
)
_LAGGED = tuple(f"{name}_lag_{lag}" for lag in LAGS for name in ("returns", "vol", "volume_ratio"))
_ROLLING = tuple(
    f"{name}_{window}h"
    for window in WINDOWS
    for name in (
        "returns_mean",
        "returns_std",
        "returns_skew",
        "returns_kurt",
        "price_momentum",
    )
)
_TECHNICAL = (
    "bb_upper",
    "bb_lower",
    "bb_position",
    "bb_squeeze",
    "macd",
    "macd_signal",
    "macd_histogram",
    "macd_normalized",
    "atr",
    "atr_normalized",
    "williams_r",
)

# The columns that are numbers: one row each of what ``compute`` returns, in this order.
NUMERIC: Final[tuple[str, ...]] = (
    *CANDLE,
    *_PRICE,
    *_VOLATILITY,
    *_AVERAGES,
    *_VOLUME,
    *_STRENGTH,
    *CALENDAR,
    *INTRADAY,
    *_LAGGED,
    *_ROLLING,
    *_TECHNICAL,
)
ROW: Final = {name: row for row, name in enumerate(NUMERIC)}

# The columns whose values are whole numbers.
INTEGERS: Final = frozenset({"hour", "day_of_week", "is_market_open", "is_morning", "is_afternoon"})

DATE: Final = "date"
_DATED = NUMERIC.index("day_of_week") + 1
# All columns of a feature row, the three texts among them.
COLUMNS: Final[tuple[str, ...]] = (
    "symbol",
    "timestamp",
    *NUMERIC[:_DATED],
    DATE,
    *NUMERIC[_DATED:],
)
