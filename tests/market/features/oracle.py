"""The columns of version 3.1 written down from their definitions, one window at a time."""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from apps.market.domain.features.columns import NUMERIC

NAN = math.nan


def mean(values):
    return math.fsum(values) / len(values)


def divided(above, below):
    return above / below if below else NAN


def deviation(values):
    if len(values) < 2:
        return NAN
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def skewness(values):
    count, middle = len(values), mean(values)
    second = math.fsum((value - middle) ** 2 for value in values) / count
    third = math.fsum((value - middle) ** 3 for value in values) / count
    if len(set(values)) == 1:
        return NAN
    return math.sqrt(count * (count - 1)) / (count - 2) * third / second**1.5


def kurtosis(values):
    count, middle = len(values), mean(values)
    second = math.fsum((value - middle) ** 2 for value in values) / count
    fourth = math.fsum((value - middle) ** 4 for value in values) / count
    if len(set(values)) == 1:
        return NAN
    excess = (count + 1) * fourth / second**2 - 3 * (count - 1)
    return (count - 1) / ((count - 2) * (count - 3)) * excess


def window(values, row, size):
    """The last ``size`` values, or None where one of them is not known."""
    if row + 1 < size:
        return None
    found = values[row + 1 - size : row + 1]
    return None if any(math.isnan(value) for value in found) else found


def rolled(function, values, size):
    return [
        NAN if (found := window(values, row, size)) is None else function(found)
        for row in range(len(values))
    ]


def recent(function, values, size):
    """The same with fewer values in the first rows."""
    return [function(values[max(0, row + 1 - size) : row + 1]) for row in range(len(values))]


def lagged(values, lag):
    return [NAN] * min(lag, len(values)) + values[: max(0, len(values) - lag)]


def adjusted(values, span):
    """Each value weighed (1−α)^age, over the sum of those weights."""
    alpha = 2 / (span + 1)
    found = []
    for row in range(len(values)):
        ages = range(min(row, 900) + 1)
        weights = [(1 - alpha) ** age for age in ages]
        total = math.fsum(weights[age] * values[row - age] for age in ages)
        found.append(total / math.fsum(weights))
    return found


def smoothed(values, alpha):
    found = [values[0]]
    for value in values[1:]:
        found.append(alpha * value + (1 - alpha) * found[-1])
    return found


def strength(gain, loss):
    """100 − 100/(1 + gain/(loss + 1e-10)), put so that a weak one keeps its digits."""
    return 100 * gain / (gain + loss + 1e-10)


def columns(candles, zone):
    start, opens, high, low, close, volume = (column.tolist() for column in candles)
    rows = range(len(start))
    found = {"open": opens, "high": high, "low": low, "close": close, "volume": volume}
    moves = [0.0, *(close[row] - close[row - 1] for row in rows[1:])]
    returns = [NAN, *(moves[row] / close[row - 1] for row in rows[1:])]
    found["returns"] = returns
    found["log_returns"] = [math.log1p(value) for value in returns]
    found["high_low_pct"] = [(high[row] - low[row]) / close[row] for row in rows]
    found["open_close_pct"] = [(close[row] - opens[row]) / opens[row] for row in rows]
    found["price_acceleration"] = [NAN, *(returns[row] - returns[row - 1] for row in rows[1:])]
    found["returns_sign"] = [
        NAN if math.isnan(value) else float((value > 0) - (value < 0)) for value in returns
    ]
    found["returns_squared"] = [value * value for value in returns]
    add_volatility(found, returns)
    add_averages(found, rows)
    add_volume(found, rows, returns)
    add_strength(found, moves)
    add_calendar(found, start, zone, rows)
    add_technical(found, rows)
    for lag in (1, 2, 4, 8, 24):
        found[f"returns_lag_{lag}"] = lagged(returns, lag)
        found[f"vol_lag_{lag}"] = lagged(found["realized_vol_short"], lag)
        found[f"volume_ratio_lag_{lag}"] = lagged(found["volume_ratio"], lag)
    for size in (6, 12, 24):
        found[f"returns_mean_{size}h"] = rolled(mean, returns, size)
        found[f"returns_std_{size}h"] = rolled(deviation, returns, size)
        found[f"returns_skew_{size}h"] = rolled(skewness, returns, size)
        found[f"returns_kurt_{size}h"] = rolled(kurtosis, returns, size)
        found[f"price_momentum_{size}h"] = [
            (close[row] - close[row - size]) / close[row - size] if row >= size else NAN
            for row in rows
        ]
    return np.array([found[name] for name in NUMERIC], np.float64)


def add_volatility(found, returns):
    def annual(size):
        return [math.sqrt(24) * value for value in rolled(deviation, returns, size)]

    found["realized_vol_short"], found["realized_vol_med"] = annual(12), annual(24)
    found["realized_vol_long"] = annual(120)
    found["vol_of_vol"] = rolled(deviation, found["realized_vol_med"], 24)
    parts = [
        0.5 * math.log1p((high - low) / low) ** 2
        - (2 * math.log(2) - 1) * math.log1p((close - opens) / opens) ** 2
        for opens, high, low, close in zip(
            found["open"], found["high"], found["low"], found["close"], strict=True
        )
    ]
    found["gk_volatility"] = [
        math.sqrt(24 * value) if value >= 0 else NAN for value in rolled(mean, parts, 24)
    ]


def add_averages(found, rows):
    close = found["close"]
    averages = {"short": 24, "med": 120, "long": 480}
    for name, size in averages.items():
        found[f"price_ma_{name}"] = recent(mean, close, size)
        found[f"price_to_ma_{name}"] = [close[row] / found[f"price_ma_{name}"][row] for row in rows]
    short, medium, long = (found[f"price_ma_{name}"] for name in averages)
    found["ma_short_to_med"] = [short[row] / medium[row] for row in rows]
    found["ma_med_to_long"] = [medium[row] / long[row] for row in rows]


