"""Features of a thousand symbols in the database: written, kept up with, and summed up."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg

from benchmarks.features_rows import (
    END,
    GRANULARITY,
    ROWS,
    SOURCE,
    SYMBOLS,
    fill_candles,
    symbol,
    walk,
)
from benchmarks.harness import Case, at_least, at_most, connect, timed

NAMES = [
    "features of 1.9 million candles computed and written, against written alone",
    "features written, against bulk_create of Django",
    "one candle more for 1,000 symbols, against refresh and full recompute",
    "coverage kept with one candle for 1,000 symbols, against REFRESH … CONCURRENTLY",
    "the coverage read while it is refreshed, against in quiet (slowest of 200)",
]
VERSION, ZONE = "3.1", "UTC"
# bulk_create would take minutes: it is done for a part of the symbols, its time counts as often.
BULK_SHARE = 100
NOW = END + timedelta(days=1)
READ = (
    "SELECT symbol, latest_timestamp, total_records, latest_version, latest_rsi, latest_ma,"
    " rsi_coverage, ma_coverage, refreshed_at FROM mv_features_dashboard_summary"
    " ORDER BY symbol LIMIT 100"
)
COUNTED = """
UPDATE feature_series SET rows = feature_series.rows + 1, rsi_rows = feature_series.rsi_rows + 1,
    ma_rows = feature_series.ma_rows + 1, last_timestamp = n.last, latest_rsi = n.rsi,
    latest_ma = n.ma
FROM unnest(%(id)s::bigint[], %(last)s::timestamptz[], %(rsi)s::float8[], %(ma)s::float8[])
    AS n (id, last, rsi, ma)
