"""Features as people compute them elsewhere: on data frames of pandas, and with ``ta``."""

from typing import Any

import numpy as np
import pandas as pd

CANDLE = ("open", "high", "low", "close", "volume")
LAGS = (1, 2, 4, 8, 24)
WINDOWS = (6, 12, 24)


def with_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame (open … volume by time) with the features of version 3.1 beside it."""
    columns = features_of(*(frame[name] for name in CANDLE))
    return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)


def with_wide_frames(frames: list[pd.DataFrame]) -> dict[str, Any]:
    """Return the same of symbols with the same hours, as one frame per column."""
    wide = (pd.concat([frame[name] for frame in frames], axis=1) for name in CANDLE)
    return features_of(*(each.set_axis(range(len(frames)), axis=1) for each in wide))


def features_of(open_: Any, high: Any, low: Any, close: Any, volume: Any) -> dict[str, Any]:
    """Return the features of one symbol (series), or of many side by side (frames)."""
    out: dict[str, Any] = {}
    returns = close.pct_change()
    out["returns"] = returns
    out["log_returns"] = np.log(close / close.shift())
    out["high_low_pct"] = (high - low) / close
    out["open_close_pct"] = (close - open_) / open_
    out["price_acceleration"] = returns.diff()
    out["returns_sign"] = np.sign(returns)
    out["returns_squared"] = returns**2
    for name, window in (("short", 12), ("med", 24), ("long", 120)):
        out[f"realized_vol_{name}"] = returns.rolling(window).std() * np.sqrt(24)
    body = 0.5 * np.log(high / low) ** 2 - (2 * np.log(2) - 1) * np.log(close / open_) ** 2
    out["gk_volatility"] = np.sqrt(body.rolling(24).mean() * 24)
    out["vol_of_vol"] = out["realized_vol_med"].rolling(24).std()
    for name, window in (("short", 24), ("med", 120), ("long", 480)):
        average = close.rolling(window, min_periods=1).mean()
        out[f"price_ma_{name}"] = average
        out[f"price_to_ma_{name}"] = close / average
    out["ma_short_to_med"] = out["price_ma_short"] / out["price_ma_med"]
    out["ma_med_to_long"] = out["price_ma_med"] / out["price_ma_long"]
    out["volume_ma"] = volume.rolling(120).mean()
    out["volume_ratio"] = volume / out["volume_ma"]
    out["log_volume"] = np.log(volume + 1)
    out["vpt"] = (volume * returns).cumsum()
    out["vpt_ma"] = out["vpt"].rolling(24).mean()
    out["vpt_normalized"] = out["vpt"] / out["vpt_ma"]
    typical = (high + low + close) / 3
    flow, step = typical * volume, typical.diff()
    inward = flow.where(step > 0, 0.0).rolling(14).sum()
    outward = flow.where(step < 0, 0.0).rolling(14).sum()
    out["mfi"] = 100 - 100 / (1 + inward / (outward + 1e-10))
    step = close.diff()
    for name, window in (("1d", 7), ("3d", 21), ("1w", 35), ("2w", 70)):
        gain = step.where(step > 0, 0.0).rolling(window).mean()
        loss = (-step.where(step < 0, 0.0)).rolling(window).mean()
        out[f"rsi_{name}"] = 100 - 100 / (1 + gain / (loss + 1e-10))
    gain = step.where(step > 0, 0.0).ewm(alpha=2 / 15, adjust=False).mean()
    loss = (-step.where(step < 0, 0.0)).ewm(alpha=2 / 15, adjust=False).mean()
    out["rsi_ema"] = 100 - 100 / (1 + gain / (loss + 1e-10))
    out |= of_time(close.index)
    out |= of_day(open_, high, low, close)
    for lag in LAGS:
        out[f"returns_lag_{lag}"] = returns.shift(lag)
        out[f"vol_lag_{lag}"] = out["realized_vol_short"].shift(lag)
        out[f"volume_ratio_lag_{lag}"] = out["volume_ratio"].shift(lag)
    for window in WINDOWS:
        rolling = returns.rolling(window)
        out[f"returns_mean_{window}h"] = rolling.mean()
        out[f"returns_std_{window}h"] = rolling.std()
        out[f"returns_skew_{window}h"] = rolling.skew()
        out[f"returns_kurt_{window}h"] = rolling.kurt()
        out[f"price_momentum_{window}h"] = close / close.shift(window) - 1
    middle = close.rolling(20, min_periods=1).mean()
    spread = close.rolling(20, min_periods=1).std()
    out["bb_upper"], out["bb_lower"] = middle + 2 * spread, middle - 2 * spread
    out["bb_position"] = (close - out["bb_lower"]) / (out["bb_upper"] - out["bb_lower"])
    out["bb_squeeze"] = (out["bb_upper"] - out["bb_lower"]) / middle
    out["macd"] = close.ewm(span=12).mean() - close.ewm(span=26).mean()
    out["macd_signal"] = out["macd"].ewm(span=9).mean()
    out["macd_histogram"] = out["macd"] - out["macd_signal"]
    out["macd_normalized"] = out["macd"] / close
    before = close.shift()
    ranges = np.fmax(np.fmax(high - low, (high - before).abs()), (low - before).abs())
    out["atr"] = ranges.rolling(14, min_periods=1).mean()
    out["atr_normalized"] = out["atr"] / close
    highest = high.rolling(14, min_periods=1).max()
    lowest = low.rolling(14, min_periods=1).min()
    out["williams_r"] = -100 * (highest - close) / (highest - lowest)
    return out


def of_time(index: pd.DatetimeIndex) -> dict[str, Any]:
    hour, day = index.hour, index.dayofweek
    return {
        "hour": hour,
        "day_of_week": day,
        "date": index.strftime("%Y-%m-%d"),
        "hour_sin": np.sin(2 * np.pi * hour / 24),
        "hour_cos": np.cos(2 * np.pi * hour / 24),
        "dow_sin": np.sin(2 * np.pi * day / 7),
        "dow_cos": np.cos(2 * np.pi * day / 7),
        "is_market_open": ((hour >= 9) & (hour <= 16)).astype(int),
        "is_morning": ((hour >= 9) & (hour <= 12)).astype(int),
        "is_afternoon": ((hour >= 13) & (hour <= 16)).astype(int),
        "hours_since_open": np.clip(hour - 9, 0, 7),
        "hours_to_close": np.clip(16 - hour, 0, 7),
    }


def of_day(open_: Any, high: Any, low: Any, close: Any) -> dict[str, Any]:
    date = close.index.normalize()
    first = open_.groupby(date).transform("first")
    high, low = high.groupby(date).cummax(), low.groupby(date).cummin()
    span = high - low
    gap = open_.groupby(date).first() / close.groupby(date).last().shift() - 1
    return {
        "returns_from_daily_open": (close - first) / first,
        "intraday_high": high,
        "intraday_low": low,
        "intraday_range_pct": span / first,
        "position_in_range": ((close - low) / span).where(span > 0, 0.5),
        "overnight_gap": gap.reindex(date).set_axis(close.index),
        "dist_from_intraday_high": (close - high) / high,
        "dist_from_intraday_low": (close - low) / low,
    }


def with_ta(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with every indicator of ``ta`` (86 columns)."""
    import ta

    return ta.add_all_ta_features(frame.copy(), "open", "high", "low", "close", "volume")
