"""The demo's bots: they follow their candles, tell nothing twice, and do what is wanted of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from apps.bots.choices import BotHealth, BotStatus, DesiredState, Direction
from apps.bots.models import BotInstance, Fill, Order, PaperPerformance, Trade, TradingLimit
from apps.bots.services.firing import evaluate_limits
from apps.bots.services.watching import watch_bots
from apps.bots.services.wishes import wish
from apps.market.choices import Granularity
from apps.market.domain.candles import CandleRow
from apps.market.services.candles import store_candles
from config import demo_bots, demo_rules
from tests.factories import make_watch

NOW = datetime(2026, 6, 17, 15, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
BOT = next(bot for bot in demo_rules.BOTS if bot.name == "googl-swing")


def tape(symbol, days=120, until=NOW):
    """Daily candles of a price that goes up and down every few weeks."""
    rows = []
    for number in range(days):
        start = (until - (days - number) * DAY).replace(hour=0)
        close = Decimal(100 + abs(number % 20 - 10) + number % 3)
        rows.append(
            CandleRow(
                symbol,
                "demo",
                Granularity.D1,
                start,
                close,
                close + 1,
                close - 1,
                close,
                Decimal(9),
            )
        )
    return rows


@pytest.fixture
def tapes():
    """Return the candles of every symbol of the demo's bots, stored."""
    found = {symbol: tape(symbol) for symbol in {bot.symbol for bot in demo_rules.BOTS} | {"GOOG"}}
    for rows in found.values():
        store_candles(rows, now=NOW)
    return found


class TestTheRule:
    def test_changes_sides_with_the_means_and_never_holds_two_at_once(self):
        trips = list(demo_rules.round_trips(BOT, tape("GOOGL")))

        assert {trip.direction for trip in trips} == {Direction.LONG, Direction.SHORT}
        for trip, following in pairwise(trips):
            assert trip.begin.timestamp < trip.end.timestamp <= following.begin.timestamp

    def test_uses_nothing_that_comes_later(self):
        rows = tape("GOOGL")
        early = [trip for trip in demo_rules.round_trips(BOT, rows[:80]) if trip.end]

        assert early
        assert list(demo_rules.round_trips(BOT, rows))[: len(early)] == early


@pytest.mark.django_db
class TestLoad:
    def test_tells_bots_trades_orders_limits_and_a_portfolio(self, tapes):
        said = demo_bots.load(tapes, since=NOW, now=NOW)

        assert said == f"{len(demo_rules.BOTS)} bots, {Trade.objects.count()} trades"
        assert set(Trade.objects.values_list("bot_id", flat=True)) == {
            bot.name for bot in demo_rules.BOTS
        }
        assert Order.objects.exists()
        assert Fill.objects.exists()
        assert TradingLimit.objects.count() == 5
        assert PaperPerformance.objects.count() > 20

    def test_again_adds_what_has_become_known_and_nothing_twice(self, tapes):
        short = {symbol: rows[:-6] for symbol, rows in tapes.items()}
        demo_bots.load(short, since=NOW - 6 * DAY, now=NOW - 6 * DAY)
        open_then = set(Trade.objects.open().values_list("pk", flat=True))
        demo_bots.load(tapes, since=NOW - 6 * DAY, now=NOW)
        once = Trade.objects.count()

        assert demo_bots.load(tapes, since=NOW - 6 * DAY, now=NOW) == "0 bots, 0 trades"

        assert Trade.objects.count() == once
        assert Trade.objects.filter(pk__in=open_then, status="closed").exists()
        for bot in demo_rules.BOTS:
            assert Trade.objects.open().filter(bot_id=bot.name).count() <= 1

    def test_one_bot_is_found_silent_and_the_others_are_fine(self, tapes):
        make_watch(name="bots", looked_at=NOW, awake_since=NOW - DAY)
        demo_bots.load(tapes, since=NOW, now=NOW)

        watch_bots(now=NOW + 30 * SECOND)
        evaluate_limits(now=NOW + 30 * SECOND)

        silent = BotInstance.objects.filter(health=BotHealth.SILENT)
        assert [bot.pk for bot in silent] == ["ibm-trend"]


@pytest.mark.django_db
class TestBeating:
    def beat(self, answers, moment):
        return demo_bots.beat_all(answers, now=moment)

    def test_is_done_by_those_who_live(self, tapes):
        demo_bots.load(tapes, since=NOW, now=NOW)

        assert self.beat({}, NOW + 10 * SECOND) == 4
        heard = BotInstance.objects.filter(last_heartbeat=NOW + 10 * SECOND)
        assert heard.count() == 4

    def test_does_what_is_wanted_and_says_so(self, tapes):
        demo_bots.load(tapes, since=NOW, now=NOW)
        rows = BotInstance.objects.filter(pk=BOT.name)
        answers = {}
        self.beat(answers, NOW + 5 * SECOND)
        wish(rows, state=DesiredState.STOP, by="ada", reason="", now=NOW)
        for seconds in (10, 20, 30):
            self.beat(answers, NOW + seconds * SECOND)

        bot = rows.get()
        assert (bot.status, bot.last_heartbeat) == (BotStatus.STOPPED, NOW + 20 * SECOND)
        assert bot.acknowledged_at == NOW + 20 * SECOND
        wish(rows, state=DesiredState.RUN, by="ada", reason="", now=NOW)
        self.beat(answers, NOW + 40 * SECOND)
        assert rows.get().status == BotStatus.RUNNING
