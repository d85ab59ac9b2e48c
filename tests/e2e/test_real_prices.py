"""A thousand alerts on real candles, through the running product, judged like by hand."""

import csv
import gzip
import os
import random
import signal
from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.e2e.brute_force import end_of, judge
from tests.e2e.product import DATA, running, wait_for

FILES = ["ADA_BTC-5m", "ETH_BTC-5m", "LTC_BTC-5m", "TRX_BTC-5m", "BTC_USD-1d"]
ALERTS = 1000
PLACES = Decimal("1e-8")
JUDGED = """
SELECT (SELECT count(*) FROM price_tracking) >= %s
   AND (SELECT count(*) FROM performance_summary WHERE status = 'settled') >= %s
"""

pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="the real candles (../shared/data) are not here"),
    pytest.mark.timeout(400),
]


def read_candles(name):
    """Return [(timestamp, width, open, high, low, close)] of one file, oldest first."""
    width = timedelta(days=1) if name.endswith("1d") else timedelta(minutes=5)
    with gzip.open(DATA / "candles" / f"{name}.csv.gz", "rt") as lines:
        return [
            (
                datetime.fromisoformat(row["timestamp"]),
                width,
                *(Decimal(row[column]) for column in ("open", "high", "low", "close")),
            )
            for row in csv.DictReader(lines)
        ]


def place_alerts(series):
    """Return alerts at random moments of the series, a little beyond both ends included."""
    chance = random.Random(20180110)
    alerts = []
    for number in range(ALERTS):
        name = FILES[number % len(FILES)]
        candles = series[name]
        first, last, width = candles[0][0], candles[-1][0], candles[0][1]
        moment = first - 3 * width + chance.random() * (last - first + 6 * width)
        moment = moment.replace(microsecond=0)
        sign = chance.choice([1, -1])
        # The sender's own price: near the market's, but its own.
        known = bisect_right(candles, moment, key=end_of)
        market = candles[max(0, known - 1)][5]
        entry = (market * Decimal(chance.choice(["1", "1.001", "0.998"]))).quantize(PLACES)
        far, near_stop = (Decimal(chance.choice(["0.3", "1", "2.5", "6", "15"])) for _ in range(2))
        alert = {
            "alert_id": f"trade_{name}_{number}",
            "symbol": name.partition("-")[0].replace("_", "/"),
            "timestamp": moment.astimezone(UTC).isoformat(),
            "direction": "long" if sign > 0 else "short",
            "strategy": f"strategy {number % 7}",
            "timeframe": "1h",
            "confidence": str(Decimal(chance.randrange(101)) / 100),
        }
        if chance.random() < 0.9:
            alert["entry_price"] = f"{entry:f}"
        if chance.random() < 0.85:
            alert["target_price"] = f"{(entry * (1 + sign * far / 100)).quantize(PLACES):f}"
        if chance.random() < 0.85:
            alert["stop_loss"] = f"{(entry * (1 - sign * near_stop / 100)).quantize(PLACES):f}"
        alerts.append((name, alert))
    return alerts


def test_every_checkpoint_and_outcome_equals_a_check_by_hand(passable_folder):
    series = {name: read_candles(name) for name in FILES}
    alerts = place_alerts(series)
    expected = {alert["alert_id"]: judge(alert, series[name]) for name, alert in alerts}

    with running(passable_folder, port=18310, DEMO="0") as product:
        files = [str(DATA / "candles" / f"{name}.csv.gz") for name in FILES]
        product.manage("import_candles", *files)
        product = product.with_key("scanner", "alerts:read", "alerts:write", "market:read")

        half = ALERTS // 2
        post(product, [alert for _, alert in alerts[:half]])
        kill_workers_while_they_work(product)
        post(product, [alert for _, alert in alerts[half:]])
        settled = sum(judgement["status"] == "settled" for judgement in expected.values())
        kill_workers_while_they_work(product)
        wait_until_judged(product, settled, sum(len(j["checkpoints"]) for j in expected.values()))

        # Once more over everything: what runs twice has one effect.
        for task in ("track_prices", "settle_alerts"):
            product.wake(f"apps.alerts.tasks.{task}")
        # And a retry of the sender changes nothing either.
        status, answer = product.post("/api/v1/alerts/alerts/", [alert for _, alert in alerts])
        assert (status, answer["unchanged"], answer["failed"]) == (200, ALERTS, 0)

        assert_equal_checkpoints(product, expected)
        assert_equal_outcomes(product, expected)
        assert product.stop() == 0

    outcomes = Counter(judgement["first_touch"] for judgement in expected.values())
    assert len(outcomes) >= 4, f"the alerts are too much alike to prove anything: {outcomes}"


def post(product, alerts):
    status, answer = product.post("/api/v1/alerts/alerts/", alerts)
    assert status == 201, answer
    assert answer["created"] == len(alerts)


def kill_workers_while_they_work(product):
    """SIGKILL the worker, then its pool, right after a wake-up, and see new ones come."""
    for task, processes in (("track_prices", product.workers), ("settle_alerts", product.pool)):
        before = processes()
        product.wake(f"apps.alerts.tasks.{task}")
        for pid in before:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it fell with its parent
        wait_for(lambda old=before, now=processes: set(now()) - set(old), 60)


def wait_until_judged(product, settled, checkpoints):
    def all_judged():
        for task in ("track_prices", "settle_alerts"):
            product.wake(f"apps.alerts.tasks.{task}")
        with product.database() as database:
            return database.execute(JUDGED, [checkpoints, settled]).fetchone() == (True,)

    wait_for(all_judged, 180, lambda: product.said()[-3000:])


def assert_equal_checkpoints(product, expected):
    found = Counter()
    for row in product.every("/api/v1/alerts/tracked-prices/?limit=1000"):
        hours = row["time_elapsed_hours"]
        found[row["alert_id"], hours] += 1
        assert shown(row, "status", "price", "percentage_change") == shown(
            expected[row["alert_id"]]["checkpoints"][hours],
            "status",
            "price",
            "percentage_change",
        ), row

    wanted = [(name, hours) for name, j in expected.items() for hours in j["checkpoints"]]
    assert found == Counter(wanted)


def assert_equal_outcomes(product, expected):
    names = [
        "status",
        "first_touch",
        "first_touch_at",
        "is_success",
        "entry_price",
        "max_gain",
        "max_loss",
        "checkpoint_max_gain",
        "checkpoint_max_loss",
        "final_return_24h",
        "final_return_72h",
    ]
    rows = list(product.every("/api/v1/alerts/performance/?limit=1000"))
    assert len(rows) == ALERTS
    for row in rows:
        assert shown(row, *names) == shown(expected[row["alert_id"]], *names), row["alert_id"]


def shown(values, *names):
    """Return values in one notation: numbers exact, times in UTC."""
    return {name: plain(values[name]) for name in names}


def plain(value):
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, str):
        for read in (Decimal, datetime.fromisoformat):
            try:
                return read(value)
            except (ValueError, ArithmeticError):
                continue
    return value