def add_volume(found, rows, returns):
    volume = found["volume"]
    found["volume_ma"] = rolled(mean, volume, 120)
    found["volume_ratio"] = [divided(volume[row], found["volume_ma"][row]) for row in rows]
    found["log_volume"] = [math.log1p(value) for value in volume]
    trend, total = [NAN], 0.0
    for row in rows[1:]:
        total += volume[row] * returns[row]
        trend.append(total)
    found["vpt"], found["vpt_ma"] = trend, rolled(mean, trend, 24)
    found["vpt_normalized"] = [divided(trend[row], found["vpt_ma"][row]) for row in rows]
    typical = [(found["high"][row] + found["low"][row] + found["close"][row]) / 3 for row in rows]
    money = [typical[row] * volume[row] for row in rows]
    rising = [0.0, *(money[row] * (typical[row] > typical[row - 1]) for row in rows[1:])]
    falling = [0.0, *(money[row] * (typical[row] < typical[row - 1]) for row in rows[1:])]
    up, down = rolled(math.fsum, rising, 14), rolled(math.fsum, falling, 14)
    found["mfi"] = [strength(up[row], down[row]) for row in rows]


def add_strength(found, moves):
    rises = [max(move, 0.0) for move in moves]
    falls = [max(-move, 0.0) for move in moves]
    for name, size in {"rsi_1d": 7, "rsi_3d": 21, "rsi_1w": 35, "rsi_2w": 70}.items():
        pairs = zip(rolled(mean, rises, size), rolled(mean, falls, size), strict=True)
        found[name] = [strength(gain, loss) for gain, loss in pairs]
    pairs = zip(smoothed(rises, 2 / 15), smoothed(falls, 2 / 15), strict=True)
    found["rsi_ema"] = [strength(gain, loss) for gain, loss in pairs]


def add_calendar(found, start, zone, rows):
    opens, high, low, close = (found[name] for name in ("open", "high", "low", "close"))
    times = [datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(zone)) for second in start]
    hours, weekdays = [time.hour for time in times], [time.weekday() for time in times]
    found["hour"], found["day_of_week"] = hours, weekdays
    found["hour_sin"] = [math.sin(2 * math.pi * hour / 24) for hour in hours]
    found["hour_cos"] = [math.cos(2 * math.pi * hour / 24) for hour in hours]
    found["dow_sin"] = [math.sin(2 * math.pi * weekday / 7) for weekday in weekdays]
    found["dow_cos"] = [math.cos(2 * math.pi * weekday / 7) for weekday in weekdays]
    found["is_market_open"] = [float(9 <= hour <= 16) for hour in hours]
    found["is_morning"] = [float(9 <= hour <= 12) for hour in hours]
    found["is_afternoon"] = [float(13 <= hour <= 16) for hour in hours]
    found["hours_since_open"] = [min(max(hour - 9, 0), 7) for hour in hours]
    found["hours_to_close"] = [min(max(16 - hour, 0), 7) for hour in hours]
    names = (
        "returns_from_daily_open",
        "intraday_high",
        "intraday_low",
        "intraday_range_pct",
        "position_in_range",
        "overnight_gap",
        "dist_from_intraday_high",
        "dist_from_intraday_low",
    )
    found.update((name, []) for name in names)
    for row in rows:
        day = [at for at in rows[: row + 1] if times[at].date() == times[row].date()]
        first, highest, lowest = day[0], max(high[at] for at in day), min(low[at] for at in day)
        before = close[first - 1] if first else NAN
        values = (
            (close[row] - opens[first]) / opens[first],
            highest,
            lowest,
            (highest - lowest) / opens[first],
            (close[row] - lowest) / (highest - lowest) if highest > lowest else 0.5,
            (opens[first] - before) / before,
            (close[row] - highest) / highest,
            (close[row] - lowest) / lowest,
        )
        for name, value in zip(names, values, strict=True):
            found[name].append(value)


def add_technical(found, rows):
    high, low, close = (found[name] for name in ("high", "low", "close"))
    # From the close itself: a mean of large numbers would lose the digits of their distances.
    for row in rows:
        distances = [value - close[row] for value in close[max(0, row - 19) : row + 1]]
        apart, reach = mean(distances), 2 * deviation(distances)
        middle = close[row] + apart
        values = (
            middle + reach,
            middle - reach,
            divided(reach - apart, 2 * reach),
            2 * reach / middle,
        )
        for name, value in zip(
            ("bb_upper", "bb_lower", "bb_position", "bb_squeeze"), values, strict=True
        ):
            found.setdefault(name, []).append(value)
    distances = [value - close[0] for value in close]
    fast, slow = adjusted(distances, 12), adjusted(distances, 26)
    macd = [fast[row] - slow[row] for row in rows]
    signal = adjusted(macd, 9)
    found["macd"], found["macd_signal"] = macd, signal
    found["macd_histogram"] = [macd[row] - signal[row] for row in rows]
    found["macd_normalized"] = [macd[row] / close[row] for row in rows]
    ranges = [
        max(
            high[row] - low[row],
            *(abs(side[row] - close[row - 1]) for side in (high, low) if row),
            0.0,
        )
        for row in rows
    ]
    found["atr"] = recent(mean, ranges, 14)
    found["atr_normalized"] = [found["atr"][row] / close[row] for row in rows]
    highest, lowest = recent(max, high, 14), recent(min, low, 14)
    found["williams_r"] = [
        divided(-100 * (highest[row] - close[row]), highest[row] - lowest[row]) for row in rows
    ]
