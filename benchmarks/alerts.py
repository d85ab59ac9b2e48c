"""Prices and judgements of ten thousand alerts, against COPY and against a loop of queries."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from benchmarks.harness import Case, at_least, connect, timed

NAMES = [
    "prices at the checkpoints of 10,000 alerts, against COPY of the rows",
    "prices at the checkpoints of 10,000 alerts, against COPY of ready text",
    "10,000 alerts judged over 72 h of hourly candles, against an ORM loop",
    "10,000 alerts judged over 72 h of 5-minute candles, against an ORM loop",
]
ALERTS = 10_000
SYMBOLS = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30
NOW = START + timedelta(days=DAYS)
HOURS = [1, 3, 24, 72]
# The loop takes a fiftieth of the alerts, and its time counts fiftyfold.
SHARE = 50

CANDLES = """
    INSERT INTO candles (symbol, source, granularity, timestamp, open, high, low, close, volume)
    SELECT 'COIN' || s || '/USD', 'venue', %(granularity)s, t, p, p * 1.002, p * 0.998, p, 1
    FROM generate_series(1, %(symbols)s) s,
        generate_series(%(start)s::timestamptz, %(end)s, %(width)s) t,
        LATERAL (SELECT round((100 + 5 * sin(extract(epoch FROM t) / 40000 + s)
            + 3 * sin(extract(epoch FROM t) / 7000 * s))::numeric, 6) AS p) prices
