"""Series of bars for tests: drawn at random, written by hand, read from real candles."""

import csv
import gzip
from datetime import datetime
from pathlib import Path

import numpy as np

from apps.analysis.domain.bars import Bars, checked

MONDAY = 1_704_067_200  # 2024-01-01, a Monday
CANDLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "candles"


def random_bars(size, *, seed=1, width=300, sigma=0.004, start=MONDAY, price=100.0):
    """Return a random walk whose opens follow the closes, without gaps."""
    chance = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(chance.normal(0, sigma, size)))
    opened = np.append(close[:1], close[:-1])
    high = np.maximum(opened, close) * (1 + np.abs(chance.normal(0, sigma / 2, size)))
    low = np.minimum(opened, close) * (1 - np.abs(chance.normal(0, sigma / 2, size)))
    volume = chance.lognormal(2, 1, size)
    starts = start + width * np.arange(size, dtype=np.int64)
    return checked(Bars(starts, opened, high, low, close, volume, width))


def bars_of(*rows, width=300, start=MONDAY):
    """Return bars from (open, high, low, close) each."""
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    starts = start + width * np.arange(columns.shape[1], dtype=np.int64)
    return checked(Bars(starts, *columns, np.ones(columns.shape[1]), width))


def real_bars(name, width):
    """Return the candles of one file of real ones."""
    with gzip.open(CANDLES / f"{name}.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    starts = [int(datetime.fromisoformat(row["timestamp"]).timestamp()) for row in rows]
    columns = (
        np.array([float(row[name]) for row in rows])
        for name in ("open", "high", "low", "close", "volume")
    )
    return checked(Bars(np.array(starts), *columns, width))


def cut(bars, size):
    """Return the first bars of a series."""
    return Bars(*(column[:size] for column in bars[:6]), bars.width)
