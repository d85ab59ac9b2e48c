"""Random walks of a thousand symbols: in memory, and as stored candles."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg

SYMBOLS, ROWS = 1_000, 1_900
HOUR = 3600
# The last candle is of some days ago, so that all of the newest 90 days is there.
END = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=2)
START = int(END.timestamp()) - (ROWS - 1) * HOUR
SOURCE, GRANULARITY = "bench", "1h"

COPY = """
    COPY candles (symbol, source, granularity, timestamp, open, high, low, close, volume)
    FROM STDIN
"""


def symbol(place: int) -> str:
    return f"S{place:04}/USD"


def walk(place: int, rows: int = ROWS) -> tuple[np.ndarray, ...]:
    """Return starts, open, high, low, close and volume of one symbol, by two decimals."""
    random = np.random.default_rng(place)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.01, rows))), 2) + 1
    open_ = np.roll(close, 1)
    open_[0] = 100
    noise = np.abs(random.normal(0, 0.004, (2, rows)))
    high = np.round(np.maximum(open_, close) * (1 + noise[0]), 2) + 0.01
    low = np.round(np.minimum(open_, close) * (1 - noise[1]), 2) - 0.01
    volume = np.round(random.lognormal(10, 1, rows), 0)
    start = START + HOUR * np.arange(rows, dtype=np.int64)
    return start, open_, high, low, close, volume


def fill_candles(connection: psycopg.Connection, symbols: int = SYMBOLS) -> None:
    """Store the walks of so many symbols, their instruments and their series."""
    began = time.perf_counter()
    connection.execute("TRUNCATE candles, candle_series, feature_engineered_data CASCADE")
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for place in range(symbols):
            start, *values = walk(place)
            name = symbol(place)
            moments = start.astype("datetime64[s]").astype(str)
            for row in zip(moments, *values, strict=True):
                copy.write_row((name, SOURCE, GRANULARITY, f"{row[0]}Z", *row[1:]))
    connection.execute(
        "INSERT INTO candle_series (symbol, source, granularity, first_timestamp, last_timestamp)"
        " SELECT symbol, source, granularity, min(timestamp), max(timestamp)"
        " FROM candles GROUP BY symbol, source, granularity"
    )
    connection.execute("ANALYZE candles, candle_series")
    print(f"{symbols * ROWS:,} candles stored in {time.perf_counter() - began:.0f} s")
