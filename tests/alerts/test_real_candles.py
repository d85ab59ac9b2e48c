"""A thousand alerts on real candles, against a check that knows nothing of this code."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from apps.alerts.models import Alert, AlertPerformance, TrackedPrice
from apps.alerts.services import raise_alerts
from apps.market.models import Candle
from tests.alerts.rows import sent, store, tick
from tests.e2e import brute_force

FILES = sorted(
    (Path(__file__).resolve().parents[3] / "shared" / "data" / "candles").glob("*-5m.csv.gz")
)
NOW = datetime(2018, 6, 1, tzinfo=UTC)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not FILES, reason="The folder of real candles is not there."),
]


@pytest.fixture(scope="module")
def series():
    return {
        path.name.split("-")[0].replace("_", "/"): brute_force.read(path, timedelta(minutes=5))
        for path in FILES
    }


def stored(series):
    for symbol, candles in series.items():
        store(
            *(
                Candle(
                    symbol=symbol,
                    source="file",
                    granularity="5m",
                    timestamp=start,
                    open=opened,
                    high=high,
                    low=low,
                    close=close,
                    volume=0,
                )
                for start, _, opened, high, low, close in candles
            )
        )


def alerts_on(series, number):
    """Place alerts anywhere on the candles, their holes and both ends included."""
    chance = random.Random(20180110)
    rows = []
    for index in range(number):
        symbol = chance.choice(sorted(series))
        candles = series[symbol]
        start, *_, close = chance.choice(candles)
        long = chance.random() < 0.5
        sign = 1 if long else -1
        distances = [Decimal(each) / 1000 for each in (2, 5, 10, 30, 80, 200)]
        target = close * (1 + sign * chance.choice(distances))
        stop = close * (1 - sign * chance.choice(distances))
        rows.append(
            sent(
                alert_id=f"real-{index}",
                symbol=symbol,
                direction="long" if long else "short",
                timestamp=start + timedelta(seconds=chance.choice([0, 1, 150, 300, 301, 1799])),
                entry_price=close if chance.random() < 0.7 else None,
                target_price=target if chance.random() < 0.9 else None,
                stop_loss=stop if chance.random() < 0.9 else None,
            )
        )
    return rows


def test_every_checkpoint_and_outcome_is_the_same(series):
    stored(series)
    outcome = raise_alerts(alerts_on(series, 1000), now=NOW)
    assert outcome.created == 1000

    tick(NOW)

    prices = {}
    names = ("status", "price", "percentage_change")
    for row in TrackedPrice.objects.values("alert_id", "time_elapsed_hours", *names):
        of_alert = prices.setdefault(row["alert_id"], {})
        of_alert[row["time_elapsed_hours"]] = {each: row[each] for each in names}
    performances = {each["alert_id"]: each for each in AlertPerformance.objects.values()}
    seen = set()
    for alert in Alert.objects.values():
        name = alert["alert_id"]
        as_sent = alert | {"timestamp": alert["timestamp"].isoformat()}
        expected = brute_force.judge(as_sent, series[alert["symbol"]])
        points = expected.pop("checkpoints")
        assert prices.pop(name, {}) == points, name
        seen |= {point["status"] for point in points.values()}
        found = performances[name]
        assert {key: found[key] for key in expected} == expected, name
        seen |= {found["first_touch"], found["status"], found["is_success"]}
    assert not prices
    # The sample must hold the cases that matter.
    assert {"known", "missing", "open", "settled", "target", "stop", "ambiguous"} <= seen