WHERE feature_series.id = n.id
"""


class Stage:
    """The candles and their features, and each way to keep them."""

    def __init__(self) -> None:
        from django.db import transaction

        from apps.market.domain.features.columns import NUMERIC
        from apps.market.domain.features.compute import Candles, compute, local_dates
        from apps.market.models import FeatureVector
        from apps.market.services.basics import ensure_basics
        from apps.market.services.candles import store_candles
        from apps.market.services.coverage import refresh_coverage
        from apps.market.services.features import building
        from apps.market.services.features.encoding import FeatureRows
        from apps.market.services.features.stepping import advance_series
        from apps.market.services.features.write import write_features

        self.numeric, self.vector = NUMERIC, FeatureVector
        self.compute, self.local_dates, self.rows = compute, local_dates, FeatureRows
        self.write_features, self.transaction = write_features, transaction
        self.store_candles, self.advance_series = store_candles, advance_series
        self.building, self.refresh_coverage = building, refresh_coverage
        ensure_basics()
        self.connection = connect()
        fill_candles(self.connection)
        self.candles = [Candles(*walk(place)) for place in range(SYMBOLS)]
        self.computed = [self.featured(place) for place in range(SYMBOLS)]
        self.steps = 0

    def featured(self, place: int):  # type: ignore[no-untyped-def]
        candles = self.candles[place]
        values = self.compute(candles, version=VERSION, zone=ZONE)
        dates = self.local_dates(candles.start, ZONE).astype("S10")
        key = (symbol(place), SOURCE, GRANULARITY, VERSION)
        return self.rows(key, candles.start, values, dates)

    # --- Writing --------------------------------------------------------------------------

    def empty(self) -> None:
        self.connection.execute("TRUNCATE feature_engineered_data, feature_series")

    def written(self, rows) -> float:  # type: ignore[no-untyped-def]
        """Write rows into the empty table, in one transaction; return what it took."""
        self.empty()
        with self.transaction.atomic():
            return timed(lambda: self.write_features(rows))

    def both(self) -> float:
        return self.written(self.featured(place) for place in range(SYMBOLS))

    def alone(self) -> float:
        return self.written(self.computed)

    def bulk(self) -> float:
        """Write a part of the symbols with objects of the ORM."""
        self.empty()
        spent = 0.0
        for rows in self.computed[::BULK_SHARE]:
            objects = [
                self.vector(
                    symbol=rows.key[0],
                    source=SOURCE,
                    granularity=GRANULARITY,
                    feature_version=VERSION,
                    timestamp=datetime.fromtimestamp(int(start), UTC),
                    date=date.decode(),
                    **{
                        name: None if value != value else value
                        for name, value in zip(self.numeric, values, strict=True)
                    },
                )
                for start, date, values in zip(
                    rows.start, rows.date, rows.values.T.tolist(), strict=True
                )
            ]
            spent += timed(
                lambda objects=objects: self.vector.objects.bulk_create(objects, batch_size=500)
            )
        return spent * BULK_SHARE

    def build(self) -> None:
        """Build all that is due, as one worker would."""
        self.building.plan_build(now=NOW)
        while self.building.work(clock=lambda: datetime.now(UTC), joined=lambda: None):
            pass

    # --- One candle more --------------------------------------------------------------------

    def have_features(self) -> None:
        """Have all features as the product itself builds them, with what they are carried on."""
        self.empty()
        seconds = timed(self.build)
        print(f"{SYMBOLS * ROWS:,} candles read, computed and written in {seconds:.1f} s")
        self.refresh_coverage(now=NOW)
        self.tidy()
        self.tell_reads()

    def tidy(self) -> None:
        """Leave no dead rows, as the database does by itself before long: a refresh is quicker."""
        self.connection.execute("VACUUM ANALYZE feature_engineered_data, feature_series")

    def step(self) -> float:
        """Store one candle more of each symbol, outside the clock, and add its features."""
        self.steps += 1
        moment = END + self.steps * timedelta(hours=1)
        price = Decimal("100.5") + self.steps
        candles = [CandleLike(symbol(place), moment, price + place % 7) for place in range(SYMBOLS)]
        self.store_candles(candles, now=moment + timedelta(hours=2))
        ids = self.series()
        return timed(lambda: self.advance_series(ids, now=moment))

    def series(self) -> list[int]:
        return [row[0] for row in self.connection.execute("SELECT id FROM feature_series")]

    def everything(self) -> float:
        """Compute all features anew and refresh the coverage."""
        self.connection.execute("UPDATE feature_series SET definition_hash = 'old'")
        return timed(self.build) + self.refresh()

    # --- Coverage -------------------------------------------------------------------------

    def refresh(self) -> float:
        return timed(
            lambda: self.connection.execute(
                "REFRESH MATERIALIZED VIEW CONCURRENTLY mv_features_dashboard_summary"
            )
        )

    def count(self) -> float:
        """Keep the counts of 1,000 series with one candle more, as each build does."""
        rows = self.connection.execute(
            "SELECT id, last_timestamp, latest_rsi, latest_ma FROM feature_series"
        ).fetchall()
        names = ("id", "last", "rsi", "ma")
        values = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        return timed(lambda: self.connection.execute(COUNTED, values))

    def tell_reads(self) -> None:
        plan = self.connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {READ}").fetchone()[0][0]
        took = [self.refresh() for _ in range(3)]
        print(
            f"the coverage page's query: {plan['Execution Time']:.3f} ms in the database at "
            f"{SYMBOLS * ROWS:,} rows; a refresh {statistics.median(took):.2f} s"
        )

    def slowest_read(self, *, refreshing: bool) -> float:
        """Return the slowest of 200 reads, while the coverage is refreshed or not."""
        over = threading.Event()

        def refresh() -> None:
            with psycopg.connect(self.connection.info.dsn, autocommit=True,
                                 password=self.connection.info.password) as other:  # fmt: skip
                while not over.is_set():
                    other.execute(
                        "REFRESH MATERIALIZED VIEW CONCURRENTLY mv_features_dashboard_summary"
                    )

        thread = threading.Thread(target=refresh)
        if refreshing:
            thread.start()
        costs = []
        try:
            for _ in range(200):
                costs.append(timed(lambda: self.connection.execute(READ).fetchall()))
                time.sleep(0.002)
        finally:
            over.set()
            if refreshing:
                thread.join()
        return max(costs)


class CandleLike:
    """A candle as ``store_candles`` takes it."""

    source, granularity, volume = SOURCE, GRANULARITY, Decimal(1000)

    def __init__(self, name: str, timestamp: datetime, price: Decimal) -> None:
        self.symbol, self.timestamp = name, timestamp
        self.open = self.high = self.low = self.close = price


@contextmanager
def cases() -> Iterator[list[Case]]:
    """Yield the cases, in the order in which each leaves the tables to the next."""
    stage = Stage()
    yield [
        Case(NAMES[0], at_most(1.15), stage.both, stage.alone, runs=3),
        Case(NAMES[1], at_least(40), stage.alone, stage.bulk, runs=1),
        Case(
            NAMES[2],
            at_most(1 / 200),
            stage.step,
            stage.everything,
            setup=stage.have_features,
            runs=3,
        ),
        Case(NAMES[3], at_most(1 / 100), stage.count, stage.refresh, setup=stage.tidy, runs=9),
        Case(
            NAMES[4],
            at_most(5),
            lambda: stage.slowest_read(refreshing=True),
            lambda: stage.slowest_read(refreshing=False),
            runs=3,
        ),
    ]
    stage.connection.close()