"""
COLUMNS = """alert_id, symbol, timestamp, time_elapsed_hours, status, price, percentage_change,
    candle_timestamp, created_at"""


class Stage:
    """Candles of one width, alerts placed on them, and their tables as each turn finds them."""

    def __init__(self, granularity: str, width: timedelta) -> None:
        from apps.alerts import services

        self.services = services
        self.connection = connect()
        self.granularity = granularity
        self.execute("TRUNCATE candles, alerts, price_tracking, performance_summary")
        self.execute(
            CANDLES,
            granularity=granularity,
            symbols=SYMBOLS,
            start=START,
            end=NOW,
            width=width,
        )
        # VACUUM counts a page as visible to all only once its rows have reached the disk.
        time.sleep(1)
        self.execute("VACUUM ANALYZE candles")
        services.raise_alerts(alerts(), now=NOW)
        # At one moment after the last alert all have their series, and nothing is due.
        self.execute(
            "UPDATE performance_summary SET source = 'venue', granularity = %(g)s,"
            " next_checkpoint_at = next_checkpoint_at + interval '1 hour'",
            g=granularity,
        )
        self.execute(
            "DROP TABLE IF EXISTS placed; CREATE TABLE placed AS TABLE performance_summary"
        )
        services.track_due_prices(now=NOW)
        query = f"SELECT {COLUMNS} FROM price_tracking ORDER BY id"
        self.rows = self.connection.execute(query.encode()).fetchall()
        self.text = self.copied_out(query)
        self.execute("DROP TABLE IF EXISTS priced; CREATE TABLE priced AS TABLE price_tracking")
        self.execute("VACUUM ANALYZE alerts")

    def execute(self, statement: str, **parameters: Any) -> None:
        self.connection.execute(statement.encode(), parameters or None)

    def copied_out(self, query: str) -> bytes:
        with self.connection.cursor().copy(f"COPY ({query}) TO STDOUT".encode()) as source:
            return b"".join(bytes(block) for block in source)

    def reset(self, *, priced: bool) -> None:
        """Bring the tables back to where a turn begins."""
        self.execute("TRUNCATE price_tracking, performance_summary")
        self.execute("INSERT INTO performance_summary TABLE placed")
        if priced:
            self.execute("INSERT INTO price_tracking TABLE priced")
        self.execute("VACUUM ANALYZE performance_summary, price_tracking")

    def track(self) -> float:
        self.reset(priced=False)
        return timed(lambda: expect(self.services.track_due_prices(now=NOW), 4 * ALERTS))

    def copy(self, *, ready: bool = False) -> float:
        """Copy the rows, from what a program holds of them or from text made beforehand."""
        self.reset(priced=False)

        def work() -> None:
            statement = f"COPY price_tracking ({COLUMNS}) FROM STDIN"
            with self.connection.cursor().copy(statement.encode()) as sink:
                if ready:
                    sink.write(self.text)
                else:
                    for row in self.rows:
                        sink.write_row(row)

        return timed(work)

    def settle(self) -> float:
        self.reset(priced=True)
        return timed(lambda: expect(self.services.settle_alerts(now=NOW), ALERTS))

    def settle_in_a_loop(self) -> float:
        self.reset(priced=True)
        return SHARE * timed(settle_in_a_loop)


def expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise RuntimeError(f"{found} rows were written, not {wanted}.")


def alerts() -> list[Any]:
    """Return alerts as a program would send them, all of them over by the end."""

    from apps.alerts.api.views import AlertRow

    chance = random.Random(5)
    rows = []
    # They come in the order of their time, as alerts do.
    times = sorted(chance.randrange(3600, 86400 * (DAYS - 4)) for _ in range(ALERTS))
    for number, seconds in enumerate(times):
        sign = chance.choice([1, -1])
        entry = Decimal(f"{chance.uniform(95, 105):.4f}")
        rows.append(
            AlertRow(
                alert_id=f"trade_COIN_momentum_1h_{number:06}",
                symbol=f"COIN{chance.randint(1, SYMBOLS)}/USD",
                timestamp=START + timedelta(seconds=seconds),
                direction="long" if sign > 0 else "short",
                entry_price=entry,
                target_price=entry * (1 + sign * Decimal(chance.randint(1, 9)) / 100),
                stop_loss=entry * (1 - sign * Decimal(chance.randint(1, 9)) / 100),
            )
        )
    return rows


def settle_in_a_loop() -> None:
    """Judge alerts the way one writes it first: query by query, row by row."""
    from django.utils import timezone

    from apps.alerts.models import AlertPerformance
    from apps.market.models import Candle
    from apps.shared.quant import outcomes

    last = timedelta(hours=HOURS[-1])
    found = AlertPerformance.objects.filter(status="open").select_related("alert").order_by("pk")
    for performance in found[: ALERTS // SHARE]:
        alert = performance.alert
        sign = 1 if alert.direction == "long" else -1
        points = {
            point.time_elapsed_hours: point.percentage_change
            for point in alert.tracked_prices.all()
        }
        width = timedelta(hours=1) if performance.granularity == "1h" else timedelta(minutes=5)
        candles = Candle.objects.filter(
            symbol=alert.symbol,
            source=performance.source,
            granularity=performance.granularity,
            timestamp__gte=alert.timestamp,
            timestamp__lte=alert.timestamp + last - width,
        ).order_by("timestamp")
        bars = [
            outcomes.Bar(candle.timestamp, candle.high, candle.low, candle.close)
            for candle in candles
        ]
        moves = outcomes.excursions(sign, performance.entry_price, bars)
        touch = outcomes.first_touch(sign, alert.target_price, alert.stop_loss, bars)
        performance.max_gain, performance.max_loss = moves
        performance.checkpoint_max_gain = max(points.values())
        performance.checkpoint_max_loss = min(points.values())
        performance.final_return_24h = points[24]
        performance.final_return_72h = points[72]
        performance.is_success = points[24] >= 5 or points[72] >= 10
        performance.first_touch = touch.kind if touch else ""
        performance.first_touch_at = touch.start if touch else None
        performance.status = "settled"
        performance.settled_at = timezone.now()
        performance.next_checkpoint_at = None
        performance.save()


@contextmanager
def cases() -> Iterator[list[Case]]:
    """Yield the cases; each sets its own stage."""
    stages: dict[str, Stage] = {}

    def staged(granularity: str, width: timedelta) -> Any:
        def setup() -> None:
            stages["now"] = Stage(granularity, width)

        return setup

    hourly = staged("1h", timedelta(hours=1))
    fine = staged("5m", timedelta(minutes=5))
    yield [
        Case(
            NAMES[0],
            at_least(0.7),
            lambda: stages["now"].track(),
            lambda: stages["now"].copy(),
            setup=fine,
        ),
        Case(
            NAMES[1],
            at_least(0.5),
            lambda: stages["now"].track(),
            lambda: stages["now"].copy(ready=True),
        ),
        *(
            Case(
                name,
                at_least(50),
                lambda: stages["now"].settle(),
                lambda: stages["now"].settle_in_a_loop(),
                setup=setup,
            )
            for name, setup in ((NAMES[2], hourly), (NAMES[3], fine))
        ),
    ]
    for stage in stages.values():
        stage.execute("DROP TABLE IF EXISTS placed, priced")
