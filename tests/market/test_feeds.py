"""Feeds: who is due, what is believed of an answer, and how a feed's health shows."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.logs.models import Notification
from apps.market import tasks
from apps.market.choices import FeedState
from apps.market.domain import feeds as rules
from apps.market.domain.candles import CandleRow, CandleValues
from apps.market.models import Candle, Feed
from apps.market.providers.base import ProviderUnreachable
from apps.market.services import feeds as service
from apps.market.services.feeds import LEASE, claim, fetch_due_feeds
from tests.market.venue import NOON, running_venue

pytestmark = pytest.mark.filterwarnings("ignore:websockets.legacy:DeprecationWarning")

MISSING = "an optional extra: pip install -r requirements-providers.txt"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEP = 5 * MINUTE


def row(start, **values):
    prices = {"open": 10, "high": 12, "low": 9, "close": 11, "volume": 1} | values
    return CandleRow("A", "s", "5m", start, *(Decimal(value) for value in prices.values()))


def distrust(rows, previous=None, quiet=HOUR, now=NOON):
    return rules.distrust(rows, now=now, previous=previous, quiet=quiet)


class TestDistrust:
    def test_believes_a_good_answer(self):
        assert distrust([row(NOON - 2 * STEP), row(NOON - STEP)]) == ""

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"open": 0}, "open"),
            ({"low": -1}, "low"),
            ({"close": "NaN"}, "close"),
            ({"high": 8}, "high"),
        ],
    )
    def test_says_which_candle_is_impossible(self, values, reason):
        told = distrust([row(NOON - 2 * STEP), row(NOON - STEP, **values)])
        assert told.startswith(f"{reason} of the candle at 2026-03-02 11:55")

    def test_sees_starts_that_do_not_fit(self):
        assert "No 5m candle starts here" in distrust([row(NOON - STEP + MINUTE)])
        assert "future" in distrust([row(NOON + DAY)])

    @pytest.mark.parametrize("steps", [(-1, -2), (-2, -2)])
    def test_sees_what_is_out_of_order(self, steps):
        assert "Not in order of time" in distrust([row(NOON + step * STEP) for step in steps])

    def test_is_not_content_with_nothing(self):
        assert distrust([]) == "No finished candle in the answer."

    def test_sees_what_is_stale(self):
        quiet_end = NOON - HOUR - 3 * STEP
        assert distrust([row(quiet_end)]) == ""
        assert distrust([row(quiet_end - STEP)]).startswith("Stale: the newest candle is of")

    def test_takes_old_candles_that_are_news(self):
        old = NOON - 30 * DAY
        assert distrust([row(old), row(old + STEP)], previous=old) == ""
        assert "Stale" in distrust([row(old)], previous=old)


class TestFinished:
    def test_leaves_out_the_running_candle_alone(self):
        values = [CandleValues(NOON + step * STEP, *[Decimal(1)] * 5) for step in (-1, 0, 1)]

        left = rules.finished(values, "5m", NOON + MINUTE)

        assert [one.timestamp for one in left] == [NOON - STEP, NOON + STEP]

    def test_knows_that_a_venue_s_clock_may_run_ahead(self):
        values = [CandleValues(NOON + step * STEP, *[Decimal(1)] * 5) for step in (-2, -1, 0)]

        left = rules.finished(values, "5m", NOON - timedelta(seconds=20))

        assert [one.timestamp for one in left] == [NOON - 2 * STEP]


class TestNextFetch:
    def test_waits_for_the_end_of_the_running_candle(self):
        at = rules.next_fetch("5m", newest=NOON - STEP, full=False, now=NOON + MINUTE)
        assert at == NOON + STEP + rules.SETTLING

    def test_comes_back_soon_while_the_last_candle_is_missing(self):
        at = rules.next_fetch("5m", newest=NOON - 2 * STEP, full=False, now=NOON)
        assert at == NOON + MINUTE
        day = rules.next_fetch("1d", newest=NOON - 9 * DAY, full=False, now=NOON)
        assert day == NOON + HOUR

    def test_goes_on_at_once_when_there_is_more(self):
        assert rules.next_fetch("5m", newest=NOON - DAY, full=True, now=NOON) == NOON

    def test_waits_twice_as_long_after_each_failure_up_to_an_hour(self):
        waits = [rules.retry_at(failures, NOON) - NOON for failures in (1, 2, 3, 7, 1000)]
        assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE, HOUR, HOUR]


@pytest.fixture
def venue(settings):
    with running_venue() as venue:
        venue.candles(NOON - 3 * STEP, 3, STEP)
        settings.FEED_CONNECTIONS = {"HERE": {"url": venue.url, "key": "k", "secret": "s"}}
        yield venue


def make_feed(**values):
    defaults = {
        "provider": "ccxt",
        "exchange": "kraken",
        "symbol": "ETH/BTC",
        "source": "kraken",
        "granularity": "5m",
        "connection": "HERE",
        "next_fetch_at": NOON,
    }
    return Feed.objects.create(**defaults | values)


def alpaca_feed(**values):
    defaults = {"provider": "alpaca", "exchange": "", "symbol": "AAPL", "source": "alpaca"}
    return make_feed(**defaults | values)


def replay_feed(**values):
    defaults = {"provider": "replay", "exchange": "", "source": "replay", "connection": ""}
    return make_feed(**defaults | {"options": {"source": "old"}} | values)


def play(*, symbol="ETH/BTC"):
    for step in range(10):
        values = row(NOON - DAY + step * STEP)._replace(symbol=symbol, source="old")
        Candle.objects.create(**values._asdict())


@pytest.mark.django_db
class TestFetchDueFeeds:
    @pytest.mark.parametrize(("make", "package"), [(make_feed, "ccxt"), (alpaca_feed, "alpaca")])
    def test_stores_what_the_venue_has(self, venue, make, package):
        pytest.importorskip(package, reason=MISSING)
        feed = make()

        assert fetch_due_feeds(now=NOON + MINUTE) == 1

        feed.refresh_from_db()
        stored = Candle.objects.filter(symbol=feed.symbol, source=feed.source)
        assert [candle.timestamp for candle in stored.order_by("timestamp")] == [
            NOON + step * STEP for step in (-3, -2, -1)
        ]
        assert (feed.state, feed.last_error, feed.consecutive_failures) == (FeedState.OK, "", 0)
        assert feed.last_candle_at == NOON - STEP
        assert feed.next_fetch_at == NOON + STEP + rules.SETTLING

    @pytest.mark.parametrize(("make", "package"), [(make_feed, "ccxt"), (alpaca_feed, "alpaca")])
    def test_leaves_the_running_candle_until_it_has_ended(self, venue, make, package):
        pytest.importorskip(package, reason=MISSING)
        make(next_fetch_at=NOON - HOUR)

        fetch_due_feeds(now=NOON - MINUTE)

        assert Candle.objects.latest("timestamp").timestamp == NOON - 2 * STEP

    def bad_rows(venue):
        return {
            "zero": [(NOON - STEP, "0", "0", "0", "0", "1")],
            "negative": [(NOON - STEP, "-1", "1", "-1", "1", "1")],
            "high below low": [(NOON - STEP, "1", "1", "2", "1", "1")],
            "unaligned": [(NOON - STEP + MINUTE, "1", "1", "1", "1", "1")],
            "future": [(NOON + DAY, "1", "1", "1", "1", "1")],
            "stale": [(NOON - 30 * DAY, "1", "1", "1", "1", "1")],
            "twice": [(NOON - STEP, "1", "1", "1", "1", "1")] * 2,
            "noise": [(NOON - STEP, *["0.30000000000000004"] * 4, "1")],
            "too fine": [(NOON - STEP, *["0." + 19 * "1"] * 4, "1")],
            "too large": [(NOON - STEP, *["1" + 20 * "0"] * 4, "1")],
        }

    @pytest.mark.parametrize(("make", "package"), [(make_feed, "ccxt"), (alpaca_feed, "alpaca")])
    @pytest.mark.parametrize("fault", bad_rows(None))
    def test_stores_nothing_of_an_answer_with_one_bad_candle(self, venue, make, package, fault):
        pytest.importorskip(package, reason=MISSING)
        feed = make()
        good = [] if fault == "stale" else [(NOON - 3 * STEP, "1", "1", "1", "1", "1")]
        venue.rows = good + TestFetchDueFeeds.bad_rows(venue)[fault]

        assert fetch_due_feeds(now=NOON) == 0

        feed.refresh_from_db()
        assert not Candle.objects.exists()
        assert feed.state == FeedState.UNHEALTHY
        assert feed.last_error
        assert feed.consecutive_failures == 1
        assert feed.next_fetch_at == NOON + MINUTE

    @pytest.mark.parametrize(("make", "package"), [(make_feed, "ccxt"), (alpaca_feed, "alpaca")])
    @pytest.mark.parametrize("answer", [b"<html>maintenance</html>", b'{"bars": {"AAPL": [', b"[]"])
    def test_shows_why_an_answer_was_none(self, venue, make, package, answer):
        pytest.importorskip(package, reason=MISSING)
        feed = make()
        venue.answer = answer

        assert fetch_due_feeds(now=NOON) == 0

        feed.refresh_from_db()
        assert not Candle.objects.exists()
        assert feed.state == FeedState.UNHEALTHY
        assert feed.last_error
        assert "<" not in feed.last_error

    def test_out_of_order_is_refused_where_the_client_does_not_sort(self, venue):
        pytest.importorskip("alpaca", reason=MISSING)
        feed = alpaca_feed(last_candle_at=NOON - 3 * STEP)
        venue.rows = venue.rows[::-1]

        fetch_due_feeds(now=NOON)

        feed.refresh_from_db()
        assert "Not in order of time" in feed.last_error

    def test_a_feed_that_fails_does_not_stop_the_others(self):
        play()
        make_feed(connection="NONE", next_fetch_at=NOON - HOUR)
        good = replay_feed()

        assert fetch_due_feeds(now=NOON) == 1

        good.refresh_from_db()
        assert good.state == FeedState.OK

    def test_a_fault_of_ours_does_not_stop_the_others_either(self, monkeypatch, caplog):
        play()
        bad, good = (
            replay_feed(next_fetch_at=NOON - HOUR),
            replay_feed(granularity="5m", source="b"),
        )
        real = service.connect

        def broken(feed, ask):
            if feed.pk == bad.pk:
                raise RuntimeError("a bug")
            return real(feed, ask)

        monkeypatch.setattr(service, "connect", broken)

        assert fetch_due_feeds(now=NOON) == 1

        bad.refresh_from_db()
        assert bad.last_error == "Internal error: RuntimeError."
        assert "a bug" in caplog.text
        assert Feed.objects.get(pk=good.pk).state == FeedState.OK

    def test_becomes_healthy_again(self, monkeypatch):
        play()
        feed = replay_feed()
        real = service.connect

        def away(feed, ask):
            raise ProviderUnreachable("Nobody there.")

        for minutes, failures in [(0, 1), (1, 2), (3, 3)]:
            monkeypatch.setattr(service, "connect", away)
            fetch_due_feeds(now=NOON + minutes * MINUTE)
            feed.refresh_from_db()
            assert feed.consecutive_failures == failures
        assert fetch_due_feeds(now=NOON + 4 * MINUTE) == 0
        monkeypatch.setattr(service, "connect", real)

        assert fetch_due_feeds(now=NOON + 7 * MINUTE) == 1

        feed.refresh_from_db()
        assert (feed.state, feed.consecutive_failures, feed.last_error) == (FeedState.OK, 0, "")

    def test_is_told_when_it_keeps_failing_and_when_it_works_again(self, monkeypatch):
        play()
        replay_feed()
        real = service.connect

        def away(feed, ask):
            raise ProviderUnreachable("Nobody there.")

        monkeypatch.setattr(service, "connect", away)
        told = []
        for minutes in (0, 1, 3, 7):
            fetch_due_feeds(now=NOON + minutes * MINUTE)
            told.append(Notification.objects.count())
        assert told == [0, 0, 1, 1]
        monkeypatch.setattr(service, "connect", real)
        fetch_due_feeds(now=NOON + HOUR)

        kinds = list(Notification.objects.order_by("id").values_list("what", flat=True))
        assert kinds == ["feed_failing", "feed_recovered"]
        assert "Nobody there." in Notification.objects.order_by("id")[0].message

    def test_leaves_those_that_are_off_or_not_due(self):
        play()
        replay_feed(enabled=False)
        replay_feed(source="later", next_fetch_at=NOON + MINUTE)

        assert fetch_due_feeds(now=NOON) == 0
        assert Feed.objects.filter(last_fetch_at__isnull=False).count() == 0

    def test_a_replay_is_not_stored_under_what_it_plays(self):
        play()
        feed = replay_feed(source="old")

        fetch_due_feeds(now=NOON)

        feed.refresh_from_db()
        assert "cannot be stored under the series" in feed.last_error

    def test_again_at_once_brings_nothing_twice(self):
        play()
        replay_feed()
        fetch_due_feeds(now=NOON)
        before = Candle.objects.count()

        assert fetch_due_feeds(now=NOON) == 0
        fetch_due_feeds(now=NOON + STEP + MINUTE)

        assert 0 <= Candle.objects.count() - before <= 1

    def test_the_task_does_it(self):
        play()
        feed = replay_feed(next_fetch_at=datetime(2026, 1, 1, tzinfo=UTC))

        assert tasks.fetch_candles() == 1
        feed.refresh_from_db()
        assert feed.state == FeedState.OK


@pytest.mark.django_db
class TestClaim:
    def test_is_given_to_one_alone(self):
        feed = replay_feed()
        other = Feed.objects.get(pk=feed.pk)

        assert [claim(feed, NOON), claim(other, NOON)] == [True, False]

    def test_comes_back_when_the_worker_died(self):
        feed = replay_feed()
        claim(feed, NOON)

        assert not Feed.objects.due(NOON + LEASE - MINUTE).exists()
        assert Feed.objects.due(NOON + LEASE).exists()
