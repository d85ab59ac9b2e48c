"""Fetching what is missing: exactly the gaps, whoever dies on the way, and what the venue lacks."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.models import Execution
from apps.executions.services.runs import request_cancel
from apps.executions.services.work import claim_step, finish_step, give_back_steps
from apps.market import tasks
from apps.market.models import Candle, CandleDefect, CandleSeries, Feed
from apps.market.services import backfill, health
from apps.market.services.backfill import planning, working
from tests.factories import make_feed
from tests.market.health.series import clean
from tests.market.health.stored import rows_of, store
from tests.market.venue import running_venue
from tests.threads import at_once

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:websockets.legacy:DeprecationWarning"),
]

HOUR = timedelta(hours=1)
SIZE = 700
HOLES = (*range(100, 103), *range(150, 151), *range(400, 412))


@pytest.fixture(scope="module")
def rows():
    return rows_of(clean(np.random.default_rng(4), SIZE, "1h"), "1h")


def record(rows, symbol="ETH/BTC", without=()):
    """Store what the venue is going to play."""
    kept = [row for number, row in enumerate(rows) if number not in without]
    store([row._replace(symbol=symbol, source="old") for row in kept])


def with_holes(rows, symbol="ETH/BTC", holes=HOLES):
    """Store a series with holes, its feed, and what is known of its health."""
    kept = [row for number, row in enumerate(rows) if number not in holes]
    series = store([row._replace(symbol=symbol) for row in kept])
    make_feed(symbol=symbol, source="venue", granularity="1h", options={"source": "old"})
    health.check_series(series_ids=[series.pk], now=end_of(rows))
    return series


def end_of(rows):
    return rows[-1].timestamp + HOUR


def clock_at(rows):
    return lambda: end_of(rows)


def plan(*series, now):
    return backfill.plan_backfill(series_ids=[one.pk for one in series], by="ann", now=now)


def work(rows):
    while backfill.work(clock=clock_at(rows), joined=lambda: None):
        pass


def stored(series):
    candles = Candle.objects.of_series(series.symbol, series.source, series.granularity)
    return list(candles.order_by("timestamp").values_list("timestamp", "close"))


def run_of():
    return Execution.objects.get(execution_type="CANDLE_BACKFILL")


class TestBackfill:
    def test_fills_exactly_the_gaps(self, rows):
        record(rows)
        series = with_holes(rows)
        # What is stored stays, though the venue says something else by now.
        ours = Candle.objects.get(source="venue", timestamp=rows[101 + 2].timestamp)
        Candle.objects.filter(pk=ours.pk).update(volume=ours.volume + 1)

        run = plan(series, now=end_of(rows))
        work(rows)

        assert stored(series) == [(row.timestamp, row.close) for row in rows]
        assert Candle.objects.get(pk=ours.pk).volume == ours.volume + 1
        assert not CandleDefect.objects.filter(series=series).exists()
        series.refresh_from_db()
        assert (series.gaps, series.missing) == (0, 0)
        run.refresh_from_db()
        assert (run.status, run.triggered_by) == (ExecutionStatus.COMPLETED, "ann")
        check = run.steps.get(stage=1)
        assert check.result_data == {
            "came": len(HOLES),
            "gaps_left": 0,
            "missing": 0,
            "noted": 0,
        }

    def test_notes_what_the_venue_lacks_too(self, rows):
        record(rows, without=range(401, 405))
        series = with_holes(rows)
        plan(series, now=end_of(rows))
        work(rows)
        (gap,) = CandleDefect.objects.filter(series=series)
        assert (gap.start, gap.candles) == (rows[401].timestamp, 4)
        assert gap.detail.startswith("The venue has none either (asked 20")
        # It is still known after the next look, and staff may accept it.
        health.accept_defects(CandleDefect.objects.all(), by="ann", now=end_of(rows))
        health.check_series(series_ids=[series.pk], now=end_of(rows))
        again = CandleDefect.objects.get(series=series)
        assert (again.detail, again.accepted_by) == (gap.detail, "ann")

    def test_takes_a_long_gap_in_pages(self, rows, monkeypatch):
        monkeypatch.setattr(planning, "PAGE", 51)
        record(rows)
        series = with_holes(rows, holes=range(100, 333))
        run = plan(series, now=end_of(rows))
        assert run.steps.filter(stage=0).count() == 5
        work(rows)
        assert len(stored(series)) == SIZE

    def test_turns_pages_where_a_venue_gives_little(self, rows, monkeypatch):
        record(rows)
        series = with_holes(rows)
        believable = working.believable_rows
        asked = []

        def few(feed, now, recall):
            asked.append(feed.last_candle_at)
            return believable(feed, now, recall)[:120]

        monkeypatch.setattr(working, "believable_rows", few)
        plan(series, now=end_of(rows))
        work(rows)
        assert len(stored(series)) == SIZE
        assert len(asked) == 3

    def test_is_refused_without_a_feed(self, rows):
        record(rows)
        series = with_holes(rows)
        Feed.objects.update(enabled=False)
        with pytest.raises(backfill.NoFeed, match="ETH/BTC 1h from venue: add or enable one"):
            plan(series, now=end_of(rows))

    def test_is_refused_without_a_gap(self, rows):
        record(rows)
        series = with_holes(rows, holes=())
        with pytest.raises(backfill.NothingMissing):
            plan(series, now=end_of(rows))

    def test_is_refused_while_another_is_at_it(self, rows):
        record(rows)
        series = with_holes(rows)
        run = plan(series, now=end_of(rows))
        with pytest.raises(backfill.AlreadyRunning, match=run.pk):
            plan(series, now=end_of(rows))
        work(rows)
        with pytest.raises(backfill.NothingMissing):
            plan(series, now=end_of(rows))

    def test_fails_where_the_venue_is_not_to_be_believed(self, rows):
        record(rows)
        series = with_holes(rows)
        plan(series, now=end_of(rows))
        Feed.objects.update(options={"source": "nothing"})
        work(rows)
        step = run_of().steps.get(stage=0)
        assert (step.status, step.reason) == (
            StepStatus.FAILED_INSUFFICIENT_DATA,
            "not_believed",
        )
        assert "Nothing is stored" in step.error_message
        # Nothing was heard of the gaps, so nothing is noted on them.
        assert set(CandleDefect.objects.values_list("detail", flat=True)) == {""}

    def test_ends_where_somebody_wishes_it_to(self, rows):
        record(rows)
        series = with_holes(rows)
        run = plan(series, now=end_of(rows))
        request_cancel(Execution.objects.filter(pk=run.pk), by="ann", now=end_of(rows))
        work(rows)
        run.refresh_from_db()
        assert run.status == ExecutionStatus.CANCELLED
        assert len(stored(series)) == SIZE - len(HOLES)

    def test_loses_nothing_when_a_worker_dies_in_the_middle(self, rows, monkeypatch):
        record(rows)
        series = with_holes(rows)
        plan(series, now=end_of(rows))
        now = end_of(rows)
        step = claim_step(runner=backfill.RUNNER, now=now, lease=HOUR)
        with monkeypatch.context() as patch:
            # It has stored its candles, and dies before it can say so.
            patch.setattr(working, "finish_step", lambda **values: False)
            working.perform(step, lambda: now)
        assert len(stored(series)) == SIZE
        assert give_back_steps(now=now + 2 * HOUR) == 1

        work(rows)

        assert not finish_step(step=step, status=StepStatus.SUCCESS, now=now)
        assert run_of().status == ExecutionStatus.COMPLETED
        assert stored(series) == [(row.timestamp, row.close) for row in rows]
        assert not CandleDefect.objects.filter(series=series).exists()

    def test_is_run_by_its_task(self, rows):
        record(rows)
        series = with_holes(rows)
        plan(series, now=end_of(rows))
        assert tasks.run_backfills() == 2
        assert tasks.run_backfills() == 0


@pytest.mark.django_db(transaction=True)
class TestTwoWorkers:
    def test_share_the_work_and_do_nothing_twice(self, rows):
        symbols = ["A/B", "C/D", "E/F"]
        for symbol in symbols:
            record(rows, symbol)
        series = [with_holes(rows, symbol) for symbol in symbols]
        plan(*series, now=end_of(rows))
        calls = [lambda: backfill.work(clock=clock_at(rows), joined=lambda: None)] * 2

        done = at_once(calls)
        work(rows)

        assert all(isinstance(each, int) for each in done), done
        run = run_of()
        assert run.status == ExecutionStatus.COMPLETED
        assert [step.attempt for step in run.steps.all()] == [1] * 6
        assert sum(step.result_data["came"] for step in run.steps.filter(stage=1)) == 3 * len(HOLES)
        for one in series:
            assert len(stored(one)) == SIZE
        assert not CandleDefect.objects.filter(series__source="venue").exists()

    def test_look_at_a_series_once(self, rows):
        kept = [row for number, row in enumerate(rows) if number not in HOLES]
        series = store(kept)
        now = end_of(rows)
        calls = [lambda: health.check_series(series_ids=[series.pk], now=now, whole=False)] * 3
        done = at_once(calls)
        assert sum(done) == 1
        assert CandleSeries.objects.get().gaps == 3


class TestAVenue:
    """Through the real client of an exchange, over HTTP."""

    @pytest.fixture
    def venue(self, settings):
        with running_venue() as venue:
            settings.FEED_CONNECTIONS = {"HERE": {"url": venue.url, "key": "k", "secret": "s"}}
            yield venue

    @pytest.fixture
    def series(self):
        pytest.importorskip("ccxt", reason="pip install -r requirements-providers.txt")
        start = datetime(2026, 3, 2, tzinfo=UTC)
        random = np.random.default_rng(9)
        made = rows_of(clean(random, 60, "1h", start=int(start.timestamp())), "1h")
        series = store(made[:20] + made[25:])
        make_feed(
            provider="ccxt",
            exchange="kraken",
            symbol="ETH/BTC",
            source="venue",
            granularity="1h",
            connection="HERE",
        )
        health.check_series(series_ids=[series.pk], now=end_of(made))
        return series, made

    def fill(self, series, made):
        plan(series, now=end_of(made))
        work(made)
        return run_of().steps.get(stage=0)

    def test_fills_the_gap(self, venue, series):
        series, made = series
        venue.candles(made[0].timestamp, 60, HOUR)
        step = self.fill(series, made)
        assert step.result_data["came"] == 5
        assert len(stored(series)) == 60
        assert not CandleDefect.objects.filter(series=series, kind="gap").exists()

    def test_may_not_reach_back_so_far(self, venue, series):
        series, made = series
        venue.candles(made[40].timestamp, 20, HOUR)
        self.fill(series, made)
        gap = CandleDefect.objects.get(series=series)
        assert gap.detail.startswith("The venue does not reach back so far (asked")
        assert gap.candles == 5

    def test_may_be_away(self, venue, series):
        series, made = series
        venue.status = 503
        step = self.fill(series, made)
        assert (step.status, step.reason) == (StepStatus.FAILED, "unreachable")
        assert CandleDefect.objects.get(series=series).detail == ""
