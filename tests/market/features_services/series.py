"""Candles that walk at random, and what is stored of their features."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from apps.market.domain.candles import CandleRow
from apps.market.domain.features.columns import NUMERIC
from apps.market.domain.features.compute import compute
from apps.market.models import FeatureSeries, FeatureVector
from apps.market.services.candles import store_candles
from apps.market.services.features.candles import BEGINNING, load_candles

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
NOW = datetime(2026, 9, 1, tzinfo=UTC)


def candle(number, *, symbol="AAA", price=None, seed=0, granularity="1h"):
    """Return the candle of one hour; the same arguments give the same candle."""
    draw = random.Random(f"{symbol} {number} {seed}")
    middle = Decimal(price or 100) + Decimal(draw.randrange(-500, 500)) / 100
    high, low = middle + Decimal("1.25"), middle - Decimal("1.5")
    volume = Decimal(draw.randrange(1_000, 9_000))
    width = HOUR if granularity == "1h" else timedelta(days=1)
    start = START + number * width
    return CandleRow(
        symbol, "test", granularity, start, middle, high, low, middle + Decimal("0.5"), volume
    )


def store(*numbers, symbol="AAA", **values):
    """Store candles by their numbers, through the door that all candles come by."""
    rows = [candle(number, symbol=symbol, **values) for number in numbers]
    outcome = store_candles(rows, now=NOW)
    assert not outcome.failed, outcome.results[:2]
    return rows


def series_of(symbol="AAA", version="3.1"):
    return FeatureSeries.objects.get(symbol=symbol, feature_version=version)


def stored(symbol="AAA", version="3.1"):
    """Return the stored numbers [97, n] with NaN for NULL, and the rows' times."""
    rows = (
        FeatureVector.objects.filter(symbol=symbol, feature_version=version)
        .order_by("timestamp")
        .values_list("timestamp", *NUMERIC)
    )
    values = np.array([row[1:] for row in rows], dtype=float).reshape(-1, len(NUMERIC))
    return values.T, [row[0] for row in rows]


def expected(symbol="AAA", version="3.1", zone="UTC"):
    """Return what a computation over all candles gives."""
    one = series_of(symbol, version)
    candles = load_candles({one.pk: BEGINNING}, most=None)[one.pk]
    return compute(candles, version=version, zone=zone)


def assert_as_computed(symbol="AAA", version="3.1", zone="UTC"):
    """Hold that the table is what a full computation gives, and the lineage what the table is."""
    values, times = stored(symbol, version)
    wanted = expected(symbol, version, zone)
    assert values.shape == wanted.shape
    np.testing.assert_allclose(values, wanted, rtol=1e-9, atol=1e-12)
    one = series_of(symbol, version)
    known = ~np.isnan(values)
    row = NUMERIC.index
    assert (one.rows, one.rsi_rows, one.ma_rows) == (
        len(times),
        known[row("rsi_1d")].sum(),
        known[row("price_ma_short")].sum(),
    )
    assert (one.first_timestamp, one.last_timestamp) == (times[0], times[-1])
    assert one.changed_from is None
    newest = FeatureVector.objects.filter(symbol=symbol, feature_version=version).latest(
        "timestamp"
    )
    assert (one.latest_rsi, one.latest_ma) == (newest.rsi_1d, newest.price_ma_short)
