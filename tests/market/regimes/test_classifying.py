"""Regimes in the database: of days that have ended, written once, mended when candles are."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.market.choices import Granularity, RegimeType
from apps.market.domain.candles import CandleRow
from apps.market.domain.regimes import classify
from apps.market.models import Candle, Instrument, MarketRegime
from apps.market.services import regime_closes, regimes
from apps.market.services.candles import store_candles
from apps.market.services.regimes import classify_regimes, current_regimes, regime_at
from apps.market.tasks import classify_regimes as classify_by_the_clock
from tests.factories import make_market_regime
from tests.market.regimes.test_rule import walk
from tests.threads import at_once

pytestmark = pytest.mark.django_db

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CLOSES = walk(260, spread=0.03)


def store(closes, *, symbol="BTC/USD", source="binance", granularity="1d", start=START, step=DAY):
    """Store candles of nothing but a close, one at each step."""
    rows = [
        CandleRow(symbol, source, granularity, start + place * step, *[Decimal(str(close))] * 4,
                  Decimal(1))
        for place, close in enumerate(closes)
    ]  # fmt: skip
    outcome = store_candles(rows, now=start + (len(rows) + 1) * max(step, DAY))
    assert not outcome.failed


def day(place: int) -> datetime:
    return START + place * DAY


def stored(symbol: str = "BTC/USD") -> dict[int, MarketRegime]:
    """Return our regimes of a symbol by the number of their day."""
    rows = MarketRegime.objects.filter(symbol=symbol, source="blotter").order_by("timestamp")
    return {(row.timestamp - START).days: row for row in rows}


def closes_of(symbol: str = "BTC/USD") -> list[float]:
    return [row.indicators_json["close"] for row in stored(symbol).values()]


def by_the_rule(closes) -> list[dict[str, float]]:
    """Return the indicators of days that have such closes."""
    days = [day(place).date() for place in range(len(closes))]
    return [regime.indicators for regime in classify(days, closes)]


class TestClassifying:
    def test_stores_what_the_rule_says_of_each_day(self):
        store(CLOSES)

        assert classify_regimes(now=day(260)) == 260

        expected = classify([day(place).date() for place in range(260)], CLOSES)
        found = list(stored().values())
        for row, regime in zip(found, expected, strict=True):
            assert row.timestamp.date() == regime.day
            assert row.regime_type == regime.regime_type
            assert row.volatility_regime == regime.volatility_regime
            assert row.dominant_trend == regime.dominant_trend
            assert row.indicators_json == regime.indicators
            assert row.confidence is None
        assert {"Unknown", found[-1].regime_type} <= {row.regime_type for row in found}

    def test_writes_nothing_twice(self):
        store(CLOSES)
        classify_regimes(now=day(260))

        assert classify_regimes(now=day(260)) == 0
        assert classify_regimes(now=day(260), symbols=["BTC/USD"]) == 0

    def test_waits_for_the_end_of_the_day(self):
        store(CLOSES[:40])

        classify_regimes(now=day(39) + timedelta(hours=23, minutes=59))
        assert max(stored()) == 38

        assert classify_regimes(now=day(40)) == 1
        assert max(stored()) == 39

    def test_goes_on_day_by_day_as_at_once(self):
        store(CLOSES)
        for until in (100, 101, 102, 230, 260):
            classify_regimes(now=day(until))

        by_days = [row.indicators_json for row in stored().values()]
        MarketRegime.objects.all().delete()
        classify_regimes(now=day(260))
        assert [row.indicators_json for row in stored().values()] == by_days

    def test_needs_no_further_back_than_the_rule_does(self, monkeypatch):
        store(CLOSES)
        classify_regimes(now=day(259))
        monkeypatch.setattr(regime_closes, "CONTEXT", 30 * DAY)

        classify_regimes(now=day(260))

        assert stored()[259].indicators_json == by_the_rule(CLOSES)[-1]

    def test_names_symbols_and_leaves_the_others(self):
        store(CLOSES[:5])
        store(CLOSES[:5], symbol="ETH/USD")

        assert classify_regimes(now=day(5), symbols=["ETH/USD", "NO/NE"]) == 5
        assert not stored()

    def test_stops_at_what_one_run_may_write_and_goes_on_in_the_next(self, monkeypatch):
        monkeypatch.setattr(regimes, "MOST_ROWS", 5)
        monkeypatch.setattr(regimes, "SYMBOLS_AT_ONCE", 1)
        store(CLOSES[:5])
        store(CLOSES[:5], symbol="ETH/USD")

        assert [classify_regimes(now=day(5)) for _ in range(3)] == [5, 5, 0]

    def test_is_run_by_the_clock(self):
        store(CLOSES[:3])

        assert classify_by_the_clock() == 3

    def test_asks_as_often_for_many_symbols_as_for_few(self):
        def queries() -> int:
            with CaptureQueriesContext(
                connection,
            ) as captured:
                classify_regimes(now=day(10))
            return len(captured)

        store(CLOSES[:10])
        classify_regimes(now=day(10))
        few = queries()
        for number in range(5):
            store(CLOSES[:10], symbol=f"COIN{number}/USD")
        classify_regimes(now=day(10))

        assert queries() == few


class TestLateCandles:
    def test_change_their_day_and_those_after_it(self):
        store(CLOSES)
        classify_regimes(now=day(260))
        store([CLOSES[255] * 2], start=day(255))

        assert classify_regimes(now=day(260)) == 5

        changed = [*CLOSES[:255], CLOSES[255] * 2, *CLOSES[256:]]
        assert [row.indicators_json for row in stored().values()] == by_the_rule(changed)

    def test_of_long_ago_are_seen_within_a_day(self):
        store(CLOSES)
        classify_regimes(now=day(260))
        store([CLOSES[20] * 2], start=day(20))

        written = [classify_regimes(now=day(260) + hour * timedelta(hours=1)) for hour in range(24)]

        changed = [*CLOSES[:20], CLOSES[20] * 2, *CLOSES[21:]]
        before, after = (by_the_rule(each) for each in (CLOSES, changed))
        differing = sum(one != other for one, other in zip(before, after, strict=True))
        assert [each for each in written if each] == [differing]
        assert [row.indicators_json for row in stored().values()] == after

    def test_before_the_first_are_seen_at_once(self):
        store(CLOSES[100:])
        classify_regimes(now=day(160))
        store(CLOSES[:100], start=day(-100))

        classify_regimes(now=day(160))

        assert closes_of() == CLOSES

    def test_fill_a_day_that_was_passed_over(self):
        store(CLOSES[:3])
        store(CLOSES[4:8], start=day(4))
        classify_regimes(now=day(8))
        assert sorted(stored()) == [0, 1, 2, 4, 5, 6, 7]
        store([CLOSES[3]], start=day(3))

        classify_regimes(now=day(8))

        assert closes_of() == CLOSES[:8]

    def test_that_are_gone_leave_what_was_said(self):
        store(CLOSES[:8])
        classify_regimes(now=day(8))
        Candle.objects.filter(timestamp__lt=day(4)).delete()

        assert classify_regimes(now=day(8), symbols=["BTC/USD"]) == 0
        assert len(stored()) == 8

    def test_after_a_long_rest_are_all_taken(self):
        store(CLOSES[:100])
        classify_regimes(now=day(30))

        assert classify_regimes(now=day(100)) == 70


class TestWhichClose:
    def test_is_that_of_the_daily_candle_where_there_is_one(self):
        store([1, 2, 3], granularity="1d")
        store([7] * 5 * 24, granularity="1h", step=timedelta(hours=1))
        classify_regimes(now=day(5))

        assert closes_of() == [1, 2, 3, 7, 7]

    def test_is_else_that_of_the_last_finer_candle_of_the_day(self):
        store(range(1, 25), granularity="1h", step=timedelta(hours=1))
        store([50, 60], granularity="5m", step=timedelta(minutes=5), start=day(1))
        classify_regimes(now=day(3))

        assert closes_of() == [24, 60]

    def test_is_never_that_of_a_week(self):
        monday = datetime(2025, 1, 6, tzinfo=UTC)
        store([5, 6], granularity=Granularity.W1, step=7 * DAY, start=monday)

        assert classify_regimes(now=day(60)) == 0

    def test_comes_from_the_primary_source(self):
        store([1, 2, 3], source="binance")
        store([7, 8], source="kraken")
        Instrument.objects.update(primary_source="kraken")
        classify_regimes(now=day(3))
        assert closes_of() == [7, 8]

        Instrument.objects.update(primary_source="binance")
        classify_regimes(now=day(3))
        assert closes_of() == [1, 2, 3]


@pytest.mark.django_db(transaction=True)
class TestTwoWorkers:
    def test_have_one_effect(self):
        store(CLOSES[:40])

        written = at_once([lambda: classify_regimes(now=day(40))] * 2)

        assert sorted(written) == [0, 40]
        assert closes_of() == CLOSES[:40]


class TestRegimeAt:
    def test_is_the_last_that_was_known(self):
        store(CLOSES[:5])
        classify_regimes(now=day(5))

        assert regime_at("BTC/USD", day(3)).timestamp == day(2)
        assert regime_at("BTC/USD", day(4) - timedelta(seconds=1)).timestamp == day(2)
        assert regime_at("BTC/USD", day(90)).timestamp == day(4)
        assert regime_at("BTC/USD", day(1) - timedelta(seconds=1)) is None
        assert regime_at("ETH/USD", day(9)) is None

    def test_of_another_source_is_known_when_it_was_told(self):
        told = make_market_regime(source="lab", timestamp=day(2))

        assert regime_at("BTC/USD", day(2), source="lab") == told
        assert regime_at("BTC/USD", day(2) - timedelta(seconds=1), source="lab") is None
        assert regime_at("BTC/USD", day(9)) is None


class TestCurrentRegimes:
    def test_are_the_last_known_of_each_symbol_in_order(self):
        for symbol in ("ETH/USD", "BTC/USD", "SOL/USD"):
            for place in (1, 2, 3):
                make_market_regime(symbol=symbol, source="blotter", timestamp=day(place))
        make_market_regime(symbol="ADA/USD", source="lab", timestamp=day(1))

        found = current_regimes(now=day(3))
        assert [(row.symbol, row.timestamp) for row in found] == [
            ("BTC/USD", day(2)), ("ETH/USD", day(2)), ("SOL/USD", day(2)),
        ]  # fmt: skip
        assert [row.symbol for row in current_regimes(now=day(3), limit=1)] == ["BTC/USD"]
        behind = current_regimes(now=day(3), after="BTC/USD")
        assert [row.symbol for row in behind] == ["ETH/USD", "SOL/USD"]
        assert [row.symbol for row in current_regimes(now=day(3), symbol="ETH/USD")] == ["ETH/USD"]
        assert [row.symbol for row in current_regimes(now=day(3), source="lab")] == ["ADA/USD"]
        assert found[0].regime_type == RegimeType.LOW_RANGING
