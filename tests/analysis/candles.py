"""Series of candles for tests of what is tried out on them."""

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from apps.market.choices import Granularity
from apps.market.domain.candles import CandleRow
from apps.market.services.candles import store_candles

NEW_YEAR = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
LATER = NEW_YEAR + timedelta(days=365)


def walk_rows(
    symbol: str = "ETH/BTC",
    *,
    bars: int,
    granularity: str = Granularity.M15,
    source: str = "test",
    start: datetime = NEW_YEAR,
    seed: int = 1,
) -> list[CandleRow]:
    """Return a random walk as candles that follow upon each other."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0.0002, 0.008, bars)))
    open_ = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(open_, close) * (1 + random.uniform(0, 0.006, bars))
    low = np.minimum(open_, close) * (1 - random.uniform(0, 0.006, bars))
    volume = random.uniform(1, 9, bars)
    width = Granularity(granularity).width
    tenth = Decimal("0.0001")
    return [
        CandleRow(
            symbol,
            source,
            granularity,
            start + number * width,
            # Rounded, an open may leave the range that low and high enclose.
            *(
                min(max(Decimal(str(each)).quantize(tenth), lowest), highest)
                for each in (open_[number], high[number], low[number], close[number])
                for lowest, highest in [
                    (
                        Decimal(str(low[number])).quantize(tenth),
                        Decimal(str(high[number])).quantize(tenth),
                    )
                ]
            ),
            Decimal(str(volume[number])).quantize(tenth),
        )
        for number in range(bars)
    ]


def store_walk(symbol: str = "ETH/BTC", **options: object) -> list[CandleRow]:
    """Store a random walk and return its candles."""
    rows = walk_rows(symbol, **options)  # type: ignore[arg-type]
    outcome = store_candles(rows, now=LATER)
    assert not outcome.failed
    return rows
